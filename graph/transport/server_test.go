package transport_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"carillon/graph/internal/testschema"
	"carillon/graph/operation"
	"carillon/graph/transport"
	"carillon/model"
)

// server is a handler over the test schema at a real address.
type server struct {
	*transport.Handler
	feed testschema.Feed
	auth *people
	url  string
	http *httptest.Server
	// closed counts connections that the HTTP server closed.
	closed atomic.Int64
}

// serve starts a server with settings that a test changes.
func serve(t testing.TB, change ...func(*transport.Settings)) *server {
	t.Helper()
	s := &server{auth: &people{ends: map[string]func(string){}}}
	var settings transport.Settings
	for _, f := range change {
		f(&settings)
	}
	engine := operation.New(operation.Config{
		Schema: testschema.New(), Introspection: true, Subscriptions: s.feed.Opens(), Authorize: authorize,
	})
	s.Handler = transport.New(engine, s.auth, settings, slog.New(slog.NewTextHandler(io.Discard, nil)))
	s.http = httptest.NewUnstartedServer(s.auth.middleware(s.Handler))
	s.http.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			s.closed.Add(1)
		}
	}
	s.http.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.Drain(ctx) // what is left is cut off
		s.http.Close()
	})
	s.url = s.http.URL + "/graphql"
	return s
}

func authorize(ctx context.Context, field string) error {
	switch name := testschema.Name(ctx); {
	case name == "":
		return model.Errorf(model.KindUnauthenticated, "a credential is required")
	case field == "Query.who" && name == "mallory":
		return model.Errorf(model.KindForbidden, "not for mallory")
	default:
		return nil
	}
}

// people authenticates whoever gives a name as a bearer token.
type people struct {
	mu       sync.Mutex
	ends     map[string]func(why string)
	sessions int
	expires  time.Time
}

func (p *people) middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			r = r.WithContext(testschema.WithName(r.Context(), name))
		}
		next.ServeHTTP(w, r)
	})
}

func named(payload json.RawMessage) (string, error) {
	var init struct{ Authorization string }
	if payload != nil {
		if err := json.Unmarshal(payload, &init); err != nil {
			return "", model.Errorf(model.KindUnauthenticated, "the credential is wrong")
		}
	}
	switch name := strings.TrimPrefix(init.Authorization, "Bearer "); name {
	case "":
		return "", model.Errorf(model.KindUnauthenticated, "a credential is required")
	case "wrong":
		return "", model.Errorf(model.KindUnauthenticated, "the credential is wrong")
	case "forbidden":
		return "", model.Errorf(model.KindForbidden, "your origin may not")
	case "away":
		return "", model.Errorf(model.KindUnavailable, "the database is away")
	case "bug":
		return "", errors.New("a secret in an error")
	case "panic":
		panic("a secret in a panic")
	default:
		return name, nil
	}
}

func (p *people) Connect(_ context.Context, _ *http.Request, init json.RawMessage, end func(string)) (transport.Session, error) {
	name, err := named(init)
	if err != nil {
		return nil, err
	}
	return p.open(name, end), nil
}

func (p *people) Watch(ctx context.Context, end func(string)) (transport.Session, error) {
	return p.open(testschema.Name(ctx), end), nil
}

func (p *people) open(name string, end func(string)) *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ends[name] = end
	p.sessions++
	return &session{people: p, name: name}
}

// end ends the session of a name, as a revocation does.
func (p *people) end(name, why string) {
	p.mu.Lock()
	end := p.ends[name]
	p.mu.Unlock()
	end(why)
}

func (p *people) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sessions
}

type session struct {
	people *people
	name   string
	closed bool
}

func (s *session) WithCaller(ctx context.Context) context.Context {
	return testschema.WithName(ctx, s.name)
}

func (s *session) Expires() time.Time {
	s.people.mu.Lock()
	defer s.people.mu.Unlock()
	return s.people.expires
}

func (s *session) Owner() any {
	if s.name == "application" {
		return nil
	}
	return s.name
}

func (s *session) Renew(_ context.Context, payload json.RawMessage) error {
	name, err := named(payload)
	if err != nil {
		return err
	}
	if name != s.name {
		return model.Errorf(model.KindForbidden, "a renewal must be for the same user")
	}
	s.people.mu.Lock()
	defer s.people.mu.Unlock()
	s.people.expires = time.Unix(2_000_000_000, 0)
	return nil
}

func (s *session) Close() {
	s.people.mu.Lock()
	defer s.people.mu.Unlock()
	if s.closed {
		panic("closed twice")
	}
	s.closed = true
	s.people.sessions--
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}
