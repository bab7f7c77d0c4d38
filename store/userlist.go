package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"carillon/model"
)

// few is how many users an index may yield so that they are read one by one and
// put in order at once; of more, so many of all users are meant that walking
// through the list finds a page soon. Where it turns out that it does not, some
// may be read so.
const (
	few  = 2000
	some = 20_000
	// soon is how many users are walked through rather than asking indexes
	// for more.
	soon = 15_000
)

// ListUsers reads a page of an environment's users, by the index of its order.
//
// Where an index yields only a few users for one of the filters, those are read;
// else the list is walked through, at most 50,000 users a page, in a third of the
// caller's time: a page may then be short, or empty, with HasMore and Reached.
func (s *Store) ListUsers(ctx context.Context, env model.EnvID, f model.UserFilter, o model.UserOrder, page model.PageRequest) (model.Page[model.User], error) {
	l := s.userList(env, f, o, page)
	if l.plain() {
		where, err := l.shortcut(ctx)
		if err != nil {
			return model.Page[model.User]{}, err
		}
		found, err := l.read(ctx, where, page.Limit+1)
		return pageOf(found, page), err
	}
	found, reached, err := l.find(ctx, page.Limit+1)
	if err != nil {
		return model.Page[model.User]{}, err
	}
	out := pageOf(found, page)
	if reached != nil && !out.HasMore {
		out.HasMore, out.Reached = true, reached
	}
	return out, nil
}

// shortcut is what a page that is never short is read by: those whom an index
// leaves for a filter, if they are few, or else the list from its start on.
func (l *userList) shortcut(ctx context.Context) (conditions, error) {
	if l.o.By == model.ByID {
		ids, narrow, err := l.candidates(ctx, l.narrowing(few), few)
		if err != nil || narrow {
			return l.among(ids), err
		}
	}
	return l.from(l.start()), nil
}

// CountUsers counts the users that a list has, up to model.MaxUserTotal, as far
// as looking through 50,000 of them tells.
func (s *Store) CountUsers(ctx context.Context, env model.EnvID, f model.UserFilter) (model.UserTotal, error) {
	l := s.userList(env, f, model.UserOrder{By: model.ByCreation}, model.PageRequest{})
	l.counting = true
	if l.plain() {
		return l.countAll(ctx)
	}
	_, reached, err := l.find(ctx, model.MaxUserTotal+1)
	return l.total(reached == nil), err
}

// find reads so many users: those whom an index leaves for one of the filters,
// if they are few, or else what walking through the list finds. It walks part by
// part, small ones first, since most pages are found in these, and asks indexes
// for more users in between. After the last part, or a third of the caller's time, it
// ends with what was found, and reached says where.
func (l *userList) find(ctx context.Context, most int) (found []model.User, reached *model.PageKey, err error) {
	looked, reached, late := 0, l.start(), lateness(ctx)
	for _, step := range []struct {
		walk int // users, at first
		by   func(most int) []candidate
		most int
	}{{0, l.narrowing, few}, {1000, l.documents, some}, {9000, l.narrowing, some}, {10_000, nil, 0}, {10_000, nil, 0}, {10_000, nil, 0}, {10_000, nil, 0}} {
		if looked > 0 && late() {
			break
		}
		if looked += step.walk; step.walk > 0 {
			more, end, err := l.walk(ctx, reached, step.walk, most-l.found(found))
			if err != nil {
				return nil, nil, err
			}
			if found = append(found, more...); end == nil || l.found(found) >= most {
				return found, nil, nil
			}
			reached = end
		}
		if step.by == nil || l.found(found)*soon > most*looked && looked > 0 {
			continue
		}
		ids, narrow, err := l.candidates(ctx, step.by(step.most), step.most)
		if err != nil {
			return nil, nil, err
		}
		if narrow {
			l.count, l.sorted = 0, step.most > few
			found, err = l.read(ctx, l.among(ids), most)
			return found, nil, err
		}
	}
	return found, reached, nil
}

// lateness tells whether a third of the time that a caller gives has passed.
func lateness(ctx context.Context) func() bool {
	end, limited := ctx.Deadline()
	if !limited {
		return func() bool { return false }
	}
	until := time.Now().Add(time.Until(end) / 3)
	return func() bool { return time.Now().After(until) }
}

// found is how many users were found or counted.
func (l *userList) found(users []model.User) int { return max(len(users), int(l.count)) }

func (l *userList) countAll(ctx context.Context) (model.UserTotal, error) {
	where := l.base()
	err := l.s.r.NewRaw("select count(*) from (select 1 from users u "+where.sql()+" limit ?) few", append(where.args, model.MaxUserTotal+1)...).Scan(ctx, &l.count)
	return l.total(true), l.s.fail("counting users", err)
}

func (l *userList) total(whole bool) model.UserTotal {
	if l.count > model.MaxUserTotal {
		return model.UserTotal{Count: model.MaxUserTotal}
	}
	return model.UserTotal{Count: l.count, Exact: whole}
}

// userList is the reading of one page.
type userList struct {
	s        *Store
	env      model.EnvID
	f        model.UserFilter
	o        model.UserOrder
	page     model.PageRequest
	columns  []string // of the order
	counting bool     // count, and keep nothing
	sorted   bool     // what is read is put in order, whatever index has that order
	count    int64
}

func (s *Store) userList(env model.EnvID, f model.UserFilter, o model.UserOrder, page model.PageRequest) *userList {
	l := &userList{s: s, env: env, f: f, o: o, page: page}
	switch o.By {
	case model.ByCreation:
		l.columns = []string{"u.created_at", "u.id"}
	case model.ByIdentifier:
		l.columns = []string{"u.identifier"}
	case model.BySignUp:
		l.columns = []string{"coalesce(u.signed_up_at, u.created_at)", "u.id"}
	case model.ByLastSeen:
		l.columns = []string{"u.last_seen_at", "u.id"}
	case model.ByEmail:
		l.columns = []string{"(coalesce(p.email, '')" + s.dialect.bytewise + ")", "p.user_id"}
	case model.ByID:
		l.columns = []string{"u.id"}
	}
	return l
}

// place is a key as the values of the order's columns.
func (l *userList) place(k model.PageKey) []any {
	switch l.o.By {
	case model.ByCreation, model.BySignUp:
		return []any{micros(k.At), k.ID}
	case model.ByLastSeen:
		return []any{max(0, micros(k.At)), k.ID}
	case model.ByIdentifier:
		return []any{k.Text}
	case model.ByEmail:
		return []any{k.Text, k.ID}
	case model.ByID:
	}
	return []any{k.ID}
}

// plain reports whether the filter is met by a part of the order's index.
func (l *userList) plain() bool {
	if l.o.By == model.ByID { // of dialects, whose pages are never short
		return true
	}
	f := l.f
	switch l.o.By {
	case model.ByCreation:
		f.CreatedAt = model.TimeRange{}
	case model.BySignUp:
		f.SignedUpAt = model.TimeRange{}
	case model.ByIdentifier:
		f.IdentifierPrefix = ""
	case model.ByLastSeen, model.ByEmail, model.ByID:
	}
	return f.Topic == 0 && f.Account == 0 && f.Enabled == nil && f.Archived == nil && f.Kind == "" && f.IdentifierPrefix == "" && f.Email == "" &&
		f.Search == "" && f.CreatedAt.IsZero() && f.SignedUpAt.IsZero() && len(f.Properties) == 0
}

// ascending is the direction in which rows are read.
func (l *userList) ascending() bool { return l.o.Ascending != l.page.Backward }

// start is where reading begins; nil: at the end of the list that comes first.
func (l *userList) start() *model.PageKey {
	if l.page.Backward {
		return l.page.Before
	}
	return l.page.After
}

// base is the part of the conditions that bounds the order's index.
func (l *userList) base() conditions {
	where := conditions{}
	if l.o.By == model.ByEmail {
		where.add("p.env_id = ?", l.env)
	} else {
		where.add("u.env_id = ?", l.env)
	}
	switch l.o.By {
	case model.ByCreation:
		within(&where, "u.created_at", l.f.CreatedAt)
	case model.BySignUp:
		within(&where, l.columns[0], l.f.SignedUpAt)
	case model.ByIdentifier:
		beginning(&where, "u.identifier", l.f.IdentifierPrefix)
	case model.ByLastSeen, model.ByEmail, model.ByID:
	}
	if other := l.page.After; l.page.Backward && other != nil {
		l.beyond(&where, *other, !l.ascending(), false)
	}
	if other := l.page.Before; !l.page.Backward && other != nil {
		l.beyond(&where, *other, !l.ascending(), false)
	}
	return where
}

// from is base from a place on.
func (l *userList) from(k *model.PageKey) conditions {
	where := l.base()
	if k != nil {
		l.beyond(&where, *k, l.ascending(), false)
	}
	return where
}

// among is what the users with these ids are read by.
func (l *userList) among(ids []model.UserID) conditions {
	where := l.from(l.start())
	column := "u.id"
	if l.o.By == model.ByEmail {
		column = "p.user_id"
	}
	where.add(column + " in (" + idList(ids) + ")")
	return where
}

func (l *userList) beyond(where *conditions, k model.PageKey, above, orAt bool) {
	operator := "<"
	if above {
		operator = ">"
	}
	if orAt {
		operator += "="
	}
	where.add("("+strings.Join(l.columns, ", ")+") "+operator+" (?)", bun.List(l.place(k)))
}

// orderBy is the order in which rows are read. For some users among many
// PostgreSQL would go through the index of the order until it has met enough of
// them, which may be never, since it does not know how many pass the other filters.
func (l *userList) orderBy() string {
	direction := " desc"
	if l.ascending() {
		direction = " asc"
	}
	columns := slices.Clone(l.columns)
	if l.sorted {
		for i, c := range columns {
			if l.o.By == model.ByIdentifier || l.o.By == model.ByEmail && i == 0 {
				columns[i] = c + " || ''"
			} else {
				columns[i] = c + " + 0"
			}
		}
	}
	return " order by " + strings.Join(columns, direction+", ") + direction
}

func within(where *conditions, column string, r model.TimeRange) {
	if !r.Since.IsZero() {
		where.add(column+" >= ?", micros(r.Since))
	}
	if !r.Until.IsZero() {
		where.add(column+" < ?", micros(r.Until))
	}
}

func beginning(where *conditions, column, prefix string) {
	if prefix == "" {
		return
	}
	where.add(column+" >= ?", prefix)
	if end := afterPrefix(prefix); end != "" {
		where.add(column+" < ?", end)
	}
}

// walk looks through so many users of the list from a place on, and finds so many
// at most. end is where it has come to; nil at the end of the list.
func (l *userList) walk(ctx context.Context, from *model.PageKey, users, most int) (found []model.User, end *model.PageKey, err error) {
	if end, err = l.windowEnd(ctx, from, users); err != nil {
		return nil, nil, err
	}
	where := l.from(from)
	if end != nil {
		l.beyond(&where, *end, !l.ascending(), true)
	}
	found, err = l.read(ctx, where, most)
	return found, end, err
}

// windowEnd is the place of the last user of a window; nil when the list ends
// within it.
func (l *userList) windowEnd(ctx context.Context, from *model.PageKey, size int) (*model.PageKey, error) {
	where := l.from(from)
	table := " from users u "
	if l.o.By == model.ByEmail {
		table = " from profiles p "
	}
	var (
		k     model.PageKey
		at0   int64
		into  = []any{&at0, &k.ID}
		query = "select " + strings.Join(l.columns, ", ") + table + where.sql() + l.orderBy() + " limit 1 offset ?"
	)
	switch l.o.By {
	case model.ByIdentifier:
		into = []any{&k.Text}
	case model.ByEmail:
		into = []any{&k.Text, &k.ID}
	case model.ByCreation, model.BySignUp, model.ByLastSeen, model.ByID:
	}
	err := l.s.r.QueryRowContext(ctx, query, append(where.args, size-1)...).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if l.o.By != model.ByLastSeen || at0 > 0 {
		k.At = at(at0)
	}
	return &k, l.s.fail("reading users", err)
}

// read reads users within a part of the list, in its order, who pass the filter.
func (l *userList) read(ctx context.Context, where conditions, most int) ([]model.User, error) {
	l.filters(&where)
	if l.counting && len(l.f.Properties) == 0 {
		var n int64
		err := l.s.r.NewRaw("select count(*) from (select 1"+l.tables()+where.sql()+" limit ?) found", append(where.args, most)...).Scan(ctx, &n)
		l.count += n
		return nil, l.s.fail("counting users", err)
	}
	query, args := "select "+userColumns+l.tables()+where.sql()+l.orderBy(), where.args
	if len(l.f.Properties) == 0 {
		query, args = query+" limit ?", append(args, most)
	}
	rows, err := l.s.r.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, l.s.fail("reading users", err)
	}
	defer rows.Close()
	var found []model.User
	for n := 0; n < most && rows.Next(); {
		var row userRow
		if err := l.s.r.ScanRow(ctx, rows, &row); err != nil {
			return nil, l.s.fail("reading users", err)
		}
		u := row.model()
		if !passes(u, l.f.Properties) {
			continue
		}
		n++
		if l.counting {
			l.count++
			continue
		}
		found = append(found, u)
	}
	return found, l.s.fail("reading users", rows.Err())
}

// tables are users with their profiles, which are read one by one in the order
// of the list: however many a part of it has, no more of them are read than it
// takes to fill the page.
func (l *userList) tables() string {
	first, second := "users u", "profiles p"
	if l.o.By == model.ByEmail {
		first, second = second, first
	}
	if !l.s.dialect.arrays { // SQLite always does
		return " from users u join profiles p on p.env_id = u.env_id and p.user_id = u.id "
	}
	return " from " + first + " cross join lateral (select * from " + second + " where p.env_id = u.env_id and p.user_id = u.id offset 0) " + second[len(second)-1:] + " "
}

func passes(u model.User, all []model.PropertyFilter) bool {
	return !slices.ContainsFunc(all, func(f model.PropertyFilter) bool { return !f.Holds(u.Profile.Attributes) })
}

// filters adds the conditions of the filter. Those on attributes let through
// more than pass.
func (l *userList) filters(where *conditions) {
	f := l.f
	if f.Enabled != nil {
		where.add("u.enabled = ?", *f.Enabled)
	}
	if f.Archived != nil {
		where.add("(u.archived_at is not null) = ?", *f.Archived)
	}
	if f.Kind != "" {
		where.add("u.kind = ?", f.Kind)
	}
	if f.Email != "" {
		where.add("p.email = ?", f.Email)
	}
	if f.Topic != 0 {
		where.add("exists (select 1 from topic_members m where m.env_id = u.env_id and m.topic_id = ? and m.user_id = u.id)", f.Topic)
	}
	if f.Account != 0 {
		where.add("exists (select 1 from memberships m where m.env_id = u.env_id and m.account_id = ? and m.user_id = u.id)", f.Account)
	}
	beginning(where, "u.identifier", f.IdentifierPrefix)
	within(where, "u.created_at", f.CreatedAt)
	within(where, "coalesce(u.signed_up_at, u.created_at)", f.SignedUpAt)
	l.search(where)
	for _, p := range f.Properties {
		where.add(l.s.dialect.contains, memberText(p))
	}
}

// memberText is what a profile, in canonical JSON, holds when it passes.
func memberText(p model.PropertyFilter) string {
	name, err := model.EncodeJSON(p.Name)
	if err != nil {
		return "" // text always has an encoding
	}
	text := string(name) + ":"
	if p.Test == model.PropertyEquals && (p.Type == model.PropertyText || p.Type == model.PropertyBoolean) {
		text += string(p.Value)
	}
	return text
}
