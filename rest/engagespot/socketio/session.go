package socketio

import (
	"context"
	"encoding/json"
	"net/http"
	"sync/atomic"
)

// Opener lets clients in.
type Opener interface {
	// Peer takes from a request for a socket what [Opener.Open] needs of it, so
	// that the request itself need not be kept.
	Peer(r *http.Request) any
	// Open lets a peer into a namespace; every name is one. auth is the object
	// that the client sent along, nil when it sent none. wake is to be called,
	// from any goroutine, whenever there is an event after Next had none, and
	// end when the session must end; neither waits.
	//
	// The kind of a *model.Error decides what becomes of a client that is not
	// let in: at KindUnavailable the socket closes, so that it comes back;
	// other errors of the model are told to it with their message, and it stays
	// away; anything else is a bug, at which the socket closes.
	Open(ctx context.Context, peer any, auth json.RawMessage, wake func(), end func(How)) (Session, error)
}

// How says how a session ends.
type How uint8

// The ways.
const (
	ForGood  How = iota // the client is told to stay away
	ComeBack            // the socket closes, and the client comes back
)

// Session is one client in one namespace.
type Session interface {
	// Next returns the next event, or false when there is none: then wake is
	// called when there is. It does not wait for one, and is not called twice
	// at the same time. After an error of KindUnavailable the socket closes;
	// io.EOF ends the session for good.
	Next(ctx context.Context) (Event, bool, error)
	// Owner is who Settings.UserConnections are counted for; nil: nobody. It
	// is comparable.
	Owner() any
	// Close ends the session. It is called once, also after end.
	Close()
}

// Event is what a client is told.
type Event struct {
	Name    string // a plain word
	Payload []byte // JSON
}

// Stats counts what goes on, for metrics. It is safe for concurrent use.
type Stats struct {
	Sockets     atomic.Int64  // open WebSockets
	Sessions    atomic.Int64  // open namespaces
	Refused     atomic.Uint64 // clients told to stay away
	Frames      atomic.Uint64 // written since the start
	Blocked     atomic.Int64  // frames that wait for a slow reader now
	SlowReaders atomic.Uint64 // sockets dropped because they did not read
	DeadPeers   atomic.Uint64 // sockets dropped because no heartbeat was answered
}
