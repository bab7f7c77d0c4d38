package user

import (
	"context"
	"sync"
	"time"

	"carillon/model"
)

const (
	seenAgain = 5 * time.Minute  // after which a user who goes on showing up is noted again
	seenSave  = 10 * time.Second // how often what was noted is saved
	maxSeen   = 200_000          // users who are remembered
	seenChunk = 500              // users of one statement
)

// seen remembers who showed up.
type seen struct {
	mu    sync.Mutex
	last  map[model.UserRef]time.Time
	fresh map[model.UserRef]time.Time // to be saved
}

// Saw notes that a user showed up with a credential of their own. It costs
// almost nothing; RunSeen saves what was noted.
func (s *Service) Saw(u model.UserRef) {
	now := s.now()
	s.seen.mu.Lock()
	defer s.seen.mu.Unlock()
	if now.Sub(s.seen.last[u]) < seenAgain {
		return
	}
	if s.seen.last == nil || len(s.seen.last) >= maxSeen {
		s.seen.last = map[model.UserRef]time.Time{}
	}
	if s.seen.fresh == nil {
		s.seen.fresh = map[model.UserRef]time.Time{}
	}
	s.seen.last[u], s.seen.fresh[u] = now, now
}

// RunSeen saves who was seen, a while after, until ctx is done, and then once
// more. What a crash loses is noted the next time.
func (s *Service) RunSeen(ctx context.Context) {
	tick := time.NewTicker(seenSave)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			s.saveSeen(context.WithoutCancel(ctx))
			return
		case <-tick.C:
			s.saveSeen(ctx)
		}
	}
}

func (s *Service) saveSeen(ctx context.Context) {
	if err := s.SaveSeen(ctx); err != nil && ctx.Err() == nil {
		s.log().WarnContext(ctx, "saving when users were seen", "error", err)
	}
}

// SaveSeen saves what Saw has noted. On an error it is forgotten.
func (s *Service) SaveSeen(ctx context.Context) error {
	s.seen.mu.Lock()
	fresh := s.seen.fresh
	s.seen.fresh = nil
	s.seen.mu.Unlock()
	chunk := map[model.UserRef]time.Time{}
	for u, at := range fresh {
		if chunk[u] = at; len(chunk) == seenChunk {
			if err := s.Store.SaveSeen(ctx, chunk); err != nil {
				return err
			}
			clear(chunk)
		}
	}
	if len(chunk) == 0 {
		return nil
	}
	return s.Store.SaveSeen(ctx, chunk)
}

func (s *Service) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}
