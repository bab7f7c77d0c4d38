package graph

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"carillon/auth"
	"carillon/graph/transport"
	"carillon/model"
)

var _ transport.Authenticator = (*sessions)(nil)

// sessions holds open connections to their credentials.
type sessions struct {
	gate     *auth.Gate
	registry *auth.Sessions
}

// Connect admits a socket by its connection_init, or by the headers of its
// upgrade.
func (s *sessions) Connect(ctx context.Context, r *http.Request, init json.RawMessage, end func(why string)) (transport.Session, error) {
	upgrade, err := auth.FromRequest(r)
	if err != nil {
		return nil, err
	}
	from := s.source(r)
	caller, err := s.gate.AdmitInit(ctx, from, init, upgrade)
	if err != nil {
		return nil, err
	}
	return s.open(from, caller, end), nil
}

// Watch holds an event stream to the credential of its request.
func (s *sessions) Watch(ctx context.Context, end func(why string)) (transport.Session, error) {
	caller, err := auth.Require(ctx)
	if err != nil {
		return nil, err
	}
	return s.open(auth.Source{}, caller, end), nil
}

func (s *sessions) open(from auth.Source, caller auth.Caller, end func(why string)) *session {
	o := &session{sessions: s, from: from}
	o.caller.Store(&caller)
	o.held = s.registry.Open(caller, func(why auth.Reason) { end(whys[why]) })
	return o
}

// whys complete "the credential …".
var whys = map[auth.Reason]string{
	auth.ReasonExpired: "has expired",
	auth.ReasonRevoked: "was revoked",
	auth.ReasonNoUser:  "is of a user who was deleted",
}

func (s *sessions) source(r *http.Request) auth.Source {
	if s.gate.Source != nil {
		return s.gate.Source(r)
	}
	return auth.SourceOf(r)
}

// owner is the user whose connections are counted together.
type owner struct {
	env  model.EnvID
	user string
}

// session is an open connection.
type session struct {
	sessions *sessions
	from     auth.Source
	held     *auth.Session
	caller   atomic.Pointer[auth.Caller] // as the latest credential says
}

func (s *session) WithCaller(ctx context.Context) context.Context {
	return auth.WithCaller(ctx, *s.caller.Load())
}

func (s *session) Expires() time.Time { return s.caller.Load().Expires }

// Owner is the user; the connections of an application are not counted.
func (s *session) Owner() any {
	c := s.caller.Load()
	if c.Kind != auth.User {
		return nil
	}
	return owner{c.Env.ID, c.User}
}

// Renew takes the fresh credential of a ping. A ping without any is a ping.
func (s *session) Renew(ctx context.Context, payload json.RawMessage) error {
	caller, err := s.sessions.gate.AdmitInit(ctx, s.from, payload, auth.Presented{})
	if errors.Is(err, auth.ErrNone) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.held.Renew(caller); err != nil {
		return err
	}
	s.caller.Store(&caller)
	return nil
}

func (s *session) Close() { s.held.Close() }
