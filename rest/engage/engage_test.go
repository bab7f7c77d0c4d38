package engage_test

import (
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
	"carillon/internal/seal"
	"carillon/live"
	"carillon/model"
	"carillon/rest"
	"carillon/rest/engage"
	"carillon/store"
	"carillon/store/storetest"
	"carillon/user"
)

// world is a server with the environments of two apps, on a database of its
// own.
type world struct {
	t       *testing.T
	users   *user.Service
	topics  *audience.Service
	http    *httptest.Server
	clock   *clock
	envs    map[string]model.EnvID
	keys    map[string][2]string // id and secret of each environment's credential
	answers map[string]string    // values of answers, by name
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Second)
	return c.now
}

func each(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) { test(t, newWorld(t, url)) })
}

func newWorld(t *testing.T, url string) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}, envs: map[string]model.EnvID{}, keys: map[string][2]string{}, answers: map[string]string{}}
	s := storetest.Open(t, store.Config{URL: url, MaxConns: 6, Now: w.clock.Now})
	box, err := seal.NewBox(seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	w.users, w.topics = &user.Service{Store: s, Live: live.NewHub(live.Config{Heads: s})}, &audience.Service{Store: s}
	apps := &app.Service{Store: s, Keys: auth.Keys{Box: box}, Now: w.clock.Now}
	for _, name := range []string{"shop", "other"} {
		env := storetest.Env(t, s, name)
		out, err := apps.CreateCredential(t.Context(), env, model.Once{}, model.NewCredential{Kind: model.CredentialEngage})
		if err != nil {
			t.Fatal(err)
		}
		w.envs[name], w.keys[name] = env, [2]string{"crd_" + string(out.Value.Credential.ID), out.Value.Secret}
	}
	router := &rest.Router{Next: http.NotFoundHandler()}
	engage.New(engage.Config{
		Users: w.users, Topics: w.topics, Log: slog.New(slog.DiscardHandler),
		Gate: &auth.Gate{Service: auth.NewService(auth.Config{Lookup: s, Box: box, Now: w.clock.Now})},
	}).Mount(router)
	w.http = httptest.NewServer(router)
	t.Cleanup(w.http.Close)
	return w
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

// The rows of the Users API page, and what clients add to them.
func TestUsers(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.play([]step{
			{
				as: key, request: "POST /v1/users", status: 201, save: "id u144", body: `{"id":"u144","first_name":"Akinyele","last_name":"Jinadu","email":"a@example.com","meta":{"plan":"pro","age":34},"created_at":"2021-01-12T05:24:39.062+00:00"}`,
				want: `{"uid":"u144","first_name":"Akinyele","last_name":"Jinadu","number":null,"email":"a@example.com","devices":[],"lists":[],"segments":[],"meta":{"plan":"pro","age":34},"created_at":"2021-01-12T05:24:39.062+00:00","is_account":false,"accounts":[],"archived":false,"member_count":null}`,
			},
			{as: both, request: "GET /v1/users/u144", status: 200, want: `{"id":"$u144","uid":"u144"}`},
			{as: both, request: "GET /users/u144", status: 200, want: `{"id":"$u144"}`},
			{as: key, request: "GET /v1/users/u144", status: 403},
			{as: wrong, request: "PUT /v1/users/u144", body: `{}`, status: 401},
			{as: none, request: "GET /v1/users/u144", status: 401},
			{as: other, request: "GET /v1/users/u144", status: 404},
			// Again it is an update of the same user.
			{as: key, request: "POST /v1/users", body: `{"id":"u144","first_name":"Ak"}`, status: 200, want: `{"id":"$u144","first_name":"Ak","last_name":"Jinadu"}`},
			{as: key, request: "POST /v1/users", body: `{"id":"a@b"}`, status: 400, want: `{"error":"id must have letters and digits only"}`},
			{as: key, request: "POST /v1/users", body: `{}`, status: 400, want: `{"error":"id is required"}`},
			{as: key, request: "POST /v1/users", body: `{"id":"x","created_at":"yesterday"}`, status: 400},
			{as: key, request: "POST /v1/users", body: `{"id":"x","meta":{"a":{"b":1}}}`, status: 400},
			{as: key, request: "POST /v1/users", body: `{"id":"x","meta":{"tags":["a"]}}`, status: 400},
			{as: key, request: "POST /v1/users", body: `{"id":"x","meta":{"email":"x@example.com"}}`, status: 400},
			{as: key, request: "POST /v1/users", body: `{"id":"x","email":"nobody"}`, status: 400},
			{as: key, request: "POST /v1/users", body: `{"id":"x","lists":["000000000000000000000001"]}`, status: 400},
			{as: key, request: "POST /v1/users", body: `{"id":"x","accounts":[{"id":"nobody"}]}`, status: 404},
			{as: both, request: "GET /v1/users/x", status: 404}, // nothing of all that was kept
			{as: key, request: "POST /v1/users", body: `{"id":42}`, status: 201, want: `{"uid":"42"}`},

			{as: key, request: "PUT /v1/users/u144", body: `{"id":"u144","meta":{"plan":"custom","coverage":20,"age":null},"created_at":"2020-08-11"}`, status: 200, want: `{"meta":{"plan":"custom","coverage":20},"created_at":"2020-08-11T00:00:00.000+00:00"}`},
			{as: key, request: "PUT /v1/users/u144", body: `{"meta":{}}`, status: 200, want: `{"meta":{"plan":"custom","coverage":20}}`},
			{as: key, request: "PUT /v1/users/u144", body: `{"email":"a@example.com"}`, status: 200},
			{as: key, request: "PUT /v1/users/u144", body: `{"email":"new@example.com","first_name":"No"}`, status: 403},
			{as: both, request: "GET /v1/users/u144", status: 200, want: `{"email":"a@example.com","first_name":"Ak"}`},
			{as: both, request: "PUT /v1/users/u144", body: `{"email":"new@example.com"}`, status: 200, want: `{"email":"new@example.com"}`},
			{as: key, request: "PUT /v1/users/ada+1@example.com", body: `{"email":"ada@example.com"}`, status: 200, want: `{"uid":"ada+1@example.com","email":"ada@example.com"}`},
			{as: key, request: "PUT /v1/users/u144", body: `{"number":"2348012345678"}`, status: 200, want: `{"number":"2348012345678"}`},
			{as: key, request: "PUT /v1/users/u144", body: `{"number":"+234 801 234 5678"}`, status: 200, want: `{"number":"+234 801 234 5678"}`},
			{as: key, request: "PUT /v1/users/u144", body: `{"number":"080123"}`, status: 200, want: `{"number":"080123"}`},
			{as: key, request: "PUT /v1/users/u144", body: `{"tz":"Africa/Lagos","app_version":"1.2","source":"posthog"}`, status: 200},
			{as: key, request: "PUT /v1/users/u144", body: `{"tz":"Mars/Base"}`, status: 400},

			{as: key, request: "PUT /v1/users/u144", body: `{"device_token":"t1","device_platform":"ios"}`, status: 200, want: `{"devices":[{"token":"t1","platform":"ios"}]}`},
			{as: key, request: "PUT /v1/users/u144", body: `{"device_token":"t2","device_platform":"android"}`, status: 200, want: `{"devices":[{"token":"t2","platform":"android"},{"token":"t1","platform":"ios"}]}`},
			{as: key, request: "PUT /v1/users/u144", body: `{"device_token":"t3","device_platform":"watch"}`, status: 400},
			{as: key, request: "DELETE /v1/users/u144/tokens/t1", status: 200, want: `{"status":"ok"}`},
			{as: both, request: "GET /v1/users/u144", status: 200, want: `{"devices":[{"token":"t2","platform":"android"}]}`},
			{as: both, request: "DELETE /v1/users/u144/attributes/coverage", status: 200, want: `{"meta":{"plan":"custom","timeZone":"Africa/Lagos"}}`},
			{as: both, request: "GET /v1/data/attributes", status: 200},
			{as: both, request: "POST /v1/users/u144/archive", status: 200, want: `{"archived":true}`},
			{as: key, request: "GET /v1/account", status: 200, want: `{"features":{"chat":false}}`},

			{as: both, request: "DELETE /v1/users/u144", body: `[]`, status: 200, want: `{"status":"ok"}`},
			{as: both, request: "DELETE /v1/users/u144", status: 404},
			{as: key, request: "PATCH /v1/users/u144", status: 405},
			{as: key, request: "GET /v1/users/u144/nothing", status: 404, want: `{"error":"nothing is served at this path"}`},
		})
	})
}

func TestEventsAndMerge(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.play([]step{
			{as: key, request: "PUT /v1/users/ada", body: `{"email":"ada@example.com"}`, status: 200, save: "id ada"},
			{as: key, request: "POST /v1/users/anon-1/events", body: `{"event":"Add to cart","timestamp":"2020-05-30T09:30:10Z","properties":{"product":"T123","currency":"USD","amount":12.99}}`, status: 200, want: `{"status":"ok"}`},
			{as: key, request: "POST /v1/users/anon-1/events", body: `{"event":"Paid","value":49.99}`, status: 200},
			{as: key, request: "POST /v1/users/anon-1/events", body: `{"event":"Seen","value":true,"timestamp":"2023-01-02T03:04:05.123456"}`, status: 200},
			{as: key, request: "POST /v1/users/anon-1/events", body: `{"value":1}`, status: 400, want: `{"error":"event is required"}`},
			{as: key, request: "POST /v1/users/anon-1/events", body: `{"event":"x","value":{"a":1}}`, status: 400},
			{as: key, request: "POST /v1/users/anon-1/events", body: `{"event":"x","properties":{"a":[1]}}`, status: 400, want: `{"error":"properties.a must be text, a number or a boolean"}`},
			{as: key, request: "POST /v1/users/merge", body: `{"source":"anon-1","destination":"ada"}`, status: 200, want: `{"status":"queued"}`},
			{as: both, request: "GET /v1/users/anon-1", status: 200, want: `{"id":"$ada","uid":"ada"}`},
			{as: key, request: "POST /v1/users/merge", body: `{"source":"nobody","destination":"ada"}`, status: 404, want: `{"error":"source names no user"}`},
			{as: key, request: "POST /v1/users/merge", body: `{"source":"ada"}`, status: 400},
		})
		u, err := w.users.Find(t.Context(), w.envs["shop"], "ada")
		if err != nil {
			t.Fatal(err)
		}
		events, err := w.users.Events(t.Context(), w.envs["shop"], u.ID, "", model.PageRequest{Limit: 10})
		if err != nil || len(events.Items) != 3 || events.Items[2].OccurredAt.Format(time.RFC3339) != "2020-05-30T09:30:10Z" || string(events.Items[0].Value) != "49.99" {
			t.Errorf("events %+v, %v", events.Items, err)
		}
	})
}

func TestAccounts(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.play([]step{
			{as: key, request: "PUT /v1/users/1234", body: `{"is_account":false}`, status: 200, want: `{"is_account":false}`},
			{as: key, request: "PUT /v1/users/abcd", body: `{"is_account":true}`, status: 200, want: `{"is_account":true,"member_count":0}`},
			{as: key, request: "POST /v1/users/abcd/convert", body: `{"type":"customer"}`, status: 200, want: `{"is_account":false}`},
			// The account need not be one at that moment.
			{as: key, request: "POST /v1/users/1234/accounts", body: `{"accounts":[{"id":"abcd"}]}`, status: 200, want: `{"accounts":[{"id":"abcd","role":null}]}`},
			{as: key, request: "PUT /v1/users/1234/accounts/abcd", body: `{"role":"owner"}`, status: 200, want: `{"accounts":[{"id":"abcd","role":"owner"}]}`},
			{as: key, request: "POST /v1/users/abcd/convert", body: `{"type":"account"}`, status: 200, want: `{"is_account":true,"member_count":1}`},
			{as: both, request: "GET /v1/users/abcd/members", status: 200, want: `{"data":[{"uid":"1234"}],"has_more":false}`},
			{as: key, request: "POST /v1/users/1234/accounts", body: `{"accounts":[{"id":"nobody"}]}`, status: 404},
			{as: key, request: "POST /v1/users/1234/accounts", body: `{}`, status: 400},
			{as: key, request: "PUT /v1/users/1234/accounts/nobody", body: `{"role":"x"}`, status: 404},
			{as: key, request: "POST /v1/users/abcd/convert", body: `{"type":"robot"}`, status: 400},
			{as: key, request: "DELETE /v1/users/1234/accounts/abcd", status: 200, want: `{"uid":"1234","accounts":[]}`},
			{as: key, request: "DELETE /v1/users/1234/accounts/abcd", status: 404},
		})
	})
}

func TestLists(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.play([]step{
			{as: key, request: "POST /v1/lists", body: `{"title":"News"}`, status: 403},
			{as: both, request: "POST /v1/lists", body: `{}`, status: 400, want: `{"error":"title is required"}`},
			{as: both, request: "POST /v1/lists", body: `{"title":"` + strings.Repeat("x", 65) + `"}`, status: 400},
			{
				as: both, request: "POST /v1/lists", body: `{"title":"News","double_optin":true}`, status: 201, save: "id news",
				want: `{"title":"News","description":null,"subscriber_count":0,"broadcast_count":0,"double_optin":true,"redirect_url":null}`,
			},
			{as: key, request: "PUT /v1/lists/$news", body: `{"description":"All of it","redirect_url":"https://example.com/thanks"}`, status: 200, want: `{"title":"News","description":"All of it","redirect_url":"https://example.com/thanks"}`},
			{as: key, request: "GET /v1/lists/$news", status: 200, want: `{"id":"$news"}`},
			{as: other, request: "GET /v1/lists/$news", status: 404},
			{as: key, request: "GET /v1/lists/nothing", status: 404},
			{as: key, request: "GET /v1/lists", status: 200, want: `{"data":[{"id":"$news"}],"has_more":false}`},

			{as: key, request: "POST /v1/users", body: `{"id":"ada","email":"ada@example.com","lists":["$news"]}`, status: 201, want: `{"lists":[{"id":"$news","subscribed":true}]}`},
			{as: key, request: "POST /v1/lists/$news/subscribers", body: `{"email":"bob@example.com"}`, status: 403},
			{as: both, request: "POST /v1/lists/$news/subscribers", body: `{"email":"ada@example.com"}`, status: 200, want: `{"uid":"ada"}`},
			{as: both, request: "POST /v1/lists/$news/subscribers", body: `{"email":"bob@example.com","first_name":"Bob"}`, status: 200, save: "uid bob"},
			{as: both, request: "GET /v1/users/$bob", status: 200, save: "id bobID", want: `{"uid_updateable":true,"first_name":"Bob","lists":[{"id":"$news","subscribed":true}]}`},
			{as: key, request: "GET /v1/lists/$news", status: 200, want: `{"subscriber_count":2}`},
			// The uid may be set once.
			{as: both, request: "PUT /v1/users/bob", body: `{"email":"bob@example.com"}`, status: 200, want: `{"id":"$bobID","uid":"bob","first_name":"Bob"}`},
			{as: both, request: "PUT /v1/users/bobby", body: `{"email":"bob@example.com"}`, status: 200, want: `{"uid":"bobby","first_name":null}`},

			{as: both, request: "PUT /v1/lists/$news/subscribers/ada", body: `{"subscribed":false}`, status: 200, want: `{"subscribed":false}`},
			{as: both, request: "GET /v1/users/ada", status: 200, want: `{"lists":[{"id":"$news","subscribed":false}]}`},
			{as: both, request: "DELETE /v1/lists/$news/subscribers/bob", status: 200, want: `{"status":"ok"}`},
			{as: both, request: "GET /v1/users/bob", status: 200, want: `{"lists":[]}`},
			{as: both, request: "POST /v1/users/bob/lists", body: `{"lists":["$news"]}`, status: 200, want: `{"lists":[{"id":"$news","subscribed":true}]}`},
			{as: both, request: "DELETE /v1/users/bob/lists", body: `{"lists":["$news"]}`, status: 200, want: `{"lists":[]}`},
			{as: both, request: "GET /v1/users?lists[]=$news", status: 200, want: `{"data":[{"uid":"ada"}]}`},
			{as: both, request: "GET /v1/users?email=ada@example.com", status: 200, want: `{"data":[{"uid":"ada"}]}`},

			{as: key, request: "DELETE /v1/lists/$news", status: 403},
			{as: both, request: "DELETE /v1/lists/$news", status: 200, want: `{"status":"ok"}`},
			{as: both, request: "POST /v1/lists/$news/subscribers", body: `{"email":"late@example.com"}`, status: 409},
			{as: both, request: "GET /v1/users/ada", status: 200, want: `{"lists":[{"id":"$news"}]}`},
		})
	})
}

// Both ways of paging, from either end, over the same users.
func TestPages(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
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
	})
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
