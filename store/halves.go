package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"carillon/model"
)

// A large chunk that nothing else hangs on is written by two connections at
// once: PostgreSQL does what one connection asks on one processor, and that is
// what the time of a broadcast was.
//
// The upper half is a transaction of its own, which ends before that of the
// chunk does. Should the chunk's be lost after it, as by a crash in between, the
// upper half is there although the send has not come so far; whoever tries the
// chunk again leaves out whom it finds there.
//
// Of inboxes, writers wait in order, and the upper half for none that the lower
// one holds; the chunk waits for it as if for one that is higher still. Of what
// else there is to wait for PostgreSQL would not see a circle that leads through
// here: it ends when a lock is waited for too long.

// halfLeast is how many notifications are worth a transaction.
const halfLeast = 500

// halves reports whether a chunk may be written in halves: nothing but
// notifications comes of it.
func (s *Store) halves(ctx context.Context, tx bun.Tx, p *model.PendingSend) (bool, error) {
	m := p.Send
	if !s.dialect.arrays || len(p.Notifications) < 2*halfLeast || len(p.Deliveries) > 0 || !p.Options.Empty() ||
		m.Content.Personal != 0 || m.Content.Edition != 0 {
		return false, nil
	}
	heard, err := s.hears(ctx, tx, m.EnvID, model.EventNotificationCreated, model.EventDeliverySkipped)
	return !heard, err
}

// secondWithin is how long the chunk waits for a second connection. It holds no
// inbox yet.
const secondWithin = 10 * time.Millisecond

// leftBehind are the upper halves of tries whose lower halves failed: they are
// written, and to be told of once the chunk is.
type leftBehind struct {
	notifications []model.Notification
	moved         []movedInbox
}

// insertHalves writes the lower half of a chunk within its transaction, and the
// upper half beside it; or all of it within, when there is no second connection.
func (s *Store) insertHalves(ctx context.Context, tx bun.Tx, p *model.PendingSend, left *leftBehind) ([]movedInbox, error) {
	soon, cancel := context.WithTimeout(ctx, secondWithin)
	defer cancel()
	second, err := s.w.DB.Conn(soon)
	if err != nil {
		return insertChunkAtOnce(ctx, tx.Tx, p, chunkStatement)
	}
	defer second.Close()
	lower, upper := *p, *p
	middle := len(p.Notifications) / 2
	lower.Notifications, upper.Notifications = p.Notifications[:middle], p.Notifications[middle:]
	var (
		above    []movedInbox
		aboveErr error
		done     = make(chan struct{})
	)
	go func() {
		defer close(done)
		above, aboveErr = insertChunkAtOnce(ctx, second, &upper, upperStatement)
	}()
	below, err := insertChunkAtOnce(ctx, tx.Tx, &lower, chunkStatement)
	<-done
	if err == nil && aboveErr == nil && len(above) < len(upper.Notifications) {
		aboveErr = errors.New("the upper half found its send ended")
	}
	if err != nil && aboveErr == nil {
		left.notifications, left.moved = append(left.notifications, upper.Notifications...), append(left.moved, above...)
	}
	return append(below, above...), errors.Join(err, aboveErr)
}

// leaveWritten takes those out of a chunk who have their notification from an upper
// half whose chunk was lost.
func (s *Store) leaveWritten(ctx context.Context, tx bun.Tx, c model.Chunk) (model.Chunk, error) {
	if !s.dialect.arrays || len(c.Notifications) == 0 {
		return c, nil
	}
	var (
		id   model.UserID
		have = map[model.UserID]bool{}
	)
	rows, err := tx.QueryContext(ctx, "select user_id from notifications where env_id = ? and send_id = ? and user_id > ? and user_id <= ?", c.Send.EnvID, c.Send.ID, c.After, c.Reached)
	if err := scanEach(rows, err, []any{&id}, func() error {
		have[id] = true
		return nil
	}); err != nil || len(have) == 0 {
		return c, err
	}
	gone := map[model.NotificationID]bool{}
	c.Notifications = slices.DeleteFunc(slices.Clone(c.Notifications), func(n model.Notification) bool {
		gone[n.ID] = have[n.UserID]
		return gone[n.ID]
	})
	c.Deliveries = slices.DeleteFunc(slices.Clone(c.Deliveries), func(d model.PlannedDelivery) bool { return gone[d.NotificationID] })
	return c, nil
}
