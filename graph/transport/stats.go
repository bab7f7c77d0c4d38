package transport

import (
	"sync"
	"sync/atomic"
)

// Stats counts what goes on, for metrics. It is safe for concurrent use.
type Stats struct {
	Sockets       atomic.Int64  // open WebSockets
	Streams       atomic.Int64  // open event streams
	Subscriptions atomic.Int64  // open subscriptions, over both
	Operations    atomic.Int64  // operations of sockets that run, or whose result waits to be written
	Frames        atomic.Uint64 // WebSocket frames and events written since the start
	Blocked       atomic.Int64  // frames that wait for a slow reader now
	SlowReaders   atomic.Uint64 // connections dropped because they did not read
	DeadPeers     atomic.Uint64 // sockets dropped because nothing was heard

	mu     sync.Mutex
	closes map[int]uint64
}

// Closes is how many WebSockets this server closed, by close code.
func (s *Stats) Closes() map[int]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[int]uint64, len(s.closes))
	for code, n := range s.closes {
		out[code] = n
	}
	return out
}

func (s *Stats) closed(code closeCode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closes == nil {
		s.closes = map[int]uint64{}
	}
	s.closes[int(code)]++
}
