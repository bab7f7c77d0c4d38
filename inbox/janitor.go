package inbox

import (
	"context"
	"time"

	"carillon/model"
)

const (
	janitorBatch = 500 // rows of one transaction
	janitorMost  = time.Hour
	janitorLeast = time.Second
)

// RunJanitor lets go of what r says until ctx is done: at least every hour, and
// ten times within the shortest time that anything is kept. An error is logged
// once, until it is over. Any number of processes may do so at once.
func (s *Service) RunJanitor(ctx context.Context, r model.Retention) {
	tick := time.NewTicker(janitorEvery(r))
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := s.Clean(ctx, r)
		if ctx.Err() != nil {
			return
		}
		switch {
		case err != nil && !failing:
			s.logger().WarnContext(ctx, "letting go of what is old; trying again", "error", err)
		case err == nil && failing:
			s.logger().InfoContext(ctx, "what is old is let go of again")
		}
		failing = err != nil
	}
}

func janitorEvery(r model.Retention) time.Duration {
	kept := r.Tombstones
	if r.Items > 0 {
		kept = min(kept, r.Items)
	}
	return max(janitorLeast, min(janitorMost, kept/10))
}

// Clean lets go of everything that r says, now, in small transactions.
func (s *Service) Clean(ctx context.Context, r model.Retention) error {
	now := s.now()
	if r.Items > 0 || r.Cap > 0 {
		envs, err := s.Store.Environments(ctx)
		if err != nil {
			return err
		}
		for _, env := range envs {
			if err := s.retire(ctx, env.ID, r, now); err != nil {
				return err
			}
		}
	}
	buried := now.Add(-r.Tombstones)
	if err := batches(ctx, func(ctx context.Context) (bool, error) {
		n, err := s.Store.TrimTombstones(ctx, buried, janitorBatch)
		return n == janitorBatch, err
	}); err != nil {
		return err
	}
	var at model.InboxCursor
	return batches(ctx, func(ctx context.Context) (bool, error) {
		next, _, err := s.Store.TrimMarks(ctx, buried, at, janitorBatch)
		at = next
		return at != model.InboxCursor{}, err
	})
}

// retire takes what is too old, or too much, out of the inboxes of an
// environment, and forgets sends of which nothing is left.
func (s *Service) retire(ctx context.Context, env model.EnvID, r model.Retention, now time.Time) error {
	if r.Items > 0 {
		var after model.NotificationID
		err := batches(ctx, func(ctx context.Context) (more bool, err error) {
			next, _, hints, err := s.Store.RetireNotifications(ctx, env, after, now.Add(-r.Items), janitorBatch)
			s.Live.Publish(context.WithoutCancel(ctx), hints...)
			after = next
			return after != 0, err
		})
		if err != nil {
			return err
		}
		forgotten := now.Add(-max(r.Items+r.Tombstones, model.OnceKept)) // a stored answer may tell of a send
		err = batches(ctx, func(ctx context.Context) (bool, error) {
			n, err := s.Store.ForgetSends(ctx, env, forgotten, janitorBatch)
			return n == janitorBatch, err
		})
		if err != nil {
			return err
		}
	}
	if r.Cap == 0 {
		return nil
	}
	var after model.UserID
	return batches(ctx, func(ctx context.Context) (more bool, err error) {
		next, _, hints, err := s.Store.CapInboxes(ctx, env, after, r.Cap, janitorBatch)
		s.Live.Publish(context.WithoutCancel(ctx), hints...)
		after = next
		return after != 0, err
	})
}

// batches calls one until there is no more to do. Each call has as much time as
// a sweep.
func batches(ctx context.Context, one func(context.Context) (more bool, err error)) error {
	for {
		within, cancel := context.WithTimeout(ctx, sweepTime)
		more, err := one(within)
		cancel()
		if err != nil || !more {
			return err
		}
	}
}
