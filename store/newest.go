package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"

	"github.com/jackc/pgx/v5"

	"carillon/model"
)

// NewestInbox is [Store.Inbox] for the first page of what is not archived. A
// caller who holds the page of a seq gives it as known: when the inbox is still
// there, same is true and nothing else is read.
//
// This is what every client asks first and most, so it is read [together].
func (s *Store) NewestInbox(ctx context.Context, env model.EnvID, user model.UserID, first int, known int64) (page model.Inbox, same bool, err error) {
	if s.dialect.arrays && first < newestRows {
		a := &newestAsk{env: env, user: user, known: known}
		if s.newest.make(ctx, s, a) && a.found {
			p := pageOf(a.page.Items, model.PageRequest{Limit: first})
			a.page.Items, a.page.HasMore = p.Items, p.HasMore
			return a.page, a.page.Seq == known, nil
		}
	} else if known != model.NoSeq {
		_, seq, err := s.InboxCounters(ctx, env, user)
		if err != nil || seq == known {
			return model.Inbox{Seq: seq}, err == nil, err
		}
	}
	// Also when reading together has failed: an error is to be its own.
	unarchived := false
	page, err = s.Inbox(ctx, env, user, model.InboxFilter{Archived: &unarchived}, model.PageRequest{Limit: first})
	return page, false, err
}

// newestRows is what is read of each inbox: the default page, and one more row
// that tells whether there is a next one.
const newestRows = model.DefaultPage + 1

// newestStatement reads the newest rows of several inboxes in one moment. $1 and
// $2 name them, $3 are the seqs whose rows are not wanted.
var newestStatement = fmt.Sprintf(`select u.place, i.seq, i.total, i.unseen, i.unread,
		n.id, n.send_id, n.category_id, n.sort_at, n.seq, %s, %s, n.interacted_at, n.archived_at, n.expires_at, n.reason, n.state, n.edition, n.personal
	from unnest($1::bigint[], $2::bigint[], $3::bigint[]) with ordinality u (env_id, user_id, known, place)
	join inboxes i on i.env_id = u.env_id and i.user_id = u.user_id
	left join lateral (select * from notifications n where n.env_id = i.env_id and n.user_id = i.user_id and i.seq <> u.known
		and n.in_inbox and n.deleted_at is null and n.archived_at is null order by n.sort_at desc, n.id desc limit %d) n on true`, seenAt, readAt, newestRows)

// newestAsk is a read of newest rows, and what came of it.
type newestAsk struct {
	env   model.EnvID
	user  model.UserID
	known int64

	found  bool // the inbox is there
	page   model.Inbox
	edited map[model.SendID]int64          // the least edition of what these say
	texts  map[model.NotificationID]string // what these say to the user alone
}

// readNewest reads the rows of a batch, and then what of their sends is not
// remembered.
func (s *Store) readNewest(ctx context.Context, conn *pgx.Conn, batch []*newestAsk) error {
	size := max(len(batch), togetherLeast)
	keys := make([]int64, 3*size)
	envs, users, known := keys[:size:size], keys[size:2*size:2*size], keys[2*size:]
	for i, a := range batch {
		envs[i], users[i], known[i] = int64(a.env), int64(a.user), a.known
	}
	err := ask(ctx, conn, "newest", newestStatement, func(r *rawRow) error { return batch[r.number()-1].add(r) }, envs, users, known)
	if err != nil {
		return err
	}
	if err := s.said.fill(ctx, conn, batch); err != nil {
		return err
	}
	for _, a := range batch {
		if err := a.personalize(); err != nil {
			return err
		}
	}
	return nil
}

// add takes a row of the statement, of which the place was read.
func (a *newestAsk) add(r *rawRow) error {
	p := &a.page
	p.Seq, p.Counters.Total, p.Counters.Unseen, p.Counters.Unread = r.number(), r.number(), r.number(), r.number()
	a.found = true
	if r.isNull() { // no item
		return nil
	}
	if p.Items == nil {
		p.Items = make([]model.Notification, 0, newestRows)
	}
	i := len(p.Items)
	if i == newestRows {
		return fmt.Errorf("more than %d rows of one inbox", newestRows)
	}
	n := model.Notification{EnvID: a.env, UserID: a.user, InInbox: true}
	n.ID, n.SendID, n.CategoryID = model.NotificationID(r.number()), model.SendID(r.number()), model.CategoryID(r.number())
	n.SortAt, n.Seq = at(r.number()), r.number()
	n.CreatedAt = n.SortAt
	n.SeenAt, n.ReadAt, n.InteractedAt, n.ArchivedAt, n.ExpiresAt = nullAt(r.null()), nullAt(r.null()), nullAt(r.null()), nullAt(r.null()), nullAt(r.null())
	n.Reason, n.State = model.Reason(r.number()), r.text()
	if edition := r.number(); edition > 0 {
		a.edit(n.SendID, edition)
	}
	if !r.isNull() {
		a.keep(n.ID, r.text())
	}
	p.Items = append(p.Items, n)
	// The statement gives them in order, though nothing but its plan says so.
	if i > 0 && newer(&n, &p.Items[i-1]) {
		newestFirst(p.Items)
	}
	return nil
}

// edit notes that what a send says must have an edition at the least.
func (a *newestAsk) edit(id model.SendID, edition int64) {
	if a.edited == nil {
		a.edited = map[model.SendID]int64{}
	}
	a.edited[id] = max(a.edited[id], edition)
}

// keep notes what an item says to the user alone.
func (a *newestAsk) keep(id model.NotificationID, personal string) {
	if a.texts == nil {
		a.texts = map[model.NotificationID]string{}
	}
	a.texts[id] = personal
}

// personalize gives the items their own texts, once they have what their sends say.
func (a *newestAsk) personalize() error {
	if a.texts == nil {
		return nil
	}
	for i := range a.page.Items {
		n := &a.page.Items[i]
		if err := personalize(n, []byte(a.texts[n.ID])); err != nil {
			return err
		}
	}
	return nil
}

// newer reports whether a stands before b in an inbox.
func newer(a, b *model.Notification) bool {
	return a.SortAt.After(b.SortAt) || a.SortAt.Equal(b.SortAt) && a.ID > b.ID
}

// rawRow reads the columns of a row one after the other, as PostgreSQL sends
// them in binary. They count until the next row is read.
type rawRow struct {
	values [][]byte
	at     int
}

func (r *rawRow) isNull() bool { return r.values[r.at] == nil }

// number is an integer of any size; null is zero.
func (r *rawRow) number() int64 { return r.null().Int64 }

func (r *rawRow) null() sql.NullInt64 {
	b := r.values[r.at]
	r.at++
	switch len(b) {
	case 8:
		return sql.NullInt64{Int64: int64(binary.BigEndian.Uint64(b)), Valid: true}
	case 2:
		return sql.NullInt64{Int64: int64(int16(binary.BigEndian.Uint16(b))), Valid: true}
	}
	return sql.NullInt64{}
}

// text is a text; null is none.
func (r *rawRow) text() string {
	b := r.values[r.at]
	r.at++
	return string(b)
}
