package playground

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func serveOne(t *testing.T, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	mux := http.NewServeMux()
	(&Playground{Presets: []Preset{{Name: "Demo", Authorization: "Bearer sk_marker"}}}).Mount(mux)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w
}

// TestPageNeedsNothingFromElsewhere follows every address in the page.
func TestPageNeedsNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	page := serveOne(t, httptest.NewRequest(http.MethodGet, "/", nil))
	if page.Code != http.StatusOK {
		t.Fatalf("GET /: %d", page.Code)
	}
	found := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page.Body.String(), -1)
	if len(found) < 6 {
		t.Fatalf("the page refers to %d files, want at least 6", len(found))
	}
	for _, f := range found {
		if !strings.HasPrefix(f[1], "/playground/") {
			t.Errorf("the page refers to %s", f[1])
			continue
		}
		w := serveOne(t, httptest.NewRequest(http.MethodGet, f[1], nil))
		if w.Code != http.StatusOK || w.Body.Len() == 0 || w.Header().Get("Content-Type") == "" {
			t.Errorf("GET %s: %d, %d bytes of %q", f[1], w.Code, w.Body.Len(), w.Header().Get("Content-Type"))
		}
		again := httptest.NewRequest(http.MethodGet, f[1], nil)
		again.Header.Set("If-None-Match", w.Header().Get("ETag"))
		if w := serveOne(t, again); w.Code != http.StatusNotModified {
			t.Errorf("GET %s with its tag: %d, want 304", f[1], w.Code)
		}
	}
	if p := page.Header().Get("Content-Security-Policy"); !strings.Contains(p, "script-src 'self';") {
		t.Errorf("the policy lets scripts in from elsewhere: %s", p)
	}
}

func TestPresetsStayOnThisMachine(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, remote, host, header, value string
		shown                             bool
	}{
		{"Localhost", "127.0.0.1:5000", "localhost:8080", "", "", true},
		{"LoopbackAddress", "[::1]:5000", "[::1]:8080", "", "", true},
		{"AnotherMachine", "192.168.1.9:5000", "localhost:8080", "", "", false},
		{"NameThatPointsHere", "127.0.0.1:5000", "evil.example:8080", "", "", false},
		{"PageFromElsewhere", "127.0.0.1:5000", "localhost:8080", "Sec-Fetch-Site", "cross-site", false},
		{"ThroughAProxy", "127.0.0.1:5000", "localhost:8080", "X-Forwarded-For", "203.0.113.9", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, "/playground/presets.json", nil)
			r.RemoteAddr, r.Host = tt.remote, tt.host
			if tt.header != "" {
				r.Header.Set(tt.header, tt.value)
			}
			if got := strings.Contains(serveOne(t, r).Body.String(), "sk_marker"); got != tt.shown {
				t.Errorf("presets shown: %t, want %t", got, tt.shown)
			}
		})
	}
}

func TestOnlyKnownFilesAreServed(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/playground/playground.go", "/playground/..%2fplayground.go", "/playground/LICENSE-react", "/playground/page"} {
		if w := serveOne(t, httptest.NewRequest(http.MethodGet, path, nil)); w.Code != http.StatusNotFound {
			t.Errorf("GET %s: %d, want 404", path, w.Code)
		}
	}
}
