package main

import (
	"context"
	"sync"

	"carillon/internal/lab"
)

// gate keeps the first call about each delivery waiting where it arrives, until
// it is let go or its caller gives it up.
type gate struct {
	*lab.Sink
	mu    sync.Mutex
	open  bool
	calls []*heldCall // in the order of their arrival
	seen  map[string]bool
}

// heldCall is a call that waits, or has waited.
type heldCall struct {
	id     string
	caller context.Context //nolint:containedctx // it says whether the caller still waits
	let    chan struct{}
}

// newGate makes a gate of deliveries, or of events.
func newGate(sink func(take func(context.Context, lab.Call)) (*lab.Sink, error)) (g *gate, err error) {
	g = &gate{open: true, seen: map[string]bool{}}
	g.Sink, err = sink(g.take)
	return g, err
}

func (g *gate) take(ctx context.Context, c lab.Call) {
	g.mu.Lock()
	if g.open || g.seen[c.Delivery] {
		g.mu.Unlock()
		return
	}
	h := &heldCall{c.Delivery, ctx, make(chan struct{})}
	g.calls, g.seen[c.Delivery] = append(g.calls, h), true
	g.mu.Unlock()
	select {
	case <-h.let:
	case <-ctx.Done():
	}
}

// shut has the next calls wait.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open, g.calls = false, nil
}

// count is how many calls have been held since the gate was shut.
func (g *gate) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.calls)
}

// pass opens the gate for the next calls. Those that wait go on waiting.
func (g *gate) pass() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = true
}

// letGo lets every second call go on, and says about what the calls are whose
// callers still wait. The others wait for as long as those have patience.
func (g *gate) letGo() (waiting []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, h := range g.calls {
		if h.caller.Err() == nil {
			waiting = append(waiting, h.id)
		}
		if i%2 == 0 {
			close(h.let)
		}
	}
	return waiting
}
