package shed

import (
	"testing"
	"testing/synctest"
	"time"
)

// come brings n of a party near, and returns what has them go again.
func come(t *testing.T, g *Gate, party int64, n int) (leave func()) {
	t.Helper()
	all := make([]func(), 0, n)
	for i := range n {
		leave, ok := g.Approach(party)
		if !ok {
			t.Fatalf("the %d. of party %d was turned away", i+1, party)
		}
		all = append(all, leave)
	}
	return func() {
		for _, leave := range all {
			leave()
		}
	}
}

func turnedAway(g *Gate, party int64) bool {
	leave, ok := g.Approach(party)
	if ok {
		leave()
	}
	return !ok
}

func TestARushIsTurnedAwayBeforeAnythingIsDone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := New(4, time.Hour)
		leave := come(t, g, 1, 17)
		if !turnedAway(g, 1) {
			t.Error("one was let near beside four times as many as can be worked on")
		}
		if turnedAway(g, 2) {
			t.Error("a party was turned away for what another asks")
		}
		if n := g.Stats().Refused[Reading]; n != 1 {
			t.Errorf("%d are counted as refused, want 1", n)
		}
		leave()
		if turnedAway(g, 1) {
			t.Error("one was turned away although nobody is near")
		}
		leave = come(t, g, 1, 8)
		if !turnedAway(g, 1) {
			t.Error("in a rush more were let near than there are places, and a few")
		}
		leave()
		time.Sleep(2 * rushOver) //nolint:forbidigo // in a synctest bubble
		come(t, g, 1, 17)()
	})
}

func TestWhoWaitsAllTheTimeMakesARush(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := New(4, time.Hour)
		g.room.usual = time.Hour // so nobody hurries away
		for range 4 {
			if hold(t, g, Reading) == nil {
				t.Fatal("a place was not to be had")
			}
		}
		go func() { _, _ = g.Enter(t.Context(), Reading, 1) }()
		synctest.Wait()
		leave := come(t, g, 1, 8) // as many as there are places, and a few
		if turnedAway(g, 1) {
			t.Error("one of a burst was turned away")
		}
		time.Sleep(2 * standing) //nolint:forbidigo // in a synctest bubble
		if !turnedAway(g, 1) {
			t.Error("with somebody waiting all the time, more were let near than can be worked on")
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
