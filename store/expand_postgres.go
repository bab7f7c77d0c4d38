package store

import (
	"context"

	"carillon/model"
)

// chunkStatement writes the notifications of a chunk and how far its send has
// come. It is saveStatement for one send that exists: a third of the time for
// the same rows.
const chunkStatement = `with
	s as (
		update sends set status = $10, audience = case when $10 = 'EXPANDING' then audience end, reached = $11, total = $12, done = $13, skipped = $14, failed = $15
		where env_id = $1 and id = $2
	),
	x as (select * from unnest($6::bigint[], $7::bigint[], $8::boolean[], $9::smallint[]) as x (user_id, id, in_inbox, reason)),
	i as (
		insert into inboxes as ib (env_id, user_id, seq, total, unseen, unread, seen_up_to, read_up_to, trimmed_to)
		select $1::bigint, user_id, n, n, n, n, 0, 0, 0 from (select user_id, in_inbox::integer as n from x) x order by user_id` + onInbox + `
	),
	n as (
		insert into notifications (env_id, id, user_id, send_id, category_id, sort_at, added_seq, seq, seen_seq, read_seq, expires_at, in_inbox, reason)
		select $1, x.id, x.user_id, $2::bigint, $3::bigint, $4::bigint, i.seq, i.seq, i.seq, i.seq, $5::bigint, x.in_inbox, x.reason
		from x join i on i.user_id = x.user_id
	)
	select user_id, seq, total, unseen, unread from i`

// saveAtOnce writes a chunk with one statement.
func (e *expansion) saveAtOnce(ctx context.Context, list []model.Notification) ([]movedInbox, error) {
	m, p := e.send, e.send.Progress
	res, err := e.tx.Tx.QueryContext(ctx, chunkStatement,
		int64(m.EnvID), int64(m.ID), int64(m.CategoryID), micros(m.FiredAt), pointer(micros(m.ExpiresAt), !m.ExpiresAt.IsZero()),
		column(list, func(n model.Notification) int64 { return int64(n.UserID) }),
		column(list, func(n model.Notification) int64 { return int64(n.ID) }),
		column(list, func(n model.Notification) bool { return n.InInbox }),
		column(list, func(n model.Notification) int16 { return int16(n.Reason) }),
		string(m.Status), int64(e.reached), p.Total, p.Done, p.Skipped, p.Failed)
	moved := make([]movedInbox, 0, len(list))
	inbox := movedInbox{inboxKey: inboxKey{env: m.EnvID}}
	err = scanEach(res, err, []any{&inbox.user, &inbox.seq, &inbox.counters.Total, &inbox.counters.Unseen, &inbox.counters.Unread}, func() error {
		moved = append(moved, inbox)
		return nil
	})
	return moved, err
}
