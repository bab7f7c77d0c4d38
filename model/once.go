package model

import "time"

// OnceKept is how long the result of an idempotency key is kept.
const OnceKept = 7 * 24 * time.Hour

// Once makes a mutation happen at most once. The zero Once does not: the
// mutation runs every time.
//
// A key is remembered for [OnceKept] in the scope (environment, Actor,
// Operation). The same key with the same Hash gives the stored result; with
// another Hash it is a KindKeyReused error. Only successes are stored.
type Once struct {
	Actor     UserID // the user whose credential called; zero: the application
	Operation string // "sendNotification"; the same word on every surface
	Key       string // at most MaxIdentifier bytes
	Hash      [32]byte
}

// Set reports whether the call has an idempotency key.
func (o Once) Set() bool { return o.Key != "" }

// ErrKeyInProgress says that a call with the same idempotency key is running,
// after it was waited for.
func ErrKeyInProgress() *Error {
	return &Error{
		Kind: KindKeyInProgress, Message: "a call with the same idempotency key is running", RetryAfter: time.Second,
		Problems: []Problem{{Code: ProblemInvalid, Path: []string{"idempotencyKey"}, Message: "is that of a call that is still running; try again in a moment"}},
	}
}

// Outcome is what a mutation did. Replayed is true when the value is the stored
// one of an earlier call with the same idempotency key.
type Outcome[T any] struct {
	Value    T
	Replayed bool
}
