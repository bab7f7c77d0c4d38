package socketio

import "time"

// closeTimeout is how long a peer may take to close its side.
const closeTimeout = 5 * time.Second

// keep looks after the heartbeats and time limits of all sockets until there
// are none.
func (h *Handler) keep() {
	ticker := time.NewTicker(min(time.Second, h.settings.PingInterval/4, h.settings.PingTimeout/4, h.settings.InitTimeout/4))
	defer ticker.Stop()
	var sockets []*socket
	for now := range ticker.C {
		h.mu.Lock()
		sockets = h.list(sockets[:0])
		if len(sockets) == 0 {
			h.keeping = false
			h.mu.Unlock()
			return
		}
		h.mu.Unlock()
		for _, s := range sockets {
			s.check(now)
		}
		clear(sockets)
	}
}

// check closes, drops or pings the socket when it is time to.
func (s *socket) check(now time.Time) {
	settings := &s.h.settings
	heard := time.Unix(0, s.heard.Load())
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.phase == phaseDead:
	case s.phase == phaseClosing:
		if now.Sub(s.closingAt) > closeTimeout+settings.WriteTimeout || s.closeSent && now.Sub(s.closingAt) > closeTimeout {
			s.conn.Close()
		}
	case len(s.spaces) == 0 && now.Sub(s.alone) > settings.InitTimeout:
		s.beginClose(codePolicy, "no namespace was opened in time") // there are none to release
	case heard.Before(s.pinged): // the heartbeat is not answered yet
		if now.Sub(s.pinged) > settings.PingTimeout {
			s.h.stats.DeadPeers.Add(1)
			go s.cut()
		}
	case now.Sub(s.pinged) >= settings.PingInterval:
		s.pinged = now
		s.say(textFrame([]byte{enginePing}))
	}
}
