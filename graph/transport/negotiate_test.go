package transport_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"carillon/graph/internal/testschema"
)

func TestAccept(t *testing.T) {
	t.Parallel()
	s := serve(t)
	const json, graphql, events = "application/json", "application/graphql-response+json", "text/event-stream"
	tests := []struct{ accept, want string }{
		{"-", json},
		{"", json},
		{"*/*", json},
		{"application/*", json},
		{json, json},
		{graphql, graphql},
		{graphql + ", " + json, graphql},
		{json + ", " + graphql, json},
		{json + ";q=0.1, " + graphql, graphql},
		{graphql + ";q=0.1, " + json + ";q=0.2", json},
		{graphql + "," + json + ";q=0.9", graphql},
		{"text/html, */*;q=0.1", json},
		{"*/*, " + json + ";q=0", graphql},
		{"APPLICATION/JSON", json},
		{graphql + "; charset=utf-8", graphql},
		{graphql + "; charset=latin1, " + json + ";q=0.5", json},
		{"nonsense, " + graphql, graphql},
		{events, events},
		{events + ", " + json, events},
		{json + ", " + events, json},
		{"text/*", ""},
		{"image/png", ""},
		{json + ";q=2", ""},
	}
	for _, tt := range tests {
		resp, body := s.send(t, request{body: `{"query":"{ hello }"}`, headers: []string{"Accept: " + tt.accept}})
		got, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
		if resp.StatusCode == 406 {
			got = ""
		}
		if got != tt.want {
			t.Errorf("Accept: %s is answered as %q, want %q: %s", tt.accept, got, tt.want, body)
		}
	}
}

func TestSimpleRequestsHaveNoEffect(t *testing.T) {
	t.Parallel()
	s := serve(t)
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/graphql"+get("query", "{ hello }"), nil)
	answer := func(header string) int {
		r.Header = http.Header{}
		if header != "" {
			r.Header.Set(header, "1")
		}
		w := httptest.NewRecorder()
		// A credential that came by itself, as a cookie would.
		s.Handler.ServeHTTP(w, r.WithContext(testschema.WithName(r.Context(), "ada")))
		return w.Code
	}
	if got := answer(""); got != 403 {
		t.Errorf("a simple request with a cookie: %d, want 403", got)
	}
	for _, header := range []string{"GraphQL-Require-Preflight", "Apollo-Require-Preflight", "X-Apollo-Operation-Name", "X-Requested-With", "X-Carillon-Key"} {
		if got := answer(header); got != 200 {
			t.Errorf("with %s: %d, want 200", header, got)
		}
	}
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	s := serve(t)
	resp, _ := s.send(t, request{method: "OPTIONS", headers: []string{
		"Authorization: -", "Origin: https://app.example", "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization",
	}})
	if resp.StatusCode != 204 {
		t.Errorf("status %d, want 204", resp.StatusCode)
	}
	allowed := strings.ToLower(resp.Header.Get("Access-Control-Allow-Headers"))
	for _, name := range []string{"authorization", "content-type", "last-event-id", "idempotency-key", "x-carillon-key", "graphql-require-preflight"} {
		if !strings.Contains(allowed, name) {
			t.Errorf("a page may not send %s: %s", name, allowed)
		}
	}
	for _, method := range []string{"GET", "POST"} {
		if !strings.Contains(resp.Header.Get("Access-Control-Allow-Methods"), method) {
			t.Errorf("a page may not use %s", method)
		}
	}
}
