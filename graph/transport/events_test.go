package transport_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"carillon/graph/transport"
)

// stream opens an event stream; header lines are "Name: value".
func (s *server) stream(t testing.TB, ctx context.Context, query string, headers ...string) (reply, *bufio.Reader) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, "POST", s.url, strings.NewReader(`{"query":`+quoted(query)+`}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Authorization", "Bearer ada")
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	resp, err := s.http.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return reply{resp.StatusCode, resp.Header}, bufio.NewReader(resp.Body)
}

func quoted(s string) string { return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"` }

// event reads up to the next empty line; comments are left out.
func event(t testing.TB, r *bufio.Reader) string {
	t.Helper()
	for {
		var b strings.Builder
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return b.String() + err.Error()
			}
			if line == "\n" {
				break
			}
			b.WriteString(line)
		}
		if b.String() != ":\n" {
			return b.String()
		}
	}
}

func TestEventStream(t *testing.T) {
	t.Parallel()
	s := serve(t)
	resp, r := s.stream(t, t.Context(), `subscription { counter(to: 3) { n } }`)
	for name, want := range map[string]string{
		"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store, no-transform",
		"X-Accel-Buffering": "no", "Access-Control-Allow-Origin": "*",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	eventually(t, "it is open", func() bool { return s.feed.Len() == 1 })
	if streams := s.Stats().Streams.Load(); streams != 1 {
		t.Errorf("%d streams are counted, want 1", streams)
	}
	s.feed.Advance(1)
	if got, want := event(t, r), "event: next\nid: 1\ndata: {\"data\":{\"counter\":{\"n\":1}}}\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	s.feed.Advance(5)
	for _, want := range []string{
		"event: next\nid: 2\ndata: {\"data\":{\"counter\":{\"n\":2}}}\n",
		"event: next\nid: 3\ndata: {\"data\":{\"counter\":{\"n\":3}}}\n",
		"event: complete\ndata: \n",
		"EOF",
	} {
		if got := event(t, r); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	eventually(t, "it is closed", func() bool { return s.feed.Len() == 0 && s.auth.count() == 0 && s.Stats().Streams.Load() == 0 })
}

func TestEventStreamResumes(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.feed.Advance(10)
	_, r := s.stream(t, t.Context(), `subscription { counter(after: "2") { n } }`, "Last-Event-ID: 8")
	if got := event(t, r); !strings.Contains(got, "id: 9\n") {
		t.Errorf("resumed with %q, want id 9", got)
	}
}

func TestEventStreamOfAQuery(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for query, want := range map[string]string{
		`{ who }`: "event: next\ndata: {\"data\":{\"who\":\"ada\"}}\n",
		`mutation { rename(input: {id: 1, name: "x"}) { key } }`: "event: next\ndata: {\"data\":{\"rename\":{\"key\":\"\"}}}\n",
		`{ nothing }`: "GRAPHQL_VALIDATION_FAILED",
		`{`:           "GRAPHQL_PARSE_FAILED",
		`{ users(first: 9999) { nodes { id } } }`:        "QUERY_TOO_COMPLEX",
		`subscription { broken(how: "missing") { n } }`:  "NOT_FOUND",
		`subscription { broken(how: "invalid") { n } }`:  "BAD_USER_INPUT",
		`subscription { broken(how: "next:bug") { n } }`: "INTERNAL",
	} {
		resp, r := s.stream(t, t.Context(), query)
		if got := event(t, r); resp.StatusCode != 200 || !strings.HasPrefix(got, "event: next\ndata: {") || !strings.Contains(got, want) {
			t.Errorf("%s: %d %q, want %q", query, resp.StatusCode, got, want)
		}
		if got := event(t, r); got != "event: complete\ndata: \n" {
			t.Errorf("%s: then %q, want complete", query, got)
		}
	}
}

func TestEventStreamIsRefusedByStatus(t *testing.T) {
	t.Parallel()
	s := serve(t, func(s *transport.Settings) { s.UserConnections = 1 })
	const counter = `subscription { counter { n } }`
	for _, tt := range []struct {
		query   string
		headers []string
		status  int
	}{
		{counter, []string{"Authorization: none"}, 401},
		{`{ who }`, []string{"Authorization: Bearer mallory"}, 403},
		{`subscription { broken(how: "unavailable") { n } }`, nil, 503},
		{counter, []string{"Content-Type: text/plain"}, 415},
	} {
		resp, r := s.stream(t, t.Context(), tt.query, tt.headers...)
		body, _ := io.ReadAll(r)
		if resp.StatusCode != tt.status || firstCode(t, string(body)) == "" {
			t.Errorf("%s: %d %s, want %d", tt.query, resp.StatusCode, body, tt.status)
		}
	}
	s.stream(t, t.Context(), counter)
	eventually(t, "the first is open", func() bool { return s.feed.Len() == 1 })
	if resp, _ := s.stream(t, t.Context(), counter); resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("one too many: %d, want 429 with Retry-After", resp.StatusCode)
	}
}

func TestEventStreamByGet(t *testing.T) {
	t.Parallel()
	s := serve(t)
	query := get("query", `subscription { counter(to: 0) { n } }`)
	resp, body := s.send(t, request{method: "GET", query: query, headers: []string{"Accept: text/event-stream"}})
	if resp.StatusCode != 200 || body != ":\n\nevent: complete\ndata: \n\n" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	resp, body = s.send(t, request{method: "GET", query: query, headers: []string{"Accept: text/event-stream", "Authorization: -"}})
	if resp.StatusCode != 401 {
		t.Errorf("without a credential: %d %q", resp.StatusCode, body)
	}
	resp, body = s.send(t, request{method: "GET", query: get("query", "mutation { __typename }"), headers: []string{"Accept: text/event-stream"}})
	if resp.StatusCode != 405 || firstCode(t, body) != "METHOD_NOT_ALLOWED" {
		t.Errorf("a mutation: %d %q", resp.StatusCode, body)
	}
}

func TestEventStreamEndsWithoutCompleteToBeOpenedAgain(t *testing.T) {
	t.Parallel()
	const counter = `subscription { counter { n } }`
	ends := map[string]func(*server){
		"Expired": func(s *server) { s.auth.end("ada", "expired") },
		"Drained": func(s *server) {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			if err := s.Drain(ctx); err != nil {
				t.Error(err)
			}
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			_, r := s.stream(t, t.Context(), counter)
			eventually(t, "it is open", func() bool { return s.feed.Len() == 1 })
			end(s)
			if got := event(t, r); got != "EOF" {
				t.Errorf("got %q, want the end", got)
			}
			eventually(t, "it is closed", func() bool { return s.feed.Len() == 0 })
			if name == "Drained" {
				if resp, _ := s.stream(t, t.Context(), counter); resp.StatusCode != 503 {
					t.Errorf("a new stream: %d, want 503", resp.StatusCode)
				}
			}
		})
	}
	t.Run("DatabaseAway", func(t *testing.T) {
		t.Parallel()
		_, r := serve(t).stream(t, t.Context(), `subscription { broken(how: "next:unavailable") { n } }`)
		if got := event(t, r); got != "EOF" {
			t.Errorf("got %q, want the end", got)
		}
	})
	t.Run("ClientGone", func(t *testing.T) {
		t.Parallel()
		s := serve(t)
		ctx, cancel := context.WithCancel(t.Context())
		s.stream(t, ctx, counter)
		eventually(t, "it is open", func() bool { return s.feed.Len() == 1 })
		cancel()
		eventually(t, "it is closed", func() bool { return s.feed.Len() == 0 && s.auth.count() == 0 })
	})
}

func TestQuietEventStreamHasComments(t *testing.T) {
	t.Parallel()
	s := serve(t, func(s *transport.Settings) { s.KeepAlive = 20 * time.Millisecond })
	_, r := s.stream(t, t.Context(), `subscription { counter { n } }`)
	for range 5 {
		for _, want := range []string{":\n", "\n"} {
			if line, err := r.ReadString('\n'); line != want || err != nil {
				t.Fatalf("got %q, %v, want a comment", line, err)
			}
		}
	}
}

// TestSlowEventStreamIsDropped has a reader that stops.
func TestSlowEventStreamIsDropped(t *testing.T) {
	t.Parallel()
	s := serve(t, func(s *transport.Settings) { s.WriteTimeout = 200 * time.Millisecond })
	conn, err := net.Dial("tcp", s.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /graphql"+get("query", "subscription { counter(bytes: 500000) { n text } }")+
		" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ada\r\nAccept: text/event-stream\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is open", func() bool { return s.feed.Len() == 1 })
	s.feed.Advance(200)
	eventually(t, "it is dropped", func() bool { return s.Stats().SlowReaders.Load() == 1 && s.feed.Len() == 0 })
}

// TestEventStreamEndsInGoodOrder reads a stream as bytes: each part is a chunk,
// what the client says meanwhile is not heard, and the last chunk is empty.
func TestEventStreamEndsInGoodOrder(t *testing.T) {
	t.Parallel()
	s := serve(t)
	conn := s.rawStream(t, "ada")
	if head := readUntil(t, conn, "3\r\n:\n\n\r\n"); !strings.HasPrefix(head, "HTTP/1.1 200 OK\r\n") || !strings.Contains(head, "\r\nTransfer-Encoding: chunked\r\n") || !strings.Contains(head, "\r\nDate: ") {
		t.Errorf("it begins %q", head)
	}
	if _, err := conn.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	s.feed.Advance(1)
	readUntil(t, conn, "id: 1\n")
	s.auth.end("ada", "expired")
	if rest := readUntil(t, conn, "0\r\n\r\n"); strings.Contains(rest, "complete") {
		t.Errorf("it ends %q", rest)
	}
	eventually(t, "it is closed", func() bool { return s.feed.Len() == 0 && s.auth.count() == 0 && s.Stats().Streams.Load() == 0 })
}

// TestEventStreamOverHTTP2 shares a connection with others.
func TestEventStreamOverHTTP2(t *testing.T) {
	t.Parallel()
	s := serve(t, func(s *transport.Settings) { s.KeepAlive = 20 * time.Millisecond })
	shared := httptest.NewUnstartedServer(s.auth.middleware(s.Handler))
	shared.EnableHTTP2 = true
	shared.StartTLS()
	defer shared.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, shared.URL, strings.NewReader(`{"query":"subscription { counter { n } }"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"text/event-stream"}, "Authorization": {"Bearer ada"}}
	resp, err := shared.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	r := bufio.NewReader(resp.Body)
	eventually(t, "it is open", func() bool { return s.feed.Len() == 1 })
	for i := range 3 {
		s.feed.Advance(1)
		if got := event(t, r); resp.ProtoMajor != 2 || !strings.Contains(got, fmt.Sprintf("id: %d\n", i+1)) {
			t.Errorf("%s: event %d is %q", resp.Proto, i+1, got)
		}
	}
	for range 2 { // the one that every stream begins with was read as the first event was
		if line, err := r.ReadString('\n'); err != nil || line != ":\n" {
			t.Fatalf("a quiet stream says %q, %v", line, err)
		}
		_, _ = r.ReadString('\n')
	}
	cancel()
	eventually(t, "it is closed", func() bool { return s.feed.Len() == 0 && s.auth.count() == 0 && s.Stats().Streams.Load() == 0 })
}
