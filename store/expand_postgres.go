package store

import (
	"context"
	"fmt"

	"carillon/model"
)

// chunkStatement writes the notifications of a chunk, with inboxes locked in the
// order of all writers; chunkPersonalStatement those with texts of their own, and
// upperStatement those of an upper half, if the send is still being expanded: who
// ends that waits for it.
var (
	chunkStatement         = fmt.Sprintf(chunkTemplate, "", "", "", "", "", "")
	chunkPersonalStatement = fmt.Sprintf(chunkTemplate, "", ", $10::text[]", ", personal", "", ", personal", ", x.personal")
	upperStatement         = fmt.Sprintf(chunkTemplate, `
	s as (select from sends where env_id = $1 and id = $2 and status = 'EXPANDING' for key share),`, "", "", " where exists (select from s)", "", "")
)

const chunkTemplate = `with%s
	x as (
		select * from unnest($6::bigint[], $7::bigint[], $8::boolean[], $9::smallint[]%s) as x (user_id, id, in_inbox, reason%s)%s
	),
	i as (
		insert into inboxes as ib (env_id, user_id, seq, total, unseen, unread, seen_up_to, read_up_to, trimmed_to)
		select $1::bigint, user_id, n, n, n, n, 0, 0, 0 from (select user_id, in_inbox::integer as n from x) x order by user_id` + onInbox + `
	),
	n as (
		insert into notifications (env_id, id, user_id, send_id, category_id, sort_at, added_seq, seq, seen_seq, read_seq, expires_at, in_inbox, reason%s)
		select $1::bigint, x.id, x.user_id, $2::bigint, $3::bigint, $4::bigint, i.seq, i.seq, i.seq, i.seq, $5::bigint, x.in_inbox, x.reason%s
		from x join i on i.user_id = x.user_id
	)
	select env_id, user_id, seq, total, unseen, unread from i`

// insertChunkAtOnce writes the notifications of a chunk with the statement, or the
// one for texts of their own.
func insertChunkAtOnce(ctx context.Context, db queryer, p *model.PendingSend, statement string) ([]movedInbox, error) {
	m, list := p.Send, p.Notifications
	if len(list) == 0 {
		return nil, nil
	}
	personal, err := personals(list, func(n model.Notification) *model.Content { return n.Content })
	if err != nil {
		return nil, err
	}
	args := []any{
		int64(m.EnvID), int64(m.ID), int64(m.CategoryID), micros(m.FiredAt), pointer(micros(m.ExpiresAt), !m.ExpiresAt.IsZero()),
		column(list, func(n model.Notification) int64 { return int64(n.UserID) }),
		column(list, func(n model.Notification) int64 { return int64(n.ID) }),
		column(list, func(n model.Notification) bool { return n.InInbox }),
		column(list, func(n model.Notification) int16 { return int16(n.Reason) }),
	}
	if personal != nil {
		statement, args = chunkPersonalStatement, append(args, personalColumn(personal))
	}
	rows, err := db.QueryContext(ctx, statement, args...)
	return scanMoved(rows, err, make([]movedInbox, 0, len(list)))
}
