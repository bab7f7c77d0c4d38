package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"carillon/model"
)

// searched is a column that a search asks for the beginning of, in lower case,
// with the table that it is in, and what names the user there.
type searched struct{ table, id, column string }

// candidate is a statement that yields the ids of users who pass one filter, by
// an index of its own.
type candidate struct {
	query string
	args  []any
}

// candidates are the users whom a filter leaves, when an index yields at most so
// many for one. narrow is false when none does.
func (l *userList) candidates(ctx context.Context, all []candidate, most int) (ids []model.UserID, narrow bool, err error) {
	for _, c := range all {
		ids = ids[:0]
		if err := l.s.r.NewRaw(c.query+" limit ?", append(c.args, most+1)...).Scan(ctx, &ids); err != nil {
			return nil, false, l.s.fail("reading users", err)
		}
		if len(ids) <= most {
			return ids, true, nil
		}
	}
	return nil, false, nil
}

// narrowing are the filters that an index can answer with so many users soon,
// those first that leave the fewest.
func (l *userList) narrowing(most int) []candidate {
	var all []candidate
	add := func(query string, args ...any) { all = append(all, candidate{query, args}) }
	f := l.f
	if f.Email != "" {
		add("select user_id from profiles where env_id = ? and email = ?", l.env, f.Email)
	}
	if f.Search != "" {
		all = append(all, l.searching(most)...)
	}
	if f.Account != 0 {
		add("select user_id from memberships where env_id = ? and account_id = ?", l.env, f.Account)
	}
	if f.Topic != 0 {
		add("select user_id from topic_members where env_id = ? and topic_id = ?", l.env, f.Topic)
	}
	if f.Kind != "" && f.Kind != model.UserPerson {
		add("select id from users where env_id = ? and kind <> 'PERSON'", l.env)
	}
	if f.Archived != nil && *f.Archived {
		add("select id from users where env_id = ? and archived_at is not null", l.env)
	}
	if f.Enabled != nil && !*f.Enabled {
		add("select id from users where env_id = ? and not enabled", l.env)
	}
	ranged := func(filtered bool, column string, limit func(w *conditions, column string)) {
		if filtered {
			where := conditions{}
			where.add("env_id = ?", l.env)
			limit(&where, column)
			add("select id from users "+where.sql()+" order by "+column, where.args...)
		}
	}
	ranged(f.IdentifierPrefix != "", "identifier", func(w *conditions, column string) { beginning(w, column, f.IdentifierPrefix) })
	ranged(!f.CreatedAt.IsZero(), "created_at", func(w *conditions, column string) { within(w, column, f.CreatedAt) })
	ranged(!f.SignedUpAt.IsZero(), "coalesce(signed_up_at, created_at)", func(w *conditions, column string) { within(w, column, f.SignedUpAt) })
	return all
}

// documents find attributes by value, however many. The value is hidden from PostgreSQL's
// planner: for one that it takes for common it would read the table from its
// beginning until it has found enough, however far on they are. The document
// begins with the environment; as a plain condition beside it, the environment
// would have all its users looked up in another index to be compared. Numbers that
// the database's own JSON may not hold are left out: whoever has one is found by
// looking at everyone.
func (l *userList) documents(int) []candidate {
	var all []candidate
	for _, p := range l.f.Properties {
		byValue := p.Test == model.PropertyEquals && (p.Type == model.PropertyText || p.Type == model.PropertyBoolean || p.Type == model.PropertyNumber)
		byValue = byValue && (p.Type != model.PropertyNumber || modest(string(p.Value)))
		if name, err := model.EncodeJSON(p.Name); l.s.dialect.document != "" && byValue && err == nil {
			all = append(all, candidate{
				"select user_id from profiles where env_id + 0 = ? and " + l.s.dialect.document,
				[]any{l.env, fmt.Sprintf(`{"%d":{%s:%s}}`, int64(l.env), name, p.Value)},
			})
		}
	}
	return all
}

// modest reports whether a number is written with few digits and a small
// exponent.
func modest(number string) bool {
	const most = 300
	_, exponent, large := strings.Cut(strings.ToLower(number), "e")
	if !large {
		return len(number) <= most
	}
	n, err := strconv.Atoi(exponent)
	return err == nil && len(number) <= most && -most <= n && n <= most
}

// searching yields, for each word of the search, who may pass: whose something
// begins with it, or with the whole text.
func (l *userList) searching(most int) []candidate {
	words := model.SearchWords(l.f.Search)
	whole := strings.TrimSpace(model.LowerASCII(l.f.Search))
	var all []candidate
	for i, word := range words {
		beginnings := []string{word}
		if i > 0 { // what begins with the whole text begins with its first word
			beginnings = append(beginnings, whole)
		}
		all = append(all, l.beginningWith(beginnings, most))
	}
	return all
}

func (l *userList) beginningWith(beginnings []string, most int) candidate {
	var c candidate
	var parts []string
	part := func(table, id, column, prefix string) {
		where := conditions{}
		where.add("env_id = ?", l.env)
		beginning(&where, column, prefix)
		parts = append(parts, fmt.Sprintf("select * from (select %s as id from %s %s order by %s limit %d) s%d", id, table, where.sql(), column, most+1, len(parts)))
		c.args = append(c.args, where.args...)
	}
	for _, text := range beginnings {
		for _, s := range l.s.dialect.searched {
			part(s.table, s.id, s.column, text)
		}
		if phone := model.PhonePrefix(text); phone != "" {
			part("profiles", "user_id", l.phone(), phone)
		}
	}
	c.query = "select distinct id from (" + strings.Join(parts, " union all ") + ") found"
	return c
}

// phone is the column of phone numbers, ordered byte by byte.
func (l *userList) phone() string {
	if l.s.dialect.bytewise == "" {
		return "phone_number"
	}
	return "(phone_number" + l.s.dialect.bytewise + ")"
}

// search adds the condition of the search: each word begins something, or the
// whole text does.
func (l *userList) search(where *conditions) {
	if l.f.Search == "" {
		return
	}
	var words conditions
	for _, word := range model.SearchWords(l.f.Search) {
		term, args := l.begins(word)
		words.add(term, args...)
	}
	whole, args := l.begins(strings.TrimSpace(model.LowerASCII(l.f.Search)))
	where.add("(("+strings.Join(words.terms, " and ")+") or "+whole+")", append(words.args, args...)...)
}

// begins is the condition that something of a user begins with a text.
func (l *userList) begins(text string) (string, []any) {
	var terms []string
	var args []any
	or := func(column, prefix string) {
		where := conditions{}
		beginning(&where, column, prefix)
		terms, args = append(terms, "("+strings.Join(where.terms, " and ")+")"), append(args, where.args...)
	}
	for _, s := range l.s.dialect.searched {
		or(s.column, text)
	}
	if phone := model.PhonePrefix(text); phone != "" {
		or(l.phone(), phone)
	}
	return "(" + strings.Join(terms, " or ") + ")", args
}
