package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/uptrace/bun"

	"carillon/model"
)

// What is true of a notification n in its inbox i. An item that nobody read by
// itself is read when a mark-all covers it; the earliest that does says when.
const (
	isUnseen = "(n.seen_at is null and n.seen_seq > i.seen_up_to)"
	isUnread = "(n.read_at is null and n.read_seq > i.read_up_to)"

	seenAt = `coalesce(n.seen_at, case when n.in_inbox and abs(n.seen_seq) <= i.seen_up_to then (select m.at from inbox_marks m
		where m.env_id = n.env_id and m.user_id = n.user_id and m.kind = 1 and m.up_to_seq >= abs(n.seen_seq) order by m.up_to_seq limit 1) end)`
	readAt = `coalesce(n.read_at, case when n.in_inbox and n.read_seq <= i.read_up_to then (select m.at from inbox_marks m
		where m.env_id = n.env_id and m.user_id = n.user_id and m.kind = 2 and m.up_to_seq >= n.read_seq order by m.up_to_seq limit 1) end)`
)

// notificationColumns are what a notificationRow scans: of a notification n
// with its inbox i and its send s.
const notificationColumns = "n.id, n.user_id, n.send_id, n.category_id, n.sort_at, n.seq, " + seenAt + ", " + readAt + `,
	n.interacted_at, n.archived_at, n.expires_at, n.in_inbox, n.reason, n.state, s.title, s.content, n.personal`

// besideNotifications joins what notificationColumns speak of besides n.
const besideNotifications = ` left join inboxes i on i.env_id = n.env_id and i.user_id = n.user_id
	left join sends s on s.env_id = n.env_id and s.id = n.send_id `

// notificationRow is a notification as a query gives it; all of it is null
// where an outer join found none. It is scanned into again and again.
type notificationRow struct {
	id, user, send, category, sortAt, seq           number
	seenAt, readAt, interacted, archived, expiresAt number
	inInbox, reason                                 number
	state, title                                    sql.NullString
	content, personal                               sql.RawBytes
}

// into appends where to scan notificationColumns to.
func (r *notificationRow) into(dest ...any) []any {
	return append(dest, &r.id, &r.user, &r.send, &r.category, &r.sortAt, &r.seq, &r.seenAt, &r.readAt,
		&r.interacted, &r.archived, &r.expiresAt, &r.inInbox, &r.reason, &r.state, &r.title, &r.content, &r.personal)
}

// model makes the notification. Contents are decoded once for each send.
func (r *notificationRow) model(env model.EnvID, contents contents) (model.Notification, error) {
	n := model.Notification{
		ID: model.NotificationID(r.id.v), EnvID: env, UserID: model.UserID(r.user.v), SendID: model.SendID(r.send.v), CategoryID: model.CategoryID(r.category.v),
		InInbox: r.inInbox.v != 0, State: r.state.String, Reason: model.Reason(r.reason.v),
		SortAt: at(r.sortAt.v), CreatedAt: at(r.sortAt.v),
		SeenAt: nullAt(r.seenAt.null()), ReadAt: nullAt(r.readAt.null()), InteractedAt: nullAt(r.interacted.null()),
		ArchivedAt: nullAt(r.archived.null()), ExpiresAt: nullAt(r.expiresAt.null()), Seq: r.seq.v,
	}
	if n.Content = contents[n.SendID]; n.Content == nil {
		n.Content = new(model.Content)
		if r.title.Valid {
			var err error
			if n.Content, err = decodeContent(r.title.String, string(r.content)); err != nil {
				return n, fmt.Errorf("send %d: %w", n.SendID, err)
			}
		}
		contents[n.SendID] = n.Content
	}
	return n, personalize(&n, r.personal)
}

// contents are what sends say, by send.
type contents map[model.SendID]*model.Content

// number is an integer or boolean column that may be null.
type number struct {
	v  int64
	ok bool
}

// Scan implements sql.Scanner.
func (n *number) Scan(src any) error {
	*n = number{ok: src != nil}
	switch v := src.(type) {
	case nil:
	case int64:
		n.v = v
	case bool:
		if v {
			n.v = 1
		}
	default:
		return fmt.Errorf("scanning %T as a number", src)
	}
	return nil
}

func (n number) null() sql.NullInt64 { return sql.NullInt64{Int64: n.v, Valid: n.ok} }

// scanEach calls each for every row, after scanning it into dest.
func scanEach(rows *sql.Rows, err error, dest []any, each func() error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		if err := each(); err != nil {
			return err
		}
	}
	return errors.Join(rows.Err(), rows.Close())
}

// notifications reads what the rest of the statement selects.
func notifications(ctx context.Context, db bun.IDB, env model.EnvID, rest string, args ...any) ([]model.Notification, error) {
	return notificationsOf(ctx, db, env, "", "notifications n", rest, args...)
}

// notificationsOf does so from what gives them as n, after a WITH.
func notificationsOf(ctx context.Context, db bun.IDB, env model.EnvID, with, from, rest string, args ...any) ([]model.Notification, error) {
	var (
		row  notificationRow
		out  []model.Notification
		seen = contents{}
	)
	rows, err := db.QueryContext(ctx, with+"select "+notificationColumns+" from "+from+besideNotifications+rest, args...)
	err = scanEach(rows, err, row.into(), func() error {
		n, err := row.model(env, seen)
		out = append(out, n)
		return err
	})
	return out, err
}

// newestFirst sorts notifications as an inbox shows them.
func newestFirst(list []model.Notification) {
	slices.SortFunc(list, func(a, b model.Notification) int {
		return cmp.Or(b.SortAt.Compare(a.SortAt), cmp.Compare(b.ID, a.ID))
	})
}

// Notifications reads notifications of an environment by id, in no order, also
// those outside an inbox. What does not exist, was deleted or has expired is
// left out.
func (s *Store) Notifications(ctx context.Context, env model.EnvID, ids []model.NotificationID) ([]model.Notification, error) {
	var out []model.Notification
	for chunk := range slices.Chunk(ids, lookupChunk) {
		l, err := notificationsOf(ctx, s.r, env, keys(env, chunk), "k cross join notifications n", " where n.env_id = of_env and n.id = of_id and n.deleted_at is null")
		if err != nil {
			return nil, s.fail("reading notifications", err)
		}
		out = append(out, l...)
	}
	return out, nil
}

// NotificationLog reads a page of an environment's notifications, the newest
// id first; page keys are ids alone. Ids rise with time but for what different
// processes make at the same moment, and their order needs no index of its own
// on the largest table.
func (s *Store) NotificationLog(ctx context.Context, env model.EnvID, f model.NotificationFilter, page model.PageRequest) (model.Page[model.Notification], error) {
	where := conditions{}
	where.add("n.env_id = "+anyEnv, env)
	where.add("n.deleted_at is null")
	if f.User != 0 {
		where.add("n.user_id = ?", f.User)
	}
	if f.Send != 0 {
		where.add("n.send_id = ?", f.Send)
	}
	if f.Categories != nil {
		where.add("n.category_id in (" + idList(f.Categories) + ")")
	}
	if k := page.After; k != nil {
		where.add("n.id < ?", k.ID)
	}
	if k := page.Before; k != nil {
		where.add("n.id > ?", k.ID)
	}
	direction := "desc"
	if page.Backward {
		direction = "asc"
	}
	list, err := notifications(ctx, s.r, env, fmt.Sprintf("%s order by n.id %s limit %d", where.sql(), direction, page.Limit+1), where.args...)
	if err != nil {
		return model.Page[model.Notification]{}, s.fail("reading notifications", err)
	}
	return pageOf(list, page), nil
}

// pageOf cuts a list that was read with one row too many, in the direction of
// paging, to the page, and puts it in list order.
func pageOf[T any](list []T, page model.PageRequest) model.Page[T] {
	out := model.Page[T]{Items: list, HasMore: len(list) > page.Limit}
	if out.HasMore {
		out.Items = list[:page.Limit]
	}
	if page.Backward {
		slices.Reverse(out.Items)
	}
	return out
}

// idList writes ids as an SQL list; none is a list that holds nothing.
func idList[T ~int64](ids []T) string {
	if len(ids) == 0 {
		return "null"
	}
	var b strings.Builder
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%d", int64(id))
	}
	return b.String()
}
