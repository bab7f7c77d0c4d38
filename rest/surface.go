package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"carillon/auth"
	"carillon/internal/admission"
	"carillon/internal/reqlog"
	"carillon/internal/shed"
)

// Handler answers a request with a status and a body, which is encoded as
// JSON unless it is a [Stream], or with an error, which it leaves to the surface, so that no handler
// writes an envelope of its own.
type Handler func(r *http.Request) (status int, body any, err error)

// Access says who may use a route, and how urgent it is.
type Access struct {
	// Open lets anyone in, and no credential is looked at.
	Open bool
	// Allow refuses a caller who is known but not meant; nil: anyone who is
	// known may.
	Allow func(auth.Caller) error
	// Class is how urgent the route is; the zero Class is what a person waits
	// for.
	Class shed.Class
	// Within bounds how long the request may take; zero: the surface's Timeout.
	Within time.Duration
	// Transfer says that a body, coming or going, takes as long as its client
	// does. The request takes no place from others, whatever its Class; instead an
	// environment, with a secret key, has four of them under way at once.
	Transfer bool
}

// Surface is one dialect: what all its routes have in common. Fill it in
// before the first request.
type Surface struct {
	Name string // such as "engagespot": it begins the names of routes in the log

	// Authenticate says who calls. An error is as [auth.Gate.Admit] gives it.
	Authenticate func(*http.Request) (auth.Caller, error)
	// Secret is the header, besides Authorization, whose value nobody but its owner
	// knows, in the form of [http.CanonicalHeaderKey]; empty: none.
	Secret string
	// Source says where a request comes from; nil: [auth.SourceOf].
	Source func(*http.Request) auth.Source
	// Admission bounds rates and work; nil bounds nothing.
	Admission *admission.Desk
	// Envelope is the body of an answer that says what went wrong. It may
	// change the failure's Status.
	Envelope func(r *http.Request, f *Failure) any
	// Challenge is the WWW-Authenticate of a 401; empty: none.
	Challenge string

	// Headers are those that pages of other origins may send, besides
	// content-type, authorization and those of this server.
	Headers []string
	// Timeout bounds one request; zero: 10 s.
	Timeout time.Duration
	Log     *slog.Logger // nil: slog's default

	transfers transfers
}

const (
	defaultTimeout = 10 * time.Second
	bodyWithin     = 30 * time.Second // for the body of a request to arrive
	writeWithin    = 30 * time.Second // for the client to read what is in the way
)

// serve takes a request through a route.
func (s *Surface) serve(w http.ResponseWriter, r *http.Request, route *Route) {
	reqlog.SetRoute(r.Context(), route.pattern)
	s.open(w.Header())
	timeout := s.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	if route.access.Within > 0 {
		timeout = route.access.Within
	}
	ctx, cancel := context.WithTimeout(context.WithValue(r.Context(), routeKey{}, route), timeout)
	defer cancel()
	if r.ContentLength != 0 { // without a body, net/http reads already, and a deadline would end the request
		// A writer that cannot set a deadline is one of a test.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyWithin))
	}
	r = r.WithContext(ctx)
	status, body, err := s.answer(w, r, route)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if download, ok := body.(Stream); ok {
		s.stream(w, r, status, download)
		return
	}
	s.write(w, r, status, body)
}

// answer authenticates, admits and handles a request. A panic is an error.
func (s *Surface) answer(w http.ResponseWriter, r *http.Request, route *Route) (status int, body any, err error) {
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler { //nolint:errorlint // a recovered value, not an error in flight
				panic(p)
			}
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if !route.access.Open {
		credential := s.credential(r)
		if !route.access.Transfer {
			if err := s.Admission.Refuses(credential); err != nil {
				return 0, nil, err
			}
		}
		caller, err := s.Authenticate(r)
		if err != nil {
			return 0, nil, err
		}
		s.Admission.Note(credential, caller.Env.ID)
		r = r.WithContext(auth.WithCaller(r.Context(), caller))
		if allow := route.access.Allow; allow != nil {
			if err := allow(caller); err != nil {
				return 0, nil, err
			}
		}
	}
	source := s.Source
	if source == nil {
		source = auth.SourceOf
	}
	if route.access.Transfer {
		if err := s.Admission.Count(r.Context(), source(r).Address, 1); err != nil {
			return 0, nil, err
		}
		return s.transfer(withWriter(r, w), route)
	}
	leave, err := s.Admission.Admit(r.Context(), source(r).Address, 1, route.access.Class)
	if err != nil {
		return 0, nil, err
	}
	defer leave()
	return route.handle(withWriter(r, w))
}

// credential is what nobody but its owner can present; empty: nothing of that
// kind was.
func (s *Surface) credential(r *http.Request) string {
	for _, name := range []string{auth.HeaderAuthorization, s.Secret} {
		if values := r.Header[name]; len(values) == 1 {
			return values[0]
		}
	}
	return ""
}

// transfer handles a request that is under way until all of it has been served.
func (s *Surface) transfer(r *http.Request, route *Route) (status int, body any, err error) {
	caller, err := auth.RequireSecret(r.Context())
	if err != nil {
		return 0, nil, err
	}
	if err := s.transfers.begin(r.Context(), caller.Env.ID); err != nil {
		return 0, nil, err
	}
	return route.handle(r)
}

// Page is the body of an answer that is HTML, without scripts, styles or anything
// from elsewhere.
type Page string

// write answers. What cannot be encoded is a fault of ours.
func (s *Surface) write(w http.ResponseWriter, r *http.Request, status int, body any) {
	if page, ok := body.(Page); ok {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", "default-src 'none'; form-action 'self'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		send(w, status, []byte(page))
		return
	}
	encoded, err := json.Marshal(body)
	if err != nil {
		s.fail(w, r, fmt.Errorf("encoding answer: %w", err))
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(encoded)))
	send(w, status, encoded)
}

// send writes a body, and does not wait for ever for somebody to read it.
func send(w http.ResponseWriter, status int, body []byte) {
	writable(http.NewResponseController(w))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone needs no answer
}

// writable gives the client time to read what is written next. The next answer
// on its connection begins without a deadline: net/http sees to that.
func writable(control *http.ResponseController) {
	_ = control.SetWriteDeadline(time.Now().Add(writeWithin)) // a writer that cannot is one of a test
}

// open lets pages of any origin read the answer, and nobody keep it.
func (s *Surface) open(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "Retry-After, X-Request-Id")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
}

// commonHeaders are those that a page may send on any surface.
var commonHeaders = []string{
	"authorization", "content-type", "accept", "cache-control", "pragma", "expires", "idempotency-key",
	"x-request-id", "x-requested-with", "traceparent", "tracestate",
}

// preflight answers OPTIONS, from a browser or from anyone. Its body is JSON as
// any other's.
func (s *Surface) preflight(w http.ResponseWriter, methods []string) {
	if len(methods) == 0 {
		methods = []string{"GET", "POST", "PUT", "PATCH", "DELETE"} // so that a page can read the 404
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", strings.Join(methods, ", ")+", OPTIONS")
	h.Set("Access-Control-Allow-Headers", strings.Join(slices.Concat(commonHeaders, s.Headers), ", "))
	h.Set("Access-Control-Max-Age", "7200")
	h.Set("Allow", strings.Join(methods, ", ")+", OPTIONS")
	h.Set("Content-Type", "application/json; charset=utf-8")
	send(w, http.StatusOK, []byte("{}"))
}

func (s *Surface) log() *slog.Logger {
	if s.Log == nil {
		return slog.Default()
	}
	return s.Log
}
