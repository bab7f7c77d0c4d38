package transport

import (
	"time"

	"github.com/gobwas/ws"

	"carillon/internal/websocket"
)

// closeTimeout is how long a peer may take to close its side.
const closeTimeout = 5 * time.Second

// keep looks after the time limits of all sockets until there are none.
func (h *Handler) keep() {
	ticker := time.NewTicker(min(time.Second, h.settings.PingInterval/4, h.settings.InitTimeout/4, h.settings.DeadAfter/4))
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
	quiet := now.Sub(time.Unix(0, s.heard.Load()))
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.phase == phaseDead:
	case s.phase == phaseClosing:
		if now.Sub(s.closingAt) > closeTimeout+settings.WriteTimeout || s.closeSent && now.Sub(s.closingAt) > closeTimeout {
			s.conn.Close()
		}
	case quiet > settings.DeadAfter:
		s.h.stats.DeadPeers.Add(1)
		go s.cut()
	case s.phase == phaseNew && now.Sub(s.opened) > settings.InitTimeout:
		s.beginClose(closeNoInit, "Connection initialisation timeout") // there are no streams yet
	case quiet >= settings.PingInterval && now.Sub(s.pinged) >= settings.PingInterval:
		s.pinged = now
		s.say(websocket.AppendFrame(nil, ws.OpPing, nil))
	}
}
