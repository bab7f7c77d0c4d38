package store

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"carillon/model"
)

// ruleQuery is a rule as SQL: a condition on users u and, where it asks for them,
// their profiles p that is never null, and what must be joined for it. Events are put together once
// for each condition, by a hash of all who did them, never user by user.
type ruleQuery struct {
	d     dialect
	env   model.EnvID
	now   time.Time
	users []model.UserID // whom it is about; nil: all

	joins   []string
	args    []any // of the joins
	profile bool  // whether profiles are asked
	where   fragment
}

// fragment is a piece of SQL with its arguments.
type fragment struct {
	sql  string
	args []any
}

func sqlf(sql string, args ...any) fragment { return fragment{sql, args} }

// with puts fragments in place of the %s of the text.
func with(text string, parts ...fragment) fragment {
	out := fragment{}
	pieces := strings.Split(text, "%s")
	var b strings.Builder
	for i, piece := range pieces {
		b.WriteString(piece)
		if i < len(parts) {
			b.WriteString(parts[i].sql)
			out.args = append(out.args, parts[i].args...)
		}
	}
	out.sql = b.String()
	return out
}

func joined(list []fragment, operator string) fragment {
	texts := make([]string, len(list))
	var out fragment
	for i, f := range list {
		texts[i] = f.sql
		out.args = append(out.args, f.args...)
	}
	out.sql = "(" + strings.Join(texts, operator) + ")"
	return out
}

// compileRule makes a query of a rule that was checked, for these users or, with
// nil, for all.
func (s *Store) compileRule(env model.EnvID, r model.SegmentRule, now time.Time, users []model.UserID) *ruleQuery {
	q := &ruleQuery{d: s.dialect, env: env, now: now, users: users}
	q.where = q.rule(r)
	return q
}

// matching selects column of the users that match.
func (q *ruleQuery) matching(column string) fragment {
	out := fragment{sql: "select " + column + " from users u"}
	if q.profile {
		out.sql += " join profiles p on p.env_id = u.env_id and p.user_id = u.id"
	}
	out.sql, out.args = out.sql+strings.Join(q.joins, ""), append(out.args, q.args...)
	out.sql, out.args = out.sql+" where u.env_id = ?", append(out.args, q.env)
	if q.users != nil {
		out.sql, out.args = out.sql+" and u.id in (?)", append(out.args, bun.List(q.users))
	}
	out.sql, out.args = out.sql+" and "+q.where.sql, append(out.args, q.where.args...)
	return out
}

func (q *ruleQuery) rule(r model.SegmentRule) fragment {
	switch {
	case r.All != nil:
		return joined(q.rules(r.All), " and ")
	case r.Any != nil:
		return joined(q.rules(r.Any), " or ")
	case r.Not != nil:
		return with("not %s", q.rule(*r.Not))
	case r.Attribute != nil:
		q.profile = true
		return q.member(profileText, *r.Attribute)
	case r.Event != nil:
		return q.event(*r.Event)
	case r.Topic != nil:
		return sqlf(`exists (select 1 from topic_members m where m.env_id = ? and m.user_id = u.id and m.subscribed
			and m.topic_id = (select t.id from topics t where t.env_id = ? and t.identifier = ?))`, q.env, q.env, *r.Topic)
	case r.Reachable != nil:
		return q.reachable(*r.Reachable)
	case r.UserKind != nil:
		return sqlf("(u.kind = ?)", *r.UserKind)
	case r.Archived != nil && *r.Archived:
		return sqlf("(u.archived_at is not null)")
	case r.Archived != nil:
		return sqlf("(u.archived_at is null)")
	case r.Enabled != nil:
		return sqlf("(u.enabled = ?)", *r.Enabled)
	case r.IdentifierPrefix != nil:
		return startsWith(sqlf("u.identifier"), *r.IdentifierPrefix)
	case r.Created != nil:
		return q.span(sqlf("u.created_at"), r.Created.After, r.Created.Before, r.Created.WithinDays)
	case r.SignedUp != nil:
		return q.span(sqlf("coalesce(u.signed_up_at, u.created_at)"), r.SignedUp.After, r.SignedUp.Before, r.SignedUp.WithinDays)
	}
	return sqlf("(1 = 0)")
}

func (q *ruleQuery) rules(list []model.SegmentRule) []fragment {
	out := make([]fragment, len(list))
	for i, r := range list {
		out[i] = q.rule(r)
	}
	return out
}

func startsWith(text fragment, prefix string) fragment {
	return with("(coalesce(substr(%s, 1, length(%s)) = %s, false))", text, sqlf("?", prefix), sqlf("?", prefix))
}

// since is where a window of days begins.
func (q *ruleQuery) since(days int32) int64 {
	return micros(q.now.Add(-time.Duration(days) * 24 * time.Hour))
}

// span compares microseconds.
func (q *ruleQuery) span(at fragment, after, before *time.Time, days *int32) fragment {
	var list []fragment
	if after != nil {
		list = append(list, with("%s >= %s", at, sqlf("?", micros(*after))))
	}
	if before != nil {
		list = append(list, with("%s < %s", at, sqlf("?", micros(*before))))
	}
	if days != nil {
		list = append(list, with("%s >= %s", at, sqlf("?", q.since(*days))), with("%s <= %s", at, sqlf("?", micros(q.now))))
	}
	return with("coalesce(%s, false)", joined(list, " and "))
}

// member is a condition on a member of a JSON object, doc.
func (q *ruleQuery) member(doc string, a model.AttributeCondition) fragment {
	var list []fragment
	add := func(f fragment) { list = append(list, with("coalesce(%s, false)", f)) }
	if a.Exists != nil {
		exists := with("coalesce(%s, false)", q.hasMember(doc, a.Name))
		if !*a.Exists {
			exists = with("not %s", exists)
		}
		list = append(list, exists)
	}
	if a.Equals != nil {
		list = append(list, q.oneOf(doc, a.Name, []json.RawMessage{a.Equals}))
	}
	if a.OneOf != nil {
		list = append(list, q.oneOf(doc, a.Name, a.OneOf))
	}
	if a.StartsWith != nil {
		list = append(list, startsWith(q.text(doc, a.Name), *a.StartsWith))
	}
	if a.Contains != nil {
		add(with(q.d.position+"(%s, %s) > 0", q.text(doc, a.Name), sqlf("?", *a.Contains)))
	}
	for _, n := range []struct {
		than     *float64
		operator string
	}{{a.GreaterThan, ">"}, {a.AtLeast, ">="}, {a.LessThan, "<"}, {a.AtMost, "<="}} {
		if n.than != nil {
			add(with("%s "+n.operator+" %s", q.number(doc, a.Name), double(*n.than)))
		}
	}
	if a.After != nil || a.Before != nil || a.WithinDays != nil {
		list = append(list, q.span(with("carillon_date(%s)", q.text(doc, a.Name)), a.After, a.Before, a.WithinDays))
	}
	return joined(list, " and ")
}

// profileText is what holds the attributes of a user, as canonical JSON.
const profileText = "p.attributes"

// double writes a number so that both databases compare it as a double.
func double(n float64) fragment {
	return sqlf("cast(? as double precision)", strconv.FormatFloat(n, 'g', -1, 64))
}

// oneOf compares with values of any of the three types.
func (q *ruleQuery) oneOf(doc, name string, values []json.RawMessage) fragment {
	var texts, numbers, booleans, list []fragment
	for _, value := range values {
		switch v := model.ScalarOf(value).(type) {
		case string:
			texts = append(texts, sqlf("?", v))
		case float64:
			numbers = append(numbers, double(v))
		case bool:
			booleans = append(booleans, sqlf("?", v))
		}
	}
	for _, one := range []struct {
		member func(doc, name string) fragment
		values []fragment
	}{{q.text, texts}, {q.number, numbers}, {q.boolean, booleans}} {
		if len(one.values) > 0 {
			list = append(list, with("coalesce(%s in %s, false)", one.member(doc, name), joined(one.values, ", ")))
		}
	}
	if len(list) == 0 {
		return sqlf("(1 = 0)")
	}
	return with("(%s and %s)", q.mention(doc, name, values), joined(list, " or "))
}

// mention is true of a profile whose text holds one of these values of a member,
// somewhere: most that do not are found out before they are read as JSON. Numbers
// may be written in several ways.
func (q *ruleQuery) mention(doc, name string, values []json.RawMessage) fragment {
	key, err := model.EncodeJSON(name)
	if err != nil || doc != profileText {
		return sqlf("(1 = 1)")
	}
	list := make([]fragment, len(values))
	for i, value := range values {
		text := string(key) + ":"
		if v, is := model.ScalarOf(value).(string); is {
			encoded, err := model.EncodeJSON(v)
			if err != nil {
				return sqlf("(1 = 1)")
			}
			text += string(encoded)
		}
		list[i] = sqlf(q.d.contains, text)
	}
	return joined(list, " or ")
}

// A member is taken out as text on PostgreSQL, which then converts nothing that
// could fail: one odd value of one user must not fail a query about all. "offset
// 0" keeps it from reading the object anew wherever the member is named. SQLite
// walks the object, since its paths cannot hold every name.

// memberOf selects an expression of a member, j.v, on PostgreSQL.
func memberOf(doc, name, expression string) fragment {
	return sqlf("(select "+expression+" from (select cast("+doc+" as json) -> ? as v offset 0) j)", name)
}

func (q *ruleQuery) hasMember(doc, name string) fragment {
	if q.d.arrays {
		return memberOf(doc, name, "json_typeof(j.v) <> 'null'")
	}
	return sqlf("exists (select 1 from json_each("+doc+") j where j.key = ? and j.type <> 'null')", name)
}

func (q *ruleQuery) text(doc, name string) fragment {
	if q.d.arrays {
		return memberOf(doc, name, "case when json_typeof(j.v) = 'string' then j.v #>> '{}' end")
	}
	return sqlf("(select j.value from json_each("+doc+") j where j.key = ? and j.type = 'text')", name)
}

func (q *ruleQuery) boolean(doc, name string) fragment {
	if q.d.arrays {
		return memberOf(doc, name, "case when json_typeof(j.v) = 'boolean' then j.v #>> '{}' = 'true' end")
	}
	return sqlf("(select j.type = 'true' from json_each("+doc+") j where j.key = ? and j.type in ('true', 'false'))", name)
}

// number leaves out what no double holds: the text of what is left is short
// enough that converting it cannot overflow.
func (q *ruleQuery) number(doc, name string) fragment {
	if q.d.arrays {
		return with("(select case when abs(k.n) < 1e99 then k.n end from (select %s as n offset 0) k)", memberOf(doc, name, `case
			when json_typeof(j.v) = 'number' and length(j.v #>> '{}') <= 99 and j.v #>> '{}' ~ '^[-+0-9.]+([eE][-+]{0,1}[0-9]{1,2}){0,1}$'
			then cast(j.v #>> '{}' as double precision) end`))
	}
	return sqlf("(select case when abs(cast(j.value as real)) < 1e99 then cast(j.value as real) end from json_each("+doc+") j where j.key = ? and j.type in ('integer', 'real'))", name)
}

func (q *ruleQuery) reachable(c model.Channel) fragment {
	any := sqlf("exists (select 1 from addresses a where a.env_id = ? and a.user_id = u.id and a.channel = ?)", q.env, int16(c))
	on := sqlf("exists (select 1 from addresses a where a.env_id = ? and a.user_id = u.id and a.channel = ? and a.enabled)", q.env, int16(c))
	device := func(which string) fragment {
		return sqlf("exists (select 1 from devices d where d.env_id = ? and d.user_id = u.id and d.enabled and "+which+")", q.env)
	}
	switch c {
	case model.ChannelInApp:
		return sqlf("(1 = 1)")
	case model.ChannelEmail:
		q.profile = true
		return with("(p.email is not null or %s)", on)
	case model.ChannelSMS:
		q.profile = true
		return with("(p.phone_number is not null or %s)", on)
	case model.ChannelWhatsApp, model.ChannelVoice:
		q.profile = true
		return with("(p.phone_number is not null and not %s or %s)", any, on)
	case model.ChannelMobilePush:
		return with("(%s or %s)", device("d.platform <> 'WEB' and d.token <> ''"), on)
	case model.ChannelWebPush:
		return with("(%s or %s)", device("d.platform = 'WEB' and d.push_key <> ''"), on)
	case model.ChannelSlack, model.ChannelDiscord, model.ChannelTeams, model.ChannelWebhook:
	}
	return with("(%s)", on)
}
