// Package storetest gives tests real databases, each test its own: an SQLite
// file always, and a schema on the PostgreSQL server that TEST_POSTGRES_URL
// names. In CI a missing server is a failure, not a skip.
package storetest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // registers the driver that makes the schemas

	"carillon/store"
)

// Each runs test once for each database, on a fresh, migrated one.
func Each(t *testing.T, test func(t *testing.T, s *store.Store)) {
	t.Helper()
	EachWith(t, store.Config{}, test)
}

// EachWith is Each with settings, such as a clock; the URL is filled in.
func EachWith(t *testing.T, cfg store.Config, test func(t *testing.T, s *store.Store)) {
	t.Helper()
	EachURL(t, func(t *testing.T, url string) {
		cfg := cfg
		cfg.URL = url
		if cfg.MaxConns == 0 {
			cfg.MaxConns = 6
		}
		test(t, Open(t, cfg))
	})
}

// EachURL runs test once for each database with the URL of an empty one.
func EachURL(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, SQLite(t))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, Postgres(t))
	})
}

// OnPostgres runs test with the URL of an empty schema of PostgreSQL. It is for
// what SQLite, with its one writer, does not know.
func OnPostgres(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, Postgres(t))
	})
}

// Open opens and migrates a database and closes it after the test.
func Open(t testing.TB, cfg store.Config) *store.Store {
	t.Helper()
	if !store.IsPostgres(cfg.URL) {
		layOut(t, cfg.URL)
	}
	s, err := store.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// layOut writes an SQLite database that is migrated and was never opened, where
// there is none: with the race detector on, running all migrations takes SQLite
// longer than most tests.
func layOut(t testing.TB, path string) {
	t.Helper()
	if _, err := os.Stat(path); err == nil {
		return
	}
	file, err := migrated()
	if err == nil {
		err = os.WriteFile(path, file, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

var migrated = sync.OnceValues(func() (file []byte, err error) {
	dir, err := os.MkdirTemp("", "storetest")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "migrated.db")
	s, err := store.Open(context.Background(), store.Config{URL: path})
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return nil, err
	}
	_, err = db.ExecContext(context.Background(), "delete from facts") // each copy's are its own
	if err := errors.Join(err, db.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// SQLite returns the path of a file that is not there yet.
func SQLite(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "test.db")
}

// Postgres returns the URL of an empty schema, which is dropped after the
// test. Without TEST_POSTGRES_URL it skips the test, or in CI fails it.
func Postgres(t testing.TB) string {
	t.Helper()
	base := os.Getenv("TEST_POSTGRES_URL")
	if base == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("TEST_POSTGRES_URL is not set")
		}
		t.Skip("TEST_POSTGRES_URL is not set: `make test` sets it")
	}
	var b [6]byte
	if _, err := rand.Read(b[:]); err != nil {
		t.Fatal(err)
	}
	name := "test_" + hex.EncodeToString(b[:])
	exec(t, base, "create schema "+name)
	t.Cleanup(func() { exec(t, base, "drop schema "+name+" cascade") })
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	return u.String()
}

func exec(t testing.TB, url, statement string) {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	// Not the test's context: the schema is dropped after it has ended.
	if _, err := db.ExecContext(context.Background(), statement); err != nil {
		t.Fatal(err)
	}
}
