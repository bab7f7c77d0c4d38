package engagespot_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"carillon/app"
	"carillon/audience"
	"carillon/auth"
	"carillon/auth/authtest"
	"carillon/catalog"
	"carillon/inbox"
	"carillon/internal/seal"
	"carillon/live"
	"carillon/model"
	"carillon/notify"
	"carillon/rest"
	"carillon/rest/engagespot"
	"carillon/store"
	"carillon/store/storetest"
	"carillon/user"
)

// start is when the story of every world begins.
var start = time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)

// clock is the time in a world: it stands still unless it is moved.
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

var signingKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

// world is a whole server on a database of its own, with four apps: shop and
// other, whose users need no proof, sealed, whose users need a signature, and
// vault, whose users need a token.
type world struct {
	t     *testing.T
	clock *clock
	store *store.Store

	users     *user.Service
	apps      *app.Service
	box       *seal.Box
	templates *catalog.Templates
	inbox     *inbox.Service
	sends     *notify.Service
	auth      *auth.Service
	hub       *live.Hub
	http      *httptest.Server

	shop, other, sealed, vault *app.Created

	tried int // cases of the corpus
}

// each runs test in a world on each database.
func each(t *testing.T, test func(w *world)) {
	t.Helper()
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) { test(newWorld(t, url)) })
}

// onSQLite runs test in a world on SQLite, where the database does not matter.
func onSQLite(t *testing.T) *world {
	t.Helper()
	t.Parallel()
	return newWorld(t, storetest.SQLite(t))
}

func newWorld(t *testing.T, url string) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{now: start}}
	w.store = storetest.Open(t, store.Config{URL: url, MaxConns: 6, Now: w.clock.Now})
	box, err := seal.NewBox(seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	// One process hears of everything at once. Healing in between would tell some
	// of it from the database, which does not know what was done.
	w.hub = live.NewHub(live.Config{Heads: w.store, Heal: time.Minute})
	w.box = box
	apps := &app.Service{Store: w.store, Keys: auth.Keys{Box: box}, Now: w.clock.Now}
	w.apps = apps
	w.users = &user.Service{Store: w.store, Live: w.hub}
	categories := &catalog.Service{Store: w.store, Now: w.clock.Now}
	w.templates = &catalog.Templates{Store: w.store, Users: w.users}
	w.inbox = &inbox.Service{Store: w.store, Live: w.hub}
	w.sends = &notify.Service{Store: w.store, Users: w.users, Catalog: categories, Templates: w.templates, Live: w.hub, Now: w.clock.Now}
	w.auth = auth.NewService(auth.Config{Lookup: w.store, Box: box, Now: w.clock.Now})
	api := engagespot.New(engagespot.Config{
		Inbox: w.inbox, Sends: w.sends, Users: w.users, Catalog: categories, Topics: &audience.Service{Store: w.store}, Apps: apps,
		Gate: &auth.Gate{Service: w.auth}, Log: slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	router := &rest.Router{Next: http.NotFoundHandler()}
	api.Mount(router)
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { w.hub.Run(ctx) })
	wg.Go(func() { w.sends.Run(ctx) })
	w.http = httptest.NewServer(router)
	t.Cleanup(func() { w.http.Close(); w.sends.Close(); stop(); wg.Wait() })

	for name, to := range map[string]**app.Created{"shop": &w.shop, "other": &w.other, "sealed": &w.sealed, "vault": &w.vault} {
		in := app.NewEnvironment{App: name, Kind: model.EnvTest, APIKey: "key_" + name, APISecret: strings.Repeat("secret_of_"+name+"_", 3), UserAuth: model.AuthOpen}
		switch name {
		case "sealed":
			in.UserAuth = model.AuthHMAC
		case "vault":
			in.UserAuth, in.TokenKey, in.Settings.LegacyTokens = model.AuthToken, authtest.PEM(t, signingKey().Public()), true
		}
		created, err := apps.CreateEnvironment(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		*to = &created
	}
	return w
}

// testLog fails a test when the server logs a fault.
type testLog struct{ t *testing.T }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Errorf("logged: %s", b)
	return len(b), nil
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// json decodes the body.
func (a answer) json(t *testing.T) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal([]byte(a.body), &out); err != nil {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	return out
}

// raw sends bytes as they are and reads the answer.
func (w *world) raw(request []byte) answer {
	w.t.Helper()
	conn, err := net.DialTimeout("tcp", w.http.Listener.Addr().String(), 5*time.Second)
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := conn.Write(request); err != nil {
		w.t.Fatal(err)
	}
	method, _, _ := strings.Cut(string(request), " ")
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		w.t.Fatalf("%.200q: %v", request, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(body)}
}

// header is a header of a request.
type header struct{ name, value string }

// call sends a request with a body: text as it is, anything else as JSON.
func (w *world) call(method, path string, body any, headers ...header) answer {
	w.t.Helper()
	var content []byte
	switch body := body.(type) {
	case nil:
	case string:
		content = []byte(body)
	default:
		var err error
		if content, err = json.Marshal(body); err != nil {
			w.t.Fatal(err)
		}
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: x\r\n", method, path)
	typed := false
	for _, h := range headers {
		fmt.Fprintf(&b, "%s: %s\r\n", h.name, h.value)
		typed = typed || strings.EqualFold(h.name, "Content-Type")
	}
	if !typed {
		b.WriteString("Content-Type: application/json\r\n")
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n", len(content))
	b.Write(content)
	return w.raw(b.Bytes())
}

// ok is call for what must succeed with a status.
func (w *world) ok(status int, method, path string, body any, headers ...header) map[string]any {
	w.t.Helper()
	a := w.call(method, path, body, headers...)
	if a.status != status {
		w.t.Fatalf("%s %s: %d %s, want %d", method, path, a.status, a.body, status)
	}
	if !strings.HasPrefix(strings.TrimSpace(a.body), "{") {
		return map[string]any{"list": decode[any](w.t, a.body)}
	}
	return a.json(w.t)
}

func decode[T any](t *testing.T, body string) T {
	t.Helper()
	var out T
	if err := json.Unmarshal([]byte(body), &out); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return out
}

// asApp are the headers of an application.
func asApp(e *app.Created) []header {
	return []header{{"X-ENGAGESPOT-API-KEY", e.Environment.APIKey}, {"X-ENGAGESPOT-API-SECRET", e.APISecret}}
}

// as are the headers of a user, with the signature where the environment wants
// one, or a token.
func as(e *app.Created, name string) []header {
	switch e.Environment.UserAuth {
	case model.AuthToken:
		return []header{{"Authorization", "Bearer " + token(e, name)}}
	case model.AuthHMAC:
		return []header{
			{"X-ENGAGESPOT-API-KEY", e.Environment.APIKey},
			{"X-ENGAGESPOT-USER-ID", name},
			{"X-ENGAGESPOT-USER-SIGNATURE", sign(e, name)},
		}
	default:
		return []header{{"X-ENGAGESPOT-API-KEY", e.Environment.APIKey}, {"X-ENGAGESPOT-USER-ID", name}}
	}
}

// sign is the signature of a user.
func sign(e *app.Created, name string) string {
	return base64.StdEncoding.EncodeToString(auth.Sign(e.APISecret, name))
}

// token is a token as Engagespot's clients make it: without exp.
func token(e *app.Created, name string) string {
	return authtest.Forge(authtest.Object{"alg": "RS256", "typ": "JWT"}, authtest.Object{"sub": "user:" + name, "apiKey": e.Environment.APIKey, "iat": start.Unix()}, authtest.RS256(signingKey()))
}

// user makes a user.
func (w *world) user(e *app.Created, name string) model.User {
	w.t.Helper()
	out, err := w.users.Identify(w.t.Context(), e.Environment.ID, model.Once{}, model.IdentifyInput{Identifier: name})
	if err != nil {
		w.t.Fatal(err)
	}
	return out.Value.User
}

// notify sends to a user and returns the id of their notification.
func (w *world) notify(e *app.Created, name, title string) int64 {
	w.t.Helper()
	w.clock.pass(time.Second)
	out, err := w.sends.Send(w.t.Context(), e.Environment, model.SendRequest{To: model.SendTarget{Users: []string{name}}, Content: model.Content{Title: title}, WantPlan: true})
	if err != nil || len(out.Value.Plan) != 1 {
		w.t.Fatalf("sending to %s: %v %+v", name, err, out.Value)
	}
	return int64(out.Value.Plan[0].Notification)
}

// unseen is what clients call unreadCount.
func (w *world) unseen(e *app.Created, name string) float64 {
	w.t.Helper()
	return w.ok(200, "GET", "/v3/notifications", nil, as(e, name)...)["unreadCount"].(float64)
}
