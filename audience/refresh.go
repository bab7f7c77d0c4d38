package audience

import (
	"context"
	"log/slog"
	"time"

	"carillon/model"
)

const (
	// wholeEvery is after how long a rule is evaluated over everyone again,
	// though nothing is known to have changed; datesEvery where only that tells
	// whom time changes.
	wholeEvery = 12 * time.Hour
	datesEvery = 5 * time.Minute
	// followEvery is after how long those are looked for who came into a window
	// of days or left it.
	followEvery = time.Minute
	// changesAtOnce is how many changes of users one transaction looks at, and
	// changesInTurn how many transactions follow each other before rules that
	// are due get their turn.
	changesAtOnce = 1000
	changesInTurn = 50
	// look is how often it is looked for work.
	look = time.Second
)

// Run keeps the members of segments fresh until ctx is done. Any number of
// processes may run it: who works on a segment holds a lock on its row, which
// ends with the transaction.
func (s *Segments) Run(ctx context.Context) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		if err := s.Refresh(ctx); err != nil && ctx.Err() == nil {
			s.log().WarnContext(ctx, "refreshing segments", "error", err, "again_in", look)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *Segments) log() *slog.Logger {
	if s.Log == nil {
		return slog.Default()
	}
	return s.Log
}

// Refresh evaluates what is due: segments over everyone, and all segments of an
// environment for the users that changed, or that time changed. They take turns,
// and so do environments.
func (s *Segments) Refresh(ctx context.Context) error {
	for more := true; more && ctx.Err() == nil; {
		whole, err := s.refreshDue(ctx)
		if err != nil {
			return err
		}
		if err := s.follow(ctx); err != nil {
			return err
		}
		changed, err := s.refreshChanged(ctx)
		if err != nil {
			return err
		}
		more = whole || changed
	}
	return ctx.Err()
}

// refreshDue evaluates one segment over everyone; more is false when none was due
// or another process is at it.
func (s *Segments) refreshDue(ctx context.Context) (more bool, err error) {
	m, found, err := s.Store.DueSegment(ctx)
	if err != nil || !found {
		return false, err
	}
	return s.Store.RefreshSegment(ctx, m.EnvID, m.ID, wholeEvery, datesEvery, false)
}

// follow notes whom the passing of time concerns.
func (s *Segments) follow(ctx context.Context) error {
	for ctx.Err() == nil {
		env, id, found, err := s.Store.UnfollowedSegment(ctx, followEvery)
		if err != nil || !found {
			return err
		}
		if err := s.Store.FollowTime(ctx, env, id); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// refreshChanged evaluates changes of users; more tells that some may be left.
func (s *Segments) refreshChanged(ctx context.Context) (more bool, err error) {
	var last model.EnvID
	for range changesInTurn {
		env, found, err := s.Store.ChangedEnvironment(ctx, last)
		if err != nil || !found {
			return false, err
		}
		n, err := s.Store.RefreshChanged(ctx, env, changesAtOnce)
		if err != nil || n == 0 {
			return false, err
		}
		last = env
	}
	return true, ctx.Err()
}

// Settle has the members of segments be as users are now: what is known to
// have changed is evaluated, and where that does not tell, everyone.
func (s *Segments) Settle(ctx context.Context, env model.EnvID, ids []model.SegmentID) error {
	for _, id := range ids {
		m, err := s.Store.SegmentByID(ctx, env, id)
		if model.KindOf(err) == model.KindNotFound {
			continue // deleted since: it has nobody
		}
		if err != nil {
			return err
		}
		if _, followed := m.Rule.Windows(); m.RefreshedAt.IsZero() || !followed {
			_, err = s.Store.RefreshSegment(ctx, env, id, wholeEvery, datesEvery, true)
		} else {
			err = s.Store.FollowTime(ctx, env, id)
		}
		if err != nil {
			return err
		}
	}
	for {
		n, err := s.Store.RefreshChanged(ctx, env, changesAtOnce)
		if err != nil || n < changesAtOnce {
			return err
		}
	}
}
