package rest

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"carillon/internal/reqlog"
	"carillon/model"
)

// Error is what goes wrong on the way into a surface and has no kind in the
// model, such as 405 and 415.
type Error struct {
	Status  int
	Message string
}

func (e *Error) Error() string { return e.Message }

// Failure is what went wrong, ready to be put into an envelope.
type Failure struct {
	Status  int
	Code    string // a stable word, such as NOT_FOUND
	Message string // for a person; with the problems in it when there are any
	// Problems are what is wrong with which member, each with its path.
	Problems   []model.Problem
	RetryAfter time.Duration
	RequestID  string
}

// Texts is the failure as sentences: each problem with the member it is about,
// or the message.
func (f *Failure) Texts() []string {
	if len(f.Problems) == 0 {
		return []string{f.Message}
	}
	out := make([]string, len(f.Problems))
	for i, p := range f.Problems {
		field := p.Field()
		if field == "" {
			field = "the body"
		}
		out[i] = field + " " + p.Message
	}
	return out
}

// statuses are what kinds of error are in HTTP.
var statuses = map[model.Kind]int{
	model.KindInvalid:         http.StatusBadRequest,
	model.KindUnauthenticated: http.StatusUnauthorized,
	model.KindForbidden:       http.StatusForbidden,
	model.KindNotFound:        http.StatusNotFound,
	model.KindConflict:        http.StatusConflict,
	model.KindVersionConflict: http.StatusConflict,
	model.KindKeyReused:       http.StatusUnprocessableEntity,
	model.KindKeyInProgress:   http.StatusConflict,
	model.KindLimit:           http.StatusConflict,
	model.KindRateLimited:     http.StatusTooManyRequests,
	model.KindUnavailable:     http.StatusServiceUnavailable,
	model.KindInternal:        http.StatusInternalServerError,
}

// words are the codes of statuses that no kind has.
var words = map[int]string{
	http.StatusBadRequest: "INVALID", http.StatusNotFound: "NOT_FOUND", http.StatusMethodNotAllowed: "METHOD_NOT_ALLOWED",
	http.StatusRequestEntityTooLarge: "PAYLOAD_TOO_LARGE", http.StatusUnsupportedMediaType: "UNSUPPORTED_MEDIA_TYPE",
	http.StatusUnprocessableEntity: "INVALID", http.StatusNotImplemented: "NOT_IMPLEMENTED", http.StatusRequestTimeout: "REQUEST_TIMEOUT",
}

// failure sorts an error, and logs what its caller must not see.
func (s *Surface) failure(r *http.Request, err error) *Failure {
	ctx := r.Context()
	f := &Failure{RequestID: reqlog.ID(ctx)}
	if e, ok := errors.AsType[*Error](err); ok {
		f.Status, f.Code, f.Message = e.Status, words[e.Status], e.Message
		return f
	}
	e, ok := errors.AsType[*model.Error](err)
	switch {
	case ok && e.Kind == model.KindUnavailable && e.Err != nil:
		s.log().WarnContext(ctx, "request", "request", f.RequestID, "route", Pattern(ctx), "error", err)
	case ok && e.Kind != model.KindInternal:
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		e = &model.Error{Kind: model.KindUnavailable, Message: "the request took too long or was given up", RetryAfter: time.Second}
	default:
		s.log().ErrorContext(ctx, "request", "request", f.RequestID, "route", Pattern(ctx), "error", err)
		e = &model.Error{Kind: model.KindInternal, Message: "internal error"}
	}
	f.Status, f.Code, f.Message = statuses[e.Kind], string(e.Kind), e.Message
	f.Problems, f.RetryAfter = e.Problems, e.RetryAfter
	if len(f.Problems) > 0 {
		f.Message = strings.Join(f.Texts(), "; ")
	}
	return f
}

// fail answers with an error.
func (s *Surface) fail(w http.ResponseWriter, r *http.Request, err error) {
	f := s.failure(r, err)
	body := s.Envelope(r, f)
	h := w.Header()
	if f.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(f.RetryAfter.Seconds()))))
	} else if f.Status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	if f.Status == http.StatusUnauthorized && s.Challenge != "" {
		h.Set("WWW-Authenticate", s.Challenge)
	}
	if f.Status == http.StatusRequestEntityTooLarge || f.Status == http.StatusRequestTimeout {
		h.Set("Connection", "close") // what is left of the body is not read
	}
	s.write(w, r, f.Status, body)
}
