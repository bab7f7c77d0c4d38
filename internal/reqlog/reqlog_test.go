package reqlog

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"carillon/internal/id"
)

func serve(t *testing.T, h http.HandlerFunc, r *http.Request) (*httptest.ResponseRecorder, string) {
	t.Helper()
	var log bytes.Buffer
	m := Middleware{Log: slog.New(slog.NewJSONHandler(&log, nil)), IDs: new(id.Source)}
	w := httptest.NewRecorder()
	m.Wrap(h).ServeHTTP(w, r)
	return w, log.String()
}

func TestRequestsAreLoggedByRouteAndNotByPath(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/v3/users/ada@example.com?secret=1", nil)
	w, log := serve(t, func(w http.ResponseWriter, r *http.Request) {
		SetRoute(r.Context(), "/v3/users/:identifier")
		w.WriteHeader(http.StatusTeapot)
	}, r)
	for _, want := range []string{`"route":"/v3/users/:identifier"`, `"status":418`, w.Header().Get("X-Request-Id")} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %s: %s", want, log)
		}
	}
	if strings.Contains(log, "ada@example.com") || strings.Contains(log, "secret") {
		t.Errorf("the log names people or secrets: %s", log)
	}
}

func TestPanicAnswersWithTheRequestIDAlone(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("X-Request-Id", "caller-4711")
	w, log := serve(t, func(http.ResponseWriter, *http.Request) { panic("boom") }, r)
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "boom") || !strings.Contains(w.Body.String(), "caller-4711") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if !strings.Contains(log, "boom") {
		t.Errorf("the log does not say what happened: %s", log)
	}
}

func TestOddRequestIDsAreReplaced(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("X-Request-Id", `x" onload="`)
	w, _ := serve(t, func(http.ResponseWriter, *http.Request) {}, r)
	if got := w.Header().Get("X-Request-Id"); strings.Contains(got, `"`) || got == "" {
		t.Errorf("the answer carries the request id %q", got)
	}
}
