package audience

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
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
	// failedAgain is after how long a rule is tried again that could not be
	// evaluated.
	failedAgain = time.Minute
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
// and so do environments. What fails keeps nothing else from its turn, and is
// part of the error.
func (s *Segments) Refresh(ctx context.Context) error {
	for more := true; more && ctx.Err() == nil; {
		whole, err := s.refreshDue(ctx)
		followErr := s.follow(ctx)
		changed, changedErr := s.refreshChanged(ctx)
		if err := errors.Join(err, followErr, changedErr); err != nil {
			return err
		}
		more = whole || changed
	}
	return ctx.Err()
}

// refreshDue evaluates one segment over everyone; more is false when none was due
// or another process is at it. One that fails is put off.
func (s *Segments) refreshDue(ctx context.Context) (more bool, err error) {
	env, id, found, err := s.Store.DueSegment(ctx)
	if err != nil || !found {
		return false, err
	}
	more, err = s.Store.RefreshSegment(ctx, env, id, wholeEvery, datesEvery, false)
	if err == nil || ctx.Err() != nil {
		return more, err
	}
	return false, errors.Join(fmt.Errorf("segment %d of environment %d: %w", id, env, err), s.Store.PostponeSegment(ctx, env, id, failedAgain))
}

// follow notes whom the passing of time concerns. A segment that fails is passed
// over until the next call.
func (s *Segments) follow(ctx context.Context) error {
	var (
		passed []model.SegmentID
		failed []error
	)
	for ctx.Err() == nil {
		env, id, found, err := s.Store.UnfollowedSegment(ctx, followEvery, passed)
		if err != nil || !found {
			return errors.Join(append(failed, err)...)
		}
		if err := s.Store.FollowTime(ctx, env, id); err != nil {
			passed = append(passed, id)
			failed = append(failed, fmt.Errorf("segment %d of environment %d: %w", id, env, err))
		}
	}
	return ctx.Err()
}

// refreshChanged evaluates changes of users; more tells that some may be left
// that can be evaluated now. Environments take turns; those that fail, or that
// another process is at, are passed over.
func (s *Segments) refreshChanged(ctx context.Context) (more bool, err error) {
	var (
		last   model.EnvID
		passed []model.EnvID
		failed []error
	)
	for turns, idle := 0, 0; turns < changesInTurn && idle <= len(passed); {
		env, found, err := s.Store.ChangedEnvironment(ctx, last)
		if err != nil || !found {
			return false, errors.Join(append(failed, err)...)
		}
		last = env
		if slices.Contains(passed, env) {
			idle++
			continue
		}
		n, err := s.Store.RefreshChanged(ctx, env, changesAtOnce)
		if err != nil {
			failed = append(failed, fmt.Errorf("environment %d: %w", env, err))
		}
		if err != nil || n == 0 {
			passed = append(passed, env)
			continue
		}
		turns, idle = turns+1, 0
		more = turns == changesInTurn
	}
	return more, errors.Join(append(failed, ctx.Err())...)
}

// Settle has the members of segments be as users are now: what is known to
// have changed is evaluated, and where that does not tell, everyone, unless that
// was done a moment ago. It may take minutes.
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
	return s.settleChanged(ctx, env)
}

// settleChanged evaluates the changes of users that there are now, and not those
// that go on being made.
func (s *Segments) settleChanged(ctx context.Context, env model.EnvID) error {
	first, last, err := s.Store.SegmentChanges(ctx, env)
	for err == nil && first != 0 && first <= last {
		n, err := s.Store.RefreshChanged(ctx, env, changesAtOnce)
		if err != nil || n < changesAtOnce {
			return err
		}
		if first, _, err = s.Store.SegmentChanges(ctx, env); err != nil {
			return err
		}
	}
	return err
}
