package store

import (
	"context"
	"database/sql"
	"fmt"

	"carillon/model"
)

// plannedRows is how many notifications are worth a plan of their own. A
// prepared statement is planned for few; saving many with that plan would
// compare every notification with every inbox.
const plannedRows = 100

// onInbox is how an inbox moves: the tail of an insert into inboxes, with the
// steps as the new row.
const onInbox = `
	on conflict (env_id, user_id) do update set seq = ib.seq + excluded.seq,
		total = ib.total + excluded.total, unseen = ib.unseen + excluded.unseen, unread = ib.unread + excluded.unread
	returning env_id, user_id, seq, total, unseen, unread`

// saveStatement writes everything of a save at once. What would be four round
// trips within a transaction, with the inboxes locked, is one, and its text is
// always the same, so that a connection plans it once: a shared commit takes a
// third of the time. There is another one for notifications with texts of their own.
var (
	saveStatement         = fmt.Sprintf(saveTemplate, "", "", "", "")
	savePersonalStatement = fmt.Sprintf(saveTemplate, ", personal", ", x.personal", ", $38::text[]", ", personal")
)

const saveTemplate = `with
	k as (
		insert into idempotency (env_id, actor, operation, key, hash, result, created_at)
		select * from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::bytea[], $6::text[], $7::bigint[])
		returning 1
	),
	s as (
		insert into sends (env_id, id, request_id, status, title, content, category_id, channels, audience,
			send_at, fired_at, expires_at, created_at, total, done, skipped, failed)
		select * from unnest($8::bigint[], $9::bigint[], $10::text[], $11::text[], $12::text[], $13::text[], $14::bigint[], $15::text[], $16::text[],
			$17::bigint[], $18::bigint[], $19::bigint[], $20::bigint[], $21::bigint[], $22::bigint[], $23::bigint[], $24::bigint[])
	),
	i as (
		insert into inboxes as ib (env_id, user_id, seq, total, unseen, unread, seen_up_to, read_up_to, trimmed_to)
		select env_id, user_id, step, added, added, added, 0, 0, 0
		from unnest($25::bigint[], $26::bigint[], $27::bigint[], $28::bigint[]) as x (env_id, user_id, step, added)
		where (select count(*) from k) >= 0 -- keys first: who waits for one holds no inbox meanwhile
		order by env_id, user_id` + onInbox + `
	),
	n as (
		insert into notifications (env_id, id, user_id, send_id, category_id, sort_at, added_seq, seq, seen_seq, read_seq, expires_at, in_inbox, reason%s)
		select x.env_id, x.id, x.user_id, x.send_id, x.category_id, x.sort_at, i.seq, i.seq, i.seq, i.seq, x.expires_at, x.in_inbox, x.reason%s
		from unnest($29::bigint[], $30::bigint[], $31::bigint[], $32::bigint[], $33::bigint[], $34::bigint[], $35::bigint[], $36::boolean[], $37::smallint[]%s)
			as x (env_id, id, user_id, send_id, category_id, sort_at, expires_at, in_inbox, reason%s)
		join i on i.env_id = x.env_id and i.user_id = x.user_id
	)
	select env_id, user_id, seq, total, unseen, unread from i`

// queryer runs a query with numbered parameters.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// saveInOneStatement writes the rows with one statement, on db.
func (s *Store) saveInOneStatement(ctx context.Context, db queryer, rows *saveRows) ([]movedInbox, error) {
	personal, err := personals(rows.notifications, contentOf)
	if err != nil {
		return nil, err
	}
	var (
		args = saveArgs(rows)
		res  *sql.Rows
	)
	if personal != nil {
		res, err = db.QueryContext(ctx, savePersonalStatement, append(args, personalColumn(personal))...)
	} else if _, within := db.(*sql.Tx); within || len(rows.notifications) > plannedRows {
		res, err = db.QueryContext(ctx, saveStatement, args...)
	} else {
		res, err = s.query(ctx, saveStatement, args...)
	}
	return scanMoved(res, err, make([]movedInbox, 0, len(rows.inboxes)))
}

// saveArgs are the parameters of saveStatement.
func saveArgs(rows *saveRows) []any {
	k, s, i, n := rows.keys, rows.sends, rows.inboxes, rows.notifications
	return []any{
		column(k, func(r keyRow) int64 { return int64(r.env) }),
		column(k, func(r keyRow) int64 { return int64(r.once.Actor) }),
		column(k, func(r keyRow) string { return r.once.Operation }),
		column(k, func(r keyRow) string { return r.once.Key }),
		column(k, func(r keyRow) []byte { return r.once.Hash[:] }),
		column(k, func(r keyRow) string { return r.result }),
		column(k, func(r keyRow) int64 { return r.at }),

		column(s, func(r sendRow) int64 { return int64(r.EnvID) }),
		column(s, func(r sendRow) int64 { return int64(r.ID) }),
		column(s, func(r sendRow) string { return r.RequestID }),
		column(s, func(r sendRow) string { return string(r.Status) }),
		column(s, func(r sendRow) string { return r.Title }),
		column(s, func(r sendRow) string { return r.Content }),
		column(s, func(r sendRow) int64 { return int64(r.CategoryID) }),
		column(s, func(r sendRow) *string { return pointer(r.Channels.String, r.Channels.Valid) }),
		column(s, func(r sendRow) *string { return pointer(r.Audience.String, r.Audience.Valid) }),
		column(s, func(r sendRow) *int64 { return pointer(r.SendAt.Int64, r.SendAt.Valid) }),
		column(s, func(r sendRow) *int64 { return pointer(r.FiredAt.Int64, r.FiredAt.Valid) }),
		column(s, func(r sendRow) *int64 { return pointer(r.ExpiresAt.Int64, r.ExpiresAt.Valid) }),
		column(s, func(r sendRow) int64 { return r.CreatedAt }),
		column(s, func(r sendRow) int64 { return r.Total }),
		column(s, func(r sendRow) int64 { return r.Done }),
		column(s, func(r sendRow) int64 { return r.Skipped }),
		column(s, func(r sendRow) int64 { return r.Failed }),

		column(i, func(r inboxStep) int64 { return int64(r.env) }),
		column(i, func(r inboxStep) int64 { return int64(r.user) }),
		column(i, func(r inboxStep) int64 { return r.step() }),
		column(i, func(r inboxStep) int64 { return r.added }),

		column(n, func(r *model.Notification) int64 { return int64(r.EnvID) }),
		column(n, func(r *model.Notification) int64 { return int64(r.ID) }),
		column(n, func(r *model.Notification) int64 { return int64(r.UserID) }),
		column(n, func(r *model.Notification) int64 { return int64(r.SendID) }),
		column(n, func(r *model.Notification) int64 { return int64(r.CategoryID) }),
		column(n, func(r *model.Notification) int64 { return micros(r.SortAt) }),
		column(n, func(r *model.Notification) *int64 { return pointer(micros(r.ExpiresAt), !r.ExpiresAt.IsZero()) }),
		column(n, func(r *model.Notification) bool { return r.InInbox }),
		column(n, func(r *model.Notification) int16 { return int16(r.Reason) }),
	}
}

func contentOf(n *model.Notification) *model.Content { return n.Content }

func personalColumn(texts []sql.NullString) []*string {
	return column(texts, func(t sql.NullString) *string { return pointer(t.String, t.Valid) })
}

// scanMoved adds the inboxes that a statement returned to moved.
func scanMoved(rows *sql.Rows, err error, moved []movedInbox) ([]movedInbox, error) {
	var m movedInbox
	err = scanEach(rows, err, []any{&m.env, &m.user, &m.seq, &m.counters.Total, &m.counters.Unseen, &m.counters.Unread}, func() error {
		moved = append(moved, m)
		return nil
	})
	return moved, err
}
