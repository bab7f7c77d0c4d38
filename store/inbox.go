package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/uptrace/bun"

	"carillon/model"
)

// sparse is up to how many unread (or unseen) items a page of them is found by
// reading all of them from their own index; above it by walking the inbox in
// its order. See inboxStatement.
const sparse = 500

// Inbox reads a page of a user's inbox, newest first, with the counters and
// the seq that were true at the same moment: it is one statement. A user who
// does not exist is a KindNotFound error; one who was never sent anything has
// an empty inbox at seq 0.
func (s *Store) Inbox(ctx context.Context, env model.EnvID, user model.UserID, f model.InboxFilter, page model.PageRequest) (model.Inbox, error) {
	text, args := inboxStatement(env, user, f, page)
	run := s.r.DB.QueryContext
	if f.Unseen == nil && f.Interacted == nil && f.Categories == nil && f.Archived != nil && !*f.Archived { // a hundred texts; of all there are thousands
		run = s.query
	}
	var (
		row   notificationRow
		out   model.Inbox
		found bool
		said  = contents{}
		list  = make([]model.Notification, 0, page.Limit+1)
	)
	rows, err := run(ctx, text, args...)
	err = scanEach(rows, err, row.into(&out.Seq, &out.Counters.Total, &out.Counters.Unseen, &out.Counters.Unread), func() error {
		if found = true; !row.id.ok {
			return nil
		}
		n, err := row.model(env, said)
		list = append(list, n)
		return err
	})
	if err == nil && !found {
		err = userExists(ctx, s.r, env, user)
	}
	if err != nil {
		return model.Inbox{}, s.fail("reading inbox", err)
	}
	p := pageOf(list, page)
	out.Items, out.HasMore = p.Items, p.HasMore
	return out, nil
}

// inboxStatement is the query of [Store.Inbox], for both databases.
//
// A page walks the index notifications_inbox, or notifications_archived, or
// both, and stops when it is full. A filter may let it pass many items; but on
// unread or unseen, what it looks for may be so rare that it would pass a
// hundred thousand to find a handful. Then all that are unread are read from
// notifications_unread instead, and sorted. The statement holds both ways, and
// the counter, which is read first, makes the range that one of them reads an
// empty one; both planners take a range for what it is, while one of them does
// not understand a condition, and the other a limit, that turns out to admit
// nothing. "+ 0" keeps them from walking for the second. What is unseen is
// also unread since at least as long, so the same index serves it.
func inboxStatement(env model.EnvID, user model.UserID, f model.InboxFilter, page model.PageRequest) (string, []any) {
	q := inboxQuery{args: []any{int64(env), int64(user)}, direction: "desc", limit: roundLimit(page.Limit + 1)}
	if page.Backward {
		q.direction = "asc"
	}
	q.where = "n.env_id = $1 and n.user_id = $2 and n.in_inbox and n.deleted_at is null" +
		inboxFilter(f, "(n.seen_at is null and n.seen_seq > (select seen_up_to from i))", "(n.read_at is null and n.read_seq + 0 > (select read_up_to from i))")
	q.bound("<", page.After)
	q.bound(">", page.Before)

	var rows string
	switch counter, since := rarity(f); {
	case f.Archived == nil:
		rows = q.either(q.page(" and n.archived_at is null", walk), q.page(" and n.archived_at is not null", walk))
	case counter != "":
		rows = q.either(
			q.page(fmt.Sprintf(" and n.read_at is null and n.read_seq > (select case when %s <= %d then %s else %d end from i)", counter, sparse, since, math.MaxInt64), gather),
			q.page(fmt.Sprintf(" and n.sort_at < (select case when %s <= %d then 0 else %d end from i)", counter, sparse, math.MaxInt64), walk))
	default:
		rows = q.page("", walk)
	}
	return fmt.Sprintf(`with i as (select * from inboxes where env_id = $1 and user_id = $2)
		select i.seq, i.total, i.unseen, i.unread, `+notificationColumns+`
		from i left join (%s) n on true left join sends s on s.env_id = n.env_id and s.id = n.send_id
		order by n.sort_at %[2]s, n.id %[2]s limit %[3]d`, rows, q.direction, q.limit), q.args
}

// roundLimit is a limit of one of five sizes. It stands in the statement's
// text, since PostgreSQL takes a limit it does not know for a tenth of the
// rows, and then plans anew for every call rather than once.
func roundLimit(n int) int {
	for _, size := range []int{11, 21, 31, 51} {
		if n <= size {
			return size
		}
	}
	return model.MaxPage + 1
}

// rarity is the counter of what the filter looks for, and since which seq at
// the earliest that has been unread; "" when no counter tells.
func rarity(f model.InboxFilter) (counter, since string) {
	switch {
	case f.Archived == nil || *f.Archived:
		return "", ""
	case f.Unseen != nil && *f.Unseen:
		return "unseen", "seen_up_to"
	case f.Unread != nil && *f.Unread:
		return "unread", "read_up_to"
	}
	return "", ""
}

// inboxQuery builds the rows of a page.
type inboxQuery struct {
	where, direction string
	args             []any
	limit            int
}

// bound leaves out what is not beyond a key, or on the other side of it.
func (q *inboxQuery) bound(operator string, k *model.PageKey) {
	if k != nil {
		q.args = append(q.args, micros(k.At), k.ID)
		q.where += fmt.Sprintf(" and (n.sort_at, n.id) %s ($%d, $%d)", operator, len(q.args)-1, len(q.args))
	}
}

// What a page is ordered by: as the indexes are, to walk one of them, or as
// none is, to gather what a condition selects and sort it.
const (
	walk   = "n.sort_at"
	gather = "n.sort_at + 0"
)

func (q *inboxQuery) page(condition, order string) string {
	return fmt.Sprintf("select n.* from notifications n where %s%s order by %s %[4]s, n.id %[4]s limit %[5]d", q.where, condition, order, q.direction, q.limit)
}

func (q *inboxQuery) either(one, other string) string {
	return fmt.Sprintf("select * from (%s) a union all select * from (%s) b", one, other)
}

// inboxFilter is the filter as further conditions on a notification n, given
// what it is for n to be unseen and to be unread.
func inboxFilter(f model.InboxFilter, unseen, unread string) string {
	var b strings.Builder
	flag := func(want *bool, yes, no string) {
		switch {
		case want == nil:
		case *want:
			b.WriteString(" and " + yes)
		default:
			b.WriteString(" and " + no)
		}
	}
	flag(f.Archived, "n.archived_at is not null", "n.archived_at is null")
	flag(f.Interacted, "n.interacted_at is not null", "n.interacted_at is null")
	flag(f.Unseen, unseen, "not "+unseen)
	flag(f.Unread, unread, "not "+unread)
	if f.Categories != nil {
		b.WriteString(" and n.category_id in (" + idList(f.Categories) + ")")
	}
	return b.String()
}

// InboxCounters reads the counters of a user's inbox and the seq they belong
// to. A user who does not exist is a KindNotFound error.
func (s *Store) InboxCounters(ctx context.Context, env model.EnvID, user model.UserID) (c model.Counters, seq int64, err error) {
	found := false
	rows, err := s.query(ctx, "select total, unseen, unread, seq from inboxes where env_id = $1 and user_id = $2", int64(env), int64(user))
	err = scanEach(rows, err, []any{&c.Total, &c.Unseen, &c.Unread, &seq}, func() error {
		found = true
		return nil
	})
	if err == nil && !found {
		err = userExists(ctx, s.r, env, user)
	}
	return c, seq, s.fail("reading counters", err)
}

// userExists returns a KindNotFound error unless it does.
func userExists(ctx context.Context, db bun.IDB, env model.EnvID, user model.UserID) error {
	var one int
	err := db.NewRaw("select 1 from users where env_id = ? and id = ?", env, user).Scan(ctx, &one)
	if errors.Is(err, sql.ErrNoRows) {
		return errNoUser
	}
	return err
}

// inboxRow is the row of an inbox.
type inboxRow struct {
	Seq, Total, Unseen, Unread  int64
	SeenUpTo, ReadUpTo, Trimmed int64
}

func (r inboxRow) counters() model.Counters {
	return model.Counters{Total: r.Total, Unseen: r.Unseen, Unread: r.Unread}
}

// lockInbox reads an inbox and keeps every other writer out of it until the
// transaction ends. A user who was never sent anything has no row and there is
// nothing to lock: found is false, and as far as the transaction goes the
// inbox is empty, even if the first item arrives meanwhile. A user who does
// not exist is a KindNotFound error.
func (s *Store) lockInbox(ctx context.Context, tx bun.IDB, env model.EnvID, user model.UserID) (r inboxRow, found bool, err error) {
	err = tx.NewRaw("select seq, total, unseen, unread, seen_up_to, read_up_to, trimmed_to from inboxes where env_id = ? and user_id = ?"+s.dialect.forUpdate,
		env, user).Scan(ctx, &r.Seq, &r.Total, &r.Unseen, &r.Unread, &r.SeenUpTo, &r.ReadUpTo, &r.Trimmed)
	if errors.Is(err, sql.ErrNoRows) {
		return inboxRow{}, false, userExists(ctx, tx, env, user)
	}
	return r, err == nil, err
}

// moveInbox writes what a change made of an inbox: a new seq, and counters
// moved by d.
func moveInbox(ctx context.Context, tx bun.IDB, env model.EnvID, user model.UserID, d model.Counters) error {
	_, err := tx.NewRaw("update inboxes set seq = seq + 1, total = total + ?, unseen = unseen + ?, unread = unread + ? where env_id = ? and user_id = ?",
		d.Total, d.Unseen, d.Unread, env, user).Exec(ctx)
	return err
}
