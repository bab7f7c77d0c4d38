package webhook_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carillon/graph/view"
	"carillon/internal/dial"
	"carillon/internal/seal"
	"carillon/internal/signature"
	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
	"carillon/webhook"
)

// receiver is an application that is told: it answers as it is told to.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	calls  []call
	answer func(n int, w http.ResponseWriter)
}

type call struct {
	header http.Header
	body   []byte
}

func newReceiver(t *testing.T, answer func(n int, w http.ResponseWriter)) *receiver {
	r := &receiver{answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.calls = append(r.calls, call{req.Header, body})
		if r.answer != nil {
			r.answer(len(r.calls), w)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) got() []call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.calls)
}

// fixture is an environment with a user, and the service that tells of them.
type fixture struct {
	*webhook.Service
	store *store.Store
	env   model.EnvID
	user  model.UserID
}

func newFixture(t *testing.T, allow ...netip.Prefix) *fixture {
	t.Helper()
	s := storetest.Open(t, store.Config{URL: storetest.SQLite(t)})
	box, err := seal.NewBox(seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	out := dial.New(dial.Config{Guard: dial.Guard{Allow: allow}, Timeout: 2 * time.Second})
	f := &fixture{store: s, env: storetest.Env(t, s, "shop")}
	f.user = storetest.User(t, s, f.env, "ada")
	f.Service = &webhook.Service{
		Store: s, Box: box, HTTP: out.HTTP(), Guard: out.Guard, Show: view.WebhookData, Name: view.WebhookEventID,
		Tick: 5 * time.Millisecond, Log: slog.New(slog.DiscardHandler), Random: func() float64 { return 0 },
	}
	return f
}

var loopback = netip.MustParsePrefix("127.0.0.0/8")

func (f *fixture) create(t *testing.T, in model.WebhookEndpointInput) (model.WebhookEndpointRef, string) {
	t.Helper()
	in.Enabled = true
	out, err := f.Create(t.Context(), f.env, model.Once{}, in)
	if err != nil {
		t.Fatal(err)
	}
	return model.WebhookEndpointRef{Env: f.env, ID: out.Value.Endpoint.ID}, out.Value.Secret
}

// run tells endpoints until the test is over.
func (f *fixture) run(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { f.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
}

// events waits until all that an endpoint is told is in one of the states.
func (f *fixture) events(t *testing.T, ref model.WebhookEndpointRef, n int, states ...model.WebhookState) []model.WebhookEvent {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		page, _, err := f.Events(t.Context(), ref, states, model.PageRequest{Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Items) == n {
			return page.Items
		}
		if time.Now().After(deadline) {
			all, _, _ := f.Events(t.Context(), ref, nil, model.PageRequest{Limit: 100})
			t.Fatalf("want %d events in %v, have %+v", n, states, all.Items)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func TestEventsAreSignedAndCarryWhatHappened(t *testing.T) {
	t.Parallel()
	f := newFixture(t, loopback)
	r := newReceiver(t, nil)
	ref, first := f.create(t, model.WebhookEndpointInput{URL: r.URL, Types: []string{"notification.*"}})
	list, _ := storetest.Send(t, f.store, f.env, storetest.Sent{Title: "Hello"}, f.user)
	rotated, err := f.Rotate(t.Context(), f.env, model.Once{}, ref.ID, "", time.Hour)
	if err != nil || rotated.Value.Secret == "" || rotated.Value.Secret == first {
		t.Fatalf("rotated to %+v, %v", rotated, err)
	}
	f.run(t)
	sent := f.events(t, ref, 1, model.WebhookSent)[0]

	got := r.got()[0]
	for _, text := range []string{first, rotated.Value.Secret} {
		secret, err := signature.ParseSecret(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := signature.Verify(got.header, got.body, time.Now(), secret); err != nil {
			t.Errorf("the signature: %v", err)
		}
	}
	if id := got.header.Get("Webhook-Id"); id != view.WebhookEventID(sent.ID) {
		t.Errorf("webhook-id is %q, the event %q", id, sent.ID)
	}
	var body struct {
		Type string
		Data struct {
			User         struct{ ID, Identifier string }
			Notification struct{ ID string }
		}
	}
	if err := json.Unmarshal(got.body, &body); err != nil || body.Type != "notification.created" || body.Data.User.Identifier != "ada" || body.Data.Notification.ID != view.NotificationID(list[0].ID) {
		t.Errorf("the body is %s, %v", got.body, err)
	}
	if n := len(r.got()); n != 1 {
		t.Errorf("called %d times", n)
	}
}

func TestFailuresAreTriedAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t, loopback)
	r := newReceiver(t, func(n int, w http.ResponseWriter) {
		switch n {
		case 1:
			http.Redirect(w, httptest.NewRequest(http.MethodPost, "/", nil), "/elsewhere", http.StatusFound)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	})
	ref, _ := f.create(t, model.WebhookEndpointInput{URL: r.URL})
	storetest.Send(t, f.store, f.env, storetest.Sent{Title: "Hello"}, f.user)
	f.run(t)
	sent := f.events(t, ref, 1, model.WebhookSent)[0]
	attempts, err := f.Attempts(t.Context(), ref, []model.WebhookEventID{sent.ID})
	if err != nil {
		t.Fatal(err)
	}
	list := attempts[sent.ID]
	if len(list) != 2 || list[0].Status != 302 || list[0].NextAt.IsZero() || !strings.Contains(list[0].Detail, "redirects") || list[1].Class != 0 {
		t.Errorf("attempts: %+v", list)
	}
	calls := r.got()
	if len(calls) != 2 || calls[0].header.Get("Webhook-Id") != calls[1].header.Get("Webhook-Id") {
		t.Errorf("the id changed between %d attempts", len(calls))
	}
	if e, err := f.Endpoints(t.Context(), f.env); err != nil || e[0].Failures != 0 || !e[0].FailingSince.IsZero() {
		t.Errorf("after a success the endpoint is %+v, %v", e, err)
	}
}

func TestRetryAfterIsObeyedAndGoneDisables(t *testing.T) {
	t.Parallel()
	f := newFixture(t, loopback)
	busy := newReceiver(t, func(_ int, w http.ResponseWriter) {
		w.Header().Set("Retry-After", "1800")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	gone := newReceiver(t, func(_ int, w http.ResponseWriter) { w.WriteHeader(http.StatusGone) })
	patient, _ := f.create(t, model.WebhookEndpointInput{URL: busy.URL})
	ended, _ := f.create(t, model.WebhookEndpointInput{URL: gone.URL})
	storetest.Send(t, f.store, f.env, storetest.Sent{Title: "Hello"}, f.user)
	f.run(t)
	f.events(t, ended, 1, model.WebhookFailed)
	f.events(t, patient, 1, model.WebhookQueued)
	deadline := time.Now().Add(10 * time.Second)
	for {
		list, err := f.Endpoints(t.Context(), f.env)
		if err != nil {
			t.Fatal(err)
		}
		wait := time.Until(list[0].WaitUntil)
		if list[0].Enabled && wait > 29*time.Minute && wait < 31*time.Minute && !list[1].Enabled && strings.Contains(list[1].Trouble, "410") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the endpoints are %+v", list)
		}
		<-time.After(5 * time.Millisecond)
	}
	if n := len(busy.got()); n != 1 {
		t.Errorf("the endpoint that asked to wait was called %d times", n)
	}
}

func TestPrivateAddressesAreNotCalled(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	r := newReceiver(t, nil)
	if _, err := f.Create(t.Context(), f.env, model.Once{}, model.WebhookEndpointInput{URL: r.URL}); model.KindOf(err) != model.KindInvalid {
		t.Errorf("an endpoint at a private address: %v", err)
	}
	ref, _ := f.create(t, model.WebhookEndpointInput{URL: "https://hooks.example.com"})
	// Such as a name that stands for a private address by now.
	if _, err := f.store.UpdateWebhookEndpoint(t.Context(), f.env, model.Once{}, ref.ID, func(e model.WebhookEndpoint) (model.WebhookEndpoint, error) {
		e.URL = r.URL
		return e, nil
	}); err != nil {
		t.Fatal(err)
	}
	storetest.Send(t, f.store, f.env, storetest.Sent{Title: "Hello"}, f.user)
	f.run(t)
	failed := f.events(t, ref, 1, model.WebhookFailed)[0]
	attempts, err := f.Attempts(t.Context(), ref, []model.WebhookEventID{failed.ID})
	if err != nil || len(attempts[failed.ID]) != 1 || !strings.HasPrefix(attempts[failed.ID][0].Detail, "blocked_address") {
		t.Errorf("attempts: %+v, %v", attempts, err)
	}
	if n := len(r.got()); n != 0 {
		t.Errorf("called %d times", n)
	}
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for field, in := range map[string]model.WebhookEndpointInput{
		"url":         {URL: "ftp://example.com"},
		"description": {URL: "https://example.com", Description: "a\x00"},
		"types":       {URL: "https://example.com", Types: make([]string, model.MaxWebhookTypes+1)},
		"types.0":     {URL: "https://example.com", Types: []string{"notification"}},
		"secret":      {URL: "https://example.com", Secret: "whsec_short"},
	} {
		_, err := f.Create(t.Context(), f.env, model.Once{}, in)
		if model.KindOf(err) != model.KindInvalid || !strings.HasPrefix(err.(*model.Error).Problems[0].Field(), strings.TrimSuffix(field, ".0")) { //nolint:errorlint // the service returns it bare
			t.Errorf("%s: %v", field, err)
		}
	}
	if _, err := f.Rotate(t.Context(), f.env, model.Once{}, "x", "", -time.Second); model.KindOf(err) != model.KindInvalid {
		t.Errorf("a negative overlap: %v", err)
	}
	if _, err := f.ReplayAll(t.Context(), model.WebhookEndpointRef{Env: f.env}, model.Once{}, []model.WebhookState{model.WebhookQueued}, time.Time{}); model.KindOf(err) != model.KindInvalid {
		t.Errorf("replaying what is queued: %v", err)
	}
}
