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
	turns int64 // of all of them
}

// breaker is closed, and counts failures, or open, and lets one through at a
// time once its pause is over.
type breaker struct {
	failures int           // in a row, while closed
	pause    time.Duration // the last one; zero: closed
	until    time.Time     // nothing is tried until then
	probing  bool          // one was let through to find out
	turn     int64         // another one each time it opens or closes
	asked    time.Time     // when it was last used
}

func (s *breaker) open() bool { return s.pause > 0 }

// pass lets one attempt through. What it comes to counts as long as the breaker
// has not turned since: sixteen attempts that were under way when it opened say
// nothing that is not known by then.
type pass struct {
	key  string
	turn int64
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
	return s.wait(b.now())
}

func (s *breaker) wait(now time.Time) time.Duration {
	if w := s.until.Sub(now); w > 0 {
		return w
	}
	if s.probing {
		return time.Second
	}
	return 0
}

// enter asks to try something, and says how long to wait when it may not.
// Whoever enters leaves, with the pass.
func (b *breakers) enter(key string) (p pass, wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p.key = key
	s := b.state[key]
	if s == nil {
		return p, 0
	}
	now := b.now()
	s.asked, p.turn = now, s.turn
	if w := s.wait(now); w > 0 {
		return p, w
	}
	s.probing = s.open()
	return p, 0
}

// leave says how it went. The failure of one message says nothing about the
// provider: that is neither. A provider that asks to be left alone for some
// time is, whoever it asked.
func (b *breakers) leave(p pass, how outcome, cool time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	s := b.state[p.key]
	if s == nil {
		if how != failed && cool == 0 || p.turn != 0 {
			return
		}
		s = b.remember(p.key, now)
	}
	if p.turn == s.turn {
		b.judge(s, how, now)
	}
	if until := now.Add(min(cool, MaxRetryAfter)); cool > 0 && until.After(s.until) {
		s.until = until
	}
	if s.turn == 0 && s.failures == 0 && !s.until.After(now) {
		delete(b.state, p.key)
	}
}

// judge takes the result of an attempt that began since the breaker last
// turned: of any, while it is closed, and of the probe, while it is open.
func (b *breakers) judge(s *breaker, how outcome, now time.Time) {
	s.probing = false
	switch {
	case how == worked && s.open():
		b.turn(s)
		s.failures, s.pause, s.until = 0, 0, time.Time{}
	case how == worked:
		s.failures = 0
	case how == failed && !s.open():
		if s.failures++; s.failures >= breakAfter {
			b.turn(s)
			s.pause, s.until = breakFirst, now.Add(breakFirst)
		}
	case how == failed:
		s.pause = min(2*s.pause, breakMost)
		s.until = now.Add(s.pause)
	}
}

func (b *breakers) turn(s *breaker) {
	b.turns++
	s.turn = b.turns
}

// remember makes a breaker, in the place of another when there are too many.
func (b *breakers) remember(key string, now time.Time) *breaker {
	if len(b.state) >= maxBreaker {
		b.forgetOne()
	}
	if b.state == nil {
		b.state = map[string]*breaker{}
	}
	s := &breaker{asked: now}
	b.state[key] = s
	return s
}

// forgetOne forgets, of some that are picked at random, the one that was not
// asked for the longest time: of the closed ones, where there are any.
func (b *breakers) forgetOne() {
	var (
		oldest string
		o      *breaker
	)
	left := 64
	for key, s := range b.state {
		if o == nil || o.open() && !s.open() || o.open() == s.open() && s.asked.Before(o.asked) {
			oldest, o = key, s
		}
		if left--; left == 0 {
			break
		}
	}
	delete(b.state, oldest)
}

// outcome is what an attempt says about a provider.
type outcome int

const (
	neither outcome = iota
	worked
	failed
)
