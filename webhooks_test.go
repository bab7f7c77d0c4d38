package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"carillon/internal/signature"
)

// TestApplicationsAreTold has a whole server tell an endpoint of a send, a mark and
// a recall.
func TestApplicationsAreTold(t *testing.T) {
	t.Parallel()
	e := startEmbedded(t, "OUTGOING_ALLOW=127.0.0.0/8", "LOG_LEVEL=error")
	key := e.demoKey(t)
	type event struct {
		Type string
		Data struct {
			Cause        string
			User         struct{ Identifier string }
			Notification struct{ ID string }
		}
	}
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	by, err := signature.ParseSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	events := make(chan event, 10)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var in event
		body := json.NewDecoder(r.Body)
		var raw json.RawMessage
		if err := body.Decode(&raw); err != nil || signature.Verify(r.Header, raw, time.Now(), by) != nil || json.Unmarshal(raw, &in) != nil {
			t.Errorf("got %s, %v", raw, err)
		}
		events <- in
	}))
	t.Cleanup(s.Close)
	ask := func(query string) string {
		t.Helper()
		b, err := json.Marshal(e.query(t, key, query))
		if err != nil || !strings.Contains(string(b), `"userErrors":[]`) {
			t.Fatalf("%s: %s, %v", query, b, err)
		}
		return string(b)
	}
	ask(fmt.Sprintf(`mutation { createWebhookEndpoint(input: {url: %q, types: ["notification.*"], secret: %q}) { userErrors { path message } } }`, s.URL, secret))
	ask(`mutation { identifyUser(input: {identifier: "grace"}) { userErrors { path message } } }`)
	ask(`mutation { sendNotification(input: {to: {users: ["grace"]}, title: "Hello"}) { userErrors { path message } } }`)
	created := <-events
	if created.Type != "notification.created" || created.Data.User.Identifier != "grace" {
		t.Errorf("told of %+v", created)
	}
	id := created.Data.Notification.ID
	ask(fmt.Sprintf(`mutation { markNotifications(input: {ids: [%q], as: READ, user: "grace"}) { userErrors { path message } } }`, id))
	if got := <-events; got.Type != "notification.read" || got.Data.Notification.ID != id {
		t.Errorf("told of %+v", got)
	}
	ask(fmt.Sprintf(`mutation { recallNotifications(input: {ids: [%q]}) { userErrors { path message } } }`, id))
	if got := <-events; got.Type != "notification.deleted" || got.Data.Cause != "RECALLED" {
		t.Errorf("told of %+v", got)
	}
}
