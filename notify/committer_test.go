package notify_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"carillon/model"
	"carillon/notify"
	"carillon/store"
	"carillon/user"
)

// troubledStore is a store that can be held up, and fails sends with a title.
type troubledStore struct {
	*store.Store
	gate   chan struct{} // until it is closed, saves wait
	held   string        // only saves of a send with this title wait; empty: all
	poison string        // a save of a send with this title fails with err
	err    error
	mu     sync.Mutex
	sizes  []int // how many sends each save had
}

func (s *troubledStore) SaveSends(ctx context.Context, sends []model.PendingSend) ([]model.SavedSend, []*model.InboxChange, error) {
	s.mu.Lock()
	s.sizes = append(s.sizes, len(sends))
	s.mu.Unlock()
	has := func(title string) bool {
		return slices.ContainsFunc(sends, func(p model.PendingSend) bool { return p.Send.Content.Title == title })
	}
	if s.held == "" || has(s.held) {
		<-s.gate
	}
	if has(s.poison) {
		return nil, nil, s.err
	}
	return s.Store.SaveSends(ctx, sends)
}

func (s *troubledStore) saves() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.sizes)
}

// troubled is a service on a store that fails sends entitled "poison" with err,
// and whose saves wait until the returned function is called.
func (f *fixture) troubled(t *testing.T, err error) (*notify.Service, *troubledStore, func()) {
	t.Helper()
	ts := &troubledStore{Store: f.store, gate: make(chan struct{}), poison: "poison", err: err}
	s := &notify.Service{Store: ts, Users: &user.Service{Store: f.store, Live: f.hub}, Catalog: f.catalog, Live: f.hub, Now: f.clock.Now, Log: slog.New(slog.DiscardHandler), MaxQueue: 8, Patience: time.Hour}
	t.Cleanup(s.Close)
	var once sync.Once
	open := func() { once.Do(func() { close(ts.gate) }) }
	t.Cleanup(open)
	return s, ts, open
}

// eventually waits for something that another goroutine does.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen within 10 s", what)
		}
		<-time.After(2 * time.Millisecond)
	}
}

func TestWaitingSendsShareATransaction(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.users(t, "ada")
		s, ts, open := f.troubled(t, nil)
		var wg sync.WaitGroup
		send := func() {
			wg.Go(func() {
				if _, err := s.Send(t.Context(), f.env, hello("ada")); err != nil {
					t.Error(err)
				}
			})
		}
		send()
		eventually(t, "the first save", func() bool { return len(ts.saves()) == 1 })
		for range 5 {
			send()
		}
		eventually(t, "the queue", func() bool { return s.Waiting() == 5 })
		open()
		wg.Wait()
		if got := ts.saves(); !slices.Equal(got, []int{1, 5}) {
			t.Errorf("saved %v sends at a time, want 1 and then the 5 that waited", got)
		}
		hints := f.hub.hints()
		if len(hints) != 2 || hints[1].Seq != 2 || len(hints[1].Change.Added) != 5 {
			t.Fatalf("hints %+v; want the five in one step of the inbox", hints)
		}
		if !slices.IsSortedFunc(hints[1].Change.Added, func(a, b model.Notification) int { return int(b.ID - a.ID) }) {
			t.Error("the five are not newest first")
		}
		f.noDrift(t)
	})
}

func TestEqualSendsDoNotShareATransaction(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.users(t, "ada")
		s, ts, open := f.troubled(t, nil)
		var wg sync.WaitGroup
		send := func(key string) {
			wg.Go(func() {
				if _, err := s.Send(t.Context(), f.env, keyed(hello("ada"), key, 1)); err != nil {
					t.Error(err)
				}
			})
		}
		send("first")
		eventually(t, "the first save", func() bool { return len(ts.saves()) == 1 })
		for _, key := range []string{"same", "same", "same", "other"} {
			send(key)
		}
		eventually(t, "the queue", func() bool { return s.Waiting() == 4 })
		open()
		wg.Wait()
		if got := ts.saves(); !slices.Equal(got, []int{1, 2}) {
			t.Errorf("saved %v sends at a time, want 1 and then one of each key", got)
		}
		f.noDrift(t)
	})
}

func TestFullQueueRefuses(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.users(t, "ada")
		s, ts, open := f.troubled(t, nil)
		var wg sync.WaitGroup
		for i := range 9 {
			wg.Go(func() {
				if _, err := s.Send(t.Context(), f.env, hello("ada")); err != nil {
					t.Error(err)
				}
			})
			if i == 0 {
				eventually(t, "the first save", func() bool { return len(ts.saves()) == 1 })
			}
		}
		eventually(t, "a full queue", func() bool { return s.Waiting() == 8 })
		_, err := s.Send(t.Context(), f.env, hello("ada"))
		e, ok := errors.AsType[*model.Error](err)
		if !ok || e.Kind != model.KindUnavailable || e.RetryAfter <= 0 {
			t.Errorf("got %v, want %s with a time to come back", err, model.KindUnavailable)
		}
		open()
		wg.Wait()
	})
}

func TestBadSendFailsAlone(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.users(t, "ada")
		s, ts, open := f.troubled(t, errors.Join(errors.New("no"), model.ErrNotSaved))
		errs := sendTogether(t, f, s, ts, open, "good", "poison", "fine")
		if errs["good"] != nil || errs["fine"] != nil || errs["poison"] == nil {
			t.Errorf("errors %v, want one for the bad send only", errs)
		}
		if n := f.count(t, "select count(*) from notifications"); n != 3 {
			t.Errorf("%d notifications, want those of the first and of the two good sends", n)
		}
		f.noDrift(t)
	})
}

func TestUncertainBatchIsNotTriedAgain(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.users(t, "ada")
		lost := &model.Error{Kind: model.KindUnavailable, Message: "connection lost"}
		s, ts, open := f.troubled(t, lost)
		errs := sendTogether(t, f, s, ts, open, "good", "poison", "fine")
		for title, err := range errs {
			if model.KindOf(err) != model.KindUnavailable {
				t.Errorf("%s: %v, want %s", title, err, model.KindUnavailable)
			}
		}
		if got := ts.saves(); len(got) != 2 {
			t.Errorf("saves of %v sends; a batch that may be in the database was tried again", got)
		}
	})
}

// sendTogether has sends with these titles share a transaction.
func sendTogether(t *testing.T, f *fixture, s *notify.Service, ts *troubledStore, open func(), titles ...string) map[string]error {
	t.Helper()
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		errs = make(map[string]error)
	)
	send := func(title string) {
		wg.Go(func() {
			req := hello("ada")
			req.Content.Title = title
			_, err := s.Send(t.Context(), f.env, req)
			mu.Lock()
			defer mu.Unlock()
			if title != "first" {
				errs[title] = err
			}
		})
	}
	send("first")
	eventually(t, "the first save", func() bool { return len(ts.saves()) == 1 })
	for _, title := range titles {
		send(title)
	}
	eventually(t, "the queue", func() bool { return s.Waiting() == len(titles) })
	open()
	wg.Wait()
	return errs
}

func TestSlowSendDoesNotHoldUpOthers(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.users(t, "ada", "bob")
		s, ts, open := f.troubled(t, nil)
		s.Patience, ts.held = 10*time.Millisecond, "slow"
		var wg sync.WaitGroup
		wg.Go(func() {
			slow := hello("ada")
			slow.Content.Title = "slow"
			if _, err := s.Send(t.Context(), f.env, slow); err != nil {
				t.Error(err)
			}
		})
		eventually(t, "the slow save", func() bool { return len(ts.saves()) == 1 })
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if _, err := s.Send(ctx, f.env, hello("bob")); err != nil {
				t.Error(err)
			}
		}
		open()
		wg.Wait()
		f.noDrift(t)
	})
}

func TestWithdrawnSend(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.users(t, "ada")
		s, ts, open := f.troubled(t, nil)
		begun, cancelBegun := context.WithCancel(t.Context())
		waiting, cancelWaiting := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := s.Send(begun, f.env, hello("ada")); err != nil {
				t.Errorf("a send whose transaction had begun: %v, want its result", err)
			}
		})
		eventually(t, "the first save", func() bool { return len(ts.saves()) == 1 })
		wg.Go(func() {
			if _, err := s.Send(waiting, f.env, hello("ada")); !errors.Is(err, context.Canceled) {
				t.Errorf("a send that still waited: %v, want %v", err, context.Canceled)
			}
		})
		eventually(t, "the queue", func() bool { return s.Waiting() == 1 })
		cancelWaiting()
		eventually(t, "the withdrawal", func() bool { return s.Waiting() == 0 })
		cancelBegun()
		open()
		wg.Wait()
		if n := f.count(t, "select count(*) from notifications"); n != 1 {
			t.Errorf("%d notifications, want 1", n)
		}
	})
}

func TestHangingDatabaseDoesNotHoldCallersBeyondTheirTime(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.users(t, "ada")
		s, ts, open := f.troubled(t, nil)
		req := keyed(hello("ada"), "k1", 1)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		begun := time.Now()
		_, err := s.Send(ctx, f.env, req)
		e, ok := errors.AsType[*model.Error](err)
		if !ok || e.Kind != model.KindUnavailable || e.RetryAfter <= 0 || len(ts.saves()) != 1 {
			t.Errorf("got %v after %v saves, want %s", err, ts.saves(), model.KindUnavailable)
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if out, err := s.Send(t.Context(), f.env, req); err != nil || !out.Replayed {
				t.Errorf("tried again with the key: %+v, %v; want what became of the first", out, err)
			}
		})
		eventually(t, "the queue", func() bool { return s.Waiting() == 1 })
		open()
		wg.Wait()
		f.noDrift(t)
	})
}

func TestCloseSavesWhatWaits(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.users(t, "ada")
		s, ts, open := f.troubled(t, nil)
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				if _, err := s.Send(t.Context(), f.env, hello("ada")); err != nil {
					t.Error(err)
				}
			})
			if i == 0 {
				eventually(t, "the first save", func() bool { return len(ts.saves()) == 1 })
			}
		}
		eventually(t, "the queue", func() bool { return s.Waiting() == 3 })
		wg.Go(s.Close)
		eventually(t, "the end of accepting", func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond) // when it is accepted after all, it is withdrawn
			defer cancel()
			_, err := s.Send(ctx, f.env, hello("ada"))
			return model.KindOf(err) == model.KindUnavailable
		})
		open()
		wg.Wait()
		if n := f.count(t, "select count(*) from notifications"); n != 4 {
			t.Errorf("%d notifications, want 4", n)
		}
	})
}

// TestManySendersShareInboxes lets senders in two processes reach overlapping
// users: nothing deadlocks, counters are exact, and the changes of an inbox
// hold each of its notifications once, in an unbroken row of seqs.
func TestManySendersShareInboxes(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		names := make([]string, 12)
		for i := range names {
			names[i] = fmt.Sprintf("user-%d", i)
		}
		f.users(t, names...)
		services := []*notify.Service{f.Service, f.another(t)}
		const senders, each = 16, 15
		var (
			wg   sync.WaitGroup
			mu   sync.Mutex
			sent int64
		)
		for i := range senders {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(i), 7))
				for n := range each {
					to := slices.Clone(names)
					r.Shuffle(len(to), func(a, b int) { to[a], to[b] = to[b], to[a] })
					to = to[:1+r.IntN(len(to))]
					req := hello(to...)
					if n%3 == 0 {
						req = keyed(req, fmt.Sprintf("%d-%d", i, n), 1)
					}
					if _, err := services[i%2].Send(t.Context(), f.env, req); err != nil {
						t.Errorf("sending: %v", err)
						return
					}
					mu.Lock()
					sent += int64(len(to))
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if n := f.count(t, "select count(*) from notifications"); n != sent {
			t.Errorf("%d notifications, want %d", n, sent)
		}
		f.noDrift(t)

		bySeq := make(map[model.UserID]map[int64]*model.InboxChange)
		seen := make(map[model.NotificationID]bool)
		for _, h := range f.hub.hints() {
			if bySeq[h.Change.User] == nil {
				bySeq[h.Change.User] = make(map[int64]*model.InboxChange)
			}
			bySeq[h.Change.User][h.Seq] = h.Change
			for _, n := range h.Change.Added {
				if seen[n.ID] {
					t.Errorf("notification %d was published twice", n.ID)
				}
				seen[n.ID] = true
			}
		}
		if int64(len(seen)) != sent {
			t.Errorf("%d notifications were published, want %d", len(seen), sent)
		}
		for user, changes := range bySeq {
			total := int64(0)
			for seq := int64(1); seq <= int64(len(changes)); seq++ {
				c := changes[seq]
				if c == nil {
					t.Fatalf("user %d: no change with seq %d of %d", user, seq, len(changes))
				}
				if total += int64(len(c.Added)); c.Counters.Total != total {
					t.Errorf("user %d at seq %d: total %d, want %d", user, seq, c.Counters.Total, total)
				}
			}
		}
	})
}

func TestUsersAreDeletedWhileTheyAreSentTo(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.users(t, "ada")
		people := &user.Service{Store: f.store, Live: f.hub}
		const rounds = 30
		var wg sync.WaitGroup
		wg.Go(func() {
			for range rounds {
				if _, err := people.IdentifyMany(t.Context(), f.env.ID, model.Once{}, []model.IdentifyInput{{Identifier: "x"}, {Identifier: "y"}}); err != nil {
					t.Errorf("identifying: %v", err)
				}
				for _, name := range []string{"y", "x"} {
					if _, err := people.Delete(t.Context(), f.env.ID, model.Once{}, name); err != nil {
						t.Errorf("deleting: %v", err)
					}
				}
			}
		})
		var done atomic.Int64
		for range 4 {
			wg.Go(func() {
				for range rounds {
					out, err := f.Send(t.Context(), f.env, hello("x", "ada", "y"))
					if err != nil {
						t.Errorf("sending: %v", err)
						return
					}
					done.Add(out.Value.Send.Progress.Done)
				}
			})
		}
		wg.Wait()
		if n := f.count(t, "select total from inboxes"); n != 4*rounds {
			t.Errorf("ada has %d items, want one of each of the %d sends", n, 4*rounds)
		}
		if n := f.count(t, "select cast(sum(done) as bigint) from sends"); n != done.Load() {
			t.Errorf("the sends say %d were done, the answers %d", n, done.Load())
		}
		f.noDrift(t)
	})
}
