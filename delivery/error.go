package delivery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"carillon/internal/dial"
	"carillon/model"
)

// Error is why an attempt failed.
type Error struct {
	Class      model.ErrorClass
	RetryAfter time.Duration // what the provider asked to wait; zero: it did not say
	Status     int           // of HTTP or SMTP; zero: there was no answer
	Answer     string        // the beginning of the answer
	Message    string        // for people, without credentials
	Err        error         // for the log, which the application does not see; may be nil
}

func (e *Error) Error() string {
	if e.Err == nil {
		return e.Message
	}
	return e.Message + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error of a class with a message for people.
func Errorf(class model.ErrorClass, format string, args ...any) *Error {
	return &Error{Class: class, Message: fmt.Sprintf(format, args...)}
}

// ErrUnverified says that a call does not come from the provider.
var ErrUnverified = errors.New("the call cannot be verified")

// ErrBlocked is wrapped by the errors of a dial to an address that may not be
// dialled. The attempt fails as CONFIG and no packet is sent.
var ErrBlocked = dial.ErrBlocked

// StatusError judges an answer by its HTTP status alone, for providers that
// mean by it what HTTP says: nil for any 2xx. The body is what was read of the
// answer.
func StatusError(status int, header http.Header, body []byte, now time.Time) *Error {
	if status >= 200 && status < 300 {
		return nil
	}
	e := &Error{Class: classOfStatus(status), Status: status, Answer: string(body), Message: fmt.Sprintf("the provider answered %d %s", status, http.StatusText(status))}
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		e.RetryAfter = RetryAfter(header.Get("Retry-After"), now)
		if e.RetryAfter > 0 {
			e.Class = model.ClassRateLimited
		}
	}
	if status >= 300 && status < 400 {
		e.Message += ": redirects are not followed"
	}
	return e
}

// blocked is what the attempt says of an ErrBlocked, whose own words may tell what
// a name stands for inside.
const blocked = "blocked_address: the address is not public, and not on the allow-list"

func classOfStatus(status int) model.ErrorClass {
	switch {
	case status == http.StatusTooManyRequests:
		return model.ClassRateLimited
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return model.ClassAuth
	case status == http.StatusGone:
		return model.ClassAddressDead
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status >= 500:
		return model.ClassTransient
	}
	return model.ClassPermanent
}

// RetryAfter reads the header of that name: seconds, or a date. Anything else
// is zero.
func RetryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if n, err := strconv.ParseInt(value, 10, 64); err == nil {
		const most = 30 * 24 * time.Hour // more would overflow before it meant anything
		return time.Duration(min(max(n, 0), int64(most/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// Classify gives every error of a Sender a class; see [Sender.Send]. A nil error
// is nil.
func Classify(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		if e.Class == 0 {
			e.Class = model.ClassUnknown
		}
		return e
	}
	e := &Error{Class: model.ClassUnknown, Message: "the connection was lost before the provider had answered", Err: err}
	var op *net.OpError
	switch {
	case errors.Is(err, ErrBlocked):
		e.Class, e.Message = model.ClassConfig, blocked
	case errors.As(err, &op) && op.Op == "dial":
		e.Class, e.Message = model.ClassTransient, "the provider could not be reached"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		e.Message = "the provider did not answer in time"
	}
	return e
}
