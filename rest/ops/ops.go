// Package ops serves what operators and load balancers ask: whether the
// process lives and whether it should get requests. It knows nothing of
// notifications.
package ops

import (
	"context"
	"encoding/json"
	"net/http"
	"sync/atomic"
	"time"

	"carillon/internal/reqlog"
)

// Health answers /healthz and /readyz.
type Health struct {
	// Database asks whether the database answers.
	Database func(context.Context) error
	// Warnings says what works, but later or slower than it should.
	Warnings func() []string

	draining atomic.Bool
}

// readyWithin bounds how long /readyz waits for the database.
const readyWithin = time.Second

// Drain makes /readyz say no from now on.
func (h *Health) Drain() { h.draining.Store(true) }

// Mount registers the routes.
func (h *Health) Mount(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", h.live)
	mux.HandleFunc("GET /readyz", h.ready)
}

func (h *Health) live(w http.ResponseWriter, r *http.Request) {
	reqlog.SetRoute(r.Context(), "/healthz")
	write(w, http.StatusOK, status{Status: "ok"})
}

func (h *Health) ready(w http.ResponseWriter, r *http.Request) {
	reqlog.SetRoute(r.Context(), "/readyz")
	if h.draining.Load() {
		write(w, http.StatusServiceUnavailable, status{Status: "shutting down"})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readyWithin)
	defer cancel()
	if err := h.Database(ctx); err != nil {
		write(w, http.StatusServiceUnavailable, status{Status: "the database does not answer"})
		return
	}
	s := status{Status: "ok", Warnings: h.Warnings()}
	if len(s.Warnings) > 0 {
		s.Status = "degraded"
	}
	write(w, http.StatusOK, s)
}

type status struct {
	Status   string   `json:"status"`
	Warnings []string `json:"warnings,omitempty"`
}

func write(w http.ResponseWriter, code int, s status) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if code == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(s) // a client that is gone needs no answer
}
