// Package store keeps everything in the database: SQLite or PostgreSQL, the
// same statements on both wherever both accept them. It is the only importer
// of bun and of the SQL drivers, and nothing of theirs leaves it: what goes in
// and out are package model's nouns.
//
// One exported method is one transaction, but for [Store.SaveChunk]. Helpers that take a bun.IDB do one
// statement and never commit. Every query carries the environment. The package
// does not know who calls, decides no preference, and publishes nothing: a
// method that changes an inbox returns the change, and its caller publishes it
// after the commit.
//
// Inbox rows are locked in key order by every writer, so that transactions
// that touch the same inboxes wait for each other and never deadlock.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"
	sqlite3 "modernc.org/sqlite/lib"

	"carillon/internal/id"
	"carillon/model"
)

// Config says which database to open.
type Config struct {
	// URL is a postgres:// URL, or the path of an SQLite file.
	URL string
	// MaxConns bounds the connections to PostgreSQL, and the readers of
	// SQLite; zero: 16 and 4. SQLite always has one writer.
	MaxConns int
	// Now is the clock; nil: the system's.
	Now func() time.Time
}

// Store is the database. Make one with Open; its methods may be called
// concurrently.
type Store struct {
	dialect   dialect
	w         *bun.DB // for transactions that write
	r         *bun.DB // for reads outside of them
	prepared  prepared
	newest    together[newestAsk]
	userIDs   together[userIDAsk]
	said      said
	ids       ids
	epoch     uint64
	listeners listeners
	eventIDs  id.Source
	path      string          // of an SQLite file
	found     *model.Restored // what opening a copy did
	clock     func() time.Time

	connections generation // to PostgreSQL
}

// IsPostgres reports whether a database URL names a PostgreSQL server.
func IsPostgres(url string) bool {
	return strings.HasPrefix(url, "postgres://") || strings.HasPrefix(url, "postgresql://")
}

// Open connects to the database, which must answer, and brings its schema up
// to date. Several processes may open one database at the same moment: one
// migrates, the others wait for it. A database that a newer program has
// migrated is refused.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	s, err := OpenUnmigrated(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := s.Migrate(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// OpenUnmigrated connects without touching the schema; call Migrate before
// anything else.
func OpenUnmigrated(ctx context.Context, cfg Config) (*Store, error) {
	d := sqliteDialect
	if IsPostgres(cfg.URL) {
		d = postgresDialect
	}
	s := &Store{dialect: d, clock: cfg.Now, path: cfg.URL}
	s.newest.read, s.userIDs.read = s.readNewest, readUserIDs
	w, r, err := d.open(cfg, &s.connections)
	if err != nil {
		return nil, fmt.Errorf("opening database: %w", err)
	}
	s.w, s.r = bun.NewDB(w, d.bun()), bun.NewDB(r, d.bun())
	if s.clock == nil {
		s.clock = time.Now
	}
	if err := s.reach(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("reaching database: %w", err), s.Close())
	}
	return s, nil
}

// reach makes the first connections. A file of SQLite that others open or
// close at this moment says at once that it is locked, whatever its busy
// timeout, when it would have to go over to its write-ahead log.
func (s *Store) reach(ctx context.Context) error {
	const patience, pause = 5 * time.Second, 10 * time.Millisecond
	wait := time.NewTicker(pause)
	defer wait.Stop()
	for began := time.Now(); ; {
		err := s.Ping(ctx)
		if err == nil || sqliteCode(err)&0xff != sqlite3.SQLITE_BUSY || time.Since(began) > patience {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-wait.C:
		}
	}
}

// lastCalls is how long Close waits for calls that were cut short.
const lastCalls = time.Second

// Close lets go of every connection. It waits a little for those that are in use
// or being made, which database/sql does not: of an SQLite database the file may be
// moved or removed afterwards.
func (s *Store) Close() error {
	err := s.w.Close()
	if s.w != s.r {
		err = errors.Join(err, s.r.Close())
	}
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for began := time.Now(); s.w.Stats().OpenConnections+s.r.Stats().OpenConnections > 0 && time.Since(began) < lastCalls; {
		<-look.C
	}
	return err
}

// Ping asks whether the database answers.
func (s *Store) Ping(ctx context.Context) error { return s.r.PingContext(ctx) }

// Database is "sqlite" or "postgres".
func (s *Store) Database() string { return s.dialect.name }

// Epoch tells this database from an older copy of itself; positions of another
// epoch mean nothing here.
func (s *Store) Epoch() uint64 { return s.epoch }

// Fact reads one of the facts about the database as a whole, "" when it was
// never set.
func (s *Store) Fact(ctx context.Context, name string) (string, error) {
	var v string
	err := s.r.NewRaw("select value from facts where name = ?", name).Scan(ctx, &v)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return v, s.fail("reading fact", err)
}

// SetFactOnce writes a fact unless it is there, and returns what is there now.
func (s *Store) SetFactOnce(ctx context.Context, name, value string) (string, error) {
	err := s.write(ctx, "writing fact", func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.NewRaw("insert into facts (name, value) values (?, ?) on conflict do nothing", name, value).Exec(ctx); err != nil {
			return err
		}
		return tx.NewRaw("select value from facts where name = ?", name).Scan(ctx, &value)
	})
	return value, err
}

// now is the injected clock, cut to what the databases keep.
func (s *Store) now() time.Time { return s.clock().UTC().Truncate(time.Microsecond) }

// write runs fn in one transaction and commits it. One that lost to another is
// tried again, so fn may run more than once and must not change anything
// outside of the transaction but its results.
func (s *Store) write(ctx context.Context, doing string, fn func(ctx context.Context, tx bun.Tx) error) error {
	const tries = 5
	var err error
	for range tries {
		err = s.w.RunInTx(ctx, nil, fn)
		if err == nil || !s.lost(err) {
			break
		}
	}
	return s.fail(doing, err)
}

// lost reports whether a transaction lost to another: by a deadlock, a failed
// serialisation, or since a row that it had read was deleted, or one that it
// had missed was inserted, before it wrote. The next time it sees what is.
func (s *Store) lost(err error) bool {
	return s.dialect.isRetryable(err) || s.dialect.isForeign(err) || s.dialect.isUnique(err)
}

// fail gives an error the verb of what was being done, and a kind when the
// database is away, out of time, or too busy to let a transaction win. An error
// of the model passes unchanged.
func (s *Store) fail(doing string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*model.Error](err); ok {
		return err
	}
	if s.dialect.isKeyTaken(err) {
		return errors.Join(model.ErrKeyInProgress(), err)
	}
	if s.dialect.isStale(err) {
		s.connections.renew()
	}
	outOfTime := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, sql.ErrTxDone)
	if outOfTime || s.dialect.isAway(err) || s.dialect.isRetryable(err) {
		return &model.Error{
			Kind: model.KindUnavailable, RetryAfter: time.Second,
			Message: "the database does not answer; nothing is known to have changed: try again, with the same idempotency key",
			Err:     fmt.Errorf("%s: %w", doing, err),
		}
	}
	if s.dialect.isForeign(err) || s.dialect.isUnique(err) {
		return &model.Error{
			Kind:    model.KindConflict,
			Message: "what the request refers to is being deleted, or made, by others at this moment; nothing has changed: try again",
			Err:     fmt.Errorf("%s: %w", doing, err),
		}
	}
	return fmt.Errorf("%s: %w", doing, err)
}
