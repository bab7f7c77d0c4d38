package live_test

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"carillon/live"
	"carillon/live/livetest"
	"carillon/model"
)

func TestPublishOffersBeforeItReturns(t *testing.T) {
	t.Parallel()
	hub := live.NewHub(live.Config{}) // runs nowhere
	r := new(livetest.Recorder)
	defer hub.Watch(ada, r)()
	change := livetest.Change(1, 2, 3, &model.Content{Title: "x"})
	hub.Publish(t.Context(), change.Hint(), at(4))
	got := r.Hints()
	if len(got) != 2 || got[0].Change != change || got[1] != at(4) {
		t.Errorf("was offered %+v, want both hints, the first with the very change", got)
	}
}

// A bus that hangs costs its own goroutine half a second, then is left alone
// for a second.
func TestHangingBusHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, p *process) {
		p.bus.do(hung)
		r := p.watch(ada)
		began := time.Now()
		for seq := range int64(2900) {
			p.publish(at(seq + 1))
			pause(time.Millisecond)
		}
		p.db.Set(ada, 2900)
		if took := time.Since(began); took != 2900*time.Millisecond {
			t.Errorf("publishing took %s longer than without a bus", took-2900*time.Millisecond)
		}
		if got := len(r.Hints()); got != 2900 {
			t.Errorf("the watcher here was offered %d hints, want all 2900", got)
		}
		if n := len(p.bus.calls()); n != 2 {
			t.Errorf("in 2.9 s the hanging bus was called %d times, want 2", n)
		}
		if n := p.log.count(slog.LevelWarn); n != 1 {
			t.Errorf("logged %d warnings, want 1", n)
		}

		p.bus.do(nil)
		pause(2 * time.Second)
		p.publish(at(5000))
		synctest.Wait()
		if s := p.Stats(); s.Sent != 1 || s.Dropped != 2900 {
			t.Errorf("sent %d and dropped %d, want 1 and 2900", s.Sent, s.Dropped)
		}
		if n := p.log.count(slog.LevelInfo); n != 1 {
			t.Errorf("logged %d times that it works again, want once", n)
		}
	})
}

func TestOutboxIsBounded(t *testing.T) {
	t.Parallel()
	hub := live.NewHub(live.Config{}) // runs nowhere, so nothing leaves
	hints := make([]model.Hint, 1000)
	for range 20 {
		hub.Publish(t.Context(), hints...)
	}
	if s := hub.Stats(); s.Published != 20_000 || s.Dropped != 20_000-16<<10 {
		t.Errorf("of %d hints %d were dropped, want all but 16384", s.Published, s.Dropped)
	}
}

func TestWhatGathersIsSentTogetherInOrder(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, p *process) {
		var want []model.Hint
		for seq := range int64(3000) {
			want = append(want, at(seq))
		}
		p.publish(want...)
		synctest.Wait()
		if got := slices.Concat(p.bus.calls()...); !reflect.DeepEqual(got, want) {
			t.Errorf("the bus got %d hints, want the 3000 in order", len(got))
		}
		if n := len(p.bus.calls()); n != 3 {
			t.Errorf("the bus was called %d times, want 3", n)
		}
	})
}

func TestFailedCallIsNotRepeated(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, p *process) {
		p.bus.do(func(context.Context, []model.Hint) error { return errors.New("refused") })
		p.publish(at(1))
		synctest.Wait()
		p.bus.do(nil)
		pause(2 * time.Second)
		p.publish(at(2))
		synctest.Wait()
		if got, want := p.bus.calls(), [][]model.Hint{{at(1)}, {at(2)}}; !reflect.DeepEqual(got, want) {
			t.Errorf("the bus was called with %+v, want %+v", got, want)
		}
	})
}

func TestHintsOnTheirWayStayAsTheyAre(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, p *process) {
		p.bus.do(hung)
		p.publish(at(1))
		pause(time.Millisecond)
		p.publish(at(2)) // waits, and is thrown away with the first
		pause(2 * time.Second)

		var got []model.Hint
		p.bus.do(func(_ context.Context, hints []model.Hint) error {
			pause(100 * time.Millisecond)
			got = append(got, hints...)
			return nil
		})
		want := []model.Hint{at(3), at(4), at(5), at(6)}
		for _, h := range want {
			p.publish(h)
			pause(60 * time.Millisecond)
		}
		pause(time.Second)
		synctest.Wait()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("the bus was given %+v, want %+v", got, want)
		}
	})
}

func TestShutdownLetsTheLastHintsOut(t *testing.T) {
	t.Parallel()
	for range 20 { // which of two things the hub notices first is chance
		bubble(t, func(t *testing.T, p *process) {
			p.bus.do(func(context.Context, []model.Hint) error {
				pause(time.Millisecond)
				return nil
			})
			p.publish(at(1))
			synctest.Wait() // it is on its way
			p.publish(at(2), at(3))
			p.stop()
			if got := slices.Concat(p.bus.calls()...); len(got) != 3 {
				t.Errorf("the bus got %+v, want all three hints", got)
			}
			p.publish(at(4))
			if s := p.Stats(); s.Sent != 3 || s.Dropped != 1 {
				t.Errorf("with one hint after the end, sent %d and dropped %d, want 3 and 1", s.Sent, s.Dropped)
			}
		})
	}
}

func TestBusHearsOfFirstAndLastWatcher(t *testing.T) {
	t.Parallel()
	bus := new(fakeBus)
	hub := live.NewHub(live.Config{Bus: bus})
	var cancels []func()
	for range 5 {
		cancels = append(cancels, hub.Watch(ada, new(livetest.Recorder)))
	}
	if n := bus.watched[ada]; n != 1 {
		t.Errorf("with five watchers the bus counts %d, want 1", n)
	}
	for _, cancel := range cancels {
		if n := bus.watched[ada]; n != 1 {
			t.Errorf("before the last has left the bus counts %d, want 1", n)
		}
		cancel()
		cancel()
	}
	if n := bus.watched[ada]; n != 0 {
		t.Errorf("without watchers the bus counts %d, want 0", n)
	}
	if s := hub.Stats(); s.Watchers != 0 || s.Keys != 0 {
		t.Errorf("%d watchers of %d keys are left, want none", s.Watchers, s.Keys)
	}
}

// offer is a watcher that is a function.
type offer func(model.Hint)

func (f offer) Offer(h model.Hint) { f(h) }

func TestWatcherMayCancelFromWithinOffer(t *testing.T) {
	t.Parallel()
	hub := live.NewHub(live.Config{})
	var self, other func()
	var heard []string
	self = hub.Watch(ada, offer(func(model.Hint) {
		heard = append(heard, "self")
		self()
		other()
	}))
	other = hub.Watch(ada, offer(func(model.Hint) { heard = append(heard, "other") }))
	defer hub.Watch(ada, offer(func(model.Hint) { heard = append(heard, "third") }))()
	hub.Publish(t.Context(), at(1), at(2))
	if want := []string{"self", "third", "third"}; !slices.Equal(heard, want) {
		t.Errorf("heard %v, want %v", heard, want)
	}
}

func TestWatchersOfAKeyHearOneHintAfterTheOther(t *testing.T) {
	t.Parallel()
	hub := live.NewHub(live.Config{})
	var inside, heard atomic.Int64
	defer hub.Watch(ada, offer(func(model.Hint) {
		if inside.Add(1) > 1 {
			t.Error("two hints of one key were offered at the same time")
		}
		runtime.Gosched()
		heard.Add(1)
		inside.Add(-1)
	}))()
	var busy sync.WaitGroup
	for range 8 {
		busy.Go(func() {
			for seq := range int64(200) {
				hub.Publish(t.Context(), at(seq))
			}
		})
	}
	busy.Wait()
	if heard.Load() != 1600 {
		t.Errorf("heard %d hints, want 1600", heard.Load())
	}
}

// One slow watcher delays its own key and nobody else.
func TestOfferHoldsUpItsOwnKeyOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := live.NewHub(live.Config{})
		release := make(chan struct{})
		defer hub.Watch(ada, offer(func(model.Hint) { <-release }))()
		go hub.Publish(t.Context(), at(1))
		synctest.Wait()
		for u := range model.UserID(1000) { // some of them share a lock with it
			key := model.InboxKey(9, u)
			r := new(livetest.Recorder)
			cancel := hub.Watch(key, r)
			hub.Publish(t.Context(), model.Hint{Key: key, Seq: 1})
			cancel()
			if !r.Has(1) {
				t.Fatalf("%+v was not offered its hint", key)
			}
		}
		hub.Watch(ada, new(livetest.Recorder))()
		close(release)
		synctest.Wait()
	})
}

func TestManyWatchersOfOneKeyComeAndGo(t *testing.T) {
	t.Parallel()
	hub := live.NewHub(live.Config{})
	const n = 2000
	recorders, cancels := make([]livetest.Recorder, n), make([]func(), n)
	for i := range n {
		cancels[i] = hub.Watch(ada, &recorders[i])
	}
	for i := 0; i < n; i += 2 {
		cancels[i]()
	}
	hub.Publish(t.Context(), at(1))
	for i := range n {
		if got, want := len(recorders[i].Hints()), i%2; got != want {
			t.Fatalf("watcher %d was offered %d hints, want %d", i, got, want)
		}
	}
}
