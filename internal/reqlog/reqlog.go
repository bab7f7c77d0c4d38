// Package reqlog gives every request an id and one line in the log. It logs
// the route, never the path, the query, a header or a body: those may name
// people and hold secrets.
package reqlog

import (
	"context"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"time"

	"carillon/internal/id"
)

type key struct{}

// request is what is known of a request while it runs.
type request struct {
	id    string
	route string
}

// ID returns the request's id, or "" outside of a request.
func ID(ctx context.Context) string {
	if r, ok := ctx.Value(key{}).(*request); ok {
		return r.id
	}
	return ""
}

// SetRoute names the request for the log and the metrics, such as "/graphql".
// Without it the request is logged as "other".
func SetRoute(ctx context.Context, route string) {
	if r, ok := ctx.Value(key{}).(*request); ok {
		r.route = route
	}
}

// Observe is told of every request that ended.
type Observe func(route, method string, status int, took time.Duration)

// Middleware logs requests and catches panics: a handler that panics before it
// answered gives a bare 500 with the request's id. [http.ErrAbortHandler] goes
// on, so that the connection is cut.
type Middleware struct {
	Log     *slog.Logger
	IDs     *id.Source
	Observe Observe // may be nil
}

// A request id of the caller's is kept when it looks like one.
var goodID = regexp.MustCompile(`^[A-Za-z0-9_.-]{8,64}$`)

// Wrap puts the middleware around next.
func (m *Middleware) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req := &request{id: r.Header.Get("X-Request-Id"), route: "other"}
		if !goodID.MatchString(req.id) {
			req.id = m.IDs.New()
		}
		w.Header().Set("X-Request-Id", req.id)
		rec := &recorder{ResponseWriter: w}
		start := time.Now()
		ctx := context.WithValue(r.Context(), key{}, req)
		defer func() {
			p := recover()
			cut := p == http.ErrAbortHandler //nolint:errorlint // a recovered value, not an error in flight
			if p != nil && !cut {
				m.Log.ErrorContext(ctx, "panic", "request", req.id, "panic", p, "stack", string(debug.Stack()))
				if rec.status == 0 {
					w.Header().Set("Content-Type", "application/json; charset=utf-8")
					rec.WriteHeader(http.StatusInternalServerError)
					_, _ = w.Write([]byte(`{"errors":[{"message":"internal error","extensions":{"code":"INTERNAL","requestId":"` + req.id + `"}}]}`))
				}
			}
			m.end(ctx, r, req, rec, time.Since(start))
			if cut {
				panic(p)
			}
		}()
		next.ServeHTTP(rec, r.WithContext(ctx))
	})
}

func (m *Middleware) end(ctx context.Context, r *http.Request, req *request, rec *recorder, took time.Duration) {
	status := rec.status
	if status == 0 {
		status = http.StatusOK
	}
	level := slog.LevelInfo
	switch {
	case status >= 500 && status != http.StatusServiceUnavailable && status != http.StatusNotImplemented: // busy, or asked for what is not here
		level = slog.LevelError
	case req.route == "/healthz", req.route == "/readyz":
		level = slog.LevelDebug
	}
	m.Log.Log(ctx, level, "request", "request", req.id, "method", r.Method, "route", req.route, "status", status, "took", took.Round(time.Microsecond).String())
	if m.Observe != nil {
		m.Observe(req.route, r.Method, status, took)
	}
}

// recorder remembers the status. Hijacking and flushing pass through Unwrap
// and http.ResponseController.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 || r.status == http.StatusContinue {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach what is beneath.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
