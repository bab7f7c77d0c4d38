package engagespot_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"carillon/rest/engagespot"
)

func TestWorkerKnowsItsServer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ host, proto, want string }{
		{"notify.example.com", "https", "'https://notify.example.com/v3'"},
		{"127.0.0.1:8080", "", "'http://127.0.0.1:8080/v3'"},
		{"[::1]:8080", "", "'http://[::1]:8080/v3'"},
		{"x'+alert(1)+'\n", "https", "'https://xalert1/v3'"},
		{"x", "javascript", "'http://x/v3'"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "http://x/engagespot/worker.js?apiKey=pk_test_1'%2Balert(1)", nil)
		r.Host = tt.host
		r.Header.Set("X-Forwarded-Proto", tt.proto)
		w := httptest.NewRecorder()
		engagespot.Worker(w, r)
		if got := w.Header().Get("Content-Type"); !strings.HasPrefix(got, "text/javascript") {
			t.Errorf("%q: Content-Type %q", tt.host, got)
		}
		if body := w.Body.String(); strings.Contains(body, "%API%") || !strings.Contains(body, tt.want) || !strings.Contains(body, "'pk_test_1alert1'") {
			t.Errorf("%q: the script does not have %s", tt.host, tt.want)
		}
	}
}
