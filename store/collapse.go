package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/uptrace/bun"

	"carillon/model"
)

// holder is who has a collapse key of a user.
type holder struct {
	inboxKey
	key string
}

// superseded are items that newer ones took the place of, by inbox.
type superseded map[inboxKey][]model.NotificationID

// supersede lets the notifications of sends with a collapse key take the place
// of older ones with the same, in the inboxes that they have just entered, whose
// locks are held. What goes becomes a tombstone with the seq that the inbox has
// by now, and the counters of moved are put right.
func (s *Store) supersede(ctx context.Context, tx bun.Tx, sends []*model.PendingSend, moved []movedInbox) (superseded, error) {
	newest, due := newHolders(sends)
	if len(newest) == 0 {
		return nil, nil
	}
	older, err := takePlaces(ctx, tx, newest)
	if err != nil {
		return nil, fmt.Errorf("taking the places of older notifications: %w", err)
	}
	if due = append(due, older...); len(due) == 0 {
		return nil, nil
	}
	inboxes := make(map[inboxKey]*losingInbox, len(moved))
	for _, m := range moved {
		inboxes[m.inboxKey] = &losingInbox{seq: m.seq, counters: m.counters}
	}
	gone, err := countGone(ctx, tx, due, "n.in_inbox", inboxes)
	if err != nil || len(gone) == 0 {
		return nil, err
	}
	if err := buryGone(ctx, tx, gone, micros(s.now()), 0); err != nil {
		return nil, fmt.Errorf("writing tombstones: %w", err)
	}
	if err := lose(ctx, tx, inboxes, moved); err != nil {
		return nil, fmt.Errorf("moving counters: %w", err)
	}
	out := superseded{}
	for _, d := range gone {
		out[d.inbox()] = append(out[d.inbox()], d.ID)
	}
	return out, s.tellGone(ctx, tx, gone, model.CauseSuperseded)
}

// newHolders are the notifications that get a key; those of the same commit that
// lose it again are due to go.
func newHolders(sends []*model.PendingSend) (map[holder]model.NotificationID, []dueNotification) {
	newest := map[holder]model.NotificationID{}
	var due []dueNotification
	for _, p := range sends {
		key := p.Options.CollapseKey
		if key == "" {
			continue
		}
		for i := range p.Notifications {
			n := &p.Notifications[i]
			if !n.InInbox {
				continue
			}
			h := holder{inboxKey{n.EnvID, n.UserID}, key}
			if was, ok := newest[h]; ok {
				due = append(due, dueNotification{EnvID: n.EnvID, UserID: n.UserID, ID: was})
			}
			newest[h] = n.ID
		}
	}
	return newest, due
}

// takePlaces notes who has the keys now, and returns who had them.
func takePlaces(ctx context.Context, tx bun.IDB, newest map[holder]model.NotificationID) (older []dueNotification, err error) {
	holders := make([]holder, 0, len(newest))
	for h := range newest {
		holders = append(holders, h)
	}
	for chunk := range slices.Chunk(holders, saveChunk/4) {
		var wanted, rows values
		for _, h := range chunk {
			wanted.row(h.env, h.user, h.key)
			rows.row(h.env, h.user, h.key, newest[h])
		}
		d := dueNotification{}
		found, err := tx.QueryContext(ctx, "select env_id, user_id, notification_id from collapses where (env_id, user_id, key) in (values "+wanted.String()+")", wanted.args...)
		err = scanEach(found, err, []any{&d.EnvID, &d.UserID, &d.ID}, func() error {
			older = append(older, d)
			return nil
		})
		if err != nil {
			return nil, err
		}
		if _, err := tx.NewRaw("insert into collapses (env_id, user_id, key, notification_id) values "+rows.String()+
			" on conflict (env_id, user_id, key) do update set notification_id = excluded.notification_id", rows.args...).Exec(ctx); err != nil {
			return nil, err
		}
	}
	return older, nil
}

// lose takes what inboxes lose from their counters, in the database and in moved.
func lose(ctx context.Context, tx bun.IDB, inboxes map[inboxKey]*losingInbox, moved []movedInbox) error {
	var moves values
	for i := range moved {
		m := &moved[i]
		l := inboxes[m.inboxKey].lost
		if l == (model.Counters{}) {
			continue
		}
		m.counters = model.Counters{Total: m.counters.Total - l.Total, Unseen: m.counters.Unseen - l.Unseen, Unread: m.counters.Unread - l.Unread}
		moves.row(m.env, m.user, l.Total, l.Unseen, l.Unread)
	}
	if moves.empty() {
		return nil
	}
	_, err := tx.NewRaw(`with k (env_id, user_id, total, unseen, unread) as (values `+moves.String()+`)
		update inboxes as i set total = i.total - k.total, unseen = i.unseen - k.unseen, unread = i.unread - k.unread
		from k where i.env_id = k.env_id and i.user_id = k.user_id`, moves.args...).Exec(ctx)
	return err
}

// removed has the changes say what went. An item that came and went in one
// change was never there.
func (gone superseded) removed(changes []*model.InboxChange) []*model.InboxChange {
	for _, c := range changes {
		for _, id := range gone[inboxKey{c.Env, c.User}] {
			before := len(c.Added)
			c.Added = slices.DeleteFunc(c.Added, func(n model.Notification) bool { return n.ID == id })
			if len(c.Added) == before {
				c.Removed = append(c.Removed, id)
			}
		}
	}
	return changes
}
