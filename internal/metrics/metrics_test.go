package metrics

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestHandler(t *testing.T) {
	t.Parallel()
	m := New()
	m.Request("/graphql", "POST", 200, time.Millisecond)
	m.Request("/graphql", "BREW", 405, time.Millisecond)
	m.Gauge("carillon_streams", "Open streams.", func() float64 { return 7 })
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		`carillon_request_seconds_count{method="POST",route="/graphql",status="2xx"} 1`,
		`carillon_request_seconds_count{method="other",route="/graphql",status="4xx"} 1`,
		"carillon_streams 7", "go_goroutines",
	} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
}
