package store

import (
	"context"

	"carillon/model"
)

// ExpireAfter expires what is due, and has something happen between finding it
// and locking its inboxes.
func ExpireAfter(ctx context.Context, s *Store, meanwhile func() error) (n int, err error) {
	now := micros(s.now())
	due, err := s.dueNotifications(ctx, now, 100)
	if err != nil {
		return 0, err
	}
	if err := meanwhile(); err != nil {
		return 0, err
	}
	n, _, err = s.takeAway(ctx, "expiring notifications", model.CauseExpired, due, "true")
	return n, err
}
