package store

import (
	"context"
	"time"
)

// ClockLag is by how much the clock of PostgreSQL is ahead of the process's; below
// zero: behind it. It is off by as long as the answer takes. Zero for SQLite, which
// has none of its own.
func (s *Store) ClockLag(ctx context.Context) (time.Duration, error) {
	if s.dialect.clock == "" {
		return 0, nil
	}
	var theirs int64
	if err := s.r.NewRaw("select "+s.dialect.clock).Scan(ctx, &theirs); err != nil {
		return 0, s.fail("reading the database's clock", err)
	}
	return time.UnixMicro(theirs).Sub(s.now()), nil
}
