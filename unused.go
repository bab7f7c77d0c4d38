package main

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// unusedConns are connections on which no byte has come yet: browsers and other
// clients open some ahead of need. http.Server.Shutdown waits five seconds for
// each, since a request might be on its way.
type unusedConns struct {
	mu    sync.Mutex
	since map[net.Conn]time.Time
}

// unusedFor is how long a connection may have been silent to be closed on
// shutdown; a client sends its request right after connecting.
const unusedFor = 250 * time.Millisecond

// track is the server's ConnState.
func (u *unusedConns) track(c net.Conn, state http.ConnState) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if state != http.StateNew {
		delete(u.since, c)
		return
	}
	if u.since == nil {
		u.since = map[net.Conn]time.Time{}
	}
	u.since[c] = time.Now()
}

// closeUntil closes what stays unused, until done is closed.
func (u *unusedConns) closeUntil(done <-chan struct{}) {
	tick := time.NewTicker(unusedFor / 5)
	defer tick.Stop()
	for {
		u.mu.Lock()
		for c, since := range u.since {
			if time.Since(since) > unusedFor {
				_ = c.Close()
				delete(u.since, c)
			}
		}
		u.mu.Unlock()
		select {
		case <-done:
			return
		case <-tick.C:
		}
	}
}
