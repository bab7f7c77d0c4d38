package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

// eventually waits until is holds.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for late := time.After(10 * time.Second); !is(); {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("not within ten seconds: %s", what)
		}
	}
}

// endsInTime calls with a context that ends at once, nearly, while another call
// waits for the database that does not give a connection.
func endsInTime(t *testing.T, call func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- call(ctx) }()
	select {
	case err := <-done:
		if model.KindOf(err) != model.KindUnavailable {
			t.Errorf("got %v, want it to be unavailable", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("five seconds after its time was up the call had not returned")
	}
}

func TestReadsEndInTimeWhileAnotherPrepares(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		s := storetest.Open(t, store.Config{URL: url, MaxConns: 1})
		env := newEnvironment(t, s)
		ada := storetest.User(t, s, env, "ada")
		counters := func(ctx context.Context) error {
			_, _, err := s.InboxCounters(ctx, env, ada)
			return err
		}
		if err := counters(t.Context()); err != nil { // its statement is prepared
			t.Fatal(err)
		}
		release, err := store.HoldReader(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		waited, other := store.WaitsForReader(s), make(chan error, 1)
		go func() {
			_, err := s.Changes(t.Context(), env, ada, 0) // its is not
			other <- err
		}()
		eventually(t, "the other call waits for a connection", func() bool { return store.WaitsForReader(s) > waited })
		endsInTime(t, counters)
		if err := release(); err != nil {
			t.Fatal(err)
		}
		if err := <-other; err != nil {
			t.Errorf("the other call: %v, want it to go on", err)
		}
	})
}

func TestNewIDsEndsInTimeWhileAnotherTakesABlock(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		s := storetest.Open(t, store.Config{URL: url, MaxConns: 1})
		take := func(ctx context.Context) error {
			_, err := s.NewIDs(ctx, 5000)
			return err
		}
		release, err := store.HoldWriter(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		waited, other := store.WaitsForWriter(s), make(chan error, 1)
		go func() { other <- take(t.Context()) }()
		eventually(t, "the other call waits for a connection", func() bool { return store.WaitsForWriter(s) > waited })
		endsInTime(t, take)
		if err := release(); err != nil {
			t.Fatal(err)
		}
		if err := <-other; err != nil {
			t.Errorf("the other call: %v, want it to go on", err)
		}
	})
}

// withLockTimeout has every wait for a lock of PostgreSQL end soon.
func withLockTimeout(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("lock_timeout", "200ms")
	u.RawQuery = q.Encode()
	return u.String()
}

// A call whose key is that of a call that runs waits for it and has its
// result, or hears that it has another input. When that takes too long it is
// told that the other one is running, whatever the two would have waited for.
func TestOnceWhileTheSameKeyIsRunning(t *testing.T) {
	t.Parallel()
	storetest.OnPostgres(t, func(t *testing.T, url string) {
		s, hasty := storetest.Open(t, store.Config{URL: url}), storetest.Open(t, store.Config{URL: withLockTimeout(t, url)})
		env := newEnvironment(t, s)
		key := func(hash byte) model.Once { return model.Once{Operation: "test", Key: "race", Hash: [32]byte{hash}} }
		nothing := func() error { return nil }
		type result struct {
			out model.Outcome[string]
			err error
		}
		same, other := make(chan result, 1), make(chan result, 1)
		_, err := store.Once(t.Context(), s, env, key(1), "first", func() error {
			ada := storetest.User(t, s, env, "ada")
			if _, err := store.Once(t.Context(), hasty, env, key(1), "second", nothing); model.KindOf(err) != model.KindKeyInProgress {
				t.Errorf("a change while the first runs: %v, want %s", err, model.KindKeyInProgress)
			}
			if _, _, err := storetest.TrySend(t, hasty, env, storetest.Sent{Title: "x", Once: key(1)}, ada); model.KindOf(err) != model.KindKeyInProgress {
				t.Errorf("a send while the first runs: %v, want %s", err, model.KindKeyInProgress)
			}
			waiting := store.WritersInUse(s)
			for hash, to := range map[byte]chan result{1: same, 2: other} {
				go func() {
					out, err := store.Once(t.Context(), s, env, key(hash), "third", nothing)
					to <- result{out, err}
				}()
			}
			eventually(t, "two calls wait", func() bool { return store.WritersInUse(s) == waiting+2 })
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if r := <-same; r.err != nil || !r.out.Replayed || r.out.Value != "made first" {
			t.Errorf("the same input: %+v, want the first result", r)
		}
		if r := <-other; model.KindOf(r.err) != model.KindKeyReused {
			t.Errorf("another input: %+v, want %s", r, model.KindKeyReused)
		}
	})
}

// deleting begins to delete a user of a PostgreSQL database. finish waits until
// somebody waits for that, and commits.
func deleting(t *testing.T, url string, env model.EnvID, identifier string) (finish func()) {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback() })
	var pid int
	if err := tx.QueryRow("select pg_backend_pid()").Scan(&pid); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(fmt.Sprintf("delete from users where env_id = %d and identifier = '%s'", env, identifier)); err != nil {
		t.Fatal(err)
	}
	return func() {
		eventually(t, "somebody waits for the deletion", func() bool {
			var n int
			if err := db.QueryRow("select count(*) from pg_stat_activity where $1 = any(pg_blocking_pids(pid))", pid).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n > 0
		})
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSubscribingAUserWhoIsBeingDeleted(t *testing.T) {
	t.Parallel()
	storetest.OnPostgres(t, func(t *testing.T, url string) {
		s := storetest.Open(t, store.Config{URL: url})
		env := newEnvironment(t, s)
		storetest.User(t, s, env, "ada")
		storetest.User(t, s, env, "bob")
		if _, err := s.CreateTopic(t.Context(), env, model.Once{}, "news", "News", model.TopicDetails{}); err != nil {
			t.Fatal(err)
		}
		finish := deleting(t, url, env, "ada")
		type result struct {
			out model.Outcome[model.TopicChange]
			err error
		}
		done := make(chan result, 1)
		go func() {
			out, err := s.SubscribeToTopic(t.Context(), env, model.Once{}, "news", members("ada", "bob"))
			done <- result{out, err}
		}()
		finish()
		if r := <-done; r.err != nil || r.out.Value.Changed != 1 || !slices.Equal(r.out.Value.NotFound, []string{"ada"}) {
			t.Errorf("got %+v, %v; want bob on the topic, and ada unknown", r.out.Value, r.err)
		}
	})
}

func TestATransactionThatRanOutOfTimeIsUnavailable(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		env := newEnvironment(t, s)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := store.Once(ctx, s, env, model.Once{}, "late", func() error {
			<-ctx.Done()
			eventually(t, "the transaction is rolled back", func() bool { return store.WritersInUse(s) == 0 })
			return nil
		})
		if model.KindOf(err) != model.KindUnavailable {
			t.Errorf("got %v, want it to be unavailable", err)
		}
		if v, err := s.Fact(t.Context(), "late"); v != "" || err != nil {
			t.Errorf("the change is there: %q, %v", v, err)
		}
	})
}

func TestATransactionThatKeepsLosingIsUnavailable(t *testing.T) {
	t.Parallel()
	storetest.OnPostgres(t, func(t *testing.T, address string) {
		s := storetest.Open(t, store.Config{URL: address})
		env, tries := newEnvironment(t, s), 0
		_, err := store.Once(t.Context(), s, env, model.Once{}, "loser", func() error {
			tries++
			return &pgconn.PgError{Code: "40P01"}
		})
		if model.KindOf(err) != model.KindUnavailable || tries < 2 {
			t.Errorf("after %d tries: %v, want it to be tried again and then to be unavailable", tries, err)
		}
	})
}

func TestADatabaseThatCannotBeOpenedIsUnavailable(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, address string) {
		s := storetest.Open(t, store.Config{URL: address})
		driver, nowhere := "sqlite", filepath.Join(t.TempDir(), "missing", "file.db")
		if store.IsPostgres(address) {
			u, err := url.Parse(address)
			if err != nil {
				t.Fatal(err)
			}
			u.Path = "/there_is_no_such_database"
			driver, nowhere = "pgx", u.String()
		}
		db, err := sql.Open(driver, nowhere)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err = db.ExecContext(t.Context(), "select 1"); err == nil {
			t.Fatal("it could be opened")
		}
		if err := store.Fail(s, err); model.KindOf(err) != model.KindUnavailable {
			t.Errorf("got %v, want it to be unavailable", err)
		}
	})
}
