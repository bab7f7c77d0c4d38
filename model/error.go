package model

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Kind says what a caller can do about an error. Surfaces map it to their own
// code: GraphQL extensions or user errors, an HTTP status, a vendor's envelope.
type Kind string

// The kinds of error.
const (
	KindInvalid         Kind = "INVALID"                 // change the input and try again
	KindUnauthenticated Kind = "UNAUTHENTICATED"         // present a credential
	KindForbidden       Kind = "FORBIDDEN"               // this credential never will do
	KindNotFound        Kind = "NOT_FOUND"               // absent in this environment
	KindConflict        Kind = "CONFLICT"                // lost a race, or the name is taken
	KindVersionConflict Kind = "VERSION_CONFLICT"        // expectedVersion is not the current one
	KindKeyReused       Kind = "IDEMPOTENCY_KEY_REUSED"  // same key, other input
	KindKeyInProgress   Kind = "IDEMPOTENCY_IN_PROGRESS" // same key, still running
	KindLimit           Kind = "LIMIT_EXCEEDED"          // more than the environment may have
	KindRateLimited     Kind = "RATE_LIMITED"            // wait for RetryAfter
	KindUnavailable     Kind = "UNAVAILABLE"             // a dependency is down; retry
	KindInternal        Kind = "INTERNAL"                // a bug; see the logs
)

// Error is the one error type that crosses package borders on purpose.
// Message is written for the API's caller; Err, when set, is for the log and
// never leaves the process.
type Error struct {
	Kind       Kind
	Message    string
	Problems   []Problem     // what is wrong with which input field; may be empty
	RetryAfter time.Duration // for KindRateLimited, KindUnavailable and KindKeyInProgress; else zero
	Err        error
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Message)
	for i, p := range e.Problems {
		if i == 0 {
			b.WriteString(": ")
		} else {
			b.WriteString("; ")
		}
		b.WriteString(p.Field())
		b.WriteByte(' ')
		b.WriteString(p.Message)
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// ProblemCode is a stable word for what is wrong with a field.
type ProblemCode string

// The problem codes; they are the schema's UserErrorCode.
const (
	ProblemInvalid     ProblemCode = "INVALID"
	ProblemRequired    ProblemCode = "REQUIRED"
	ProblemNotFound    ProblemCode = "NOT_FOUND"
	ProblemConflict    ProblemCode = "CONFLICT"
	ProblemUnknownUser ProblemCode = "UNKNOWN_USER"
	ProblemLimit       ProblemCode = "LIMIT_EXCEEDED"
)

// Problem is one thing wrong with one input field. Path is the way into the
// input in the caller's words, such as ["recipients", "2", "email"]; Message
// completes the sentence that begins with the field ("must be …").
type Problem struct {
	Code    ProblemCode
	Path    []string
	Message string
}

// Field is the path joined by dots.
func (p Problem) Field() string { return strings.Join(p.Path, ".") }

// KindOf reports the kind of the outermost *Error in err's chain. A nil err
// has the empty kind, and an error nobody classified is KindInternal.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return KindInternal
}

// Errorf makes an error of a kind with a message for the caller.
func Errorf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// NotFound says that the thing named by the field at path does not exist in
// the caller's environment.
func NotFound(message string, path ...string) *Error {
	return &Error{Kind: KindNotFound, Message: "not found", Problems: []Problem{{ProblemNotFound, path, message}}}
}

// Conflict says that the field at path collides with something that exists.
func Conflict(message string, path ...string) *Error {
	return &Error{Kind: KindConflict, Message: "conflict", Problems: []Problem{{ProblemConflict, path, message}}}
}

// Check collects problems so that a caller hears of all of them at once.
// The zero Check is ready to use.
type Check struct {
	prefix   []string
	problems *[]Problem
}

func (c *Check) list() *[]Problem {
	if c.problems == nil {
		c.problems = new([]Problem)
	}
	return c.problems
}

// At returns a Check for the fields under path; what it finds is counted here.
func (c *Check) At(path ...string) *Check {
	return &Check{prefix: append(append([]string{}, c.prefix...), path...), problems: c.list()}
}

// Add records a problem of the field at path.
func (c *Check) Add(code ProblemCode, message string, path ...string) {
	l := c.list()
	*l = append(*l, Problem{code, append(append([]string{}, c.prefix...), path...), message})
}

// That records an INVALID problem unless ok.
func (c *Check) That(ok bool, message string, path ...string) {
	if !ok {
		c.Add(ProblemInvalid, message, path...)
	}
}

// OK reports whether no problem was recorded.
func (c *Check) OK() bool { return c.problems == nil || len(*c.problems) == 0 }

// Problems lists what was recorded; nil when nothing was.
func (c *Check) Problems() []Problem {
	if c.problems == nil {
		return nil
	}
	return *c.problems
}

// Err returns nil, or one KindInvalid *Error holding every recorded problem.
func (c *Check) Err() error {
	if c.OK() {
		return nil
	}
	return &Error{Kind: KindInvalid, Message: "invalid input", Problems: *c.problems}
}
