package shed

import (
	"runtime"
	"sync/atomic"
	"time"
)

const (
	// rushOver is how long nobody must have been turned away for a rush to be over.
	rushOver = time.Second
	// prompt is how long it may take to be run, and nearLeast how many may be near
	// however long it takes: of fewer, one commit would serve too few.
	prompt    = time.Millisecond
	nearLeast = 8
)

// near are those who want to enter, wait, or are worked on.
//
// Where the processors are the bottleneck nobody waits at the gate: who is ahead
// of the others is worked on without a pause, and the queue is that of the
// scheduler. So whoever comes lets those go first who are ready to run; how long
// that takes tells how far behind the processors are.
type near struct {
	parties map[int64]int
	total   int
	late    time.Time // since when it has taken long to be run; zero: it does not
	rush    atomic.Bool
	most    float64   // how many may be near in a rush
	turned  time.Time // when somebody was turned away last
}

// Rushes reports whether anybody was turned away of late, so that others may be.
func (g *Gate) Rushes() bool { return g.near.rush.Load() }

// TurnsAway reports whether work of a party would be refused by [Gate.Enter],
// whatever it is, and counts it if so. It costs next to nothing, so it is
// asked before anything is done for the work: a server that is asked for much
// more than it can do keeps its time for what it can. Before it says so, it may
// hold the refusal back for as long as [Gate.Enter] may.
func (g *Gate) TurnsAway(party int64) bool {
	g.mu.Lock()
	away := g.turnsAway(Reading, party, time.Now())
	g.mu.Unlock()
	if away {
		g.hold()
	}
	return away
}

// approach counts one of a party as near, or turns it away, and lets those go
// first who are ready to run.
func (g *Gate) approach(class Class, party int64) bool {
	began := time.Now()
	g.mu.Lock()
	if g.turnsAway(class, party, began) {
		g.mu.Unlock()
		return false
	}
	g.near.total++
	g.near.parties[party]++
	g.mu.Unlock()
	runtime.Gosched()
	g.ran(began, time.Now())
	return true
}

// ran takes note of how long it took to be run.
func (g *Gate) ran(began, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, took := &g.near, now.Sub(began)
	switch {
	case took < hurry:
		n.late = time.Time{}
	case n.late.IsZero():
		n.late = began
	}
	if !n.rush.Load() {
		return
	}
	// As many as can be run promptly, half of the time.
	if took > prompt {
		n.most -= 1 / n.most
	} else {
		n.most += 1 / n.most
	}
	most := g.room.places + fewest
	n.most = max(min(nearLeast, most), min(n.most, most))
}

// depart counts one of a party as near no more.
func (g *Gate) depart(party int64) {
	g.near.total--
	if g.near.parties[party]--; g.near.parties[party] == 0 {
		delete(g.near.parties, party)
	}
}

// turnsAway reports whether one of a party has to go, and counts it. In a rush, no
// more are near than can be run promptly, and never more than there are places
// and a few so that none is empty; of these each party may have its share.
func (g *Gate) turnsAway(class Class, party int64, now time.Time) bool {
	n := &g.near
	if rush := g.rushes(now); rush != n.rush.Load() {
		n.rush.Store(rush)
	}
	if !n.rush.Load() {
		return false
	}
	most := int(n.most)
	if n.total < most || n.parties[party] < max(1, most/max(1, len(n.parties))) {
		return false
	}
	n.turned, g.room.full = now, true
	g.refused[class]++
	return true
}

// rushes reports whether there is a rush. It begins when there are more near than
// could ever be worked on at once, and those who wait do so all the time,
// whether at the gate or for a processor; or when there are more than may wait.
// It ends when nobody has been turned away for a while.
func (g *Gate) rushes(now time.Time) bool {
	n := &g.near
	if n.rush.Load() {
		return now.Sub(n.turned) < rushOver
	}
	waits := g.crowded() || !n.late.IsZero() && now.Sub(n.late) > standing
	if n.total <= int(g.room.most) || !waits && n.total <= g.maxWait {
		return false
	}
	n.turned, n.most = now, g.room.places+fewest
	return true
}
