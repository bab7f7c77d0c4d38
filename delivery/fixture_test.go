package delivery_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"carillon/catalog"
	"carillon/delivery"
	"carillon/delivery/deliverytest"
	"carillon/internal/seal"
	"carillon/live"
	"carillon/model"
	"carillon/notify"
	"carillon/store"
	"carillon/store/storetest"
	"carillon/user"
)

// fixture is a server's worth of services over a real database, with a provider
// that records.
type fixture struct {
	*delivery.Service
	store    *store.Store
	hub      *live.Hub
	url      string
	sends    *notify.Service
	users    *user.Service
	catalog  *catalog.Service
	recorder *deliverytest.Recorder
	box      *seal.Box
	env      model.Environment
}

// each runs test on both databases.
func each(t *testing.T, test func(t *testing.T, f *fixture)) {
	t.Helper()
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) { test(t, newFixture(t, url)) })
}

func newFixture(t testing.TB, url string) *fixture {
	t.Helper()
	s := storetest.Open(t, store.Config{URL: url, MaxConns: 8})
	box, err := seal.NewBox(seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	hub := live.NewHub(live.Config{})
	f := &fixture{store: s, url: url, hub: hub, recorder: &deliverytest.Recorder{}, box: box, catalog: &catalog.Service{Store: s}, users: &user.Service{Store: s, Live: hub}}
	f.Service = f.another()
	f.sends = &notify.Service{Store: s, Users: f.users, Catalog: f.catalog, Live: hub, Log: slog.New(slog.DiscardHandler)}
	f.sends.Deliver = func() { f.Wake() }
	t.Cleanup(f.sends.Close)
	f.env = f.environment(t, "shop")
	return f
}

// another is a second service on the same database, as in another process.
func (f *fixture) another() *delivery.Service {
	return &delivery.Service{
		Store: f.store, Kinds: delivery.NewKinds(f.recorder.Kind("recorder"), f.recorder.Kind("other")), Box: f.box,
		Log: slog.New(slog.DiscardHandler), Tick: 10 * time.Millisecond, Live: f.hub,
	}
}

func (f *fixture) environment(t testing.TB, app string) model.Environment {
	t.Helper()
	env, err := f.store.CreateEnvironment(t.Context(), app, model.Environment{Kind: model.EnvTest, UserAuth: model.AuthOpen, APIKey: "pk_" + app}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return env
}

// provider makes a provider of the fixture's environment that records.
func (f *fixture) provider(t testing.TB, c model.Channel, change ...func(*model.ProviderInput)) model.Provider {
	t.Helper()
	return f.providerOf(t, &f.env, c, change...)
}

func (f *fixture) providerOf(t testing.TB, env *model.Environment, c model.Channel, change ...func(*model.ProviderInput)) model.Provider {
	t.Helper()
	in := model.ProviderInput{Kind: "recorder", Channel: c, Enabled: true, Secrets: json.RawMessage(`{"token":"a-secret-token"}`)}
	for _, ch := range change {
		ch(&in)
	}
	out, err := f.CreateProvider(t.Context(), env.ID, model.Once{}, in)
	if err != nil {
		t.Fatal(err)
	}
	f.reload(t, env)
	return out.Value
}

// reload reads the environment as authentication would.
func (f *fixture) reload(t testing.TB, env *model.Environment) {
	t.Helper()
	fresh, err := f.store.Environment(t.Context(), env.ID)
	if err != nil {
		t.Fatal(err)
	}
	*env = fresh
}

// person makes a user of an environment with attributes.
func (f *fixture) person(t testing.TB, env model.EnvID, identifier, attributes string) model.User {
	t.Helper()
	out, err := f.users.Identify(t.Context(), env, model.Once{}, model.IdentifyInput{Identifier: identifier, Attributes: json.RawMessage(attributes)})
	if err != nil {
		t.Fatal(err)
	}
	return out.Value.User
}

// ada is a user with an e-mail address and a phone.
func (f *fixture) ada(t testing.TB) model.User {
	t.Helper()
	return f.person(t, f.env.ID, "ada", `{"email":"ada@example.com","phoneNumber":"+4915112345678","firstName":"Ada"}`)
}

// phone gives a user a device with a push token.
func (f *fixture) phone(t testing.TB, u model.User, token string) {
	t.Helper()
	if _, err := f.users.RegisterDevice(t.Context(), u.EnvID, model.Once{}, u.ID, model.DeviceInput{Key: token, Platform: model.PlatformIOS, Token: token}); err != nil {
		t.Fatal(err)
	}
}

// send sends to users of an environment.
func (f *fixture) send(t testing.TB, env model.Environment, change func(*model.SendRequest), users ...string) model.SendResult {
	t.Helper()
	req := model.SendRequest{To: model.SendTarget{Users: users}, Content: model.Content{Title: "Hello", Body: "How are you?"}}
	if change != nil {
		change(&req)
	}
	out, err := f.sends.Send(t.Context(), env, req)
	if err != nil {
		t.Fatal(err)
	}
	return out.Value
}

// run delivers until the test ends.
func (f *fixture) run(t testing.TB) (stop func()) {
	t.Helper()
	return runService(t, f.Service)
}

func runService(t testing.TB, s *delivery.Service) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return stop
}

// deliveries lists the deliveries of the fixture's environment as
// "CHANNEL STATE REASON address", sorted by channel and address.
func (f *fixture) deliveries(t testing.TB) []string {
	t.Helper()
	return f.deliveriesOf(t, f.env.ID)
}

func (f *fixture) deliveriesOf(t testing.TB, env model.EnvID) (out []string) {
	t.Helper()
	for _, d := range f.rows(t, env) {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", d.Channel, d.State, d.Reason, d.Address)))
	}
	return out
}

func (f *fixture) rows(t testing.TB, env model.EnvID) []model.Delivery {
	t.Helper()
	page, err := f.store.ListDeliveries(t.Context(), env, model.DeliveryFilter{}, model.PageRequest{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	list := page.Items
	sortBy(list, func(d model.Delivery) string {
		return fmt.Sprintf("%02d %s %d", d.Channel, d.Address, d.NotificationID)
	})
	return list
}

// settled waits until nothing is due or under way any more.
func (f *fixture) settled(t testing.TB) {
	t.Helper()
	eventually(t, "every delivery has ended or waits", func() bool {
		return f.count(t, "select count(*) from deliveries where state = 2 or state = 1 and run_at <= ?", time.Now().Add(500*time.Millisecond).UnixMicro()) == 0
	})
}

// hurry makes every delivery due that waits.
func (f *fixture) hurry(t testing.TB) {
	t.Helper()
	f.sql(t, "update deliveries set run_at = 1 where state = 1 returning 1")
	f.Wake()
}

func (f *fixture) count(t testing.TB, query string, args ...any) int64 {
	t.Helper()
	return f.sql(t, query, args...)[0][0].(int64)
}

// sql runs a statement behind the store's back. Placeholders are ?.
func (f *fixture) sql(t testing.TB, query string, args ...any) (out [][]any) {
	t.Helper()
	driver := "sqlite"
	if f.store.Database() == "postgres" {
		driver = "pgx"
		for i := range args {
			query = strings.Replace(query, "?", fmt.Sprintf("$%d", i+1), 1)
		}
	}
	db, err := sql.Open(driver, f.url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if driver == "sqlite" {
		if _, err := db.Exec("pragma busy_timeout = 5000"); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := db.Query(query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	columns, _ := rows.Columns()
	for rows.Next() {
		row, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		out = append(out, row)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// eventually waits for something that has ten seconds to come about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func sortBy[T any](list []T, key func(T) string) {
	for i := range list {
		for j := i; j > 0 && key(list[j]) < key(list[j-1]); j-- {
			list[j], list[j-1] = list[j-1], list[j]
		}
	}
}

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s:\ngot  %s\nwant %s", what, g, w)
	}
}
