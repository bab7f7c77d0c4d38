package shed

import (
	"math"
	"time"
)

const (
	// fewest and usually are the places that there are at least, and to begin
	// with.
	fewest  = 4
	usually = 16
	// tolerance is how many times as long work may take as when there is room.
	tolerance = 2
	// A window is how long, and of how much work, is looked at before the
	// places change.
	window       = 100 * time.Millisecond
	windowLeast  = 20
	probeEvery   = 10 * time.Second
	adaptation   = 0.3  // of the way that a window asks for
	learning     = 0.2  // of what a window teaches of the time that work takes
	relinquished = 0.98 // of the places that were not needed
)

// room is how many places there are. Work takes longer the more of it is done
// at once; once it takes tolerance times as long as it does when there is room,
// more at once would only be slower.
//
// How long it takes when there is room shows whenever not all places are taken.
// When they always are, it is found out now and then by leaving few places for
// a moment: otherwise a database that has become slow for good would be taken
// for one that is asked for too much.
type room struct {
	places   float64
	most     float64
	alone    [classes]time.Duration // what work takes when there is room; zero: not known
	usual    time.Duration          // what it took of late
	began    time.Time              // of the window
	n        [classes]int
	took     [classes]time.Duration
	full     bool // somebody found no place in this window
	probing  bool
	restored float64   // places after the probe
	probed   time.Time // when the last probe ended
}

func newRoom(most int) room {
	return room{places: min(float64(most), usually), most: float64(most)}
}

func (r *room) limit(c Class) int { return max(1, int(share[c]*r.places)) }

// note takes note of work that has ended.
func (r *room) note(class Class, began, now time.Time) {
	if r.began.IsZero() {
		r.began, r.probed = now, now.Add(time.Second-probeEvery)
	}
	if r.probing && began.Before(r.began) {
		return // it ran beside more than there is to be
	}
	r.n[class]++
	r.took[class] += now.Sub(began)
	total := 0
	for _, n := range r.n {
		total += n
	}
	if total >= windowLeast && now.Sub(r.began) >= window {
		r.turn(now)
	}
}

// turn ends a window.
func (r *room) turn(now time.Time) {
	var all, slow, total float64
	for c, n := range r.n {
		if n == 0 {
			continue
		}
		took := r.took[c] / time.Duration(n)
		switch {
		case r.alone[c] == 0, r.probing:
			r.alone[c] = took
		case !r.full:
			r.alone[c] += time.Duration(learning * float64(took-r.alone[c]))
		}
		all += float64(n)
		total += float64(r.took[c])
		slow += float64(n) * float64(took) / float64(max(r.alone[c], time.Microsecond))
	}
	r.usual = time.Duration(total / all)
	switch {
	case r.probing:
		r.probing, r.places, r.probed = false, r.restored, now
	case r.full:
		r.adapt(slow/all, now)
	default:
		r.places = max(min(r.most, usually), r.places*relinquished)
	}
	r.began, r.full, r.n, r.took = now, false, [classes]int{}, [classes]time.Duration{}
}

// adapt moves the places towards what lets work take as long as it may, given
// how many times as long as alone it took.
func (r *room) adapt(slow float64, now time.Time) {
	wanted := r.places*max(0.5, min(1, tolerance/slow)) + math.Sqrt(r.places)
	r.places += adaptation * (wanted - r.places)
	r.places = max(min(r.most, fewest), min(r.most, r.places))
	if now.Sub(r.probed) >= probeEvery {
		r.probing, r.restored = true, r.places
		r.places = min(r.most, fewest)
	}
}
