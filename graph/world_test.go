package graph_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"carillon/app"
	"carillon/audience"
	"carillon/auth"
	"carillon/auth/authtest"
	"carillon/catalog"
	"carillon/delivery"
	"carillon/delivery/deliverytest"
	"carillon/graph"
	"carillon/graph/view"
	"carillon/inbox"
	"carillon/internal/seal"
	"carillon/live"
	"carillon/model"
	"carillon/notify"
	"carillon/store"
	"carillon/store/storetest"
	"carillon/user"
	"carillon/webhook"
)

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

// world is a whole server on a database of its own, with three apps: shop and
// other, whose users need no proof, and vault, whose users need tokens. All
// three have a user named ada.
type world struct {
	t     *testing.T
	clock *clock
	store *store.Store
	calls *countingStore

	users     *user.Service
	catalog   *catalog.Service
	audience  *audience.Service
	segments  *audience.Segments
	templates *catalog.Templates
	layouts   *catalog.Layouts
	apps      *app.Service
	inbox     *inbox.Service
	sends     *notify.Service
	config    graph.Config
	api       *graph.API
	http      *httptest.Server
	delivery  *delivery.Service
	webhooks  *webhook.Service
	recorder  *deliverytest.Recorder
	url       string

	envs  map[string]*environment
	names map[string]string // what is named in operations and answers → its id
}

type environment struct {
	model.Environment
	secret  string
	signing ed25519.PrivateKey
	kid     model.CredentialID
}

// start is when the story of every world begins.
var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// newWorld starts a server over a database, with seeds in it.
func newWorld(t *testing.T, url string) *world {
	t.Helper()
	w := emptyWorld(t, url)
	w.seed()
	return w
}

func emptyWorld(t *testing.T, url string) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{now: start}, envs: map[string]*environment{}, names: map[string]string{}, url: url, recorder: &deliverytest.Recorder{}}
	w.store = storetest.Open(t, store.Config{URL: url, MaxConns: 6, Now: w.clock.Now})
	w.calls = &countingStore{Store: w.store}
	box, err := seal.NewBox(seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	hub := live.NewHub(live.Config{Heads: w.store, Heal: 50 * time.Millisecond})
	w.apps = &app.Service{Store: w.store, Keys: auth.Keys{Box: box}, Now: w.clock.Now}
	w.users = &user.Service{Store: w.calls, Live: hub}
	w.catalog = &catalog.Service{Store: w.calls, Now: w.clock.Now}
	w.templates = &catalog.Templates{Store: w.store, Users: w.users}
	w.layouts = &catalog.Layouts{Store: w.store}
	w.audience = &audience.Service{Store: w.calls}
	w.segments = &audience.Segments{Store: w.calls}
	w.inbox = &inbox.Service{Store: w.calls, Live: hub, Templates: w.templates}
	w.sends = &notify.Service{Store: w.calls, Users: w.users, Catalog: w.catalog, Templates: w.templates, Segments: w.segments, Live: hub, Now: w.clock.Now}
	authService := auth.NewService(auth.Config{Lookup: w.store, Box: box, Now: w.clock.Now})
	w.delivery = &delivery.Service{
		Store: w.calls, Kinds: delivery.NewKinds(w.recorder.Kind("recorder"), w.recorder.Kind("other")), Box: box, Live: hub, Changed: authService.Forget,
		Now: w.clock.Now, Log: slog.New(slog.DiscardHandler), Tick: 10 * time.Millisecond,
	}
	w.sends.Deliver = w.delivery.Wake
	w.webhooks = &webhook.Service{Store: w.store, Box: box, Now: w.clock.Now}
	sessions := auth.NewSessions(w.store, slog.New(slog.DiscardHandler))
	sessions.Now = w.clock.Now
	w.config = graph.Config{
		Users: w.users, Categories: w.catalog, Topics: w.audience, Segments: w.segments, Templates: w.templates, Layouts: w.layouts, Apps: w.apps, Inbox: w.inbox, Sends: w.sends, Deliveries: w.delivery, Webhooks: w.webhooks,
		Auth: authService, Sessions: sessions, Log: slog.New(slog.DiscardHandler), AnswerCache: 1 << 20,
		Status: func(context.Context) graph.Status {
			return graph.Status{Version: "1.2.3", Database: "any", LiveAcrossProcesses: true, Warnings: []string{"it is late"}}
		},
	}
	w.api = must(graph.New(w.config))(t)
	w.run(hub.Run, sessions.Run)
	w.http = httptest.NewServer(w.api)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := w.api.Drain(ctx); err != nil {
			t.Errorf("draining: %v", err)
		}
		w.http.Close()
		w.sends.Close()
	})
	return w
}

// run runs loops until the test is over.
func (w *world) run(loops ...func(context.Context)) {
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, loop := range loops {
		wg.Go(func() { loop(ctx) })
	}
	w.t.Cleanup(func() { stop(); wg.Wait() })
}

// must ends the test on an error.
func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// addEnv makes an environment with one secret key and one key for tokens.
func (w *world) addEnv(name string, userAuth model.UserAuth) *environment {
	return w.addEnvWith(name, userAuth, model.EnvSettings{})
}

func (w *world) addEnvWith(name string, userAuth model.UserAuth, settings model.EnvSettings) *environment {
	seedOf := make([]byte, ed25519.SeedSize)
	copy(seedOf, name)
	e := &environment{secret: "sk_test_" + name + "_abcdefghijklmnopqrstuvwxyz", signing: ed25519.NewKeyFromSeed(seedOf)}
	e.kid = model.CredentialID("kid" + name)
	id := must(w.store.NewIDs(w.t.Context(), 1))(w.t)[0]
	e.Environment = must(w.store.CreateEnvironment(w.t.Context(), name,
		model.Environment{ID: model.EnvID(id), Kind: model.EnvTest, UserAuth: userAuth, APIKey: "pk_test_" + name, Settings: settings},
		[]model.Credential{
			{ID: model.CredentialID("key" + name), EnvID: model.EnvID(id), Kind: model.CredentialSecretKey, Name: "first", Hint: auth.Hint(e.secret), LookupHash: auth.Hash(e.secret)},
			{ID: e.kid, EnvID: model.EnvID(id), Kind: model.CredentialTokenKey, Algorithm: model.EdDSA, PublicKey: authtest.PEM(w.t, e.signing.Public())},
		}))(w.t)
	w.envs[name] = e
	w.names[name] = view.Ref{Kind: view.KindApp, Number: int64(e.AppID)}.String()
	w.names[name+".secretKey"] = view.CredentialID(model.CredentialID("key" + name))
	w.names[name+".tokenKey"] = view.CredentialID(e.kid)
	return e
}

// token is a user token of an environment, good for an hour.
func (w *world) token(e *environment, user string) string {
	now := w.clock.Now()
	return authtest.Forge(authtest.Object{"alg": "EdDSA", "kid": string(e.kid)},
		authtest.Object{"sub": user, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}, authtest.EdDSA(e.signing))
}

func (w *world) identify(env *environment, identifier, profile string) model.User {
	w.t.Helper()
	u := must(w.users.Identify(w.t.Context(), env.ID, model.Once{}, model.IdentifyInput{Identifier: identifier, Attributes: json.RawMessage(profile)}))(w.t).Value.User
	w.names[env.AppName+"/"+identifier] = view.UserID(u.ID)
	w.clock.pass(time.Minute)
	return u
}

func (w *world) category(env *environment, c model.Category) model.Category {
	w.t.Helper()
	c = must(w.catalog.Create(w.t.Context(), env.ID, model.Once{}, c))(w.t).Value
	w.names[env.AppName+"/"+c.Identifier] = view.CategoryID(c.ID)
	w.clock.pass(time.Minute)
	return c
}

func (w *world) topic(env *environment, identifier, name string, members ...model.TopicMember) {
	w.t.Helper()
	out := must(w.audience.Create(w.t.Context(), env.ID, model.Once{}, identifier, name, model.TopicDetails{}))(w.t).Value
	must(w.audience.Subscribe(w.t.Context(), env.ID, model.Once{}, identifier, members))(w.t)
	w.names[env.AppName+"/"+identifier] = view.TopicID(out.ID)
}

// send sends to users and names the send, and each user's notification
// "name/user".
func (w *world) send(env *environment, name, category string, content model.Content, users ...string) model.Send {
	w.t.Helper()
	out := must(w.sends.Send(w.t.Context(), env.Environment, model.SendRequest{
		To: model.SendTarget{Users: users}, Content: content, Category: category, WantPlan: true,
	}))(w.t).Value
	w.name(name, out)
	w.clock.pass(time.Minute)
	return *out.Send
}

func (w *world) name(name string, out model.SendResult) {
	w.names[name] = view.SendID(out.Send.ID)
	for _, p := range out.Plan {
		if p.Notification != 0 {
			w.names[name+"/"+p.Identifier] = view.NotificationID(p.Notification)
		}
	}
}

// seed tells the story that the operations of testdata begin with.
func (w *world) seed() {
	t, ctx := w.t, w.t.Context()
	shop, other, vault := w.addEnv("shop", model.AuthOpen), w.addEnv("other", model.AuthOpen), w.addEnv("vault", model.AuthToken)

	ada := w.identify(shop, "ada", `{"firstName":"Ada","lastName":"Lovelace","email":"ada@example.com","phoneNumber":"+15551234567","locale":"en-GB","timeZone":"Europe/London","avatarUrl":"https://example.com/ada.png","plan":{"name":"gold","seats":3}}`)
	w.identify(shop, "bob", `{}`)
	eve := w.identify(shop, "eve", `{}`)
	must(w.users.SetEnabled(ctx, shop.ID, model.Once{}, "eve", false))(t)
	w.identify(other, "ada", `{"firstName":"Another"}`)
	w.identify(other, "zoe", `{}`)
	w.identify(vault, "ada", `{}`)
	device := must(w.users.RegisterDevice(ctx, shop.ID, model.Once{}, ada.ID, model.DeviceInput{Key: "phone-1", Platform: model.PlatformIOS, Token: "tok"}))(t).Value
	w.names["shop/ada/phone-1"] = view.DeviceID(ada.ID, device.ID)
	must(w.users.JoinAccounts(ctx, shop.ID, model.Once{}, "eve", []model.MembershipChange{{Account: "bob"}}))(t)
	for name, channel := range map[string]model.Channel{"slack": model.ChannelSlack, "teams": model.ChannelTeams} {
		a := must(w.users.AddAddress(ctx, model.Once{}, model.UserRef{Env: shop.ID, ID: eve.ID}, model.NewAddress{Channel: channel, Value: "eve"}))(t).Value
		w.names["shop/eve/"+name] = view.AddressID(eve.ID, a.ID)
	}

	w.category(shop, model.Category{Identifier: "comments", Name: "Comments", DefaultEnabled: true})
	w.category(shop, model.Category{Identifier: "billing", Name: "Billing", DefaultEnabled: true, RequiredChannels: []model.Channel{model.ChannelInApp}})
	w.category(shop, model.Category{Identifier: "internal", Name: "Internal", DefaultEnabled: true, HideInPrefs: true, HideInInbox: true, ChannelDefaults: map[model.Channel]bool{model.ChannelEmail: false, model.ChannelInApp: true}})
	w.category(other, model.Category{Identifier: "comments", Name: "Comments elsewhere", DefaultEnabled: true})

	w.topic(shop, "news", "News", model.TopicMember{Identifier: "ada"}, model.TopicMember{Identifier: "eve", Channels: []string{"EMAIL", "IN_APP", "pigeon"}})
	w.topic(shop, "posts/7", "Answers to post 7", model.TopicMember{Identifier: "ada", Channels: []string{"EMAIL"}}, model.TopicMember{Identifier: "bob"})
	w.topic(other, "news", "News elsewhere", model.TopicMember{Identifier: "zoe"})

	for _, env := range []*environment{shop, other} {
		m := must(w.segments.Create(ctx, model.Once{}, model.Segment{
			EnvID: env.ID, Identifier: "named", Name: "Has a first name", Rule: model.SegmentRule{Attribute: &model.AttributeCondition{Name: "firstName", Exists: new(true)}},
		}))(t).Value
		w.names[env.AppName+"/named"] = view.SegmentID(m.ID)
	}
	must(w.segments.Suppress(ctx, shop.ID, model.Once{}, "named", "bob", true))(t)

	for _, name := range []string{"frame", "spare"} {
		must(w.layouts.Create(ctx, shop.ID, model.Once{}, model.Layout{Identifier: name, Name: name, Content: model.LayoutContent{Text: "{{content}}"}}))(t)
	}
	for _, name := range []string{"receipt", "reminder"} {
		must(w.templates.Create(ctx, shop.ID, model.Once{}, model.Template{Identifier: name, Name: name, Content: model.TemplateText{Title: name}}))(t)
	}

	w.send(shop, "welcome", "", model.Content{Title: "Welcome", Body: "Glad you are here."}, "ada", "bob")
	w.send(shop, "comment", "comments", model.Content{
		Title: "New comment", URL: "/posts/7", Icon: "https://example.com/c.png", Data: json.RawMessage(`{"big":12345678901234567890,"price":1.10,"post":7}`),
		Blocks: []model.Block{{ID: "1", Type: "BUTTON", Text: "Answer", Variant: "PRIMARY", Link: "/posts/7#answer"}},
	}, "ada")
	w.send(shop, "invoice", "billing", model.Content{Title: "Invoice"}, "ada")
	w.send(other, "elsewhere", "comments", model.Content{Title: "Elsewhere"}, "ada", "zoe")
	later := must(w.sends.Send(ctx, shop.Environment, model.SendRequest{
		To: model.SendTarget{Users: []string{"ada"}}, Content: model.Content{Title: "Later"}, SendAt: start.Add(48 * time.Hour),
	}))(t).Value
	w.name("later", later)

	w.seedDeliveries(shop, ada)
	w.seedWebhooks(shop, other, eve)
	w.names["shop/import"] = string(must(w.users.Import(ctx, shop.ID, bytes.NewReader([]byte("identifier\nadded\n")), false))(t).ID)

	read := must(strconv.ParseInt(w.names["welcome/ada"][4:], 10, 64))(t)
	must(w.inbox.Mark(ctx, shop.ID, model.Once{}, ada.ID, []model.NotificationID{model.NotificationID(read)}, model.MarkRead))(t)
	w.clock.pass(time.Minute)
}

// countingStore counts the reads that a page must not make row by row.
type countingStore struct {
	*store.Store
	mu    sync.Mutex
	reads map[string]int
}

func (s *countingStore) count(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reads == nil {
		s.reads = map[string]int{}
	}
	s.reads[what]++
}

// taken returns the counts so far and begins anew.
func (s *countingStore) taken() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.reads
	s.reads = nil
	return out
}

func (s *countingStore) NewestInbox(ctx context.Context, env model.EnvID, user model.UserID, first int, known int64) (model.Inbox, bool, error) {
	s.count("NewestInbox")
	page, same, err := s.Store.NewestInbox(ctx, env, user, first, known)
	if same {
		s.count("NewestInbox same")
	}
	return page, same, err
}

func (s *countingStore) User(ctx context.Context, env model.EnvID, identifier string) (model.User, error) {
	s.count("User")
	return s.Store.User(ctx, env, identifier)
}

func (s *countingStore) UsersByID(ctx context.Context, env model.EnvID, ids []model.UserID) ([]model.User, error) {
	s.count("UsersByID")
	return s.Store.UsersByID(ctx, env, ids)
}

func (s *countingStore) Categories(ctx context.Context, env model.EnvID) ([]model.Category, error) {
	s.count("Categories")
	return s.Store.Categories(ctx, env)
}

func (s *countingStore) Send(ctx context.Context, env model.EnvID, id model.SendID) (model.Send, error) {
	s.count("Send")
	return s.Store.Send(ctx, env, id)
}

func (s *countingStore) Sends(ctx context.Context, env model.EnvID, ids []model.SendID) (map[model.SendID]model.Send, error) {
	s.count("Sends")
	return s.Store.Sends(ctx, env, ids)
}

func (s *countingStore) Interactions(ctx context.Context, env model.EnvID, ids []model.NotificationID) (map[model.NotificationID][]model.Interaction, error) {
	s.count("Interactions")
	return s.Store.Interactions(ctx, env, ids)
}

func (s *countingStore) Skipped(ctx context.Context, env model.EnvID, ids []model.SendID) (map[model.SendID][]model.Skipped, error) {
	s.count("Skipped")
	return s.Store.Skipped(ctx, env, ids)
}

func (s *countingStore) Notifications(ctx context.Context, env model.EnvID, ids []model.NotificationID) ([]model.Notification, error) {
	s.count("Notifications")
	return s.Store.Notifications(ctx, env, ids)
}
