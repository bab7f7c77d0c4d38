package inbox

import (
	"context"
	"time"
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
		_, err := s.ExpireDue(ctx)
		if err == nil {
			err = s.RecallDue(ctx)
		}
		if err == nil {
			err = s.EditDue(ctx)
		}
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
