package store_test

import (
	"context"
	"errors"
	"net"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

func TestNewIDsAreNeverGivenTwice(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		two := []*store.Store{storetest.Open(t, store.Config{URL: url}), storetest.Open(t, store.Config{URL: url})}
		var (
			mu  sync.Mutex
			all []int64
			wg  sync.WaitGroup
		)
		for i := range 4 {
			wg.Go(func() {
				ids, err := two[i%2].NewIDs(t.Context(), 1700)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				all = append(all, ids...)
			})
		}
		wg.Wait()
		slices.Sort(all)
		if n := len(slices.Compact(all)); n != 4*1700 {
			t.Errorf("got %d different ids, want %d", n, 4*1700)
		}
	})
}

func TestOnce(t *testing.T) {
	t.Parallel()
	nothing := func() error { return nil }
	key := model.Once{Operation: "test", Key: "k1", Hash: [32]byte{1}}

	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		env := newEnvironment(t, s)

		first, err := store.Once(ctx, s, env, key, "a", nothing)
		if err != nil || first.Replayed || first.Value != "made a" {
			t.Fatalf("first call: %+v, %v", first, err)
		}
		second, err := store.Once(ctx, s, env, key, "b", nothing)
		if err != nil || !second.Replayed || second.Value != "made a" {
			t.Errorf("second call: %+v, %v; want the stored result", second, err)
		}
		if v, err := s.Fact(ctx, "b"); err != nil || v != "" {
			t.Errorf("the replayed call did its work: %q, %v", v, err)
		}

		other := key
		other.Hash = [32]byte{2}
		if _, err := store.Once(ctx, s, env, other, "c", nothing); model.KindOf(err) != model.KindKeyReused {
			t.Errorf("another input under the same key: %v, want %s", err, model.KindKeyReused)
		}

		actor := other
		actor.Actor = 7
		if out, err := store.Once(ctx, s, env, actor, "d", nothing); err != nil || out.Replayed {
			t.Errorf("another actor's call: %+v, %v; want its own", out, err)
		}

		failing := model.Once{Operation: "test", Key: "k2"}
		boom := errors.New("boom")
		if _, err := store.Once(ctx, s, env, failing, "e", func() error { return boom }); !errors.Is(err, boom) {
			t.Errorf("got %v, want boom", err)
		}
		if out, err := store.Once(ctx, s, env, failing, "e", nothing); err != nil || out.Replayed {
			t.Errorf("after a failure: %+v, %v; want the key to be free", out, err)
		}
	})
}

func TestOnceWithEqualCallsAtTheSameMoment(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		env := newEnvironment(t, s)
		key := model.Once{Operation: "test", Key: "race", Hash: [32]byte{3}}
		var (
			mu    sync.Mutex
			fresh int
			wg    sync.WaitGroup
		)
		for range 8 {
			wg.Go(func() {
				out, err := store.Once(t.Context(), s, env, key, "race", func() error { return nil })
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				if !out.Replayed {
					fresh++
				}
			})
		}
		wg.Wait()
		if fresh != 1 {
			t.Errorf("%d calls did the work, want 1", fresh)
		}
	})
}

func newEnvironment(t *testing.T, s *store.Store) model.EnvID {
	t.Helper()
	env, err := s.CreateEnvironment(t.Context(), "shop", model.Environment{Kind: model.EnvTest, UserAuth: model.AuthOpen, APIKey: "pk_test"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return env.ID
}

func TestConnectionsToADemotedServerAreLetGo(t *testing.T) {
	t.Parallel()
	storetest.OnPostgres(t, func(t *testing.T, url string) { // SQLite has no failover
		s := storetest.Open(t, store.Config{URL: url, MaxConns: 1})
		if err := store.Demote(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if _, err := s.SetFactOnce(t.Context(), "a", "1"); model.KindOf(err) != model.KindUnavailable {
			t.Errorf("writing over a connection that only reads: %v, want it to be unavailable", err)
		}
		if _, err := s.SetFactOnce(t.Context(), "a", "1"); err != nil {
			t.Errorf("writing once more: %v, want a new connection that writes", err)
		}
	})
}

func TestConnectionsThatLeadNowhereAreLetGo(t *testing.T) {
	t.Parallel()
	storetest.OnPostgres(t, func(t *testing.T, direct string) { // SQLite has no network
		hole := newHole(t, direct)
		s := storetest.Open(t, store.Config{URL: hole.url, MaxConns: 4})
		ping := func(within time.Duration) error {
			ctx, cancel := context.WithTimeout(t.Context(), within)
			defer cancel()
			_, err := s.Fact(ctx, "epoch")
			return err
		}
		var wg sync.WaitGroup // until there are several connections
		for range 16 {
			wg.Go(func() {
				if err := ping(time.Minute); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		hole.loseAll()
		if err := ping(100 * time.Millisecond); model.KindOf(err) != model.KindUnavailable {
			t.Errorf("reading over a connection that leads nowhere: %v, want it to be unavailable", err)
		}
		if err := ping(20 * time.Second); err != nil {
			t.Errorf("reading once more: %v, want a connection that works", err)
		}
	})
}

// hole stands before a PostgreSQL; it can lose the connections there are, so
// that they stay open and nothing passes.
type hole struct {
	url  string
	mu   sync.Mutex
	lost *atomic.Bool
}

func newHole(t *testing.T, direct string) *hole {
	t.Helper()
	u, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	target := u.Host
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	u.Host = l.Addr().String()
	h := &hole{url: u.String(), lost: new(atomic.Bool)}
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", target)
			if err != nil {
				near.Close()
				continue
			}
			h.mu.Lock()
			lost := h.lost
			h.mu.Unlock()
			go pass(far, near, lost)
			go pass(near, far, lost)
		}
	}()
	return h
}

func (h *hole) loseAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lost.Store(true)
	h.lost = new(atomic.Bool)
}

func pass(to, from net.Conn, lost *atomic.Bool) {
	defer to.Close()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		if lost.Load() {
			continue
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

func TestCloseWaitsForWhatWasCutShort(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		s, err := store.Open(t.Context(), store.Config{URL: url, MaxConns: 4})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		begun, ended := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(ended)
			_ = store.ReadLong(ctx, s, sync.OnceFunc(func() { close(begun) })) // it is cut short
		}()
		<-begun
		cancel()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if n := store.OpenConnections(s); n != 0 {
			t.Errorf("%d connections are open after the end", n)
		}
		<-ended
	})
}
