package graph_test

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"carillon/graph"
	"carillon/internal/admission"
	"carillon/internal/door"
	"carillon/internal/ratelimit"
	"carillon/internal/shed"
	"carillon/store/storetest"
)

// TestTheDoorTurnsAway has more near than a server can ever work on. Who comes past
// the keeper, who looks at connections, finds the same door at the handler.
func TestTheDoorTurnsAway(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		gate := shed.New(4, time.Minute)
		c := w.config
		c.Admission = admission.New(admission.Rates{}, gate)
		api := must(graph.New(c))(t)
		var past atomic.Int64 // those who came to the handler
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			past.Add(1)
			api.Door(api).ServeHTTP(w, r)
		})
		server, kept := httptest.NewServer(handler), httptest.NewUnstartedServer(handler)
		entrance := door.Listen(kept.Listener, api.Keeper(), time.Minute, 5*time.Second)
		kept.Listener, kept.Config.ConnState = entrance, entrance.Track
		kept.Start()
		t.Cleanup(server.Close)
		t.Cleanup(kept.Close)
		askAt := func(server *httptest.Server, credential, accept, body string) (status int, header http.Header, answer string) {
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
		ask := func(credential, accept, body string) (status int, header http.Header, answer string) {
			t.Helper()
			return askAt(server, credential, accept, body)
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
			before := past.Load()
			keptStatus, keptHeader, keptBody := askAt(kept, shop.secret, accept, `{"query":"`)
			if keptHeader.Get("Date") == "" {
				t.Error("at the connection an answer has no date")
			}
			header.Del("Date")
			keptHeader.Del("Date")
			if keptStatus != status || keptBody != body || !maps.EqualFunc(header, keptHeader, slices.Equal[[]string]) {
				t.Errorf("in a rush: %d %v %s,\nat the connection %d %v %s", status, header, body, keptStatus, keptHeader, keptBody)
			}
			if past.Load() != before {
				t.Error("in a rush one came to the handler")
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
		if status, _, _ := askAt(kept, "cs_"+strings.Repeat("x", 40), "*/*", query); status != http.StatusUnauthorized {
			t.Errorf("an unknown key is answered %d at the connection, want 401 rush or no rush", status)
		}
		if status, _, _ := ask("cs_"+strings.Repeat("x", 40), "*/*", query); status != http.StatusUnauthorized {
			t.Errorf("an unknown key is answered %d, want 401 rush or no rush", status)
		}
		cancel()
		crowd.Wait()
		for _, s := range []*httptest.Server{server, kept} {
			if status, _, body := askAt(s, shop.secret, "*/*", query); status != http.StatusOK {
				t.Errorf("with room again: %d %s", status, body)
			}
		}
	})
}

// TestTheDoorKnowsRates has an environment ask more often than it may.
func TestTheDoorKnowsRates(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		c := w.config
		c.Admission = admission.New(admission.Rates{Environment: ratelimit.Rate{PerSecond: 0.01, Burst: 2}}, nil)
		api := must(graph.New(c))(t)
		var past atomic.Int64 // those who came to the handler
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			past.Add(1)
			api.ServeHTTP(w, r)
		}))
		entrance := door.Listen(server.Listener, api.Keeper(), time.Minute, 5*time.Second)
		server.Listener, server.Config.ConnState = entrance, entrance.Track
		server.Start()
		t.Cleanup(server.Close)
		ask := func(credential string) (status int, header http.Header, answer string) {
			t.Helper()
			r := must(http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+graph.Path, strings.NewReader(`{"query":"{ serverStatus { version } }"}`)))(t)
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Authorization", "Bearer "+credential)
			res, err := server.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			// On a slow machine a second goes by between two answers.
			body := must(io.ReadAll(res.Body))(t)
			if seconds := res.Header.Get("Retry-After"); seconds > "90" && len(seconds) == 2 || seconds == "100" {
				body = bytes.ReplaceAll(body, []byte(seconds), []byte("N"))
				res.Header.Set("Retry-After", "N")
			}
			res.Header.Del("Content-Length")
			res.Header.Del("Date")
			return res.StatusCode, res.Header, string(body)
		}
		shop, other := w.envs["shop"], w.envs["other"]
		for range 2 {
			if status, _, body := ask(shop.secret); status != http.StatusOK {
				t.Fatalf("within the rate: %d %s", status, body)
			}
		}
		status, header, body := ask(shop.secret)
		if status != http.StatusTooManyRequests || header.Get("Retry-After") != "N" || past.Load() != 3 {
			t.Fatalf("over the rate: %d %v %s, and %d came to the handler", status, header, body, past.Load())
		}
		early := false
		for range 100 { // net/http may have begun to read the first ones
			before := past.Load()
			again, same, text := ask(shop.secret)
			if again != status || text != body || !maps.EqualFunc(same, header, slices.Equal[[]string]) {
				t.Fatalf("over the rate: %d %v %s,\nand again %d %v %s", status, header, body, again, same, text)
			}
			if early = past.Load() == before; early {
				break
			}
		}
		if !early {
			t.Error("over the rate all came to the handler")
		}
		if status, _, body := ask(other.secret); status != http.StatusOK {
			t.Errorf("another environment is answered %d %s", status, body)
		}
	})
}
