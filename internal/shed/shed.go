// Package shed keeps a server that is asked for more than it can do at doing
// what it can: it bounds how much is worked on at once, lets a little wait for
// a moment, and refuses the rest at once, the less urgent first. How much is
// worked on at once it finds out by itself, from how much longer work takes
// than when there is room. It does not know what the work is.
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

const (
	// standing is how long there may be somebody who waits, before waiting is
	// no burst any more but, with more than could ever be worked on at once, a
	// crowd. In a crowd no more wait than there are places, or sixteen, and nobody for longer
	// than hurry, or than work takes: waiting would only add to everybody's time.
	standing = 100 * time.Millisecond
	hurry    = 5 * time.Millisecond
)

// Gate admits work. Make one with New.
type Gate struct {
	patience time.Duration
	maxWait  int

	mu      sync.Mutex
	room    room
	busy    [classes]int
	held    map[int64]int // places, by party
	waiting [classes]map[int64][]*waiter
	queued  int
	since   time.Time // there has been somebody who waits since then
	crowd   bool      // until nobody waits
	refused [classes]int64
	near    near
	pace    pace
}

// waiter is work that waits. settled is closed when it was admitted, or when
// another took its place in the queue.
type waiter struct {
	settled  chan struct{}
	admitted bool
}

// New makes a gate with places for work at once, at most; work that finds none
// may wait for patience, as long as no more than four times the places wait
// already, and less when somebody waits all the time.
func New(places int, patience time.Duration) *Gate {
	g := &Gate{patience: patience, maxWait: 4 * places, room: newRoom(places), held: map[int64]int{}, pace: pace{ready: atOnce}}
	for c := range classes {
		g.waiting[c] = map[int64][]*waiter{}
	}
	g.near.parties = map[int64]int{}
	return g
}

// Enter waits for a place. The caller must call leave when the work is done. An
// error is KindUnavailable with a time to come back after, or ctx's.
//
// A party is whom the work is for, such as an environment. When there is not
// room for all, the one with the fewest places is next, so that no party's
// flood is another's.
func (g *Gate) Enter(ctx context.Context, class Class, party int64) (leave func(), err error) {
	if !g.approach(class, party) {
		g.hold()
		return nil, Busy()
	}
	g.mu.Lock()
	if g.fits(class) && !g.someoneBefore(class) {
		g.take(class, party)
		g.mu.Unlock()
		return g.leaving(class, party), nil
	}
	g.room.full = true
	if g.queued >= g.line() && !g.displace(class, party) {
		g.refused[class]++
		g.depart(party)
		g.mu.Unlock()
		g.hold()
		return nil, Busy()
	}
	w := &waiter{settled: make(chan struct{})}
	g.waiting[class][party] = append(g.waiting[class][party], w)
	if g.queued++; g.queued == 1 {
		g.since = time.Now()
	}
	g.mu.Unlock()
	return g.outcome(w, class, party, g.wait(ctx, w, party))
}

// wait waits until w is settled, or has waited for too long.
func (g *Gate) wait(ctx context.Context, w *waiter, party int64) error {
	timer := time.NewTimer(min(hurry, g.patience))
	defer timer.Stop()
	for began := time.Now(); ; {
		select {
		case <-w.settled:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
		left := g.patience - time.Since(began)
		if left <= 0 || g.hurries(party, time.Since(began)) {
			return Busy()
		}
		timer.Reset(min(hurry, left))
	}
}

// hurries reports whether one of a party who has waited for so long has waited for
// too long, as things stand: not while others have more places than it has.
func (g *Gate) hurries(party int64, waited time.Duration) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return waited >= min(g.patience, g.room.usual) && g.held[party]*len(g.held) >= g.total() && g.crowded()
}

// crowded reports whether there is a crowd. It begins with more than could ever
// be worked on at once, when that is no burst, since somebody has been waiting
// all the time; and it ends when nobody waits.
func (g *Gate) crowded() bool {
	g.crowd = g.queued > 0 && (g.crowd || g.total()+g.queued > int(g.room.most) && time.Since(g.since) > standing)
	return g.crowd
}

// line is how many may wait.
func (g *Gate) line() int {
	if g.crowded() {
		return min(g.maxWait, max(usually, int(g.room.places)))
	}
	return g.maxWait
}

func (g *Gate) total() (n int) {
	for _, busy := range g.busy {
		n += busy
	}
	return n
}

// outcome is how waiting ends: with a place, even if it came at the last
// moment, or with the error.
func (g *Gate) outcome(w *waiter, class Class, party int64, err error) (leave func(), _ error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if w.admitted {
		return g.leaving(class, party), nil
	}
	if err == nil {
		err = Busy()
	}
	g.remove(w, class, party)
	g.depart(party)
	g.refused[class]++
	return nil, err
}

// remove takes a waiter out of the queue, if it is still there.
func (g *Gate) remove(w *waiter, class Class, party int64) {
	list := g.waiting[class][party]
	for i := len(list) - 1; i >= 0; i-- {
		if list[i] == w {
			g.setWaiting(class, party, append(list[:i], list[i+1:]...))
			g.queued--
			return
		}
	}
}

func (g *Gate) setWaiting(class Class, party int64, list []*waiter) {
	if len(list) == 0 {
		delete(g.waiting[class], party)
		return
	}
	g.waiting[class][party] = list
}

// displace makes room in the queue for a party that has fewer in it than another:
// the one of that party which came first goes.
func (g *Gate) displace(class Class, party int64) bool {
	for c := classes; c > class; c-- {
		from, found, most := int64(0), false, len(g.waiting[class][party])+1
		for p, list := range g.waiting[c-1] {
			if p != party && len(list) > most {
				from, found, most = p, true, len(list)
			}
		}
		if found {
			list := g.waiting[c-1][from]
			w := list[0]
			g.setWaiting(c-1, from, list[1:])
			g.queued--
			close(w.settled)
			return true
		}
	}
	return false
}

// someoneBefore reports whether work at least as urgent waits already.
func (g *Gate) someoneBefore(class Class) bool {
	for c := range class + 1 {
		if len(g.waiting[c]) > 0 {
			return true
		}
	}
	return false
}

// fits reports whether there is a place for a class: among all places, and
// among those that it and what is less urgent may fill.
func (g *Gate) fits(class Class) bool {
	these := 0
	for c := class; c < classes; c++ {
		these += g.busy[c]
	}
	return g.total() < g.room.limit(Reading) && these < g.room.limit(class)
}

func (g *Gate) take(class Class, party int64) {
	g.busy[class]++
	g.held[party]++
}

// leaving returns what frees a place that was just taken.
func (g *Gate) leaving(class Class, party int64) func() {
	began := time.Now()
	return func() { g.leave(class, party, began) }
}

// leave frees a place and gives it to whoever waits: of the parties the one
// with the fewest places, and of what that waits for the most urgent. Of one
// kind who came first goes first; but where there is a crowd who came last: who
// came earlier is the more likely to have given up by the time of the answer.
func (g *Gate) leave(class Class, party int64, began time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.depart(party)
	g.busy[class]--
	if g.held[party]--; g.held[party] == 0 {
		delete(g.held, party)
	}
	g.room.note(class, began, time.Now())
	g.pace.done()
	for g.admitOne() {
	}
}

// admitOne gives a place to somebody who waits, if there is one for anybody.
func (g *Gate) admitOne() bool {
	var (
		class  Class
		next   int64
		fewest = -1
	)
	for c := range classes {
		if len(g.waiting[c]) == 0 || !g.fits(c) {
			continue
		}
		for party := range g.waiting[c] {
			if n := g.held[party]; fewest < 0 || n < fewest {
				class, next, fewest = c, party, n
			}
		}
	}
	if fewest < 0 {
		return false
	}
	list := g.waiting[class][next]
	w := list[0]
	g.setWaiting(class, next, list[1:])
	g.queued--
	g.take(class, next)
	w.admitted = true
	close(w.settled)
	return true
}

// Busy is the error of work that was refused: KindUnavailable, with the time to
// come back after.
func Busy() error {
	return &model.Error{Kind: model.KindUnavailable, Message: "the server is busy; try again in a moment", RetryAfter: time.Second}
}

// Stats are a gate's numbers: places there are now, work being done, work
// waiting, and work refused since the start by class.
type Stats struct {
	Places, Busy, Waiting int
	Refused               [3]int64
}

// Stats reads the numbers.
func (g *Gate) Stats() Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return Stats{Places: int(g.room.places), Busy: g.total(), Waiting: g.queued, Refused: g.refused}
}
