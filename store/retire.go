package store

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"carillon/model"
)

// RetireNotifications goes on with a walk through the notifications of an
// environment in the order of their ids, which is nearly that of their times:
// it looks at up to limit of them after an id, and turns those into tombstones
// that were sent before a time, in one transaction. It returns the id to go on
// after, 0 when none of those it looked at was old enough, and the hints to
// publish.
func (s *Store) RetireNotifications(ctx context.Context, env model.EnvID, after model.NotificationID, before time.Time, limit int) (next model.NotificationID, n int, hints []model.Hint, err error) {
	var (
		old []dueNotification
		d   = dueNotification{EnvID: env}
		at  int64
	)
	rows, err := s.r.QueryContext(ctx, "select id, user_id, sort_at from notifications where env_id = ? and id > ? and deleted_at is null order by id limit ?", env, after, limit)
	err = scanEach(rows, err, []any{&d.ID, &d.UserID, &at}, func() error {
		if next = d.ID; at < micros(before) {
			old = append(old, d)
		}
		return nil
	})
	if err != nil {
		return after, 0, nil, s.fail("reading old notifications", err)
	}
	if len(old) == 0 {
		return 0, 0, nil, nil
	}
	n, hints, err = s.takeAway(ctx, "retiring notifications", model.CauseRetired, old, fmt.Sprintf("n.sort_at < %d", micros(before)))
	if err != nil {
		return after, 0, nil, err
	}
	return next, n, hints, nil
}

// ForgetSends deletes up to limit sends of an environment that were accepted
// before a time, are closed, and have no notification left, not even a
// tombstone. It returns how many.
func (s *Store) ForgetSends(ctx context.Context, env model.EnvID, before time.Time, limit int) (int, error) {
	var n int64
	err := s.write(ctx, "forgetting sends", func(ctx context.Context, tx bun.Tx) error {
		res, err := tx.NewRaw(`delete from sends where env_id = ?0 and id in (
			select s.id from sends s where s.env_id = ?0 and s.created_at < ?1 and `+closedSend+`
				and not exists (select 1 from notifications n where n.env_id = ?0 and n.send_id = s.id)
			order by s.created_at, s.id limit ?2)`, env, micros(before), limit).Exec(ctx)
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	return int(n), err
}

// inboxesAtOnce is how many inboxes CapInboxes looks at.
const inboxesAtOnce = 1000

// CapInboxes goes on with a walk through the inboxes of an environment: of
// those that hold more than cap items it takes away the oldest, read ones
// first, up to limit in one transaction. It returns the user to go on after, 0
// at the end, and the hints to publish.
func (s *Store) CapInboxes(ctx context.Context, env model.EnvID, after model.UserID, most, limit int) (next model.UserID, n int, hints []model.Hint, err error) {
	var (
		over        []dueNotification // one for each inbox
		extra       []int64
		user        model.UserID
		total, seen int64
	)
	rows, err := s.r.QueryContext(ctx, "select user_id, total from inboxes where env_id = ? and user_id > ? order by user_id limit ?", env, after, inboxesAtOnce)
	err = scanEach(rows, err, []any{&user, &total}, func() error {
		seen++
		if next = user; total > int64(most) {
			over, extra = append(over, dueNotification{EnvID: env, UserID: user}), append(extra, total-int64(most))
		}
		return nil
	})
	if err != nil {
		return after, 0, nil, s.fail("reading large inboxes", err)
	}
	if seen < inboxesAtOnce {
		next = 0
	}
	var due []dueNotification
	for i, inbox := range over {
		room := int64(limit - len(due))
		ids, err := s.oldest(ctx, env, inbox.UserID, min(extra[i], room))
		if err != nil {
			return after, 0, nil, s.fail("reading a large inbox", err)
		}
		for _, id := range ids {
			due = append(due, dueNotification{EnvID: env, UserID: inbox.UserID, ID: id})
		}
		if extra[i] >= room { // there may be more, here or behind
			next = inbox.UserID - 1
			break
		}
	}
	n, hints, err = s.takeAway(ctx, "capping inboxes", model.CauseOverflowed, due, "n.archived_at is null")
	if err != nil {
		return after, 0, nil, err
	}
	return next, n, hints, nil
}

// oldest lists items of an inbox that are not archived, read ones first, the
// oldest of each first.
func (s *Store) oldest(ctx context.Context, env model.EnvID, user model.UserID, n int64) (ids []model.NotificationID, err error) {
	err = s.r.NewRaw(`select n.id from notifications n join inboxes i on i.env_id = n.env_id and i.user_id = n.user_id
		where n.env_id = ? and n.user_id = ? and n.in_inbox and n.deleted_at is null and n.archived_at is null
		order by `+isUnread+`, n.sort_at, n.id limit ?`, env, user, n).Scan(ctx, &ids)
	return ids, err
}
