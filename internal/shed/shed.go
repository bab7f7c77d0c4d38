// Package shed keeps a server that is asked for more than it can do at doing
// what it can: it bounds how much is worked on at once, lets a little wait for
// a moment, and refuses the rest at once, the less urgent first. It does not
// know what the work is.
package shed

import (
	"context"
	"sync"
	"time"

	"carillon/model"
)

// Class is how urgent work is.
type Class uint8

// The classes, the most urgent first.
const (
	Reading   Class = iota // a person waits for it: inboxes, marks
	Sending                // an application waits for it
	Searching              // lists and logs, which may be asked again later
	classes
)

// share is the part of the places that a class may fill.
var share = [classes]float64{Reading: 1, Sending: 0.85, Searching: 0.5}

// Gate admits work. Make one with New.
type Gate struct {
	limit    [classes]int
	patience time.Duration
	maxWait  int

	mu      sync.Mutex
	busy    int
	waiting [classes][]*waiter
	queued  int
	refused [classes]int64
}

type waiter struct {
	admitted chan struct{}
	gone     bool
}

// New makes a gate with places for work at once; work that finds none may wait
// for patience, as long as no more than four times the places wait already.
func New(places int, patience time.Duration) *Gate {
	g := &Gate{patience: patience, maxWait: 4 * places}
	for c := range classes {
		g.limit[c] = max(1, int(share[c]*float64(places)))
	}
	return g
}

// Enter waits for a place. The caller must call leave when the work is done. An
// error is KindUnavailable with a time to come back after, or ctx's.
func (g *Gate) Enter(ctx context.Context, class Class) (leave func(), err error) {
	g.mu.Lock()
	if g.busy < g.limit[class] && !g.someoneBefore(class) {
		g.busy++
		g.mu.Unlock()
		return g.leave, nil
	}
	if g.queued >= g.maxWait {
		g.refused[class]++
		g.mu.Unlock()
		return nil, overloaded()
	}
	w := &waiter{admitted: make(chan struct{})}
	g.waiting[class] = append(g.waiting[class], w)
	g.queued++
	g.mu.Unlock()

	timer := time.NewTimer(g.patience)
	defer timer.Stop()
	select {
	case <-w.admitted:
		return g.leave, nil
	case <-timer.C:
		err = overloaded()
	case <-ctx.Done():
		err = ctx.Err()
	}
	return g.giveUp(w, class, err)
}

// giveUp takes a waiter out of the queue, unless it was admitted just now.
func (g *Gate) giveUp(w *waiter, class Class, err error) (leave func(), _ error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-w.admitted:
		return g.leave, nil
	default:
	}
	w.gone = true
	g.queued--
	g.refused[class]++
	return nil, err
}

// someoneBefore reports whether work at least as urgent waits already.
func (g *Gate) someoneBefore(class Class) bool {
	for c := range class + 1 {
		for len(g.waiting[c]) > 0 && g.waiting[c][0].gone {
			g.waiting[c] = g.waiting[c][1:]
		}
		if len(g.waiting[c]) > 0 {
			return true
		}
	}
	return false
}

// leave frees a place and gives it to whoever waits, the most urgent first.
// Within a class the one who came last goes first: who came earlier is the more
// likely to have given up by the time of the answer.
func (g *Gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.busy--
	for c := range classes {
		for g.busy < g.limit[c] && len(g.waiting[c]) > 0 {
			last := len(g.waiting[c]) - 1
			w := g.waiting[c][last]
			g.waiting[c] = g.waiting[c][:last]
			if w.gone {
				continue
			}
			g.busy++
			g.queued--
			close(w.admitted)
		}
	}
}

func overloaded() error {
	return &model.Error{Kind: model.KindUnavailable, Message: "the server is busy; try again in a moment", RetryAfter: time.Second}
}

// Stats are a gate's numbers: work being done, work waiting, and work refused
// since the start by class.
type Stats struct {
	Busy, Waiting int
	Refused       [3]int64
}

// Stats reads the numbers.
func (g *Gate) Stats() Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return Stats{Busy: g.busy, Waiting: g.queued, Refused: g.refused}
}
