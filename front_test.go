package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func newFront(t *testing.T, f front) http.Handler {
	t.Helper()
	f.mux = http.NewServeMux()
	ok := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "route") }
	f.mux.HandleFunc("GET /healthz", ok)
	if f.api {
		f.mux.HandleFunc("/graphql", ok)
	}
	if f.playground {
		f.mux.HandleFunc("GET /{$}", ok)
		f.mux.HandleFunc("GET /playground/{file}", ok)
	}
	return &f
}

func TestFrontAnswersWhatNoRouteDoes(t *testing.T) {
	t.Parallel()
	const (
		page  = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
		lives = "GET, HEAD, OPTIONS"
	)
	all, api, worker := front{api: true, playground: true}, front{api: true}, front{}
	tests := []struct {
		name                 string
		front                front
		method, path, accept string
		status               int
		allow, says          string
	}{
		{"Route", all, "GET", "/healthz", "", 200, "", "route"},
		{"RouteOfAnyMethod", all, "DELETE", "/graphql", "", 200, "", "route"},
		{"Page", all, "GET", "/", page, 200, "", "route"},
		{"NoPage", api, "GET", "/", page, 404, "", "the API is at /graphql"},
		{"Nothing", all, "GET", "/nothing", "", 404, "", "the API is at /graphql, and a playground at /"},
		{"NothingInHead", all, "HEAD", "/nothing", "", 404, "", ""},
		{"OptionsOfNothing", all, "OPTIONS", "/nothing", "", 404, "", "nothing is served"},
		{"Options", all, "OPTIONS", "/healthz", "", 204, lives, ""},
		{"OptionsOfThePage", all, "OPTIONS", "/", "", 204, lives, ""},
		{"WrongMethod", all, "POST", "/healthz", "", 405, lives, "takes GET, HEAD"},
		{"SlashAtTheEnd", all, "POST", "/graphql/", "", 404, "", "did you mean /graphql?"},
		{"Capitals", all, "POST", "/GraphQL", "", 404, "", "did you mean /graphql?"},
		{"DoubledSlash", all, "POST", "//graphql", "", 404, "", "did you mean /graphql?"},
		{"Dots", all, "GET", "/playground/../healthz", "", 404, "", "did you mean /healthz?"},
		{"WorkersHaveNoAPI", worker, "POST", "/graphql", "", 404, "", "another one does"},
		{"TypedByHand", all, "GET", "/graphql", page, 303, "", ""},
		{"TypedByHandWithoutPlayground", api, "GET", "/graphql", page, 200, "", "route"},
		{"LinkToAQuery", all, "GET", "/graphql?query={__typename}", page, 200, "", "route"},
		{"Client", all, "GET", "/graphql", "application/json", 200, "", "route"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(newFront(t, tt.front))
			defer server.Close()
			req, err := http.NewRequestWithContext(t.Context(), tt.method, server.URL+tt.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Accept", tt.accept)
			res, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			if res.StatusCode != tt.status || res.Header.Get("Allow") != tt.allow || !strings.Contains(string(body), tt.says) {
				t.Errorf("answered %d, Allow %q, %s", res.StatusCode, res.Header.Get("Allow"), body)
			}
			if tt.status >= 400 && tt.method != "HEAD" && !json.Valid(body) {
				t.Errorf("%s is not JSON", body)
			}
		})
	}
}
