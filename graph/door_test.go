package graph_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"carillon/graph"
	"carillon/internal/admission"
	"carillon/internal/shed"
	"carillon/store/storetest"
)

// TestTheDoorTurnsAway has more near than a server can ever work on.
func TestTheDoorTurnsAway(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		gate := shed.New(4, time.Minute)
		c := w.config
		c.Admission = admission.New(admission.Rates{}, gate)
		api := must(graph.New(c))(t)
		server := httptest.NewServer(api.Door(api))
		t.Cleanup(server.Close)
		ask := func(credential, accept, body string) (status int, header http.Header, answer string) {
			t.Helper()
			r := must(http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+graph.Path, strings.NewReader(body)))(t)
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Accept", accept)
			r.Header.Set("Authorization", "Bearer "+credential)
			res, err := server.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			return res.StatusCode, res.Header, string(must(io.ReadAll(res.Body))(t))
		}
		const query = `{"query":"{ serverStatus { version } }"}`
		shop, other := w.envs["shop"], w.envs["other"]
		for _, key := range []string{shop.secret, other.secret} { // whose they are is known from then on
			if status, _, body := ask(key, "*/*", query); status != http.StatusOK {
				t.Fatalf("with room: %d %s", status, body)
			}
		}
		// Seventeen come at once: four are worked on, the others wait.
		ctx, cancel := context.WithCancel(t.Context())
		goes := make(chan struct{}) // one of those who are worked on
		var crowd sync.WaitGroup
		for range 17 {
			crowd.Go(func() {
				if leave, err := gate.Enter(ctx, shed.Reading, int64(shop.ID)); err == nil {
					select {
					case <-goes:
					case <-ctx.Done():
					}
					leave()
				}
			})
		}
		for gate.Stats().Busy+gate.Stats().Waiting < 17 {
			runtime.Gosched()
		}
		for accept, want := range map[string]string{
			"*/*":                               "application/json; charset=utf-8",
			"application/graphql-response+json": "application/graphql-response+json; charset=utf-8",
		} {
			status, header, body := ask(shop.secret, accept, `{"query":"`)
			if status != http.StatusServiceUnavailable || header.Get("Retry-After") != "1" || header.Get("Content-Type") != want ||
				header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(body, `"code":"UNAVAILABLE"`) {
				t.Errorf("in a rush: %d %v %s", status, header, body)
			}
		}
		waiting := gate.Stats().Waiting
		crowd.Go(func() {
			for gate.Stats().Waiting == waiting {
				runtime.Gosched()
			}
			goes <- struct{}{}
		})
		if status, _, body := ask(other.secret, "*/*", query); status != http.StatusOK {
			t.Errorf("another environment, which waits for a place, is answered %d %s", status, body)
		}
		if status, _, _ := ask("cs_"+strings.Repeat("x", 40), "*/*", query); status != http.StatusUnauthorized {
			t.Errorf("an unknown key is answered %d, want 401 rush or no rush", status)
		}
		cancel()
		crowd.Wait()
		if status, _, body := ask(shop.secret, "*/*", query); status != http.StatusOK {
			t.Errorf("with room again: %d %s", status, body)
		}
	})
}
