package transport

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// Authenticator says who is on a connection that stays open.
type Authenticator interface {
	// Connect authenticates a socket by the payload of its connection_init
	// (nil when there is none) and its upgrade request, which should not be
	// kept. end is to be called, from any goroutine, when the socket must
	// end; why completes "the credential …". It does not block.
	//
	// The kind of a *model.Error decides how the socket closes:
	// KindUnauthenticated with 4401, KindForbidden with 4403, KindRateLimited
	// and KindUnavailable with 1013, others with 4500.
	Connect(ctx context.Context, r *http.Request, init json.RawMessage, end func(why string)) (Session, error)
	// Watch opens a session for an event stream, whose caller is in ctx
	// already; end as for Connect.
	Watch(ctx context.Context, end func(why string)) (Session, error)
}

// Session is the hold of an open connection on its credential.
type Session interface {
	// WithCaller returns ctx with the caller, for every operation of a socket.
	WithCaller(ctx context.Context) context.Context
	// Expires is when the credential stops to count; zero: never.
	Expires() time.Time
	// Owner is who Settings.UserConnections are counted for; nil: nobody. It
	// is comparable.
	Owner() any
	// Renew puts the credential of a ping's payload in place of the present
	// one. An error ends the socket: KindUnavailable with 1013, others with
	// 4403.
	Renew(ctx context.Context, payload json.RawMessage) error
	// Close ends the session. It is called once, also after end.
	Close()
}
