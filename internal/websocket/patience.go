package websocket

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"
)

// Patience makes contexts that end after a time, for thousands of short turns:
// all that begin in the same second share one timer, so that a turn may take
// up to a second longer and its context costs next to nothing.
type Patience struct {
	AtLeast time.Duration

	mu      sync.Mutex
	current context.Context
	born    time.Time
	cancel  context.CancelFunc // never called: turns that have begun end in their own time
}

// Context returns a context with the values of another that ends by itself. It
// does not end when the other does: a turn that has begun is brought to its end.
func (p *Patience) Context(values context.Context) context.Context {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == nil || now.Sub(p.born) > time.Second {
		p.current, p.cancel = context.WithDeadline(context.Background(), now.Add(p.AtLeast+time.Second)) //nolint:gosec // G118 wants it called; see there
		p.born = now
	}
	return turn{values, p.current}
}

// turn has the values of one context and the end of another.
type turn struct {
	values context.Context
	end    context.Context
}

func (t turn) Deadline() (time.Time, bool) { return t.end.Deadline() }
func (t turn) Done() <-chan struct{}       { return t.end.Done() }
func (t turn) Err() error                  { return t.end.Err() }
func (t turn) Value(key any) any           { return t.values.Value(key) }

// AfterFunc lets the context package hang a child on the end without starting
// a goroutine.
func (t turn) AfterFunc(f func()) (stop func() bool) { return context.AfterFunc(t.end, f) }

// IsTimeout reports whether an error says that a deadline of a connection passed.
func IsTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
