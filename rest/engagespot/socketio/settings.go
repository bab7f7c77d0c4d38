package socketio

import "time"

// Settings bounds what sockets may do. The zero value of a field means its
// default.
type Settings struct {
	Connections     int // open sockets in all (20000)
	UserConnections int // namespaces of one owner, see [Session] (20)
	Namespaces      int // of one socket (4)

	Message     int           // largest message, in bytes (1000000)
	InitMessage int           // the same before the first namespace is open (16384)
	Packets     int           // that a client may send in a minute (600)
	InitTimeout time.Duration // for a namespace to be open (10 s)

	PingInterval time.Duration // between heartbeats (25 s)
	PingTimeout  time.Duration // for a heartbeat to be answered (20 s)

	OpenTimeout  time.Duration // to open a namespace, or to ask a session for its next event (10 s)
	WriteTimeout time.Duration // for a reader to take a frame (10 s)
	Writers      int           // goroutines that write to sockets (32)
}

func (s Settings) withDefaults() Settings {
	fill(&s.Connections, 20_000)
	fill(&s.UserConnections, 20)
	fill(&s.Namespaces, 4)
	fill(&s.Message, 1_000_000)
	fill(&s.InitMessage, 16<<10)
	fill(&s.Packets, 600)
	fill(&s.InitTimeout, 10*time.Second)
	fill(&s.PingInterval, 25*time.Second)
	fill(&s.PingTimeout, 20*time.Second)
	fill(&s.OpenTimeout, 10*time.Second)
	fill(&s.WriteTimeout, 10*time.Second)
	fill(&s.Writers, 32)
	return s
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
