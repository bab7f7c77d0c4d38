package store

import (
	"context"
	"sync"
)

// idBlock is how many integer ids are taken from the database at once.
const idBlock = 1000

// ids hands out integer ids from a block of its own. What is left of a block
// when the process ends is never used.
type ids struct {
	mu        sync.Mutex
	next, end int64
}

// NewIDs returns n integer ids that nothing has had before, in rising order
// within a block. It must not be called inside a transaction: SQLite has one
// writer, and the caller would be it.
func (s *Store) NewIDs(ctx context.Context, n int) ([]int64, error) {
	out := make([]int64, 0, n)
	s.ids.mu.Lock()
	defer s.ids.mu.Unlock()
	for len(out) < n {
		if s.ids.next == s.ids.end {
			var first int64
			if err := s.w.NewRaw(s.dialect.nextIDs).Scan(ctx, &first); err != nil {
				return nil, s.fail("taking ids", err)
			}
			s.ids.next, s.ids.end = first, first+idBlock
		}
		out = append(out, s.ids.next)
		s.ids.next++
	}
	return out, nil
}

func (s *Store) newID(ctx context.Context) (int64, error) {
	l, err := s.NewIDs(ctx, 1)
	if err != nil {
		return 0, err
	}
	return l[0], nil
}
