package store

import (
	"context"
	"database/sql"

	"carillon/model"
)

// chunkStatement writes a chunk, if its send is where the chunk begins: then
// the update of the send gives the one row that everything else hangs on. It
// keeps others who are at the send waiting, and shows them then that it has
// moved.
const chunkStatement = `with
	s as (
		update sends set status = $6, audience = case when $6 = 'EXPANDING' then audience end,
			reached = $8, total = $9, done = $10, skipped = $11, failed = $12
		where env_id = $1 and id = $2 and status = 'EXPANDING' and reached = $7
		returning env_id, id
	),
	x as (
		select s.env_id, s.id as send_id, x.* from s
		cross join unnest($13::bigint[], $14::bigint[], $15::boolean[], $16::smallint[]) as x (user_id, id, in_inbox, reason)
	),
	i as (
		insert into inboxes as ib (env_id, user_id, seq, total, unseen, unread, seen_up_to, read_up_to, trimmed_to)
		select env_id, user_id, n, n, n, n, 0, 0, 0 from (select env_id, user_id, in_inbox::integer as n from x) x order by user_id` + onInbox + `
	),
	n as (
		insert into notifications (env_id, id, user_id, send_id, category_id, sort_at, added_seq, seq, seen_seq, read_seq, expires_at, in_inbox, reason)
		select x.env_id, x.id, x.user_id, x.send_id, $3::bigint, $4::bigint, i.seq, i.seq, i.seq, i.seq, $5::bigint, x.in_inbox, x.reason
		from x join i on i.user_id = x.user_id
	)
	select i.user_id, i.seq, i.total, i.unseen, i.unread from s left join i on true`

// saveChunkAtOnce writes a chunk with one statement, which is a transaction of
// its own.
func (s *Store) saveChunkAtOnce(ctx context.Context, c model.Chunk) (saved bool, moved []movedInbox, err error) {
	const tries = 3
	for range tries {
		if saved, moved, err = s.saveChunkIn(ctx, s.w.DB, c); err == nil || !s.dialect.isRetryable(err) {
			break
		}
	}
	return saved, moved, err
}

// saveChunkIn writes a chunk with one statement on db.
func (s *Store) saveChunkIn(ctx context.Context, db queryer, c model.Chunk) (saved bool, moved []movedInbox, err error) {
	m, p, list := c.Send, c.Send.Progress, c.Notifications
	rows, err := db.QueryContext(ctx, chunkStatement,
		int64(m.EnvID), int64(m.ID), int64(m.CategoryID), micros(m.FiredAt), pointer(micros(m.ExpiresAt), !m.ExpiresAt.IsZero()),
		string(m.Status), int64(c.After), int64(c.Reached), p.Total, p.Done, p.Skipped, p.Failed,
		column(list, func(n model.Notification) int64 { return int64(n.UserID) }),
		column(list, func(n model.Notification) int64 { return int64(n.ID) }),
		column(list, func(n model.Notification) bool { return n.InInbox }),
		column(list, func(n model.Notification) int16 { return int16(n.Reason) }),
	)
	return scanChunk(rows, err, m.EnvID, make([]movedInbox, 0, len(list)))
}

// scanChunk adds the inboxes that a chunk moved to moved; there is one row
// without any when it was saved and has nobody in it.
func scanChunk(rows *sql.Rows, err error, env model.EnvID, moved []movedInbox) (saved bool, _ []movedInbox, _ error) {
	var user, seq, total, unseen, unread number
	err = scanEach(rows, err, []any{&user, &seq, &total, &unseen, &unread}, func() error {
		if saved = true; user.ok {
			moved = append(moved, movedInbox{inboxKey{env, model.UserID(user.v)}, seq.v, model.Counters{Total: total.v, Unseen: unseen.v, Unread: unread.v}})
		}
		return nil
	})
	return saved, moved, err
}
