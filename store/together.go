package store

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// together makes reads of one kind in batches, on PostgreSQL: those that come
// while others are on their way wait for them and go together, in one
// statement. Of the cost of a small statement most is not in its rows, so a
// busy server reads several times as much. Nothing waits for company: a read
// that comes alone goes at once.
type together[T any] struct {
	// read makes the reads of a batch. When it fails, none of them counts.
	read func(ctx context.Context, conn *pgx.Conn, batch []*T) error

	mu      sync.Mutex
	waiting []waiting[T]
	busy    int // lanes
}

// waiting is a read that waits for its turn.
type waiting[T any] struct {
	what *T
	done chan<- bool
}

const (
	// togetherMost is how many reads one statement makes at most.
	togetherMost = 64
	// togetherLeast is how many it is told of at least, the rest being nobody's:
	// PostgreSQL keeps one plan for all calls, which it makes for so many, only
	// while it does not find that one for fewer would be cheaper.
	togetherLeast = 10
	// togetherWithin is how long a statement may take. Whoever waits for it
	// goes on alone then, if there is time left.
	togetherWithin = 3 * time.Second
)

// make makes a read. It reports false when it failed, with no more to say about
// it than that it is worth another try alone, or when ctx ended first.
func (t *together[T]) make(ctx context.Context, s *Store, what *T) bool {
	done := make(chan bool, 1)
	t.mu.Lock()
	t.waiting = append(t.waiting, waiting[T]{what, done})
	if t.busy < max(2, runtime.GOMAXPROCS(0)) {
		t.busy++
		go t.lane(s)
	}
	t.mu.Unlock()
	select {
	case ok := <-done:
		return ok
	case <-ctx.Done():
		return false
	}
}

// lane makes reads until none waits.
func (t *together[T]) lane(s *Store) {
	for {
		t.mu.Lock()
		n := min(len(t.waiting), togetherMost)
		if n == 0 {
			t.busy--
			t.mu.Unlock()
			return
		}
		batch := t.waiting[:n:n]
		if t.waiting = t.waiting[n:]; len(t.waiting) == 0 {
			t.waiting = nil
		}
		t.mu.Unlock()

		reads := make([]*T, n)
		for i := range batch {
			reads[i] = batch[i].what
		}
		err := s.onConn(func(ctx context.Context, conn *pgx.Conn) error { return t.read(ctx, conn, reads) })
		for _, w := range batch {
			w.done <- err == nil
		}
	}
}

// onConn lends a connection of the pool as it is beneath database/sql.
func (s *Store) onConn(do func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), togetherWithin)
	defer cancel()
	conn, err := s.r.DB.Conn(ctx)
	if err != nil {
		return s.fail("reading together", err)
	}
	defer conn.Close()
	return s.fail("reading together", conn.Raw(func(driver any) error { return do(ctx, driver.(*stdlib.Conn).Conn()) }))
}

// ask runs a statement under a name, which a connection prepares once, and
// calls each for every row.
func ask(ctx context.Context, conn *pgx.Conn, name, text string, each func(*rawRow) error, args ...any) error {
	if _, err := conn.Prepare(ctx, name, text); err != nil {
		return err
	}
	rows, err := conn.Query(ctx, name, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(&rawRow{values: rows.RawValues()}); err != nil {
			return err
		}
	}
	return rows.Err()
}
