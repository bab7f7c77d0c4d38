package live_test

import (
	"context"
	"log/slog"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"carillon/live"
	"carillon/live/livetest"
	"carillon/model"
)

// pass waits for the next comparison.
func pass() {
	pause(live.DefaultHeal)
	synctest.Wait()
}

func TestLostHintIsOfferedOnce(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, p *process) {
		r := p.watch(ada)
		p.publish(at(4))
		p.db.Set(ada, 5)
		pass()
		pass()
		pass()
		if got, want := r.Hints(), []model.Hint{at(4), at(5)}; !reflect.DeepEqual(got, want) {
			t.Errorf("was offered %+v, want %+v", got, want)
		}
		if s := p.Stats(); s.Healed != 1 {
			t.Errorf("healed %d hints, want 1", s.Healed)
		}
	})
}

func TestWhatWasPublishedIsNotHealed(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, p *process) {
		r := p.watch(ada)
		p.publish(at(4))
		p.db.Set(ada, 4)
		pass()
		if got, want := r.Seqs(), []int64{4}; !slices.Equal(got, want) {
			t.Errorf("was offered %v, want %v", got, want)
		}
	})
}

// TestWatchersOfDeliveriesAreReminded is about a key that cannot be compared:
// who watches it looks for itself.
func TestWatchersOfDeliveriesAreReminded(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, p *process) {
		key := model.DeliveriesKey(1)
		r := p.watch(key)
		p.publish(model.Hint{Key: key, Seq: 7})
		pass()
		pass()
		if got, want := r.Seqs(), []int64{7, 0, 0}; !slices.Equal(got, want) {
			t.Errorf("was offered %v, want %v", got, want)
		}
	})
}

func TestFirstWatcherOfAKeyIsToldWhereItIs(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, p *process) {
		p.db.Set(ada, 9)
		first := p.watch(ada)
		never := p.watch(model.InboxKey(1, 3)) // at 0: nothing to tell
		pass()
		second := p.watch(ada)
		pass()
		if !slices.Equal(first.Seqs(), []int64{9}) || len(second.Seqs()) > 0 || len(never.Seqs()) > 0 {
			t.Errorf("offered %v to the first, %v to the second, %v to one of an empty inbox; want [9], none, none",
				first.Seqs(), second.Seqs(), never.Seqs())
		}
	})
}

// A hint that arrives while the database is asked knows more than the answer.
func TestOldAnswerDoesNotUndoAHint(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := &slowDatabase{asked: make(chan struct{}), answer: make(chan int64)}
		hub := live.NewHub(live.Config{Heads: db, Log: slog.New(slog.DiscardHandler)})
		r := new(livetest.Recorder)
		defer hub.Watch(ada, r)()
		ctx, cancel := context.WithCancel(t.Context())
		go hub.Run(ctx)
		<-db.asked
		hub.Publish(ctx, at(5), at(6))
		db.answer <- 5
		<-db.asked // the next pass
		db.answer <- 6
		synctest.Wait()
		if got, want := r.Hints(), []model.Hint{at(5), at(6)}; !reflect.DeepEqual(got, want) {
			t.Errorf("was offered %+v, want %+v", got, want)
		}
		cancel()
	})
}

type slowDatabase struct {
	asked  chan struct{}
	answer chan int64
}

func (d *slowDatabase) Heads(ctx context.Context, _ []model.LiveKey) (map[model.LiveKey]int64, error) {
	select {
	case d.asked <- struct{}{}:
		return map[model.LiveKey]int64{ada: <-d.answer}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func TestKeyThatNoLongerExistsIsGone(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, p *process) {
		r := p.watch(ada)
		p.db.Delete(ada)
		pass()
		if got := r.Hints(); len(got) != 1 || !got[0].Gone {
			t.Errorf("was offered %+v, want one hint that says gone", got)
		}
	})
}

func TestDatabaseThatWentBackIsTold(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, p *process) {
		send := model.SendKey(1, 3)
		r, s := p.watch(ada), p.watch(send)
		p.publish(at(100), model.Hint{Key: send, Seq: 100})
		p.db.Set(ada, 40)
		p.db.Set(send, 40) // whose number promises no order
		pass()
		pass()
		p.db.Set(ada, 41)
		pass()
		back := at(40)
		back.Rewound = true
		if got, want := r.Hints(), []model.Hint{at(100), back, at(41)}; !reflect.DeepEqual(got, want) {
			t.Errorf("was offered %+v, want %+v", got, want)
		}
		if got, want := s.Hints()[1:], []model.Hint{{Key: send, Seq: 40}}; !reflect.DeepEqual(got, want) {
			t.Errorf("the watcher of a send was offered %+v, want %+v", got, want)
		}
		if n := p.log.count(slog.LevelWarn); n != 1 {
			t.Errorf("logged %d warnings, want 1", n)
		}
	})
}

func TestDatabaseThatIsAwayIsLoggedOnce(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, p *process) {
		r := p.watch(ada)
		p.db.Set(ada, 3)
		p.db.SetAway(true)
		for range 20 {
			pass()
		}
		if warned, s := p.log.count(slog.LevelWarn), p.Stats(); warned != 1 || s.Failed != 20 {
			t.Errorf("logged %d warnings and counted %d failures, want 1 and 20", warned, s.Failed)
		}
		p.db.SetAway(false)
		pass()
		if !r.Has(3) || p.log.count(slog.LevelInfo) != 1 {
			t.Errorf("with the database back, offered %v and logged %d lines, want [3] and one", r.Seqs(), p.log.count(slog.LevelInfo))
		}
	})
}

func TestBusThatWasAwayIsHealedAtOnce(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, p *process) {
		r := p.watch(ada)
		p.db.Set(ada, 8)
		p.bus.to.Resync()
		synctest.Wait()
		if !r.Has(8) {
			t.Fatalf("offered %v at the resync, want 8", r.Seqs())
		}
		before := len(p.db.Asked())
		for range 1000 { // a link that flaps
			p.bus.to.Resync()
			pause(time.Millisecond)
		}
		if asked := len(p.db.Asked()) - before; asked > 11 {
			t.Errorf("in a second of resyncs the database was asked %d times, want at most 11", asked)
		}
	})
}

func TestDatabaseIsAskedInBatchesAndOnlyForWhatIsWatched(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, p *process) {
		pass()
		if asked := p.db.Asked(); len(asked) != 0 {
			t.Fatalf("asked for %v while nothing was watched", asked)
		}
		const keys = 12_000
		want := make(map[model.LiveKey]bool)
		for u := range model.UserID(keys) {
			p.watch(model.InboxKey(1, u))
			want[model.InboxKey(1, u)] = true
		}
		pass()
		var sizes []int
		for _, batch := range p.db.Asked() {
			sizes = append(sizes, len(batch))
			for _, k := range batch {
				delete(want, k)
			}
		}
		if !slices.Equal(sizes, []int{5000, 5000, 2000}) || len(want) > 0 {
			t.Errorf("asked for batches of %v, and never for %d keys; want 5000, 5000, 2000, and every key", sizes, len(want))
		}
	})
}
