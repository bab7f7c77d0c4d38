package delivery

import (
	"context"
	"fmt"
	"sync"
	"time"

	"carillon/model"
)

const (
	// holdTurn is how long a suspect keeps the others waiting. What ends a
	// process does so at once.
	holdTurn = time.Second
	// holdPlaces is for how long the suspects of a lane are tried one after the
	// other, before those that are left make room for what is not suspect.
	holdPlaces = 500 * time.Millisecond
	// asideFor is how long a delivery is set aside before its last try: longer
	// than it takes somebody to see that processes end, and to put an end to it.
	asideFor = time.Minute
	// lastTry is Delivery.Lost of one that has been set aside.
	lastTry = model.MaxLost + 1
)

// A delivery is suspect whose claim ended twice without a result: the process
// died, perhaps of it, perhaps of another that it held at the same time. (Once
// is no reason: whatever kills a process makes suspects of all that it held, and
// they would wait for each other.) Suspects are tried one at a time, whichever
// environment they are of; each begins with a mark in the database, and only
// marks count: what dies again and again for another's sake is not set aside for
// it. Processes die for other reasons too, and by chance in a suspect's time:
// what was set aside is tried once more.
type suspects struct {
	turn chan struct{} // one at a time

	mu    sync.Mutex
	lanes map[model.Lane]bool // with some under way
}

// enter reports whether the lane has no suspects under way. Whoever enters
// leaves.
func (s *suspects) enter(l model.Lane) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lanes[l] {
		return false
	}
	s.lanes[l] = true
	return true
}

func (s *suspects) leave(l model.Lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.lanes, l)
}

// take waits for the turn until then. leave, which may be called twice, gives it
// back; after holdTurn that happens by itself.
func (s *suspects) take(until time.Time) (leave func(), ok bool) {
	late := time.NewTimer(time.Until(until))
	defer late.Stop()
	select {
	case s.turn <- struct{}{}:
		leave = sync.OnceFunc(func() { <-s.turn })
		time.AfterFunc(holdTurn, leave)
		return leave, true
	case <-late.C:
		return nil, false
	}
}

// oneByOne works on the suspects of a lane.
func (s *Service) oneByOne(ctx context.Context, l model.Lane, list []claimed) {
	w := s.prepare()
	first := w.suspects.enter(l)
	if first {
		defer w.suspects.leave(l)
	}
	began := time.Now()
	for i, c := range list {
		switch {
		case c.Lost > lastTry:
			w.finished <- ended(c, model.DeliveryFailed, fmt.Sprintf("set aside: %d times it was taken by a worker that did not come back", c.Lost-1))
		case c.Lost == model.MaxLost:
			w.finished <- aside(c)
		case !first || i > 0 && time.Since(began) > holdPlaces:
			w.finished <- release(c, holdPlaces)
		default:
			w.finished <- s.alone(ctx, c)
		}
	}
}

// aside puts a delivery away until its last try.
func aside(c claimed) model.FinishedDelivery {
	f := release(c, asideFor)
	f.Lost, f.Detail = lastTry, fmt.Sprintf("set aside for %.0f s: %d times it was taken by a worker that did not come back", asideFor.Seconds(), c.Lost)
	return f
}

// alone tries a suspect while no other is begun.
func (s *Service) alone(ctx context.Context, c claimed) model.FinishedDelivery {
	leave, ok := s.worker.suspects.take(c.begin)
	if !ok {
		return release(c, holdPlaces)
	}
	defer leave()
	within, cancel := context.WithTimeout(ctx, queueTime)
	marked, err := s.Store.MarkSuspect(within, c.EnvID, c.ID, c.Fence)
	cancel()
	if err != nil {
		s.log().WarnContext(ctx, "marking a suspect delivery", "delivery", c.ID, "error", err)
	}
	if !marked {
		return release(c, holdPlaces)
	}
	x, err := s.surroundings(ctx, c.EnvID, []claimed{c})
	if err != nil {
		s.log().WarnContext(ctx, "reading what deliveries depend on", "error", err, "deliveries", 1)
		return release(c, holdPlaces)
	}
	return s.try(ctx, c, x)
}
