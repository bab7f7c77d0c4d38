package fyno_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"carillon/app"
	"carillon/auth"
	"carillon/catalog"
	"carillon/delivery"
	"carillon/delivery/deliverytest"
	"carillon/internal/seal"
	"carillon/live"
	"carillon/model"
	"carillon/notify"
	"carillon/rest"
	"carillon/rest/fyno"
	"carillon/store"
	"carillon/store/storetest"
	"carillon/user"
)

// world is a server with two apps, shop and other, and two environments of
// shop, on a database of its own.
type world struct {
	t         *testing.T
	clock     *clock
	users     *user.Service
	catalog   *catalog.Service
	templates *catalog.Templates
	sends     *notify.Service
	delivery  *delivery.Service
	recorder  *deliverytest.Recorder
	http      *httptest.Server
	envs      map[string]model.Environment
	keys      map[string]string

	apps      *app.Service
	store     *store.Store
	prefix    string                    // of the names of its apps
	providers map[model.ProviderID]bool // that record here
}

// rendering has templates say what deliveries say.
type rendering struct{ templates *catalog.Templates }

func (r rendering) Render(ctx context.Context, m *delivery.Message, about delivery.Subject) error {
	if about.Options.Template == nil {
		return nil
	}
	text, err := r.templates.Render(ctx, about.Env.ID, catalog.Rendering{
		Template: *about.Options.Template, Layout: about.Options.Layout, Channel: m.Channel, User: about.User, Data: m.Data, UnsubscribeURL: m.Unsubscribe,
	})
	m.Title, m.Text = text.Title, text.Body
	return err
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// TestDialect runs the tests on both databases, each with apps of its own on one
// server.
func TestDialect(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		for _, test := range []struct {
			name string
			run  func(t *testing.T, w *world)
		}{
			{"Rows", rows}, {"Keys", keys}, {"EventsArrive", eventsArrive}, {"AKeyGivesTheFirstAnswer", aKeyGivesTheFirstAnswer}, {"BadInput", badInput},
		} {
			t.Run(test.name, func(t *testing.T) { test.run(t, w.another(t, test.name+"-")) })
		}
	})
}

func newWorld(t *testing.T, url string) *world {
	t.Helper()
	w := &world{clock: &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)}, recorder: &deliverytest.Recorder{}}
	s := storetest.Open(t, store.Config{URL: url, MaxConns: 6, Now: w.clock.Now})
	box, err := seal.NewBox(seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	hub := live.NewHub(live.Config{Heads: s, Heal: time.Minute})
	w.users = &user.Service{Store: s, Live: hub}
	w.catalog = &catalog.Service{Store: s, Now: w.clock.Now}
	w.templates = &catalog.Templates{Store: s, Users: w.users}
	w.sends = &notify.Service{Store: s, Users: w.users, Catalog: w.catalog, Templates: w.templates, Live: hub, Now: w.clock.Now}
	authService := auth.NewService(auth.Config{Lookup: s, Box: box, Now: w.clock.Now})
	w.delivery = &delivery.Service{
		Store: s, Kinds: delivery.NewKinds(w.recorder.Kind("recorder")), Box: box, Changed: authService.Forget, Now: w.clock.Now,
		Log: slog.New(slog.DiscardHandler), Tick: 10 * time.Millisecond, Render: rendering{w.templates},
	}
	w.sends.Deliver = w.delivery.Wake
	w.apps, w.store = &app.Service{Store: s, Keys: auth.Keys{Box: box}, Now: w.clock.Now}, s
	router := &rest.Router{Next: http.NotFoundHandler()}
	fyno.New(fyno.Config{
		Users: w.users, Categories: w.catalog, Suppressions: w.delivery, Sends: w.sends, Now: w.clock.Now, Log: slog.New(slog.DiscardHandler),
		Gate: &auth.Gate{Service: authService},
	}).Mount(router)
	w.http = httptest.NewServer(router)
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, run := range []func(context.Context){hub.Run, w.sends.Run, w.delivery.Run} {
		wg.Go(func() { run(ctx) })
	}
	t.Cleanup(func() { w.http.Close(); w.sends.Close(); stop(); wg.Wait() })
	return w
}

// another is the same server with apps that nobody has used yet, shop and other
// with prefix before their names.
func (w *world) another(t *testing.T, prefix string) *world {
	t.Helper()
	out := *w
	out.t, out.prefix, out.envs, out.keys, out.providers = t, prefix, map[string]model.Environment{}, map[string]string{}, map[model.ProviderID]bool{}
	for _, e := range []struct{ name, app string }{{"test", "shop"}, {"live", "shop"}, {"other", "other"}} {
		kind := model.EnvTest
		if e.name == "live" {
			kind = model.EnvLive
		}
		made, err := w.apps.CreateEnvironment(t.Context(), app.NewEnvironment{App: prefix + e.app, Kind: kind, UserAuth: model.AuthOpen})
		if err != nil {
			t.Fatal(err)
		}
		out.keys[e.name] = made.SecretKey
		out.prepare(e.name, made.Environment.ID)
		if out.envs[e.name], err = w.store.Environment(t.Context(), made.Environment.ID); err != nil {
			t.Fatal(err)
		}
	}
	return &out
}

// prepare gives an environment providers, a category and templates.
func (w *world) prepare(name string, env model.EnvID) {
	w.t.Helper()
	for _, c := range []model.Channel{model.ChannelEmail, model.ChannelSMS, model.ChannelSlack, model.ChannelMobilePush} {
		made, err := w.delivery.CreateProvider(w.t.Context(), env, model.Once{}, model.ProviderInput{Kind: "recorder", Channel: c, Name: c.String(), Enabled: true})
		if err != nil {
			w.t.Fatal(err)
		}
		w.providers[made.Value.ID] = true
	}
	if name == "live" {
		return
	}
	if _, err := w.catalog.Create(w.t.Context(), env, model.Once{}, model.Category{
		Identifier: "orders", Name: "Orders", DefaultEnabled: true, RequiredChannels: []model.Channel{model.ChannelEmail}, ChannelDefaults: map[model.Channel]bool{model.ChannelSlack: false},
	}); err != nil {
		w.t.Fatal(err)
	}
	for _, identifier := range []string{"orders", "welcome"} {
		if _, err := w.templates.Create(w.t.Context(), env, model.Once{}, model.Template{
			Identifier: identifier, Name: identifier, Content: model.TemplateText{Title: "Order {{number}}", Body: "of " + name},
		}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// call makes a request as one of test, live and other, or with no key as none.
// The path is below the version.
func (w *world) call(as, method, path, body string) (int, string) {
	w.t.Helper()
	root := "/v1/" + map[string]string{"test": w.prefix + "shop", "live": "FYAB12", "other": w.prefix + "other", "none": w.prefix + "shop"}[as]
	if !strings.HasPrefix(path, "/suppressions") {
		root += map[string]string{"test": "/test", "live": "/live", "other": "/test", "none": "/test"}[as]
	}
	return w.raw(w.keys[as], method, root+path, body)
}

func (w *world) raw(key, method, path, body string) (int, string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.http.URL+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := w.http.Client().Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || !json.Valid(text) {
		w.t.Fatalf("%s %s: %d %q, %v", method, path, res.StatusCode, text, err)
	}
	return res.StatusCode, string(text)
}
