package notify_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"carillon/catalog"
	"carillon/live"
	"carillon/model"
	"carillon/notify"
	"carillon/store"
	"carillon/store/storetest"
	"carillon/user"
)

// fixture is a service over a real database with one environment.
type fixture struct {
	*notify.Service
	store   *store.Store
	url     string
	hub     *recordingHub
	catalog *catalog.Service
	clock   *clock
	env     model.Environment
}

// clock is a clock that stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// each runs test on both databases.
func each(t *testing.T, test func(t *testing.T, f *fixture)) {
	t.Helper()
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) { test(t, newFixture(t, url)) })
}

func newFixture(t testing.TB, url string) *fixture {
	t.Helper()
	c := &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	s := storetest.Open(t, store.Config{URL: url, MaxConns: 8, Now: c.Now})
	f := &fixture{store: s, url: url, hub: &recordingHub{Hub: live.NewHub(live.Config{})}, catalog: &catalog.Service{Store: s, Now: c.Now}, clock: c}
	f.env = f.environment(t, "shop")
	f.Service = f.another(t)
	return f
}

// another is a second service on the same database, as in another process.
func (f *fixture) another(t testing.TB) *notify.Service {
	s := &notify.Service{Store: f.store, Users: &user.Service{Store: f.store, Live: f.hub}, Catalog: f.catalog, Live: f.hub, Now: f.clock.Now, Log: slog.New(slog.DiscardHandler)}
	t.Cleanup(s.Close)
	return s
}

func (f *fixture) environment(t testing.TB, app string) model.Environment {
	t.Helper()
	env, err := f.store.CreateEnvironment(t.Context(), app, model.Environment{Kind: model.EnvTest, UserAuth: model.AuthOpen, APIKey: "pk_" + app}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return env
}

// users makes users in the fixture's environment.
func (f *fixture) users(t testing.TB, identifiers ...string) []model.User {
	t.Helper()
	out := make([]model.User, len(identifiers))
	for i, id := range identifiers {
		u, _, err := f.store.EnsureUser(t.Context(), f.env.ID, id)
		if err != nil {
			t.Fatal(err)
		}
		out[i] = u
	}
	return out
}

// category makes a category in the fixture's environment.
func (f *fixture) category(t testing.TB, c model.Category) model.Category {
	t.Helper()
	c.Name = c.Identifier
	out, err := f.catalog.Create(t.Context(), f.env.ID, model.Once{}, c)
	if err != nil {
		t.Fatal(err)
	}
	return out.Value
}

// mustSend sends and fails the test when that is refused.
func (f *fixture) mustSend(t testing.TB, req model.SendRequest) model.SendResult {
	t.Helper()
	out, err := f.Send(t.Context(), f.env, req)
	if err != nil {
		t.Fatalf("sending: %v", err)
	}
	return out.Value
}

// sql runs a statement behind the store's back. Placeholders are ?.
func (f *fixture) sql(t testing.TB, query string, args ...any) [][]any {
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
	var out [][]any
	for rows.Next() {
		row := make([]any, len(columns))
		into := make([]any, len(columns))
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

// count is the one number that a query gives.
func (f *fixture) count(t testing.TB, query string, args ...any) int64 {
	t.Helper()
	return f.sql(t, query, args...)[0][0].(int64)
}

// noDrift compares every inbox's counters with the rows they count, and the
// seq of its rows with its own.
func (f *fixture) noDrift(t testing.TB) {
	t.Helper()
	for _, r := range f.sql(t, `select i.user_id, i.total, i.unseen, i.unread, i.seq,
		(select count(*) from notifications n where n.env_id = i.env_id and n.user_id = i.user_id and n.in_inbox),
		(select coalesce(max(n.seq), 0) from notifications n where n.env_id = i.env_id and n.user_id = i.user_id and n.in_inbox)
		from inboxes i`) {
		if r[1] != r[5] || r[2] != r[5] || r[3] != r[5] || r[4] != r[6] {
			t.Errorf("inbox of user %v: total %v, unseen %v, unread %v, seq %v; it has %v rows up to seq %v", r[0], r[1], r[2], r[3], r[4], r[5], r[6])
		}
	}
	if n := f.count(t, `select count(*) from notifications n where not exists (select 1 from inboxes i where i.env_id = n.env_id and i.user_id = n.user_id)`); n != 0 {
		t.Errorf("%d notifications have no inbox", n)
	}
}

// recordingHub keeps what is published, and carries it on.
type recordingHub struct {
	*live.Hub
	mu    sync.Mutex
	calls [][]model.Hint
	on    func(hints []model.Hint)
}

func (h *recordingHub) Publish(ctx context.Context, hints ...model.Hint) {
	h.mu.Lock()
	h.calls = append(h.calls, hints)
	on := h.on
	h.mu.Unlock()
	if on != nil {
		on(hints)
	}
	h.Hub.Publish(ctx, hints...)
}

func (h *recordingHub) hints() []model.Hint {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []model.Hint
	for _, c := range h.calls {
		out = append(out, c...)
	}
	return out
}
