package delivery

import (
	"fmt"
	"testing"
	"time"
)

// clock is a time that tests move.
type clock struct{ now time.Time }

func newBreakers() (*breakers, *clock) {
	c := &clock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	return &breakers{now: func() time.Time { return c.now }}, c
}

// through enters, or fails the test.
func through(t *testing.T, b *breakers, key string) pass {
	t.Helper()
	p, w := b.enter(key)
	if w != 0 {
		t.Fatalf("%s has to wait %s", key, w)
	}
	return p
}

func fail(t *testing.T, b *breakers, key string, times int) {
	t.Helper()
	for range times {
		b.leave(through(t, b, key), failed, 0)
	}
}

func TestBreakersOpenAndFindOut(t *testing.T) {
	t.Parallel()
	b, c := newBreakers()
	fail(t, b, "p", breakAfter)
	if _, w := b.enter("p"); w != breakFirst {
		t.Errorf("after %d failures the wait is %s, want %s", breakAfter, w, breakFirst)
	}
	through(t, b, "q")
	c.now = c.now.Add(breakFirst)
	probe := through(t, b, "p")
	if _, w := b.enter("p"); w == 0 {
		t.Error("a second one may go before the first is back")
	}
	b.leave(probe, failed, 0)
	if w := b.wait("p"); w != 2*breakFirst {
		t.Errorf("after another failure the wait is %s, want %s", w, 2*breakFirst)
	}
	c.now = c.now.Add(2 * breakFirst)
	b.leave(through(t, b, "p"), neither, 0) // it found no place
	b.leave(through(t, b, "p"), worked, 0)
	fail(t, b, "p", breakAfter-1)
	b.leave(through(t, b, "p"), neither, 10*time.Minute) // it asks to be left alone
	if w := b.wait("p"); w != 10*time.Minute {
		t.Errorf("wait %s, want the ten minutes that were asked for", w)
	}
}

func TestStragglersLeaveAnOpenBreakerAlone(t *testing.T) {
	t.Parallel()
	b, c := newBreakers()
	begun := make([]pass, 16)
	for i := range begun {
		begun[i] = through(t, b, "p")
	}
	for _, p := range begun[:12] {
		b.leave(p, failed, 0)
	}
	if w := b.wait("p"); w != breakFirst {
		t.Errorf("sixteen failures at once close it for %s, want %s", w, breakFirst)
	}
	c.now = c.now.Add(breakFirst)
	probe := through(t, b, "p")
	b.leave(begun[12], failed, 0)
	b.leave(begun[13], worked, 0)
	if _, w := b.enter("p"); w == 0 {
		t.Error("a second one may go while the first finds out, since a straggler is back")
	}
	b.leave(probe, worked, 0)
	b.leave(begun[14], failed, 0)
	fail(t, b, "p", breakAfter-1)
	if w := b.wait("p"); w != 0 {
		t.Errorf("the straggler counts for what came later: wait %s", w)
	}
	b.leave(begun[15], neither, time.Minute)
	if w := b.wait("p"); w != time.Minute {
		t.Errorf("wait %s, want the minute that the provider asked for", w)
	}
}

func TestFullBreakersForgetTheIdleFirst(t *testing.T) {
	t.Parallel()
	b, c := newBreakers()
	fail(t, b, "open", breakAfter)
	for i := range 2 * maxBreaker {
		c.now = c.now.Add(time.Microsecond)
		fail(t, b, fmt.Sprint(i), 1)
	}
	if len(b.state) != maxBreaker || b.wait("open") == 0 {
		t.Errorf("%d breakers are remembered, and the open one has a wait of %s", len(b.state), b.wait("open"))
	}
}
