package audience

import (
	"context"
	"log/slog"
	"time"

	"carillon/model"
)

const (
	// wholeEvery is after how long a rule is evaluated over everyone again,
	// though nothing is known to have changed; windowEvery where time alone
	// changes who matches.
	wholeEvery  = time.Hour
	windowEvery = 5 * time.Minute
	// changesAtOnce is how many changes of users one transaction looks at.
	changesAtOnce = 1000
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
// environment for the users that changed. Environments take turns.
func (s *Segments) Refresh(ctx context.Context) error {
	for ctx.Err() == nil {
		m, found, err := s.Store.DueSegment(ctx)
		if err != nil {
			return err
		}
		if !found {
			break
		}
		done, err := s.Store.RefreshSegment(ctx, m.EnvID, m.ID, wholeEvery, windowEvery)
		if err != nil {
			return err
		}
		if !done {
			break // another process is at it
		}
	}
	var last model.EnvID
	for ctx.Err() == nil {
		env, found, err := s.Store.ChangedEnvironment(ctx, last)
		if err != nil || !found {
			return err
		}
		n, err := s.Store.RefreshChanged(ctx, env, changesAtOnce)
		if err != nil || n == 0 {
			return err
		}
		last = env
	}
	return ctx.Err()
}

// Settle has the members of segments be as users are now: what is known to
// have changed is evaluated, and a rule that never was over everyone.
func (s *Segments) Settle(ctx context.Context, env model.EnvID, ids []model.SegmentID) error {
	for _, id := range ids {
		m, err := s.Store.SegmentByID(ctx, env, id)
		if model.KindOf(err) == model.KindNotFound {
			continue // deleted since: it has nobody
		}
		if err != nil {
			return err
		}
		if m.RefreshedAt.IsZero() || m.Rule.Windowed() {
			done, err := s.Store.RefreshSegment(ctx, env, id, wholeEvery, windowEvery)
			if err != nil {
				return err
			}
			if !done && m.RefreshedAt.IsZero() {
				return &model.Error{Kind: model.KindUnavailable, RetryAfter: look, Message: "the members of a segment are being found out: try again in a moment"}
			}
		}
	}
	for {
		n, err := s.Store.RefreshChanged(ctx, env, changesAtOnce)
		if err != nil || n < changesAtOnce {
			return err
		}
	}
}
