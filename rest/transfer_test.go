package rest_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"carillon/internal/admission"
	"carillon/internal/shed"
	"carillon/rest"
)

// TestTransfersTakeNoPlaces has as many uploads under way as an environment may,
// whose clients take their time.
func TestTransfersTakeNoPlaces(t *testing.T) {
	t.Parallel()
	arrived, done := make(chan bool), make(chan bool)
	server := serve(t, func(router *rest.Router, s *rest.Surface) {
		s.Admission = admission.New(admission.Rates{}, shed.New(1, time.Millisecond))
		router.Handle(s, "POST /v3/files", rest.Access{Within: time.Minute, Transfer: true}, func(*http.Request) (int, any, error) {
			arrived <- true
			<-done
			return http.StatusOK, "kept", nil
		})
		router.Handle(s, "GET /v3/x", rest.Access{}, func(*http.Request) (int, any, error) { return http.StatusOK, "x", nil })
	})
	ask := func(method, path string) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, http.NoBody)
		if err != nil {
			t.Error(err)
			return nil
		}
		req.Header.Set("X-Acme", "key")
		res, err := server.Client().Do(req)
		if err != nil {
			t.Error(err)
			return nil
		}
		t.Cleanup(func() { res.Body.Close() })
		return res
	}
	statuses := make(chan int, 4)
	for range 4 {
		go func() {
			if res := ask(http.MethodPost, "/v3/files"); res != nil {
				statuses <- res.StatusCode
			}
		}()
		<-arrived
	}
	if res := ask(http.MethodGet, "/v3/x"); res == nil || res.StatusCode != http.StatusOK {
		t.Errorf("beside uploads another request gets %v", res)
	}
	res := ask(http.MethodPost, "/v3/files")
	if res == nil {
		t.FailNow()
	}
	said, _ := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") != "10" || !strings.Contains(string(said), "four uploads and downloads") {
		t.Errorf("a fifth gets %d, %v, %s", res.StatusCode, res.Header, said)
	}
	close(done)
	for range 4 {
		if got := <-statuses; got != http.StatusOK {
			t.Errorf("an upload got %d", got)
		}
	}
	go func() { <-arrived }()
	for end := time.Now().Add(10 * time.Second); ; { // places are free a moment after the answers
		if res := ask(http.MethodPost, "/v3/files"); res != nil && res.StatusCode == http.StatusOK {
			return
		}
		if time.Now().After(end) {
			t.Fatal("no place was given back")
		}
	}
}
