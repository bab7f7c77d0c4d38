package main

import (
	"bytes"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"carillon/store"
	"carillon/store/storetest"
)

// The marks of the user who is erased: one of them is in every text that any API
// takes about a user.
var marks = []string{"zq7marker", "447946123987"}

// TestNoTraceIsLeft gives a user marks in every field, by every API, has
// providers fail that repeat what they were sent, erases the user, and looks for
// the marks in all rows, in the files, in Redis and in the log.
func TestNoTraceIsLeft(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		leaveNoTrace(t, "")
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		leaveNoTrace(t, storetest.Postgres(t), "MASTER_KEY="+strings.Repeat("5a", 32))
	})
}

func leaveNoTrace(t *testing.T, database string, settings ...string) {
	settings = append(settings, "DEMO=false", "LOG_LEVEL=DEBUG", "OUTGOING_ALLOW=127.0.0.0/8")
	if database != "" {
		settings = append(settings, "DATABASE_URL="+database)
	}
	if redis := os.Getenv("TEST_REDIS_URL"); redis != "" {
		settings = append(settings, "REDIS_URL="+redis)
	}
	e := startEmbedded(t, settings...)
	status, out, errs := e.cli(t, "app", "create", "--name", "shop", "--environment", "test", "--user-auth", "open", "--json")
	var keys environmentJSON
	if err := json.Unmarshal([]byte(out), &keys); status != 0 || err != nil {
		t.Fatalf("app create: status %d, %v\n%s%s", status, err, out, errs)
	}
	m := marking{embedded: e, keys: keys, parrot: parrot(t)}
	m.furnish(t)
	url := database
	if url == "" {
		url = filepath.Join(e.dir, "carillon.db")
	}
	if before := tracesIn(t, url); len(before) < 15 {
		t.Errorf("before the erasure only %d columns had marks: %v; the test says too little", len(before), before)
	}
	answer := m.ask(t, `mutation { eraseUser(input: {user: "zq7marker-ada", idempotencyKey: "erasure-1"}) { erasure { id status hash salt } userErrors { message } } }`)
	id := between(answer, `"id":"`, `"`)
	eventually(t, "the erasure to be done", func() bool {
		return strings.Contains(m.ask(t, `{ erasure(id: "`+id+`") { status } }`), "DONE")
	})
	if got := m.ask(t, `mutation { eraseUser(input: {user: "zq7marker-ada", idempotencyKey: "erasure-1"}) { replayed erasure { id finishedAt } } }`); !strings.Contains(got, id) || !strings.Contains(got, `"replayed":true`) {
		t.Errorf("asked again with the same key: %s; want the same receipt", got)
	}
	if got := m.ask(t, `{ user(identifier: "zq7marker-ada") { id } bob: user(identifier: "bob") { inbox { counters { total } nodes { title } } } }`); !strings.Contains(got, `"user":null`) || !strings.Contains(got, "For both") {
		t.Errorf("after the erasure: %s; want nobody, and the other's inbox as it was", got)
	}
	if after := tracesIn(t, url); len(after) > 0 {
		t.Errorf("traces are left in the database: %v", after)
	}
	redisHasNone(t)
	e.stop()
	e.done <- <-e.done
	if log := strings.ToLower(e.out.String()); marked(log) != "" {
		t.Errorf("the log says %s:\n%s", marked(log), lineWith(log))
	}
	if database == "" {
		filesHaveNone(t, e.dir)
	}
}

// marking knows how to put marks everywhere.
type marking struct {
	*embedded
	keys   environmentJSON
	parrot string
}

// parrot is a receiver that fails and repeats what it was sent.
func parrot(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, "no: %s %s", r.URL, body)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func (m *marking) ask(t *testing.T, query string) string {
	t.Helper()
	b, err := json.Marshal(m.query(t, m.keys.SecretKey, query))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// must asks, and wants no user error.
func (m *marking) must(t *testing.T, query string) string {
	t.Helper()
	got := m.ask(t, query)
	if strings.Contains(got, `"message":`) {
		t.Fatalf("%s\nis refused: %s", query, got)
	}
	return got
}

// call asks a dialect.
func (m *marking) call(t *testing.T, method, path, body string, headers ...string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, m.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if answer, _ := io.ReadAll(res.Body); res.StatusCode >= 300 {
		t.Fatalf("%s %s: %s\n%s", method, path, res.Status, answer)
	}
}

func (m *marking) furnish(t *testing.T) {
	t.Helper()
	m.people(t)
	m.sends(t)
	m.dialects(t)
	// What is asked for in vain, or wrong, is in no log either.
	m.ask(t, `{ user(identifier: "zq7marker-nobody") { id } }`)
	m.ask(t, `mutation { identifyUser(input: {identifier: "zq7marker-ada", email: "zq7marker is no address"}) { userErrors { code } } }`)
}

func (m *marking) people(t *testing.T) {
	t.Helper()
	m.must(t, `mutation {
		bob: identifyUser(input: {identifier: "bob"}) { created }
		anon: identifyUser(input: {identifier: "zq7marker-anon", profile: {seen: "zq7marker page"}}) { created }
		createTopic(input: {identifier: "news", name: "News"}) { topic { id } }
		createCategory(input: {identifier: "orders", name: "Orders"}) { category { id } userErrors { message } }
	}`)
	m.must(t, `mutation {
		identifyUser(input: {identifier: "zq7marker-first", firstName: "Zq7marker", lastName: "zq7marker", email: "zq7marker@example.com", phoneNumber: "+447946123987",
			profile: {note: "zq7marker", deep: {list: ["zq7marker"]}}, idempotencyKey: "identify-1"}) { userErrors { message } }
		patchProfile(input: {user: "zq7marker-first", set: {plan: "zq7marker-plan"}, idempotencyKey: "zq7marker-key"}) { userErrors { message } }
		updateUser(input: {user: "zq7marker-first", newIdentifier: "zq7marker-ada"}) { userErrors { message } }
		registerDevice(input: {user: "zq7marker-ada", deviceId: "zq7marker-phone", platform: IOS, browser: "zq7marker", token: "zq7marker-token", idempotencyKey: "device-1"}) { userErrors { message } }
		hook: addAddress(input: {user: "zq7marker-ada", channel: WEBHOOK, address: "`+m.parrot+`/zq7marker"}) { userErrors { message } }
		slack: addAddress(input: {user: "zq7marker-ada", channel: SLACK, address: "zq7marker-slack", idempotencyKey: "slack-1"}) { userErrors { message } }
		setPreferences(input: {user: "zq7marker-ada", changes: [{channel: SMS, enabled: false}]}) { userErrors { message } }
		trackEvents(input: {user: "zq7marker-ada", events: [{name: "Zq7marker paid", value: "zq7marker", properties: {item: "zq7marker"}}], idempotencyKey: "event-1"}) { userErrors { message } }
		subscribeToTopic(input: {topic: "news", users: [{identifier: "zq7marker-ada"}, {identifier: "bob"}]}) { userErrors { message } }
	}`)
	m.must(t, `mutation {
		createSegment(input: {identifier: "all", name: "All", rule: {reachable: IN_APP}}) { userErrors { message } }
		setSegmentSuppression(input: {segment: "all", user: "zq7marker-ada", suppressed: true, idempotencyKey: "zq7marker-suppress"}) { userErrors { message } }
	}`)
	m.must(t, `mutation {
		joinAccount(input: {user: "zq7marker-ada", account: "bob", role: "zq7marker-role"}) { userErrors { message } }
		other: joinAccount(input: {user: "bob", account: "zq7marker-ada", role: "zq7marker-boss"}) { userErrors { message } }
		mergeUsers(input: {from: "zq7marker-anon", into: "zq7marker-ada", idempotencyKey: "merge-1"}) { userErrors { message } }
		suppressAddress(input: {channel: EMAIL, address: "zq7marker@example.com"}) { userErrors { message } }
	}`)
}

func (m *marking) sends(t *testing.T) {
	t.Helper()
	secret := "whsec_" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("k"), 32))
	m.must(t, `mutation {
		createProvider(input: {kind: "webhook", channel: WEBHOOK, secrets: {secret: "`+secret+`"}}) { userErrors { message } }
		createTemplate(input: {identifier: "order", name: "Order", content: {title: "For {{recipient.firstName}}", body: "{{data.item}}"}}) { userErrors { message } }
	}`)
	m.must(t, `mutation {
		a: sendNotification(input: {to: {users: ["zq7marker-ada"]}, title: "zq7marker", body: "zq7marker", data: {x: "zq7marker"}, category: "orders", url: "https://example.com/zq7marker",
			blocks: [{type: BUTTON, text: "zq7marker"}], collapseKey: "zq7marker", idempotencyKey: "send-1"}) { userErrors { message } }
		b: sendNotification(input: {to: {users: ["zq7marker-ada"]}, template: "order", data: {item: "zq7marker"}, idempotencyKey: "zq7marker send"}) { userErrors { message } }
		c: sendNotification(input: {to: {users: ["zq7marker-ada", "bob"]}, title: "For both"}) { userErrors { message } }
		h: sendNotification(input: {to: {users: ["zq7marker-ada", "bob"]}, template: "order"}) { userErrors { message } }
		d: sendNotification(input: {to: {topics: ["news"]}, title: "News"}) { userErrors { message } }
		e: sendNotification(input: {to: {users: ["zq7marker-ada"]}, title: "zq7marker tomorrow", sendAt: "`+time.Now().Add(24*time.Hour).UTC().Format(time.RFC3339)+`", idempotencyKey: "later-1"}) { userErrors { message } }
		f: sendNotification(input: {to: {inlineUsers: [{identifier: "zq7marker-ada", profile: {more: "zq7marker"}}]}, title: "zq7marker inline"}) { userErrors { message } }
	}`)
	eventually(t, "attempts to fail", func() bool {
		return strings.Contains(m.ask(t, `{ deliveries(first: 50) { nodes { id attempts { answer } } } }`), "zq7marker")
	})
	m.must(t, `mutation {
		off: setUserEnabled(input: {user: "zq7marker-ada", enabled: false, idempotencyKey: "off-1"}) { userErrors { message } }
		g: sendNotification(input: {to: {users: ["zq7marker-ada"]}, title: "zq7marker skipped", idempotencyKey: "skipped-1"}) { userErrors { message } }
		on: setUserEnabled(input: {user: "zq7marker-ada", enabled: true}) { userErrors { message } }
		markAllNotifications(input: {user: "zq7marker-ada", as: SEEN, idempotencyKey: "zq7marker mark"}) { userErrors { message } }
	}`)
}

func (m *marking) dialects(t *testing.T) {
	t.Helper()
	m.call(t, http.MethodPost, "/v3/notifications", `{"notification":{"title":"zq7marker","message":"zq7marker"},"recipients":["zq7marker-ada"],"data":{"x":"zq7marker"}}`,
		"X-ENGAGESPOT-API-KEY", m.keys.APIKey, "X-ENGAGESPOT-API-SECRET", m.keys.APISecret, "Idempotency-Key", "spot-1")
	m.call(t, http.MethodPut, "/v3/users/zq7marker-ada", `{"spot":"zq7marker"}`, "X-ENGAGESPOT-API-KEY", m.keys.APIKey, "X-ENGAGESPOT-API-SECRET", m.keys.APISecret)
	made := m.must(t, `mutation { createCredential(input: {kind: ENGAGE, name: "engage"}) { secret credential { keyId } userErrors { message } } }`)
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(between(made, `"keyId":"`, `"`)+":"+between(made, `"secret":"`, `"`)))
	m.call(t, http.MethodPut, "/v1/users/zq7marker-ada", `{"first_name":"zq7marker","meta":{"engage":"zq7marker"},"device_token":"zq7marker-engage","device_platform":"android"}`, "Authorization", basic)
	m.call(t, http.MethodPost, "/v1/users/zq7marker-ada/events", `{"event":"zq7marker","value":"zq7marker","properties":{"x":"zq7marker"}}`, "Authorization", basic)
}

func between(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}

// marked is the mark that a text has, in lower case.
func marked(s string) string {
	for _, mark := range marks {
		if strings.Contains(s, mark) {
			return mark
		}
	}
	return ""
}

func lineWith(log string) string {
	for line := range strings.Lines(log) {
		if marked(line) != "" {
			return line
		}
	}
	return ""
}

// tracesIn lists the columns of a database, of any table, that have a mark.
func tracesIn(t *testing.T, url string) (found []string) {
	t.Helper()
	driver, list := "sqlite", "select name from sqlite_master where type = 'table'"
	if store.IsPostgres(url) {
		driver, list = "pgx", "select tablename from pg_tables where schemaname = current_schema()"
	}
	db, err := sql.Open(driver, url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, table := range column(t, db, list) {
		rows, err := db.QueryContext(t.Context(), "select * from "+table)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, tracesOf(t, rows, table)...)
	}
	return found
}

func column(t *testing.T, db *sql.DB, query string) (out []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func tracesOf(t *testing.T, rows *sql.Rows, table string) (found []string) {
	t.Helper()
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		cells, into := make([]any, len(names)), make([]any, len(names))
		for i := range cells {
			into[i] = &cells[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		for i, c := range cells {
			if b, ok := c.([]byte); ok {
				c = string(b)
			}
			if place := table + "." + names[i]; marked(strings.ToLower(fmt.Sprint(c))) != "" && !slices.Contains(found, place) {
				found = append(found, place)
			}
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}

func redisHasNone(t *testing.T) {
	t.Helper()
	url := os.Getenv("TEST_REDIS_URL")
	if url == "" {
		return
	}
	options, err := goredis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c := goredis.NewClient(options)
	defer c.Close()
	each := c.Scan(t.Context(), 0, "*", 1000).Iterator()
	for each.Next(t.Context()) {
		value, err := c.Dump(t.Context(), each.Val()).Result()
		if err != nil && err != goredis.Nil { //nolint:errorlint // go-redis gives it as it is
			t.Fatal(err)
		}
		if marked(strings.ToLower(each.Val()+value)) != "" {
			t.Errorf("Redis has %s", each.Val())
		}
	}
	if err := each.Err(); err != nil {
		t.Fatal(err)
	}
}

func filesHaveNone(t *testing.T, dir string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if mark := marked(strings.ToLower(string(b))); mark != "" {
			t.Errorf("%s holds %s yet", f.Name(), mark)
		}
	}
}
