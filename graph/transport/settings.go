package transport

import "time"

// Settings bounds what connections may do. The zero value of a field means its
// default.
type Settings struct {
	Body           int64         // largest request body, in bytes (1 MB)
	BodyTimeout    time.Duration // to send the body (30 s)
	RequestTimeout time.Duration // to answer a query or mutation, or to open a subscription (10 s)
	WriteTimeout   time.Duration // for a reader to take an answer, a frame or an event (10 s)
	// CompressAbove is from which size on, in bytes, an answer is compressed
	// for a client that reads gzip (32768); -1: never.
	CompressAbove int

	Connections     int // open sockets and event streams in all (20000)
	UserConnections int // of one owner, see [Session] (20)

	KeepAlive time.Duration // between comments on a quiet event stream (15 s)

	Message       int           // largest WebSocket message, in bytes (262144)
	InitMessage   int           // the same before connection_ack (16384)
	InitTimeout   time.Duration // for connection_init to come (10 s)
	PingInterval  time.Duration // of silence, then a ping (20 s)
	DeadAfter     time.Duration // of silence, then the socket is dropped (40 s)
	Subscriptions int           // of one socket (100)
	InFlight      int           // operations of one socket that run or wait to be written (16); others wait their turn, as many as Subscriptions
	Writers       int           // goroutines that write to sockets (32)
}

func (s Settings) withDefaults() Settings {
	fill(&s.Body, 1<<20)
	fill(&s.BodyTimeout, 30*time.Second)
	fill(&s.RequestTimeout, 10*time.Second)
	fill(&s.WriteTimeout, 10*time.Second)
	fill(&s.CompressAbove, 32<<10)
	fill(&s.Connections, 20_000)
	fill(&s.UserConnections, 20)
	fill(&s.KeepAlive, 15*time.Second)
	fill(&s.Message, 256<<10)
	fill(&s.InitMessage, 16<<10)
	fill(&s.InitTimeout, 10*time.Second)
	fill(&s.PingInterval, 20*time.Second)
	fill(&s.DeadAfter, 40*time.Second)
	fill(&s.Subscriptions, 100)
	fill(&s.InFlight, 16)
	fill(&s.Writers, 32)
	return s
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
