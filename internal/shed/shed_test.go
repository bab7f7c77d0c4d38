package shed

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"carillon/model"
)

// hold enters and returns what leaves again; nil when it was refused.
func hold(t *testing.T, g *Gate, c Class) func() {
	t.Helper()
	leave, err := g.Enter(t.Context(), c, 1)
	if err != nil {
		if model.KindOf(err) != model.KindUnavailable {
			t.Errorf("refused with %v, want %s", err, model.KindUnavailable)
		}
		return nil
	}
	return leave
}

func TestLessUrgentWorkIsRefusedFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := New(16, 50*time.Millisecond)
		for range 8 {
			if hold(t, g, Searching) == nil {
				t.Fatal("half of the places were not for searching")
			}
		}
		began := time.Now()
		if hold(t, g, Searching) != nil {
			t.Error("searching took more than half of the places")
		}
		if waited := time.Since(began); waited != 50*time.Millisecond {
			t.Errorf("it was refused after %s, want the patience of 50ms", waited)
		}
		for range 5 {
			if hold(t, g, Sending) == nil {
				t.Fatal("sending was refused below its share")
			}
		}
		if hold(t, g, Sending) != nil {
			t.Error("sending took more than its share")
		}
		for range 3 {
			if hold(t, g, Reading) == nil {
				t.Fatal("reading was refused although places were free")
			}
		}
		if hold(t, g, Reading) != nil {
			t.Error("more was admitted than there are places")
		}
	})
}

func TestAFreedPlaceGoesToTheMostUrgent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := New(2, time.Hour)
		first, second := hold(t, g, Reading), hold(t, g, Reading)
		order := make(chan Class, 2)
		for _, c := range []Class{Searching, Reading} {
			go func() {
				leave := hold(t, g, c)
				order <- c
				leave()
			}()
			synctest.Wait()
		}
		first()
		synctest.Wait()
		if c := <-order; c != Reading {
			t.Errorf("class %d went first, want reading", c)
		}
		second()
		synctest.Wait()
		if c := <-order; c != Searching {
			t.Errorf("class %d went second, want searching", c)
		}
		if s := g.Stats(); s.Busy != 0 || s.Waiting != 0 {
			t.Errorf("in the end %+v, want nobody", s)
		}
	})
}

func TestAFullQueueRefusesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := New(1, time.Hour)
		leave := hold(t, g, Reading)
		ctx, cancel := context.WithCancel(t.Context())
		for range 4 {
			go func() {
				if _, err := g.Enter(ctx, Reading, 1); !errors.Is(err, context.Canceled) {
					t.Errorf("got %v, want the context's end", err)
				}
			}()
		}
		synctest.Wait()
		began := time.Now()
		if hold(t, g, Reading) != nil || time.Since(began) != 0 {
			t.Error("a full queue did not refuse at once")
		}
		cancel()
		synctest.Wait()
		leave()
		if hold(t, g, Reading) == nil {
			t.Error("those who gave up still hold places")
		}
	})
}
