package transport

import "carillon/graph/operation"

// queued is an operation that waits until fewer run on its socket.
type queued struct {
	operation *running
	params    operation.Params
	size      int // of its message, in bytes
}

// start runs an operation on a goroutine of its own. s.mu is held.
func (s *socket) start(o *running, p operation.Params) {
	s.flight++
	s.h.stats.Operations.Add(1)
	go s.aside(func() { s.run(o, p) })
}

// queue lets an operation wait for its turn. A client that comes back asks for
// all its subscriptions in one go, and takes an error for the end of one. It
// reports false when as many wait as a socket may have subscriptions, or more
// than one message may have bytes. s.mu is held.
func (s *socket) queue(o *running, p operation.Params, size int) bool {
	total := size
	for _, q := range s.queued {
		total += q.size
	}
	if len(s.queued) >= s.h.settings.Subscriptions || total > s.h.settings.Message {
		return false
	}
	s.queued = append(s.queued, queued{o, p, size})
	return true
}

// landed counts an operation that has ended, or become a stream, and starts
// those whose turn it is. s.mu is held.
func (s *socket) landed() {
	s.flight--
	s.h.stats.Operations.Add(-1)
	for len(s.queued) > 0 && s.flight < s.h.settings.InFlight {
		next := s.queued[0]
		s.queued[0] = queued{}
		if s.queued = s.queued[1:]; len(s.queued) == 0 {
			s.queued = nil
		}
		if !next.operation.gone {
			s.start(next.operation, next.params)
		}
	}
}
