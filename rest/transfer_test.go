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
	ask := func(method, path string) (status int, again, body string) {
		req, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, http.NoBody)
		if err != nil {
			t.Error(err)
			return 0, "", ""
		}
		req.Header.Set("X-Acme", "key")
		res, err := server.Client().Do(req)
		if err != nil {
			t.Error(err)
			return 0, "", ""
		}
		defer res.Body.Close()
		said, _ := io.ReadAll(res.Body)
		return res.StatusCode, res.Header.Get("Retry-After"), string(said)
	}
	statuses := make(chan int, 4)
	for range 4 {
		go func() {
			status, _, _ := ask(http.MethodPost, "/v3/files")
			statuses <- status
		}()
		<-arrived
	}
	if status, _, _ := ask(http.MethodGet, "/v3/x"); status != http.StatusOK {
		t.Errorf("beside uploads another request gets %d", status)
	}
	status, again, said := ask(http.MethodPost, "/v3/files")
	if status != http.StatusTooManyRequests || again != "10" || !strings.Contains(said, "four uploads and downloads") {
		t.Errorf("a fifth gets %d, %q, %s", status, again, said)
	}
	close(done)
	for range 4 {
		if got := <-statuses; got != http.StatusOK {
			t.Errorf("an upload got %d", got)
		}
	}
	go func() { <-arrived }()
	for end := time.Now().Add(10 * time.Second); ; { // places are free a moment after the answers
		if status, _, _ := ask(http.MethodPost, "/v3/files"); status == http.StatusOK {
			return
		}
		if time.Now().After(end) {
			t.Fatal("no place was given back")
		}
	}
}
