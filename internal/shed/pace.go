package shed

import "time"

const (
	// perDone is how many are refused for each piece of work that ends, and atOnce
	// how many for what has ended before.
	perDone = 5
	atOnce  = 32
	// mostHeld is how many refusals are held back at most, and longestHold for how
	// long: enough for a crowd of clients to be slowed down, and not so long that a
	// person minds.
	mostHeld    = 1024
	longestHold = 250 * time.Millisecond
)

// pace is how fast refusals are given. Clients that ask again as soon as they were
// refused, as many do whatever they are told, would be refused as fast as the
// processors can, and little else would be done. So refusals keep pace with the work
// that is done, and those that are ahead of it are held back for a moment: a client
// that waits does not ask.
type pace struct {
	ready int         // refusals that may be given at once
	held  []refusal   // who came first is first
	sweep *time.Timer // nil: nothing has to be released for its age
}

// refusal is one that is held back.
type refusal struct {
	due   chan struct{}
	since time.Time
}

// hold waits until a refusal may be given.
func (g *Gate) hold() {
	g.mu.Lock()
	p := &g.pace
	if p.ready > 0 {
		p.ready--
		g.mu.Unlock()
		return
	}
	if len(p.held) >= mostHeld {
		p.release()
	}
	r := refusal{make(chan struct{}), time.Now()}
	if p.held = append(p.held, r); p.sweep == nil {
		p.sweep = time.AfterFunc(longestHold, g.sweep)
	}
	g.mu.Unlock()
	<-r.due
}

// sweep releases what has been held back for as long as it may be.
func (g *Gate) sweep() {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := &g.pace
	for len(p.held) > 0 {
		if left := longestHold - time.Since(p.held[0].since); left > 0 {
			p.sweep = time.AfterFunc(left, g.sweep)
			return
		}
		p.release()
	}
	p.sweep = nil
}

func (p *pace) release() {
	close(p.held[0].due)
	p.held = p.held[1:]
}

// done takes note that work has ended.
func (p *pace) done() {
	for range perDone {
		if len(p.held) > 0 {
			p.release()
			continue
		}
		p.ready = min(p.ready+1, atOnce)
	}
}
