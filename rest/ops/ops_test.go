package ops

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	var (
		dbErr    error
		warnings []string
	)
	h := &Health{Database: func(context.Context) error { return dbErr }, Warnings: func() []string { return warnings }}
	mux := http.NewServeMux()
	h.Mount(mux)
	get := func(path string) (int, string) {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Code, w.Body.String()
	}
	expect := func(path string, code int, part string) {
		t.Helper()
		if c, body := get(path); c != code || !strings.Contains(body, part) {
			t.Errorf("GET %s: %d %s, want %d with %q", path, c, body, code, part)
		}
	}

	expect("/healthz", 200, "ok")
	expect("/readyz", 200, `"ok"`)
	warnings = []string{"Redis does not answer"}
	expect("/readyz", 200, "degraded")
	dbErr = errors.New("dial tcp 10.0.0.1:5432: secret detail")
	expect("/readyz", 503, "database")
	if _, body := get("/readyz"); strings.Contains(body, "secret") {
		t.Errorf("the answer shows our insides: %s", body)
	}
	expect("/healthz", 200, "ok")
	dbErr = nil
	h.Drain()
	expect("/readyz", 503, "shutting down")
	expect("/healthz", 200, "ok")
}
