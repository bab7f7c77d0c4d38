package rest_test

import (
	"context"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"carillon/auth"
	"carillon/internal/admission"
	"carillon/internal/shed"
	"carillon/rest"
)

func TestAFullServerLooksAtNoCredential(t *testing.T) {
	t.Parallel()
	gate := shed.New(4, time.Minute)
	var looked atomic.Int64
	server := serve(t, func(router *rest.Router, s *rest.Surface) {
		s.Admission, s.Secret = admission.New(admission.Rates{}, gate), "X-Acme"
		authenticate := s.Authenticate
		s.Authenticate = func(r *http.Request) (auth.Caller, error) {
			looked.Add(1)
			return authenticate(r)
		}
		router.Handle(s, "GET /v3/x", rest.Access{}, func(*http.Request) (int, any, error) { return http.StatusOK, "x", nil })
	})
	if res, body := raw(t, server, http.MethodGet, "/v3/x", "X-Acme: app\r\n", ""); res.StatusCode != http.StatusOK {
		t.Fatalf("with room: %d %s", res.StatusCode, body)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var crowd sync.WaitGroup
	for range 17 { // four are worked on, the others wait
		crowd.Go(func() {
			if leave, err := gate.Enter(ctx, shed.Reading, 1); err == nil { // the environment of these tests
				<-ctx.Done()
				leave()
			}
		})
	}
	for gate.Stats().Busy+gate.Stats().Waiting < 17 {
		runtime.Gosched()
	}
	res, body := raw(t, server, http.MethodGet, "/v3/x", "X-Acme: app\r\n", "")
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") != "1" || !strings.Contains(body, "busy") || looked.Load() != 1 {
		t.Errorf("without room: %d %v %s, and %d credentials were looked at; want 503 and the first one", res.StatusCode, res.Header, body, looked.Load())
	}
	cancel()
	crowd.Wait()
	if res, body := raw(t, server, http.MethodGet, "/v3/x", "X-Acme: app\r\n", ""); res.StatusCode != http.StatusOK {
		t.Errorf("with room again: %d %s", res.StatusCode, body)
	}
}
