package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/uptrace/bun"

	"carillon/model"
)

// SaveSends writes sends in one transaction: the answers under their
// idempotency keys, the sends, their notifications and what these change in
// inboxes. All of it becomes visible at once or none of it does. saved has one
// entry for each send, in its order; changes has one entry for each inbox that
// changed, to be published. All notifications that one inbox gets here have
// the same new seq.
//
// A send that is to fire and is no longer scheduled, or no longer says what it
// did when it was read, is left out and reported as lost. Recipients of a send with a dedupe key who were sent something with it
// are left out, and reported with the send as Twice. A notification outside of the inbox changes neither seq nor
// counters.
//
// A key that has been used meanwhile, or a user who has been deleted, fails
// the whole call with an error that has model.ErrNotSaved in its chain; so
// does every other error after which certainly nothing was written.
func (s *Store) SaveSends(ctx context.Context, sends []model.PendingSend) (saved []model.SavedSend, changes []*model.InboxChange, err error) {
	heard, err := s.heard(ctx, sends)
	if err != nil {
		return nil, nil, s.unsaved(s.fail("saving sends", err))
	}
	if s.dialect.arrays && !heard && !slices.ContainsFunc(sends, takesSteps) {
		saved = make([]model.SavedSend, len(sends))
		changes, err = s.saveAtOnce(ctx, alive(sends, saved))
	} else {
		err = s.write(ctx, "saving sends", func(ctx context.Context, tx bun.Tx) error {
			saved = make([]model.SavedSend, len(sends))
			if err := s.fire(ctx, tx, sends, saved); err != nil {
				return fmt.Errorf("firing: %w", err)
			}
			open, twice, err := s.deduplicate(ctx, tx, alive(sends, saved))
			if err != nil {
				return fmt.Errorf("looking for duplicates: %w", err)
			}
			for i, p := range sends {
				saved[i].Twice = twice[p.Send.ID]
			}
			if changes, err = s.saveWithin(ctx, tx, open); err != nil {
				return err
			}
			if err := saveDetails(ctx, tx, open); err != nil {
				return err
			}
			if err := s.saveDeliveries(ctx, tx, open); err != nil || !heard {
				return err
			}
			return s.tell(ctx, tx, createdEvents(open))
		})
	}
	if err != nil {
		return nil, nil, s.unsaved(err)
	}
	return saved, changes, nil
}

// takesSteps reports whether a send is more than one statement saves.
func takesSteps(p model.PendingSend) bool {
	return p.Fire || p.Options.DedupeKey != "" || hasDetails(p) || len(p.Deliveries) > 0 || !p.Options.Empty()
}

// saveDeliveries writes what goes out over other channels than the inbox.
func (s *Store) saveDeliveries(ctx context.Context, tx bun.Tx, sends []*model.PendingSend) error {
	if err := insertOptions(ctx, tx, sends); err != nil {
		return fmt.Errorf("writing options of sends: %w", err)
	}
	var planned []model.PlannedDelivery
	for _, p := range sends {
		planned = append(planned, p.Deliveries...)
	}
	return s.insertDeliveries(ctx, tx, planned)
}

// saveAtOnce saves sends with one statement, which is a transaction of its own.
func (s *Store) saveAtOnce(ctx context.Context, sends []*model.PendingSend) ([]*model.InboxChange, error) {
	rows, err := s.saveRows(sends)
	if err != nil {
		return nil, err
	}
	const tries = 3
	var moved []movedInbox
	for range tries {
		if moved, err = s.saveInOneStatement(ctx, s.w.DB, rows); err == nil || !s.dialect.isRetryable(err) {
			break
		}
	}
	return stamp(sends, moved), s.fail("saving sends", err)
}

// saveWithin saves sends within a transaction.
func (s *Store) saveWithin(ctx context.Context, tx bun.Tx, sends []*model.PendingSend) ([]*model.InboxChange, error) {
	rows, err := s.saveRows(sends)
	if err != nil {
		return nil, err
	}
	var moved []movedInbox
	if s.dialect.arrays {
		moved, err = s.saveInOneStatement(ctx, tx.Tx, rows)
	} else {
		moved, err = saveInSteps(ctx, tx, rows)
	}
	if err != nil {
		return nil, err
	}
	gone, err := s.supersede(ctx, tx, sends, moved)
	return gone.removed(stamp(sends, moved)), err
}

// alive are the sends that are not lost.
func alive(sends []model.PendingSend, saved []model.SavedSend) []*model.PendingSend {
	out := make([]*model.PendingSend, 0, len(sends))
	for i := range sends {
		if !saved[i].Lost {
			out = append(out, &sends[i])
		}
	}
	return out
}

// fire turns the scheduled sends among sends to SENT or, those with a large
// audience, to EXPANDING, and marks as lost those that are SCHEDULED no longer, or
// were edited since they were read. The rows are locked in key order.
func (s *Store) fire(ctx context.Context, tx bun.Tx, sends []model.PendingSend, saved []model.SavedSend) error {
	var keys, news values
	for _, p := range sends {
		if p.Fire {
			keys.row(p.Send.EnvID, p.Send.ID)
			news.row(p.Send.EnvID, p.Send.ID, p.Send.Status, micros(p.Send.FiredAt), p.Send.Progress.Total, p.Send.Progress.Done, p.Send.Progress.Skipped, p.Send.Content.Edition)
		}
	}
	if keys.empty() {
		return nil
	}
	if s.dialect.forUpdate != "" {
		if _, err := tx.NewRaw("select 1 from sends where (env_id, id) in (values "+keys.String()+") order by env_id, id"+s.dialect.forUpdate, keys.args...).Exec(ctx); err != nil {
			return err
		}
	}
	var fired []struct {
		EnvID model.EnvID
		ID    model.SendID
	}
	err := tx.NewRaw(`with x (env_id, id, status, fired_at, total, done, skipped, edition) as (values `+news.String()+`)
		update sends set status = x.status, audience = case when x.status = 'EXPANDING' then audience end, fired_at = x.fired_at, total = x.total, done = x.done, skipped = x.skipped
		from x where sends.env_id = x.env_id and sends.id = x.id and sends.status = 'SCHEDULED' and sends.edition = x.edition
		returning sends.env_id, sends.id`, news.args...).Scan(ctx, &fired)
	if err != nil {
		return err
	}
	won := make(map[model.SendID]bool, len(fired))
	for _, f := range fired {
		won[f.ID] = true
	}
	for i, p := range sends {
		saved[i].Lost = p.Fire && !won[p.Send.ID]
	}
	return nil
}

// stamp gives every notification the seq of its inbox and returns the changes
// of the inboxes that something entered, in key order.
func stamp(sends []*model.PendingSend, moved []movedInbox) []*model.InboxChange {
	byKey := make(map[inboxKey]*model.InboxChange, len(moved))
	for _, m := range moved {
		byKey[m.inboxKey] = &model.InboxChange{Env: m.env, User: m.user, Seq: m.seq, Counters: m.counters}
	}
	for _, p := range sends {
		for i := range p.Notifications {
			n := &p.Notifications[i]
			if c := byKey[inboxKey{n.EnvID, n.UserID}]; c != nil {
				n.Seq = c.Seq
				if n.InInbox {
					c.Added = append(c.Added, *n)
				}
			}
		}
	}
	changes := make([]*model.InboxChange, 0, len(byKey))
	for _, c := range byKey {
		if len(c.Added) > 0 {
			newestFirst(c.Added)
			changes = append(changes, c)
		}
	}
	slices.SortFunc(changes, func(a, b *model.InboxChange) int {
		return inboxKey{a.Env, a.User}.compare(inboxKey{b.Env, b.User})
	})
	return changes
}

// unsaved adds model.ErrNotSaved to an error after which it is certain that
// the transaction did not commit: anything but a lost connection, a full disk
// or a context that ended.
func (s *Store) unsaved(err error) error {
	if s.dialect.isUnsure(err) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, sql.ErrConnDone) {
		return err
	}
	return errors.Join(err, model.ErrNotSaved)
}
