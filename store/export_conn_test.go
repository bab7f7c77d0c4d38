package store

import (
	"context"
	"database/sql"

	"github.com/uptrace/bun"
)

// HoldReader and HoldWriter take a connection out of a pool until the returned
// function is called.
func HoldReader(ctx context.Context, s *Store) (release func() error, err error) {
	return hold(ctx, s.r.DB)
}

func HoldWriter(ctx context.Context, s *Store) (release func() error, err error) {
	return hold(ctx, s.w.DB)
}

func hold(ctx context.Context, pool *sql.DB) (func() error, error) {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return conn.Close, nil
}

// WaitsForReader and WaitsForWriter are how often anybody had to wait for a
// connection of a pool.
func WaitsForReader(s *Store) int64 { return s.r.Stats().WaitCount }

func WaitsForWriter(s *Store) int64 { return s.w.Stats().WaitCount }

// WritersInUse is how many connections for writing are in use.
func WritersInUse(s *Store) int { return s.w.Stats().InUse }

// Fail classifies an error of the database.
func Fail(s *Store, err error) error { return s.fail("testing", err) }

// Write runs fn as all changes are made.
func Write(ctx context.Context, s *Store, fn func(ctx context.Context, tx bun.Tx) error) error {
	return s.write(ctx, "testing", fn)
}

// OpenConnections is how many connections there are, in use or not.
func OpenConnections(s *Store) int { return s.w.Stats().OpenConnections + s.r.Stats().OpenConnections }

// ReadLong reads for as long as ctx lets it, after telling that it has begun.
func ReadLong(ctx context.Context, s *Store, begun func()) error {
	rows, err := s.r.QueryContext(ctx, "with recursive n (i) as (select 1 union all select i + 1 from n) select i from n")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		begun()
	}
	return rows.Err()
}
