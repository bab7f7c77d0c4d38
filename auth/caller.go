package auth

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"carillon/model"
)

// Kind says what a caller acts as.
type Kind uint8

// The kinds of caller.
const (
	Secret Kind = iota + 1 // a secret key: all of its environment
	User                   // one user of the environment
)

func (k Kind) String() string {
	switch k {
	case Secret:
		return "secret key"
	case User:
		return "user"
	default:
		return "nobody"
	}
}

// Caller is who presented a good credential. The zero Caller is nobody.
type Caller struct {
	Env  model.Environment
	Kind Kind
	// User is the user's identifier; empty for a secret key.
	User string
	// UserID is the user's; zero for a secret key, and for a user whom a TOKEN
	// environment does not know yet.
	UserID model.UserID
	// Credential is what proved it: the secret key, the API secret that signed
	// the identifier, or the key that verified the token. Empty in an OPEN
	// environment without a signature.
	Credential model.CredentialID
	// Public says that the credential was shown without its secret, as clients
	// do that everybody can read: only the Engage dialect lets them in, for what
	// they may.
	Public bool
	// Expires is when the credential stops to count, the earlier of the
	// token's exp and the end of the key; zero: never.
	Expires time.Time
}

// Actor is whose idempotency keys a caller's are: zero for an application. A
// user who is not known yet has no id: theirs is a negative number that follows
// from the identifier, so that their keys are neither the application's nor
// another's.
func (c Caller) Actor() model.UserID {
	if c.Kind != User || c.UserID != 0 {
		return c.UserID
	}
	sum := sha256.Sum256([]byte(c.User))
	return -model.UserID(binary.BigEndian.Uint64(sum[:])>>12) - 1
}

// ErrNone says that no credential was presented, as opposed to a wrong one.
var ErrNone error = &model.Error{
	Kind:    model.KindUnauthenticated,
	Message: "a credential is required: Authorization: Bearer with a secret key or a user token, or a public key with a user",
}

const refused = "the credential is wrong, incomplete, expired or not admitted here"

// refuse is the one error for every wrong credential; why is for the log.
func refuse(why string, args ...any) error {
	return &model.Error{Kind: model.KindUnauthenticated, Message: refused, Err: fmt.Errorf(why, args...)}
}

// Refuse is the error for a credential that a surface finds wrong before it can
// be looked at; why is for the log.
func Refuse(why string, args ...any) error { return refuse(why, args...) }

// IsRefused reports whether err says that a credential was presented and is
// wrong.
func IsRefused(err error) bool {
	return model.KindOf(err) == model.KindUnauthenticated && !errors.Is(err, ErrNone)
}

type contextKey struct{}

// WithCaller returns ctx with the caller of the request.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, contextKey{}, c)
}

// FromContext returns the caller of the request; false when it presented no
// credential.
func FromContext(ctx context.Context) (Caller, bool) {
	c, ok := ctx.Value(contextKey{}).(Caller)
	return c, ok
}

// Require returns the caller, of either kind, or [ErrNone].
func Require(ctx context.Context) (Caller, error) {
	c, ok := FromContext(ctx)
	if !ok {
		return Caller{}, ErrNone
	}
	return c, nil
}

// RequireSecret returns the caller when it has a secret key; otherwise the
// error is ErrNone, or KindForbidden for a user.
func RequireSecret(ctx context.Context) (Caller, error) {
	c, err := Require(ctx)
	if err != nil {
		return Caller{}, err
	}
	if c.Kind != Secret {
		return Caller{}, model.Errorf(model.KindForbidden, "this needs a secret key; a user's credential will not do")
	}
	return c, nil
}

// RequireUser returns the caller when it is a user, who may be unknown yet
// (UserID zero); otherwise the error is ErrNone, or KindForbidden for a secret
// key.
func RequireUser(ctx context.Context) (Caller, error) {
	c, err := Require(ctx)
	if err != nil {
		return Caller{}, err
	}
	if c.Kind != User {
		return Caller{}, model.Errorf(model.KindForbidden, "this needs a user's credential; a secret key will not do")
	}
	return c, nil
}

// RequireKnownUser is RequireUser for what needs the user to exist: one that a
// TOKEN environment does not know yet is a KindNotFound error.
func RequireKnownUser(ctx context.Context) (Caller, error) {
	c, err := RequireUser(ctx)
	if err != nil {
		return Caller{}, err
	}
	if c.UserID == 0 {
		return Caller{}, model.Errorf(model.KindNotFound, "the user %q is not known in this environment yet: call identifyUser first", c.User)
	}
	return c, nil
}
