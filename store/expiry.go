package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/uptrace/bun"

	"carillon/model"
)

// ExpireNotifications turns up to limit items whose time has come into
// tombstones, those that are due longest first, in one transaction, and moves
// their inboxes. It returns how many there were and the hints to publish, one
// for each inbox. Several processes may do this at once: an item expires once.
func (s *Store) ExpireNotifications(ctx context.Context, limit int) (n int, hints []model.Hint, err error) {
	now := micros(s.now())
	due, err := s.dueNotifications(ctx, now, limit)
	if err != nil {
		return 0, nil, err
	}
	return s.takeAway(ctx, "expiring notifications", model.CauseExpired, due, fmt.Sprintf("n.expires_at <= %d", now))
}

// takeAway turns items into tombstones, in one transaction, and moves their
// inboxes. It leaves alone those that are gone by then, or for which the
// condition on a notification n no longer holds.
func (s *Store) takeAway(ctx context.Context, doing, cause string, due []dueNotification, condition string) (n int, hints []model.Hint, err error) {
	if len(due) == 0 {
		return 0, nil, nil
	}
	err = s.write(ctx, doing, func(ctx context.Context, tx bun.Tx) (err error) {
		n, hints, err = s.takeAwayIn(ctx, tx, cause, due, condition)
		return err
	})
	if err != nil {
		return 0, nil, err
	}
	return n, hints, nil
}

// takeAwayIn is takeAway within a transaction.
func (s *Store) takeAwayIn(ctx context.Context, tx bun.Tx, cause string, due []dueNotification, condition string) (n int, hints []model.Hint, err error) {
	inboxes, err := s.lockInboxes(ctx, tx, due)
	if err != nil {
		return 0, nil, fmt.Errorf("locking inboxes: %w", err)
	}
	gone, err := countGone(ctx, tx, due, condition, inboxes)
	if err != nil {
		return 0, nil, fmt.Errorf("counting: %w", err)
	}
	if len(gone) == 0 {
		return 0, nil, nil // another process was faster
	}
	if err := buryGone(ctx, tx, gone, micros(s.now()), 1); err != nil {
		return 0, nil, fmt.Errorf("writing tombstones: %w", err)
	}
	if hints, err = moveLosers(ctx, tx, inboxes); err != nil {
		return 0, nil, fmt.Errorf("moving inboxes: %w", err)
	}
	return len(gone), hints, s.tellGone(ctx, tx, gone, cause)
}

// tellGone tells of items that were turned into tombstones.
func (s *Store) tellGone(ctx context.Context, tx bun.IDB, gone []dueNotification, cause string) error {
	events := make([]model.WebhookEvent, len(gone))
	for i, d := range gone {
		events[i] = notificationEvent(model.EventNotificationDeleted, d.EnvID, d.UserID, d.ID, d.SendID)
		events[i].Data.Cause = cause
	}
	return s.tell(ctx, tx, events)
}

// dueNotification is an item that is to go.
type dueNotification struct {
	EnvID  model.EnvID
	UserID model.UserID
	ID     model.NotificationID
	SendID model.SendID // known once it is certain that it goes
}

func (d dueNotification) inbox() inboxKey { return inboxKey{d.EnvID, d.UserID} }

func (s *Store) dueNotifications(ctx context.Context, now int64, limit int) ([]dueNotification, error) {
	var due []dueNotification
	err := s.r.NewRaw(`select env_id, user_id, id from notifications where in_inbox and deleted_at is null and expires_at is not null and expires_at <= ?
		order by expires_at limit ?`, now, limit).Scan(ctx, &due)
	return due, s.fail("reading what has expired", err)
}

// losingInbox is what one inbox loses.
type losingInbox struct {
	counters model.Counters
	seq      int64
	gone     []model.NotificationID
	lost     model.Counters
}

// lockInboxes takes the locks of the inboxes in key order.
func (s *Store) lockInboxes(ctx context.Context, tx bun.IDB, due []dueNotification) (map[inboxKey]*losingInbox, error) {
	keys := make([]inboxKey, len(due))
	for i, d := range due {
		keys[i] = d.inbox()
	}
	slices.SortFunc(keys, inboxKey.compare)
	var wanted values
	for _, k := range slices.Compact(keys) {
		wanted.row(k.env, k.user)
	}
	var rows []struct {
		EnvID                      model.EnvID
		UserID                     model.UserID
		Seq, Total, Unseen, Unread int64
	}
	err := tx.NewRaw(`select env_id, user_id, seq, total, unseen, unread from inboxes where (env_id, user_id) in (values `+wanted.String()+`)
		order by env_id, user_id`+s.dialect.forUpdate, wanted.args...).Scan(ctx, &rows)
	out := make(map[inboxKey]*losingInbox, len(rows))
	for _, r := range rows {
		out[inboxKey{r.EnvID, r.UserID}] = &losingInbox{seq: r.Seq, counters: model.Counters{Total: r.Total, Unseen: r.Unseen, Unread: r.Unread}}
	}
	return out, err
}

// countGone finds, under the locks, which of the items are still there, and
// what each inbox loses with them. One that a merge has moved to another user
// since it was read is left alone: that one's inbox is not locked. An item whose
// inbox is gone, since its user is, counts nowhere.
func countGone(ctx context.Context, tx bun.IDB, due []dueNotification, condition string, inboxes map[inboxKey]*losingInbox) ([]dueNotification, error) {
	var rows []struct {
		dueNotification
		InInbox, Counted, Unseen, Unread bool
	}
	var keys values
	for _, d := range due {
		keys.row(d.EnvID, d.ID, d.UserID)
	}
	err := tx.NewRaw(`with k (env_id, id, user_id) as (values `+keys.String()+`)
		select n.env_id, n.user_id, n.id, n.send_id, n.in_inbox, n.archived_at is null as counted, coalesce(`+isUnseen+`, false) as unseen, coalesce(`+isUnread+`, false) as unread
		from k join notifications n on n.env_id = k.env_id and n.id = k.id and n.user_id = k.user_id
		left join inboxes i on i.env_id = n.env_id and i.user_id = n.user_id
		where n.deleted_at is null and `+condition, keys.args...).Scan(ctx, &rows)
	if err != nil {
		return nil, err
	}
	gone := make([]dueNotification, len(rows))
	for i, r := range rows {
		gone[i] = r.dueNotification
		inbox := inboxes[r.inbox()]
		if inbox == nil || !r.InInbox {
			continue
		}
		inbox.gone = append(inbox.gone, r.ID)
		if r.Counted {
			inbox.lost.Total++
			inbox.lost.Unseen += one(r.Unseen)
			inbox.lost.Unread += one(r.Unread)
		}
	}
	return gone, nil
}

func one(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func keysOf(due []dueNotification) *values {
	var keys values
	for _, d := range due {
		keys.row(d.EnvID, d.ID)
	}
	return &keys
}

// buryGone writes the tombstones, with the seq that their inboxes have, or are
// about to have when it moves by step.
func buryGone(ctx context.Context, tx bun.IDB, gone []dueNotification, now int64, step int) error {
	keys := keysOf(gone)
	_, err := tx.NewRaw(`with k (env_id, id) as (values `+keys.String()+`)
		update notifications as n set deleted_at = ?, personal = null,
			seq = coalesce((select i.seq + ? from inboxes i where n.in_inbox and i.env_id = n.env_id and i.user_id = n.user_id), n.seq)
		from k where n.env_id = k.env_id and n.id = k.id`, append(keys.args, now, step)...).Exec(ctx)
	return err
}

// moveLosers moves the inboxes that lose something, and tells of it.
func moveLosers(ctx context.Context, tx bun.IDB, inboxes map[inboxKey]*losingInbox) ([]model.Hint, error) {
	var (
		moves values
		hints []model.Hint
	)
	for k, inbox := range inboxes {
		if len(inbox.gone) == 0 {
			continue
		}
		moves.row(k.env, k.user, inbox.lost.Total, inbox.lost.Unseen, inbox.lost.Unread)
		c := &model.InboxChange{Env: k.env, User: k.user, Seq: inbox.seq + 1, Removed: inbox.gone}
		c.Counters = model.Counters{Total: inbox.counters.Total - inbox.lost.Total, Unseen: inbox.counters.Unseen - inbox.lost.Unseen, Unread: inbox.counters.Unread - inbox.lost.Unread}
		hints = append(hints, c.Hint())
	}
	if moves.empty() {
		return nil, nil
	}
	_, err := tx.NewRaw(`with k (env_id, user_id, total, unseen, unread) as (values `+moves.String()+`)
		update inboxes as i set seq = i.seq + 1, total = i.total - k.total, unseen = i.unseen - k.unseen, unread = i.unread - k.unread
		from k where i.env_id = k.env_id and i.user_id = k.user_id`, moves.args...).Exec(ctx)
	return hints, err
}
