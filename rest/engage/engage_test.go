package engage_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"carillon/app"
	"carillon/audience"
	"carillon/auth"
	"carillon/catalog"
	"carillon/delivery"
	"carillon/delivery/deliverytest"
	"carillon/internal/seal"
	"carillon/live"
	"carillon/model"
	"carillon/notify"
	"carillon/rest"
	"carillon/rest/engage"
	"carillon/store"
	"carillon/store/storetest"
	"carillon/user"
)

// world is a server with the environments of two apps, on a database of its
// own.
type world struct {
	t        *testing.T
	users    *user.Service
	topics   *audience.Service
	segments *audience.Segments
	http     *httptest.Server
	clock    *clock
	envs     map[string]model.EnvID
	keys     map[string][2]string // id and secret of each environment's credential
	answers  map[string]string    // values of answers, by name

	store     *store.Store
	apps      *app.Service
	hub       *live.Hub
	sends     *notify.Service
	delivery  *delivery.Service
	templates *catalog.Templates
	recorder  *deliverytest.Recorder
	providers map[model.ProviderID]bool // that record here
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

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// TestDialect runs the tests on both databases, each in environments of its own on
// one server.
func TestDialect(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		for _, test := range []struct {
			name string
			run  func(t *testing.T, w *world)
		}{
			{"Rows", rows}, {"Segments", segments}, {"Pages", pages}, {"StatsCountTheInbox", statsCountTheInbox}, {"BadInput", badInput}, {"MessagesArrive", messagesArrive},
		} {
			t.Run(test.name, func(t *testing.T) { test.run(t, w.another(t, test.name+" ")) })
		}
	})
}

func newWorld(t *testing.T, url string) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}, recorder: &deliverytest.Recorder{}}
	s := storetest.Open(t, store.Config{URL: url, MaxConns: 6, Now: w.clock.Now})
	box, err := seal.NewBox(seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	w.store, w.hub = s, live.NewHub(live.Config{Heads: s})
	w.users, w.topics, w.segments = &user.Service{Store: s, Live: w.hub}, &audience.Service{Store: s}, &audience.Segments{Store: s}
	w.templates = &catalog.Templates{Store: s, Users: w.users}
	w.sends = &notify.Service{
		Store: s, Users: w.users, Catalog: &catalog.Service{Store: s, Now: w.clock.Now}, Templates: w.templates, Live: w.hub, Now: w.clock.Now,
	}
	w.apps = &app.Service{Store: s, Keys: auth.Keys{Box: box}, Now: w.clock.Now}
	authService := auth.NewService(auth.Config{Lookup: s, Box: box, Now: w.clock.Now})
	w.delivery = &delivery.Service{
		Store: s, Kinds: delivery.NewKinds(w.recorder.Kind("recorder")), Box: box, Changed: authService.Forget, Now: w.clock.Now,
		Log: slog.New(slog.DiscardHandler), Tick: 10 * time.Millisecond, Render: rendering{w.templates},
	}
	router := &rest.Router{Next: http.NotFoundHandler()}
	engage.New(engage.Config{
		Users: w.users, Topics: w.topics, Segments: w.segments, Sends: w.sends, Log: slog.New(slog.DiscardHandler), Gate: &auth.Gate{Service: authService},
	}).Mount(router)
	w.http = httptest.NewServer(router)
	t.Cleanup(func() { w.http.Close(); w.sends.Close() })
	return w
}

// another is the same server with environments that nobody has used yet; name
// begins the names of their apps.
func (w *world) another(t *testing.T, name string) *world {
	t.Helper()
	out := *w
	out.t, out.envs, out.keys, out.answers, out.providers = t, map[string]model.EnvID{}, map[string][2]string{}, map[string]string{}, map[model.ProviderID]bool{}
	for _, of := range []string{"shop", "other"} {
		env := storetest.Env(t, w.store, name+of)
		made, err := w.apps.CreateCredential(t.Context(), env, model.Once{}, model.NewCredential{Kind: model.CredentialEngage})
		if err != nil {
			t.Fatal(err)
		}
		out.envs[of], out.keys[of] = env, [2]string{"crd_" + string(made.Value.Credential.ID), made.Value.Secret}
		for _, c := range []model.Channel{model.ChannelEmail, model.ChannelSMS} {
			made, err := w.delivery.CreateProvider(t.Context(), env, model.Once{}, model.ProviderInput{Kind: "recorder", Channel: c, Name: c.String(), Enabled: true})
			if err != nil {
				t.Fatal(err)
			}
			out.providers[made.Value.ID] = true
		}
		if _, err := w.templates.Create(t.Context(), env, model.Once{}, model.Template{
			Identifier: "receipt", Name: "Receipt", Content: model.TemplateText{Title: "Order {{number}}", Body: "of {{recipient.firstName}}"},
		}); err != nil {
			t.Fatal(err)
		}
	}
	return &out
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

// deliver has messages sent until the test ends.
func (w *world) deliver(t *testing.T) {
	t.Helper()
	w.sends.Deliver = w.delivery.Wake
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, run := range []func(context.Context){w.hub.Run, w.sends.Run, w.delivery.Run} {
		wg.Go(func() { run(ctx) })
	}
	t.Cleanup(func() { stop(); wg.Wait() })
}

// As whom a request is made.
const (
	both  = "shop"
	key   = "shop key"
	other = "other"
	wrong = "shop wrong"
	none  = ""
)

// do makes a request and returns what came back.
func (w *world) do(as, request, body string) (int, string) {
	w.t.Helper()
	w.clock.pass(time.Second)
	method, path, _ := strings.Cut(request, " ")
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.http.URL+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json;charset=utf-8")
	}
	if name, how, _ := strings.Cut(as, " "); name != "" {
		secret := map[string]string{"": w.keys[name][1], "key": "", "wrong": "wrong"}[how]
		req.SetBasicAuth(w.keys[name][0], secret)
	}
	resp, err := w.http.Client().Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil || !json.Valid(raw) {
		w.t.Fatalf("%s: %d %q, %v", request, resp.StatusCode, raw, err)
	}
	return resp.StatusCode, string(raw)
}

var reference = regexp.MustCompile(`\$\w+`)

// fill puts values of answers in the place of $name.
func (w *world) fill(s string) string {
	return reference.ReplaceAllStringFunc(s, func(name string) string {
		if v := w.answers[name[1:]]; v != "" {
			return v
		}
		return name
	})
}

// step is a request and its answer. Of the answer, members named in want must
// be equal; others are not looked at. save keeps a member of the answer under a
// name.
type step struct {
	as, request, body string
	status            int
	want              string
	save              string
}

func (w *world) play(steps []step) {
	w.t.Helper()
	for _, s := range steps {
		status, body := w.do(s.as, w.fill(s.request), w.fill(s.body))
		if status != s.status {
			w.t.Errorf("%s %s as %q: %d %s, want %d", s.request, s.body, s.as, status, body, s.status)
			continue
		}
		var got any
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			w.t.Fatal(err)
		}
		if s.want != "" {
			var want any
			if err := json.Unmarshal([]byte(w.fill(s.want)), &want); err != nil {
				w.t.Fatalf("%s: %v", s.want, err)
			}
			if at, ok := holds(got, want, ""); !ok {
				w.t.Errorf("%s %s: at %q it is %s, want %s", s.request, s.body, at, body, w.fill(s.want))
			}
		}
		if s.save != "" {
			member, name, _ := strings.Cut(s.save, " ")
			w.answers[name] = fmt.Sprint(got.(map[string]any)[member])
		}
	}
}

// holds reports whether everything in want is in got, and where not.
func holds(got, want any, at string) (string, bool) {
	switch want := want.(type) {
	case map[string]any:
		is, ok := got.(map[string]any)
		if !ok {
			return at, false
		}
		for name, v := range want {
			if at, ok := holds(is[name], v, at+"/"+name); !ok {
				return at, false
			}
		}
		return "", true
	case []any:
		is, ok := got.([]any)
		if !ok || len(is) != len(want) {
			return at, false
		}
		for i := range want {
			if at, ok := holds(is[i], want[i], fmt.Sprint(at, "/", i)); !ok {
				return at, false
			}
		}
		return "", true
	default:
		return at, got == want
	}
}

// pages reads in both ways, from either end, over the same users.
func pages(t *testing.T, w *world) {
	for i := range 7 {
		w.play([]step{{as: key, request: "POST /v1/users", body: fmt.Sprintf(`{"id":"u%d"}`, i), status: 201, save: fmt.Sprintf("id u%d", i)}})
	}
	uids := func(query string) (string, map[string]any) {
		status, body := w.do(both, w.fill("GET /v1/users?"+query), "")
		var got map[string]any
		if err := json.Unmarshal([]byte(body), &got); err != nil || status != 200 {
			t.Fatalf("%s: %d %s", query, status, body)
		}
		var out []string
		for _, u := range got["data"].([]any) {
			out = append(out, u.(map[string]any)["uid"].(string))
		}
		return strings.Join(out, " "), got
	}
	for query, want := range map[string]string{
		"limit=3":                     "u0 u1 u2 more next:u2",
		"":                            "u0 u1 u2 u3 u4 u5 u6",
		"limit=3&after_id=$u2":        "u3 u4 u5 more next:u5 previous:u3",
		"limit=3&after_id=$u5":        "u6 previous:u6",
		"limit=3&before_id=$u5":       "u2 u3 u4 more next:u4 previous:u2",
		"limit=3&before_id=$u2":       "u0 u1 next:u1",
		"limit=3&next_cursor=$u2":     "u3 u4 u5 more next:u5 previous:u3",
		"limit=2&previous_cursor=$u3": "u1 u2 more next:u2 previous:u1",
		"limit=1000":                  "u0 u1 u2 u3 u4 u5 u6",
	} {
		got, page := uids(query)
		if page["has_more"] == true {
			got += " more"
		}
		for _, name := range []string{"next", "previous"} {
			if c := page[name+"_cursor"]; c != nil {
				for uid, id := range w.answers {
					if id == c {
						got += " " + name + ":" + uid
					}
				}
			}
		}
		if got != want {
			t.Errorf("%q: %s, want %s", query, got, want)
		}
	}
	for _, query := range []string{"limit=0", "limit=x", "after_id=x", "after_id=$u1&before_id=$u3"} {
		if status, body := w.do(both, w.fill("GET /v1/users?"+query), ""); status != 400 {
			t.Errorf("%q: %d %s", query, status, body)
		}
	}
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, w.http.URL+"/v1/users/ada", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", "https://shop.example")
	req.Header.Set("Access-Control-Request-Method", "PUT")
	resp, err := w.http.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	h := resp.Header
	if resp.StatusCode != 200 || !strings.Contains(h.Get("Access-Control-Allow-Methods"), "PUT") || !strings.Contains(h.Get("Access-Control-Allow-Headers"), "authorization") {
		t.Errorf("%d %v", resp.StatusCode, h)
	}
}
