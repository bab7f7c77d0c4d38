package engagespot_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"carillon/app"
	"carillon/auth"
	"carillon/auth/authtest"
	"carillon/catalog"
	"carillon/live/livetest"
	"carillon/model"
	"carillon/rest/engagespot"
	"carillon/rest/engagespot/socketio"
)

// liveWorld is a world with the endpoint of live updates.
type liveWorld struct {
	*world
	sessions *auth.Sessions
	sockets  *httptest.Server
}

func withLive(w *world) *liveWorld {
	w.t.Helper()
	log := slog.New(slog.NewTextHandler(testLog{w.t}, &slog.HandlerOptions{Level: slog.LevelError}))
	l := &liveWorld{world: w, sessions: auth.NewSessions(w.store, log)}
	handler := engagespot.NewRealtime(engagespot.RealtimeConfig{
		Streams: w.inbox, Catalog: &catalog.Service{Store: w.store}, Gate: &auth.Gate{Service: w.auth}, Sessions: l.sessions,
		Settings: socketio.Settings{Namespaces: 4}, Log: log,
	})
	l.sockets = httptest.NewServer(http.StripPrefix("/socket.io", handler))
	w.t.Cleanup(func() {
		_ = handler.Drain(w.t.Context()) // it has ended, so they are cut
		l.sockets.Close()
		// Whoever reads a socket that was cut lets go of its sessions a moment later.
		livetest.Eventually(w.t, "the end of all sessions", func() bool { return handler.Stats().Sessions.Load() == 0 })
	})
	return l
}

// socket is a client of socket.io, frame by frame.
type socket struct {
	t    *testing.T
	conn net.Conn
	in   io.Reader
}

// dial opens a socket with a query and sends a connect.
func (l *liveWorld) dial(query url.Values, connect string) *socket {
	l.t.Helper()
	query.Set("EIO", "4")
	query.Set("transport", "websocket")
	conn, early, _, err := ws.Dial(l.t.Context(), "ws"+strings.TrimPrefix(l.sockets.URL, "http")+"/socket.io/?"+query.Encode())
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	s := &socket{t: l.t, conn: conn, in: conn}
	if early != nil {
		s.in = early
	}
	s.hears(`^0\{"sid":"[^"]+","upgrades":\[\],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000\}$`)
	s.say(connect)
	return s
}

// socket opens the socket of a user, as the SDKs do.
func (l *liveWorld) socket(e *app.Created, user string) *socket {
	l.t.Helper()
	query, connect := url.Values{"apiKey": {e.Environment.APIKey}, "userId": {user}, "userSignature": {"undefined"}}, "40"
	switch e.Environment.UserAuth {
	case model.AuthHMAC:
		query.Set("userSignature", sign(e, user))
	case model.AuthOpen:
	case model.AuthToken:
		connect += fmt.Sprintf(`{"token":%q}`, token(e, user))
	}
	s := l.dial(query, connect)
	s.hears(`^40\{"sid":"[^"]+"\}$`)
	return s
}

func (s *socket) say(text string) {
	s.t.Helper()
	if err := ws.WriteFrame(s.conn, ws.MaskFrame(ws.NewTextFrame([]byte(text)))); err != nil {
		s.t.Fatal(err)
	}
}

// next is the next frame: a text, or the code of a close.
func (s *socket) next() string {
	s.t.Helper()
	header, err := ws.ReadHeader(s.in)
	payload := make([]byte, header.Length)
	if err == nil {
		_, err = io.ReadFull(s.in, payload)
	}
	if err != nil {
		s.t.Fatalf("reading a frame: %v", err)
	}
	if header.OpCode == ws.OpClose {
		code, _ := ws.ParseCloseFrameData(payload)
		return fmt.Sprint("closed with ", code)
	}
	return string(payload)
}

func (s *socket) hears(pattern string) string {
	s.t.Helper()
	got := s.next()
	if !regexp.MustCompile(pattern).MatchString(got) {
		s.t.Fatalf("heard %s, want %s", got, pattern)
	}
	return got
}

func TestLiveEvents(t *testing.T) {
	each(t, func(w *world) {
		l := withLive(w)
		l.user(l.shop, "ada")
		l.user(l.shop, "bob")
		phone, bob := l.socket(l.shop, "ada"), l.socket(l.shop, "bob")
		laptop := l.dial(url.Values{"apiKey": {"key_shop"}, "userId": {"ada"}, "userSignature": {"null"}}, "40/notify,")
		laptop.hears(`^40/notify,\{"sid"`)
		both := func(event string) {
			t := w.t
			t.Helper()
			for prefix, s := range map[string]*socket{"42": phone, "42/notify,": laptop} {
				s.t = t
				s.hears("^" + regexp.QuoteMeta(prefix) + event + "$")
			}
		}
		user := func(method, path string, body any) {
			l.ok(200, method, "/v3/notifications"+path, body, as(l.shop, "ada")...)
		}

		l.ok(200, "POST", "/v3/categories", map[string]string{"identifier": "orders", "name": "Orders"}, asApp(l.shop)...)
		l.ok(202, "POST", "/v3/notifications", map[string]any{
			"notification": map[string]any{"title": "Hello", "message": "World", "url": "https://example.com", "category": "orders", "data": map[string]any{"a": 1}},
			"sendTo":       map[string]any{"recipients": []string{"ada"}},
		}, asApp(l.shop)...)
		now := `"2026-01-02T03:04:05\.678Z"`
		both(`\["NEW_NOTIFICATION",\{"notification":\{"id":(\d+),"title":"Hello","message":"World","icon":null,"url":"https://example.com",` +
			`"data":\{"a":1\},"category":\{"id":\d+,"identifier":"orders","name":"Orders"\},"blocks":\[\],"createdAt":` + now +
			`,"seenAt":null,"clickedAt":null,"state":"unread","description":"World","created_at":` + now + `\}\}\]`)
		id := fmt.Sprint(l.ids("ada")[0])
		ref := `"id":` + id + `,"notification":\{"id":` + id + `\}`

		user("GET", "/"+id, nil)
		both(`\["NOTIFICATION_SEEN",\{` + ref + `,"unreadNotificationCount":0\}\]`)
		user("POST", "/"+id+"/click", nil)
		both(`\["NOTIFICATION_READ",\{` + ref + `\}\]`)
		user("DELETE", "/"+id+"/reads", nil) // nobody is told
		user("DELETE", "/"+id+"/views", nil)
		user("PUT", "/"+id+"/state", map[string]string{"state": "accepted"})
		both(`\["NOTIFICATION_INTERACTED",\{"id":` + id + `,"title":"Hello",.*"state":"accepted".*\}\]`)
		user("POST", "/markAllNotificationsAsSeen?page=1&limit=15", nil)
		both(`\["NOTIFICATION_SEEN",\{` + ref + `,"unreadNotificationCount":0\}\]`)
		both(`\["NOTIFICATION_UNREAD_COUNT",\{"unreadNotificationCount":0\}\]`)
		user("POST", "/markAllNotificationsAsRead", nil)
		both(`\["ALL_NOTIFICATION_READ",\{\}\]`)
		second := fmt.Sprint(l.notify(l.shop, "ada", "Again"))
		both(`\["NEW_NOTIFICATION",.*"title":"Again".*\]`)
		user("DELETE", "/"+second, nil)
		both(`\["NOTIFICATION_DELETED",\{"id":` + second + `,"notification":\{"id":` + second + `\}\}\]`)
		user("POST", "/markAllNotificationsAsDeleted", nil)
		both(`\["ALL_NOTIFICATION_DELETED",\{\}\]`)

		// By an application, and by the services below GraphQL.
		third := l.notify(l.shop, "ada", "Third")
		both(`\["NEW_NOTIFICATION",.*\]`)
		l.ok(200, "PATCH", fmt.Sprintf("/v3/notifications/%d/click", third), map[string]bool{"read": true}, asApp(l.shop)...)
		both(`\["NOTIFICATION_READ",.*\]`)
		if _, err := l.inbox.Mark(t.Context(), l.shop.Environment.ID, model.Once{}, l.user(l.shop, "ada").ID, []model.NotificationID{model.NotificationID(third)}, model.MarkArchived); err != nil {
			w.t.Fatal(err)
		}
		both(`\["NOTIFICATION_DELETED",.*\]`)

		l.notify(l.shop, "bob", "for bob")
		bob.hears(`^42\["NEW_NOTIFICATION",\{"notification":\{"id":\d+,"title":"for bob"`)
	})
}

// ids are a user's notifications, newest first.
func (l *liveWorld) ids(user string) []int64 {
	l.t.Helper()
	var out []int64
	for _, n := range l.ok(200, "GET", "/v3/notifications", nil, as(l.shop, user)...)["data"].([]any) {
		out = append(out, int64(n.(map[string]any)["id"].(float64)))
	}
	return out
}

func TestLiveCredentials(t *testing.T) {
	l := withLive(onSQLite(t))
	for _, e := range []*app.Created{l.shop, l.sealed, l.vault} {
		l.user(e, "ada")
	}
	good := map[string]*socket{"open": l.socket(l.shop, "ada"), "HMAC": l.socket(l.sealed, "ada"), "token": l.socket(l.vault, "ada")}
	for name, e := range map[string]*app.Created{"open": l.shop, "HMAC": l.sealed, "token": l.vault} {
		l.notify(e, "ada", name)
		good[name].hears(`^42\["NEW_NOTIFICATION",\{"notification":\{"id":\d+,"title":"` + name + `"`)
	}
	signed := sign(l.sealed, "ada")
	for _, tt := range []struct{ name, query, connect string }{
		{"NoKey", "userId=ada", "40"},
		{"NoUser", "apiKey=key_shop", "40"},
		{"TheTextUndefined", "apiKey=undefined&userId=undefined&userSignature=undefined", "40"},
		{"UnknownKey", "apiKey=key_nobody&userId=ada", "40"},
		{"TwoUsers", "apiKey=key_shop&userId=ada&userId=bob", "40"},
		{"NoSignature", "apiKey=key_sealed&userId=ada&userSignature=undefined", "40"},
		{"WrongSignature", "apiKey=key_sealed&userId=bob&userSignature=" + url.QueryEscape(signed), "40"},
		{"SignatureOfAnotherApp", "apiKey=key_shop&userId=ada&userSignature=" + url.QueryEscape(signed), "40"},
		{"NoToken", "apiKey=key_vault&userId=ada", "40"},
		{"EmptyToken", "apiKey=key_vault&userId=ada", `40{"token":""}`},
		{"NoTextForToken", "apiKey=key_vault&userId=ada", `40{"token":7}`},
		{"TokenOfAnother", "apiKey=key_vault&userId=bob", fmt.Sprintf(`40{"token":%q}`, token(l.vault, "ada"))},
		{"TokenForAnotherApp", "apiKey=key_shop&userId=ada", fmt.Sprintf(`40{"token":%q}`, token(l.vault, "ada"))},
		{"SecretKeyForToken", "apiKey=key_vault&userId=ada", fmt.Sprintf(`40{"token":%q}`, l.vault.SecretKey)},
		{"UserWhoIsNotThere", "apiKey=key_vault&userId=nobody", fmt.Sprintf(`40{"token":%q}`, token(l.vault, "nobody"))},
	} {
		query, err := url.ParseQuery(tt.query)
		if err != nil {
			t.Fatal(err)
		}
		s := l.dial(query, tt.connect)
		got := s.hears(`^44\{"message":".+"\}$`)
		if strings.Contains(got, "secret_of") || strings.Contains(got, "eyJ") {
			t.Errorf("%s: %s names a secret", tt.name, got)
		}
		s.say("40/again," + tt.connect[2:])
		s.hears(`^44/again,\{"message":`)
	}
	// The token alone, with no user beside it.
	alone := l.dial(url.Values{}, fmt.Sprintf(`40{"token":%q}`, token(l.vault, "ada")))
	alone.hears(`^40\{`)
}

func TestLiveSocketsEndWithTheirCredential(t *testing.T) {
	l := withLive(onSQLite(t))
	l.user(l.vault, "ada")
	l.user(l.shop, "ada")
	l.user(l.shop, "bob")
	l.user(l.sealed, "ada")
	running := make(chan struct{})
	go func() { defer close(running); l.sessions.Run(t.Context()) }()
	t.Cleanup(func() { <-running })

	soon := authtest.Forge(authtest.Object{"alg": "RS256", "typ": "JWT"}, authtest.Object{
		"sub": "user:ada", "apiKey": "key_vault", "exp": time.Now().Add(2 * time.Second).Unix(),
	}, authtest.RS256(signingKey()))
	l.clock.pass(time.Since(l.clock.Now())) // the token's times are real ones
	expiring := l.dial(url.Values{"apiKey": {"key_vault"}, "userId": {"ada"}}, fmt.Sprintf(`40{"token":%q}`, soon))
	expiring.hears(`^40\{`)
	revoked, deleted, bob := l.socket(l.sealed, "ada"), l.socket(l.shop, "ada"), l.socket(l.shop, "bob")

	l.ok(202, "DELETE", "/v3/users/ada", nil, asApp(l.shop)...)
	deleted.hears(`^41$`)
	expiring.hears(`^closed with 1000$`)

	all, err := l.store.Credentials(t.Context(), l.sealed.Environment.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if c.Kind == model.CredentialAPISecret {
			if _, err := l.store.RevokeCredential(t.Context(), c.EnvID, model.Once{}, c.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	revoked.hears(`^41$`)
	l.notify(l.shop, "bob", "still here")
	bob.hears(`"still here"`)
}

// TestNobodyHearsOfAnother changes two inboxes of one app, and one of the same
// name in another app, at random, and holds that every event is about an item
// of the one who hears it.
func TestNobodyHearsOfAnother(t *testing.T) {
	each(t, func(w *world) {
		l := withLive(w)
		type person struct {
			app  *app.Created
			name string
			id   model.UserID
			ears []*socket
			own  map[int64]bool
			told int
		}
		people := []*person{{app: l.shop, name: "ada"}, {app: l.shop, name: "bob"}, {app: l.other, name: "ada"}}
		for _, p := range people {
			p.id, p.own = l.user(p.app, p.name).ID, map[int64]bool{}
			p.ears = []*socket{l.socket(p.app, p.name), l.socket(p.app, p.name)}
		}
		seed := rand.Uint64()
		r := rand.New(rand.NewPCG(seed, 0))
		marks := []model.MarkState{model.MarkSeen, model.MarkRead, model.MarkUnread, model.MarkInteracted, model.MarkArchived, model.MarkUnarchived, model.MarkReadOnly}
		for range 60 {
			p := people[r.IntN(len(people))]
			env := p.app.Environment.ID
			var some []model.NotificationID
			for id := range p.own {
				if some = append(some, model.NotificationID(id)); len(some) == 3 {
					break
				}
			}
			var err error
			switch as := marks[r.IntN(len(marks))]; {
			case len(some) == 0 || r.IntN(3) == 0:
				p.own[l.notify(p.app, p.name, p.app.Environment.AppName+" "+p.name)] = true
			case r.IntN(8) == 0:
				_, err = l.inbox.MarkAll(t.Context(), env, model.Once{}, p.id, as, nil, nil)
			case r.IntN(8) == 0:
				_, err = l.inbox.Delete(t.Context(), env, model.Once{}, p.id, some[:1])
			default:
				_, err = l.inbox.Mark(t.Context(), env, model.Once{}, p.id, some, as)
			}
			if err != nil {
				w.t.Fatalf("seed %d: %v", seed, err)
			}
		}
		number := regexp.MustCompile(`"id":(\d+)`)
		for _, p := range people {
			p.own[l.notify(p.app, p.name, "the end")] = true
			for _, ear := range p.ears {
				for {
					text := ear.next()
					var event []json.RawMessage
					if !strings.HasPrefix(text, "42") || json.Unmarshal([]byte(text[2:]), &event) != nil || len(event) != 2 {
						w.t.Fatalf("seed %d: %s heard %q", seed, p.name, text)
					}
					ids := number.FindAllStringSubmatch(text, -1)
					for _, m := range ids {
						if id := decode[int64](w.t, m[1]); id != 0 && !p.own[id] {
							w.t.Fatalf("seed %d: %s of %s heard of another's: %s", seed, p.name, p.app.Environment.AppName, text)
						}
					}
					if p.told++; strings.Contains(text, "the end") {
						break
					}
				}
			}
		}
		for _, p := range people {
			if p.told < 10 {
				w.t.Errorf("seed %d: %s heard %d events, too few to tell", seed, p.name, p.told)
			}
		}
	})
}
