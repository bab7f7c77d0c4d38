package graph_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"carillon/app"
	"carillon/audience"
	"carillon/auth"
	"carillon/auth/authtest"
	"carillon/catalog"
	"carillon/delivery"
	"carillon/graph"
	"carillon/inbox"
	"carillon/internal/id"
	"carillon/internal/reqlog"
	"carillon/model"
	"carillon/notify"
	"carillon/webhook"
)

// broken is a service of users that fails with err, or panics without one.
type broken struct {
	graph.Users
	err error
}

func (b broken) Find(context.Context, model.EnvID, string) (model.User, error) { return b.fail() }

func (b broken) SetEnabled(context.Context, model.EnvID, model.Once, string, bool) (model.Outcome[model.User], error) {
	_, err := b.fail()
	return model.Outcome[model.User]{}, err
}

func (b broken) fail() (model.User, error) {
	if b.err == nil {
		panic("dial tcp 10.0.0.1: refused")
	}
	return model.User{}, b.err
}

// TestFaultsShowNothing holds what fails inside to a code and a request id.
func TestFaultsShowNothing(t *testing.T) {
	t.Parallel()
	away := &model.Error{Kind: model.KindUnavailable, Message: "the database does not answer", RetryAfter: 2 * time.Second, Err: errors.New("dial tcp 10.0.0.1: refused")}
	tests := []struct {
		name, query  string
		err          error
		status       int
		code, header string
	}{
		{"Query", `{ user(identifier: "x") { id } }`, errors.New("SELECT broke on 10.0.0.1"), 200, "INTERNAL", ""},
		{"Mutation", `mutation { setUserEnabled(input: {user: "x", enabled: true}) { replayed } }`, errors.New("SELECT broke on 10.0.0.1"), 200, "INTERNAL", ""},
		{"Panic", `{ user(identifier: "x") { id } }`, nil, 200, "INTERNAL", ""},
		{"AwayInQuery", `{ explainPreference: user(identifier: "x") { id } }`, away, 200, "UNAVAILABLE", ""},
		{"AwayInMutation", `mutation { setUserEnabled(input: {user: "x", enabled: true}) { replayed } }`, away, 503, "UNAVAILABLE", "2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			authWorld := authtest.NewWorld(t)
			env := authWorld.NewEnv(t, model.AuthOpen)
			log := &strings.Builder{}
			api, err := graph.New(graph.Config{
				Users: broken{err: tt.err}, Categories: &catalog.Service{}, Topics: &audience.Service{}, Segments: &audience.Segments{}, Templates: &catalog.Templates{}, Layouts: &catalog.Layouts{}, Apps: &app.Service{}, Inbox: &inbox.Service{}, Sends: &notify.Service{}, Deliveries: &delivery.Service{}, Webhooks: &webhook.Service{},
				Auth: authWorld.Service(), Sessions: auth.NewSessions(authWorld, slog.New(slog.DiscardHandler)), Log: slog.New(slog.NewTextHandler(log, nil)),
			})
			if err != nil {
				t.Fatal(err)
			}
			logged := reqlog.Middleware{Log: slog.New(slog.DiscardHandler), IDs: new(id.Source)}
			r := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(`{"query":`+string(must(json.Marshal(tt.query))(t))+`}`))
			r.Header.Set("Content-Type", "application/json")
			authtest.SetHeaders(r.Header, env.Secret())
			rec := httptest.NewRecorder()
			logged.Wrap(api).ServeHTTP(rec, r)
			body := string(must(io.ReadAll(rec.Body))(t))

			if rec.Code != tt.status || !strings.Contains(body, `"code":"`+tt.code+`"`) || rec.Header().Get("Retry-After") != tt.header {
				t.Errorf("status %d, Retry-After %q, body %s; want %d, %q, %s", rec.Code, rec.Header().Get("Retry-After"), body, tt.status, tt.header, tt.code)
			}
			if strings.Contains(body, "10.0.0.1") || strings.Contains(body, "SELECT") {
				t.Errorf("the client sees %s", body)
			}
			requestID := rec.Header().Get("X-Request-Id")
			if tt.code == "INTERNAL" && !strings.Contains(body, `"requestId":"`+requestID+`"`) {
				t.Errorf("the answer does not say the request id %s: %s", requestID, body)
			}
			if !strings.Contains(log.String(), "10.0.0.1") || !strings.Contains(log.String(), requestID) {
				t.Errorf("the log does not say what failed in which request: %s", log)
			}
		})
	}
}

func TestPartsAreRequired(t *testing.T) {
	t.Parallel()
	_, err := graph.New(graph.Config{})
	for _, part := range []string{"Users", "Categories", "Apps", "Inbox", "Sends", "Deliveries", "Webhooks", "Auth", "Sessions"} {
		if err == nil || !strings.Contains(err.Error(), part+" is missing") {
			t.Errorf("the error %v does not name %s", err, part)
		}
	}
}
