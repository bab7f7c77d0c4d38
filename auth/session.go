package auth

import (
	"time"

	"carillon/model"
)

// Reason says why a stream must end.
type Reason string

// The reasons. A transport closes with 4403 for each: a client may come back
// with a fresh credential.
const (
	ReasonExpired Reason = "expired"      // the token or key has ended by itself
	ReasonRevoked Reason = "revoked"      // the key was revoked
	ReasonNoUser  Reason = "user deleted" // the user no longer exists
)

// Session is an open stream or socket in its [Sessions].
type Session struct {
	registry *Sessions
	end      func(Reason)

	// The rest is guarded by registry.mu.
	kind       Kind
	open       bool
	user       model.UserRef
	identifier string
	credential model.CredentialID
	expires    int64 // UTC microseconds since 1970; never: math.MaxInt64
	inHeap     int   // place in registry.expiring; -1: not there
	ofUser     int   // place in registry.users[user]
}

// Close takes the session out of the registry. It is safe to call more than
// once and from within the end function; the end function may be running when
// Close returns, but is not called afterwards.
func (s *Session) Close() {
	s.registry.mu.Lock()
	defer s.registry.mu.Unlock()
	s.registry.remove(s)
}

// Renew puts a fresh credential of the same caller in place of the session's.
// Another environment, kind or user is a KindForbidden error, a session that
// has ended the error of a wrong credential; both leave it as it is.
func (s *Session) Renew(c Caller) error {
	r := s.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	if !s.open {
		return refuse("the session has ended")
	}
	if c.Kind != s.kind || c.User != s.identifier || (model.UserRef{Env: c.Env.ID, ID: c.UserID}) != s.user {
		return model.Errorf(model.KindForbidden, "a renewal must be for the same user of the same environment")
	}
	r.unindex(s)
	s.credential, s.expires = c.Credential, micros(c.Expires)
	r.index(s)
	return nil
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return never
	}
	return t.UnixMicro()
}
