package shed

import (
	"testing"
	"testing/synctest"
	"time"
)

// refused has n be turned away and returns how many were told so by now.
func refused(t *testing.T, g *Gate, n int) (told func() int) {
	t.Helper()
	answers := make(chan time.Duration, n)
	for range n {
		go func() {
			began := time.Now()
			if !g.TurnsAway(1) {
				t.Error("one was let near")
			}
			answers <- time.Since(began)
		}()
	}
	return func() int {
		synctest.Wait()
		return len(answers)
	}
}

func TestRefusalsKeepPaceWithWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := calm()
		work := hold(t, g, Reading)
		leave := come(t, g, 1, 16)
		told := refused(t, g, atOnce+3*perDone)
		if n := told(); n != atOnce {
			t.Errorf("%d were told at once that they are refused, want %d", n, atOnce)
		}
		work()
		if n := told(); n != atOnce+perDone {
			t.Errorf("after a piece of work %d were told, want %d more", n, perDone)
		}
		time.Sleep(longestHold - time.Microsecond) //nolint:forbidigo // in a synctest bubble
		if n := told(); n != atOnce+perDone {
			t.Errorf("%d were told before the time, want %d", n, atOnce+perDone)
		}
		more := refused(t, g, 1)
		time.Sleep(time.Microsecond) //nolint:forbidigo // in a synctest bubble
		if n := told(); n != atOnce+3*perDone {
			t.Errorf("%d were told when no work ended for long, want all %d", n, atOnce+3*perDone)
		}
		if more() != 0 {
			t.Error("one who came later was told, too")
		}
		time.Sleep(longestHold) //nolint:forbidigo // in a synctest bubble
		if more() != 1 {
			t.Error("the last one was never told")
		}
		leave()
	})
}

func TestNoMoreAreHeldBackThanMayBe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := calm()
		leave := come(t, g, 1, 17)
		told := refused(t, g, atOnce+mostHeld)
		if n := told(); n != atOnce {
			t.Errorf("%d were told at once, want %d", n, atOnce)
		}
		more := refused(t, g, 5)
		if n := told(); n != atOnce+5 || more() != 0 {
			t.Errorf("with more than are held back %d were told, want %d, those who came first", n, atOnce+5)
		}
		leave()
		time.Sleep(longestHold) //nolint:forbidigo // in a synctest bubble
		if told() != atOnce+mostHeld || more() != 5 {
			t.Error("some were never told")
		}
	})
}

// TestOneTimerSweeps has refusals be held back, and released, again and again.
func TestOneTimerSweeps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := calm()
		leave := come(t, g, 1, 17)
		told := refused(t, g, atOnce+1)
		told()
		g.mu.Lock()
		timer := g.pace.sweep
		g.mu.Unlock()
		for range 100 {
			g.mu.Lock()
			g.pace.release()
			g.mu.Unlock()
			again := refused(t, g, 1)
			n := again()
			g.mu.Lock()
			same := g.pace.sweep == timer
			g.mu.Unlock()
			if n != 0 || !same {
				t.Fatal("what is held back has a timer of its own")
			}
			time.Sleep(time.Millisecond) //nolint:forbidigo // in a synctest bubble
		}
		time.Sleep(2 * longestHold) //nolint:forbidigo // in a synctest bubble
		synctest.Wait()
		g.mu.Lock()
		if len(g.pace.held) != 0 || g.pace.sweep != nil {
			t.Errorf("in the end %d are held back, the timer is %v", len(g.pace.held), g.pace.sweep)
		}
		g.mu.Unlock()
		leave()
	})
}
