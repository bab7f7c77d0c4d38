package delivery

import (
	"sync"
	"time"
)

// Breakers: after this many failures in a row nothing is tried for a while,
// then one at a time until one succeeds.
const (
	breakAfter = 5
	breakFirst = 5 * time.Second
	breakMost  = 5 * time.Minute
	maxBreaker = 10_000 // that are remembered
)

// breakers keep deliveries from a provider, or from one host behind it, that
// does not work. They belong to one process: each finds out for itself.
type breakers struct {
	now func() time.Time

	mu    sync.Mutex
	state map[string]*breaker
}

type breaker struct {
	failures int           // in a row
	pause    time.Duration // the last one; zero: never open
	until    time.Time     // closed for deliveries until then
	probing  bool          // one was let through to find out
}

// wait says how long deliveries have to wait; zero: they may go. It changes
// nothing.
func (b *breakers) wait(key string) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.state[key]
	if s == nil {
		return 0
	}
	if w := s.until.Sub(b.now()); w > 0 {
		return w
	}
	if s.probing {
		return time.Second
	}
	return 0
}

// enter asks to try something, and says how long to wait when it may not.
// Whoever enters leaves.
func (b *breakers) enter(key string) (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.state[key]
	if s == nil || s.pause == 0 && s.until.IsZero() {
		return 0
	}
	if w := s.until.Sub(b.now()); w > 0 {
		return w
	}
	if s.pause == 0 {
		return 0 // it was only cooling down
	}
	if s.probing {
		return time.Second
	}
	s.probing = true
	return 0
}

// leave says how it went. The failure of one message says nothing about the
// provider: that is neither.
func (b *breakers) leave(key string, how outcome, cool time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.state[key]
	if s == nil {
		if how == worked && cool == 0 {
			return
		}
		if b.state == nil || len(b.state) >= maxBreaker {
			b.state = map[string]*breaker{}
		}
		s = &breaker{}
		b.state[key] = s
	}
	s.probing = false
	now := b.now()
	switch how {
	case worked:
		delete(b.state, key)
	case failed:
		if s.failures++; s.failures >= breakAfter {
			s.pause = min(max(2*s.pause, breakFirst), breakMost)
			s.until = now.Add(s.pause)
		}
	case neither:
	}
	if cool > 0 {
		if until := now.Add(min(cool, MaxRetryAfter)); until.After(s.until) {
			s.until = until
		}
		b.state[key] = s
	}
}

// outcome is what an attempt says about a provider.
type outcome int

const (
	neither outcome = iota
	worked
	failed
)
