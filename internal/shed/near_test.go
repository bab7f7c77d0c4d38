package shed

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"carillon/model"
)

// calm is a gate with four places, from which nobody hurries away.
func calm() *Gate {
	g := New(4, time.Hour)
	g.room.usual = time.Hour
	return g
}

// come has n of a party come to the gate, and returns what has them go again. As
// many as there are places enter, the others wait.
func come(t *testing.T, g *Gate, party int64, n int) (leave func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			leave, err := g.Enter(ctx, Reading, party)
			if err != nil {
				if !errors.Is(err, context.Canceled) {
					t.Errorf("one of party %d was refused: %v", party, err)
				}
				return
			}
			<-ctx.Done()
			leave()
		})
	}
	synctest.Wait()
	return func() {
		cancel()
		wg.Wait()
	}
}

func TestARushIsTurnedAwayBeforeAnythingIsDone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := calm()
		leave := come(t, g, 1, 17)
		if !g.TurnsAway(1) {
			t.Error("one was let near beside four times as many as can be worked on")
		}
		if _, err := g.Enter(t.Context(), Reading, 1); model.KindOf(err) != model.KindUnavailable {
			t.Errorf("who comes all the same gets %v", err)
		}
		if g.TurnsAway(2) {
			t.Error("a party was turned away for what another asks")
		}
		if n := g.Stats().Refused[Reading]; n != 2 {
			t.Errorf("%d are counted as refused, want 2", n)
		}
		leave()
		if g.TurnsAway(1) {
			t.Error("one was turned away although nobody is near")
		}
		leave = come(t, g, 1, 8)
		if !g.TurnsAway(1) {
			t.Error("in a rush more were let near than there are places, and a few")
		}
		leave()
		time.Sleep(2 * rushOver) //nolint:forbidigo // in a synctest bubble
		come(t, g, 1, 17)()
		if s := g.Stats(); s.Busy != 0 || s.Waiting != 0 || g.near.total != 0 || len(g.near.parties) != 0 {
			t.Errorf("in the end %+v, and %d near of %v, want nobody", s, g.near.total, g.near.parties)
		}
	})
}

func TestWhoWaitsAllTheTimeMakesARush(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := calm()
		leave := come(t, g, 1, 12) // more than can be worked on, fewer than may wait
		if g.TurnsAway(1) {
			t.Error("one of a burst was turned away")
		}
		time.Sleep(2 * standing) //nolint:forbidigo // in a synctest bubble
		if !g.TurnsAway(1) {
			t.Error("with many waiting all the time, more were let near than can be worked on")
		}
		leave()
	})
}

func TestAQuietPartyIsNotHurried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := New(4, time.Hour)
		leave := hold(t, g, Reading)
		for range 3 {
			hold(t, g, Reading)
		}
		for range 4 {
			go func() { _, _ = g.Enter(t.Context(), Reading, 1) }()
		}
		synctest.Wait()
		admitted := make(chan error, 1)
		time.Sleep(2 * standing) //nolint:forbidigo // in a synctest bubble
		go func() {
			_, err := g.Enter(t.Context(), Reading, 2)
			admitted <- err
		}()
		time.Sleep(time.Second) //nolint:forbidigo // in a synctest bubble
		leave()
		if err := <-admitted; err != nil {
			t.Errorf("who has no place was refused for others' crowd: %v", err)
		}
	})
}
