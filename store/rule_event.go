package store

import (
	"strconv"

	"github.com/uptrace/bun"

	"carillon/model"
)

// event joins who did the events how often, and compares.
func (q *ruleQuery) event(e model.EventCondition) fragment {
	did := "e" + strconv.Itoa(len(q.joins))
	events := q.events(e)
	sum := fragment{sql: "null"}
	if e.Sum != nil {
		if e.Sum.Property != nil {
			sum = q.number("e.properties", *e.Sum.Property)
		} else {
			sum = q.number(`'{"value":' || e.value || '}'`, "value")
		}
		sum = with("sum(%s)", sum)
	}
	table := with(" left join (select e.user_id, count(*) as n, %s as total from %s group by e.user_id) "+did+" on "+did+".user_id = u.id", sum, events)
	q.joins, q.args = append(q.joins, table.sql), append(q.args, table.args...)

	var list []fragment
	if e.AtLeast != nil && *e.AtLeast > 0 { // said so that PostgreSQL sees that only those who did it are asked for
		list = append(list, sqlf(did+".n is not null and "+did+".n >= ?", *e.AtLeast))
	}
	if e.AtMost != nil {
		list = append(list, sqlf("coalesce("+did+".n, 0) <= ?", *e.AtMost))
	}
	if e.Sum != nil && e.Sum.AtLeast != nil {
		list = append(list, with(did+".total is not null and "+did+".total >= %s", double(*e.Sum.AtLeast)))
	}
	if e.Sum != nil && e.Sum.AtMost != nil {
		list = append(list, with(did+".total is not null and "+did+".total <= %s", double(*e.Sum.AtMost)))
	}
	switch {
	case len(list) > 0:
	case e.AtLeast != nil: // zero
		return sqlf("(1 = 1)")
	default:
		list = append(list, sqlf(did+".n is not null"))
	}
	return joined(list, " and ")
}

// events selects, as e, the events that a condition counts.
func (q *ruleQuery) events(e model.EventCondition) fragment {
	source := sqlf("select e.user_id, e.value, e.properties from events e where e.env_id = ? and e.name = ?", q.env, e.Name)
	if e.Last {
		source.sql = "select e.user_id, e.value, e.properties, row_number() over (partition by e.user_id order by e.occurred_at desc, e.id desc) as place from events e where e.env_id = ? and e.name = ?"
	}
	if e.WithinDays != nil {
		source.sql, source.args = source.sql+" and e.occurred_at >= ? and e.occurred_at <= ?", append(source.args, q.since(*e.WithinDays), micros(q.now))
	}
	if q.users != nil {
		source.sql, source.args = source.sql+" and e.user_id in (?)", append(source.args, bun.List(q.users))
	}
	var list []fragment
	for _, w := range e.Where {
		list = append(list, q.member("e.properties", w))
	}
	if e.Last {
		list = append(list, sqlf("e.place = 1"))
	}
	if len(list) == 0 {
		return with("(%s) e", source)
	}
	return with("(%s) e where %s", source, joined(list, " and "))
}
