package store

import (
	"context"
	"sync"

	"github.com/uptrace/bun"
)

// idBlock is how many integer ids are taken from the database at once.
const idBlock = 1000

// ids hands out integer ids from a block of its own. What is left of a block
// when the process ends is never used.
type ids struct {
	mu        sync.Mutex
	next, end int64
	coming    chan struct{} // while somebody takes a block: closed when they are done
}

// take appends ids to out until it is full or there are none left. Then the
// caller is to take a block and call put, if it is the first to need one;
// others wait for coming and try again.
func (l *ids) take(out []int64) (all []int64, first bool, coming chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(out) < cap(out) && l.next < l.end {
		out = append(out, l.next)
		l.next++
	}
	if len(out) < cap(out) && l.coming == nil {
		l.coming, first = make(chan struct{}), true
	}
	return out, first, l.coming
}

// put ends the taking of a block: it begins at next, and has no ids at all if
// the taking failed.
func (l *ids) put(next, n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next, l.end = next, next+n
	close(l.coming)
	l.coming = nil
}

// NewIDs returns n integer ids that nothing has had before, in rising order
// within a block. It must not be called inside a transaction: SQLite has one
// writer, and the caller would be it.
func (s *Store) NewIDs(ctx context.Context, n int) ([]int64, error) {
	out := make([]int64, 0, n)
	for {
		all, first, coming := s.ids.take(out)
		if out = all; len(out) == n {
			return out, nil
		}
		// Not under the lock: while the database hangs, nobody waits for another
		// beyond their own deadline.
		if first {
			if err := s.takeBlock(ctx); err != nil {
				return nil, err
			}
			continue
		}
		select {
		case <-coming:
		case <-ctx.Done():
			return nil, s.fail("taking ids", ctx.Err())
		}
	}
}

func (s *Store) takeBlock(ctx context.Context) error {
	var first, size int64
	defer func() { s.ids.put(first, size) }()
	// In a transaction, whose end tells of a full disk: SQLite gives the row of
	// a lone statement before it is written, and then the block is given again.
	err := s.write(ctx, "taking ids", func(ctx context.Context, tx bun.Tx) error {
		return tx.NewRaw(s.dialect.nextIDs).Scan(ctx, &first)
	})
	if err != nil {
		return err
	}
	size = idBlock
	return nil
}

func (s *Store) newID(ctx context.Context) (int64, error) {
	l, err := s.NewIDs(ctx, 1)
	if err != nil {
		return 0, err
	}
	return l[0], nil
}
