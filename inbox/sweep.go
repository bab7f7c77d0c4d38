package inbox

import (
	"context"
	"errors"
	"time"

	"carillon/model"
)

const (
	sweepEvery = time.Second
	sweepBatch = 500 // items of one transaction
	// sweepTime bounds one transaction: a connection that leads nowhere must not
	// hold up the sweeper for ever.
	sweepTime = 10 * time.Second
)

// ExpireDue takes all items out of their inboxes whose time has come, and
// returns how many there were. Any number of processes may do so at once.
func (s *Service) ExpireDue(ctx context.Context) (n int, err error) {
	for {
		within, cancel := context.WithTimeout(ctx, sweepTime)
		k, hints, err := s.Store.ExpireNotifications(within, sweepBatch)
		cancel()
		if err != nil {
			return n, err
		}
		n += k
		s.Live.Publish(context.WithoutCancel(ctx), hints...)
		if k < sweepBatch {
			return n, nil
		}
	}
}

// sweep does what there is to do, in turns: what fails, or is much, keeps nothing
// else from its turn.
func (s *Service) sweep(ctx context.Context) error {
	for {
		_, err := s.ExpireDue(ctx)
		recalls, recallErr := s.recallDue(ctx)
		edits, editErr := s.editDue(ctx)
		if err = errors.Join(err, recallErr, editErr); err != nil || !recalls && !edits {
			return err
		}
	}
}

// inTurns goes on with sends until none is left or it has done so much that others
// get a turn, and there may be more. The sends take turns; one that fails is passed
// over until the next call. Any number of processes may do so at once.
func inTurns(
	ctx context.Context,
	find func(ctx context.Context, except []model.SendID) (env model.EnvID, id model.SendID, found bool, err error),
	goOn func(ctx context.Context, env model.EnvID, id model.SendID) (more bool, err error),
) (more bool, err error) {
	var (
		passed []model.SendID
		failed []error
	)
	for range sweepAtOnce {
		within, cancel := context.WithTimeout(ctx, sweepTime)
		env, id, found, err := find(within, passed)
		cancel()
		if err != nil || !found {
			return false, errors.Join(append(failed, err)...)
		}
		if _, err := goOn(ctx, env, id); err != nil {
			passed, failed = append(passed, id), append(failed, err)
		}
	}
	return true, errors.Join(failed...)
}

// RunSweeper expires what is due, and goes on with what is being recalled or was
// edited, every second until ctx is done. An error is logged once, until it is
// over.
func (s *Service) RunSweeper(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := s.sweep(ctx)
		if ctx.Err() != nil {
			return
		}
		switch {
		case err != nil && !failing:
			s.logger().WarnContext(ctx, "expiring notifications; trying again every second", "error", err)
		case err == nil && failing:
			s.logger().InfoContext(ctx, "notifications expire again")
		}
		failing = err != nil
	}
}
