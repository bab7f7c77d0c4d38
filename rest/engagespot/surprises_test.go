package engagespot_test

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"carillon/auth/authtest"
	"carillon/inbox"
	"carillon/model"
)

// The tests here are named after the rows of "what breaks a server that follows
// only the reference" in the contract with Engagespot's clients. Row 27 is about
// bundling a client: e2e/test/engagespot-core.test.mjs has it.

func path(format string, args ...any) string { return fmt.Sprintf(format, args...) }

func TestSurprise01TwoVerbsMarkAsRead(t *testing.T) {
	each(t, func(w *world) {
		w.user(w.shop, "ada")
		a, b := w.notify(w.shop, "ada", "one"), w.notify(w.shop, "ada", "two")
		byUser := w.ok(200, "POST", path("/v3/notifications/%d/click", a), nil, as(w.shop, "ada")...)
		byApp := w.ok(200, "PATCH", path("/v3/notifications/%d/click", b), `{"read":true}`, asApp(w.shop)...)
		if byUser["clickedAt"] == nil || byApp["clickedAt"] == nil || byApp["seenAt"] != nil || w.unseen(w.shop, "ada") != 0 {
			t.Errorf("%v, %v", byUser, byApp)
		}
		again := w.ok(200, "PATCH", path("/v3/notifications/%d/click", b), nil, asApp(w.shop)...)
		if again["clickedAt"] != byApp["clickedAt"] {
			t.Error("a second click moved the time of the first")
		}
		for _, other := range [][]header{asApp(w.other), as(w.shop, "eve"), as(w.other, "ada")} {
			if a := w.call("PATCH", path("/v3/notifications/%d/click", a), nil, other...); a.status != 404 {
				t.Errorf("somebody else's: %d %s", a.status, a.body)
			}
		}
	})
}

func TestSurprise02CategoriesUnderNotifications(t *testing.T) {
	w := onSQLite(t)
	made := w.ok(200, "POST", "/v3/notifications/categories", `{"identifier":"a","name":"A"}`, asApp(w.shop)...)
	w.ok(200, "DELETE", path("/v3/notifications/categories/%.0f", made["id"]), nil, asApp(w.shop)...)
	if a := w.call("DELETE", path("/v3/notifications/categories/%.0f", made["id"]), nil, asApp(w.shop)...); a.status != 404 {
		t.Errorf("again: %d %s", a.status, a.body)
	}
}

func TestSurprise03TopicsWorkflowCancelAndSendAt(t *testing.T) {
	each(t, func(w *world) {
		w.user(w.shop, "ada")
		for _, p := range []string{"/v3/workflows/w", "/v4/workflows/w", "/v3/workflows/w/cancel-run", "/v4/workflows/w/cancel-run"} {
			for _, method := range []string{"PATCH", "POST"} {
				if a := w.call(method, p, `{"cancellationKey":"k"}`, asApp(w.shop)...); a.status != 404 || !strings.Contains(a.body, "no such workflow") {
					t.Errorf("%s %s: %d %s", method, p, a.status, a.body)
				}
			}
		}
		for at, wantNow := range map[string]bool{"2020-01-01T00:00:00Z": true, "2026-01-02T05:00:00+01:00": false} {
			w.ok(202, "POST", "/v3/notifications", map[string]any{"notification": map[string]any{"title": at}, "recipients": []string{"ada"}, "sendAt": at}, asApp(w.shop)...)
			if there := w.titles("ada")[at]; there != wantNow {
				t.Errorf("sent for %s: in the inbox %t, want %t", at, there, wantNow)
			}
		}
	})
}

// titles are what is in an inbox of the shop.
func (w *world) titles(name string) map[string]bool {
	w.t.Helper()
	out := map[string]bool{}
	for _, item := range w.ok(200, "GET", "/v3/notifications?limit=100", nil, as(w.shop, name)...)["data"].([]any) {
		out[item.(map[string]any)["title"].(string)] = true
	}
	return out
}

func TestSurprise04DeleteUserWithoutSlash(t *testing.T) {
	w := onSQLite(t)
	w.user(w.shop, "bob")
	for _, want := range []int{202, 404} {
		if a := w.call("DELETE", "/v3/usersbob", nil, asApp(w.shop)...); a.status != want {
			t.Errorf("%d %s, want %d", a.status, a.body, want)
		}
	}
}

func TestSurprise05PatchProfileTakesAnObject(t *testing.T) {
	each(t, func(w *world) {
		w.ok(200, "PATCH", "/v3/profile", `{"firstName":"Ada","nick":"countess"}`, as(w.shop, "ada")...)
		patched := w.ok(200, "PATCH", "/v3/profile", `[{"op":"remove","path":"/nick"},{"op":"add","path":"/lastName","value":"Lovelace"}]`, as(w.shop, "ada")...)
		if patched["firstName"] != "Ada" || patched["lastName"] != "Lovelace" || patched["nick"] != nil {
			t.Errorf("%v", patched)
		}
	})
}

func TestSurprise06TokensComeAlone(t *testing.T) {
	each(t, func(w *world) {
		w.user(w.vault, "ada")
		w.notify(w.vault, "ada", "Hello")
		if n := w.unseen(w.vault, "ada"); n != 1 {
			t.Errorf("unseen %v", n)
		}
		hs := authtest.Forge(authtest.Object{"alg": "HS256"}, authtest.Object{"sub": "user:ada", "apiKey": "key_vault"}, authtest.HS256(w.vault.APISecret))
		if a := w.call("GET", "/v3/notifications", nil, header{"Authorization", "Bearer " + hs}); a.status != 401 {
			t.Errorf("signed with the API secret: %d %s", a.status, a.body)
		}
	})
}

func TestSurprise07LiveUpdatesBesideTheRoutes(t *testing.T) {
	w := onSQLite(t)
	l := withLive(w)
	l.user(l.shop, "ada")
	for _, none := range []string{"undefined", "null", ""} {
		s := l.dial(url.Values{"apiKey": {"key_shop"}, "userId": {"ada"}, "userSignature": {none}}, "40")
		s.hears(`^40\{"sid":"[^"]+"\}$`)
		l.notify(l.shop, "ada", "after "+none)
		s.hears(`"title":"after ` + none + `"`)
	}
	if a := w.call("GET", "/v3/socket.io/?EIO=4&transport=websocket", nil, as(w.shop, "ada")...); a.status != 404 {
		t.Errorf("below /v3 it is answered %d %s", a.status, a.body)
	}
}

func TestSurprise08PayloadsServeEveryGeneration(t *testing.T) {
	l := withLive(onSQLite(t))
	l.user(l.shop, "ada")
	s := l.socket(l.shop, "ada")
	id := l.notify(l.shop, "ada", "Hello")
	s.hears(`^42\["NEW_NOTIFICATION",\{"notification":\{.*"message":.*"createdAt":.*"description":.*"created_at":`)
	l.ok(200, "POST", path("/v3/notifications/%d/views", id), nil, as(l.shop, "ada")...)
	s.hears(fmt.Sprintf(`^42\["NOTIFICATION_SEEN",\{"id":%[1]d,"notification":\{"id":%[1]d\},"unreadNotificationCount":0\}\]$`, id))
}

func TestSurprise09UnreadCountIsToldOfMarkAllSeenOnly(t *testing.T) {
	l := withLive(onSQLite(t))
	l.user(l.shop, "ada")
	s := l.socket(l.shop, "ada")
	first, second := l.notify(l.shop, "ada", "one"), l.notify(l.shop, "ada", "two")
	l.ok(200, "POST", path("/v3/notifications/%d/click", first), nil, as(l.shop, "ada")...)
	l.ok(200, "DELETE", path("/v3/notifications/%d/reads", first), nil, as(l.shop, "ada")...)
	l.ok(200, "DELETE", path("/v3/notifications/%d", first), nil, as(l.shop, "ada")...)
	for _, want := range []string{"NEW_NOTIFICATION", "NEW_NOTIFICATION", "NOTIFICATION_READ", "NOTIFICATION_DELETED"} {
		s.hears(`^42\["` + want + `",`)
	}
	l.ok(200, "POST", "/v3/notifications/markAllNotificationsAsSeen", nil, as(l.shop, "ada")...)
	s.hears(fmt.Sprintf(`^42\["NOTIFICATION_SEEN",\{"id":%d,`, second))
	s.hears(`^42\["NOTIFICATION_UNREAD_COUNT",\{"unreadNotificationCount":0\}\]$`)
}

func TestSurprise10SocketsAreRefusedInWords(t *testing.T) {
	l := withLive(onSQLite(t))
	s := l.dial(url.Values{"apiKey": {"key_nobody"}, "userId": {"ada"}}, "40")
	s.hears(`^44\{"message":".+"\}$`)
	s.say("40/another,") // it was not closed
	s.hears(`^44/another,\{"message":".+"\}$`)
}

func TestSurprise11UnreadCountIsUnseen(t *testing.T) {
	each(t, func(w *world) {
		w.user(w.shop, "ada")
		ids := []int64{w.notify(w.shop, "ada", "one"), w.notify(w.shop, "ada", "two"), w.notify(w.shop, "ada", "three")}
		ada := as(w.shop, "ada")
		item := func(i int) string { return path("/v3/notifications/%d", ids[i]) }
		for _, step := range []struct {
			method, path string
			want         float64
			seen, read   bool // of the item
		}{
			{"POST", item(0) + "/views", 2, true, false},
			{"POST", item(0) + "/click", 2, true, true},
			{"DELETE", item(0) + "/reads", 2, true, false},
			{"DELETE", item(0) + "/views", 3, false, false},
			{"POST", item(1) + "/click", 2, false, true},
			{"DELETE", item(1) + "/views", 2, false, true},
			{"POST", item(1) + "/views", 2, true, true},
			{"DELETE", item(1) + "/views", 2, false, true},
			{"DELETE", item(1) + "/reads", 3, false, false},
			{"GET", item(2), 2, true, false},
			{"DELETE", item(2) + "/views", 3, false, false},
		} {
			got := w.ok(200, step.method, step.path, nil, ada...)
			if (got["seenAt"] != nil) != step.seen || (got["clickedAt"] != nil) != step.read {
				t.Errorf("%s %s: %v", step.method, step.path, got)
			}
			for _, query := range []string{"", "?filter=read", "?filter=unread&limit=1", "?category=none", "?pageNo=9"} {
				if list := w.ok(200, "GET", "/v3/notifications"+query, nil, ada...); list["unreadCount"] != step.want {
					t.Errorf("after %s %s, %s: unreadCount %v, want %v", step.method, step.path, query, list["unreadCount"], step.want)
				}
			}
		}
		if report, err := w.store.VerifyCounters(t.Context(), 10); err != nil || report.Drifted != 0 {
			t.Errorf("counters drifted: %+v %v", report, err)
		}
	})
}

func TestSurprise12AnswersAreJSONWithExactStatuses(t *testing.T) {
	w := onSQLite(t)
	w.user(w.shop, "ada")
	for _, tt := range []struct {
		method, path string
		want         int
		headers      []header
		body         string
	}{
		{"POST", "/v3/notifications/{}/click", 200, as(w.shop, "ada"), ""},
		{"DELETE", "/v3/notifications/{}/views", 200, as(w.shop, "ada"), ""},
		{"DELETE", "/v3/notifications/{}/reads", 200, as(w.shop, "ada"), ""},
		{"PUT", "/v3/notifications/{}/state", 200, as(w.shop, "ada"), `{"state":"x"}`},
		{"DELETE", "/v3/notifications/{}", 200, as(w.shop, "ada"), ""},
		{"POST", "/v3/sdk/connect", 200, as(w.shop, "ada"), ""},
		{"PUT", "/v3/profile", 200, as(w.shop, "ada"), `{}`},
		{"POST", "/v3/notifications", 202, asApp(w.shop), `{"notification":{"title":"x"},"recipients":["ada"]}`},
		{"PUT", "/v3/users/x", 200, asApp(w.shop), ``},
		{"POST", "/v3/users", 200, asApp(w.shop), `{"identifier":"y"}`},
		{"POST", "/v3/categories", 200, asApp(w.shop), `{"identifier":"y","name":"Y"}`},
		{"POST", "/v3/topics", 200, asApp(w.shop), `{"identifier":"y","name":"Y"}`},
		{"DELETE", "/v3/users/x", 202, asApp(w.shop), ``},
	} {
		p := strings.ReplaceAll(tt.path, "{}", fmt.Sprint(w.notify(w.shop, "ada", "x")))
		a := w.call(tt.method, p, tt.body, tt.headers...)
		if a.status != tt.want || len(a.body) < 2 || a.body[0] != '{' || !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
			t.Errorf("%s %s: %d %q, want %d", tt.method, tt.path, a.status, a.body, tt.want)
		}
	}
}

func TestSurprise13PreflightsAllowWhatClientsSend(t *testing.T) {
	w := onSQLite(t)
	for _, r := range everyRoute {
		a := w.call("OPTIONS", strings.NewReplacer("{n}", "1", "{c}", "1", "{t}", "1").Replace(r.path), nil, header{"Origin", "https://shop.example"}, header{"Access-Control-Request-Method", r.method})
		allowed := a.header.Get("Access-Control-Allow-Headers")
		for _, name := range []string{"authorization", "content-type", "cache-control", "pragma", "expires", "x-engagespot-api-key", "x-engagespot-user-id", "x-engagespot-user-signature", "x-engagespot-device-id"} {
			if !strings.Contains(allowed, name) {
				t.Errorf("OPTIONS %s does not allow %s: %s", r.path, name, allowed)
			}
		}
		if a.status != 200 || a.header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(a.header.Get("Access-Control-Allow-Methods"), r.method) {
			t.Errorf("OPTIONS %s: %d %v", r.path, a.status, a.header)
		}
	}
}

func TestSurprise14FormsNothingNullsAndEmptyLists(t *testing.T) {
	w := onSQLite(t)
	form := header{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}
	w.ok(200, "POST", "/v3/sdk/connect", "deviceType=android", append(as(w.shop, "ada"), form)...)
	w.ok(200, "POST", path("/v3/notifications/%d/click", w.notify(w.shop, "ada", "x")), "read=true", append(as(w.shop, "ada"), form)...)
	for _, body := range []string{"", "null", "{}", "[]"} {
		w.ok(200, "PUT", "/v3/users/eve", body, asApp(w.shop)...)
		w.ok(200, "POST", "/v3/sdk/connect", body, as(w.shop, "ada")...)
	}
	for _, body := range []string{
		`{"notification":{"title":"x","message":null,"icon":null,"url":null,"data":[],"category":null},"recipients":["ada"],"data":null,"category":null,"override":[],"sendTo":null,"sendAt":null}`,
		`{"notification":{"title":"x","templateIdentifier":null,"templateId":null,"workflow":null},"sendTo":{"recipients":["ada"],"topics":null},"override":{"channels":null}}`,
	} {
		w.ok(202, "POST", "/v3/notifications", body, asApp(w.shop)...)
	}
}

func TestSurprise15ViewsExist(t *testing.T) {
	each(t, func(w *world) {
		w.user(w.shop, "ada")
		seen := w.ok(200, "POST", path("/v3/notifications/%d/views", w.notify(w.shop, "ada", "x")), nil, as(w.shop, "ada")...)
		if seen["seenAt"] == nil || seen["clickedAt"] != nil || w.unseen(w.shop, "ada") != 0 {
			t.Errorf("%v", seen)
		}
	})
}

func TestSurprise16MarkAllSeenIsPaged(t *testing.T) {
	each(t, func(w *world) {
		w.user(w.shop, "ada")
		for i := range 40 {
			w.notify(w.shop, "ada", fmt.Sprint(i))
		}
		ada := as(w.shop, "ada")
		for _, step := range []struct {
			query string
			want  float64
		}{
			{"?limit=15&page=2", 25},
			{"?limit=15&page=2", 25},
			{"?pageNo=1&limit=5", 20},
			{"?page=9", 20},
			{"", 5}, // the newest 15 that are unseen, wherever they are
			{"", 0},
			{"", 0},
		} {
			w.ok(200, "POST", "/v3/notifications/markAllNotificationsAsSeen"+step.query, nil, ada...)
			if got := w.unseen(w.shop, "ada"); got != step.want {
				t.Errorf("after %q: %v unseen, want %v", step.query, got, step.want)
			}
		}
	})
}

func TestSurprise17CategoriesHaveBothFlagsAndAppsTheirChannels(t *testing.T) {
	w := onSQLite(t)
	w.ok(200, "POST", "/v3/categories", `{"identifier":"a","name":"A"}`, asApp(w.shop)...)
	body := w.call("GET", "/v3/categories", nil, as(w.shop, "ada")...).body
	if !strings.Contains(body, `"hideInPreferenceManager":false`) || !strings.Contains(body, `"hideInInApp":false`) {
		t.Error(body)
	}
	connected := w.ok(200, "POST", "/v3/sdk/connect", nil, as(w.shop, "ada")...)["app"].(map[string]any)
	if len(connected["channels"].([]any)) == 0 || len(connected["categories"].([]any)) != 1 || connected["hideBranding"] != true {
		t.Errorf("%v", connected)
	}
	if key := connected["publicKey"].(string); len(key) != 87 {
		t.Errorf("publicKey %q is no point on P-256", key)
	}
	if _, is := connected["enableWebPush"].(bool); !is {
		t.Errorf("enableWebPush is %T", connected["enableWebPush"])
	}
}

func TestSurprise18RoutesThatTheReferenceLacks(t *testing.T) {
	each(t, func(w *world) {
		ada := as(w.shop, "ada")
		w.ok(200, "POST", "/v3/sdk/connect", nil, ada...)
		id := w.notify(w.shop, "ada", "x")
		w.ok(200, "PUT", path("/v3/notifications/%d/state", id), `{"state":"state_2"}`, ada...)
		w.ok(200, "POST", "/v3/notifications/markAllNotificationsAsRead", nil, ada...)
		if list := w.ok(200, "GET", "/v3/notifications?filter=unread", nil, ada...); list["pagination"].(map[string]any)["totalCount"] != 0.0 || list["unreadCount"] != 0.0 {
			t.Errorf("after all were read: %v", list)
		}
		w.ok(200, "POST", "/v3/notifications/markAllNotificationsAsDeleted", nil, ada...)
		if n := len(w.titles("ada")); n != 0 {
			t.Errorf("after all were deleted %d are left", n)
		}
		w.ok(200, "POST", "/v3/devices/d1/webPushSubscription", `{"endpoint":"https://push.example.com/x","expirationTime":null,"keys":{"p256dh":"AAAA","auth":"AAAA"}}`, ada...)
		if a := w.call("GET", "/v3/translations/inapp", nil); a.status != 200 || a.body != "{}" { // without any credential
			t.Errorf("translations: %d %s", a.status, a.body)
		}
	})
}

func TestSurprise19SlashesDoNotMatterAndDoNotRedirect(t *testing.T) {
	w := onSQLite(t)
	for _, p := range []string{"/v3/notifications", "//v3/notifications", "/v3//notifications/", "///v3///notifications///"} {
		if a := w.call("GET", p, nil, as(w.shop, "ada")...); a.status != 200 {
			t.Errorf("%s: %d %s", p, a.status, a.body)
		}
		if a := w.call("OPTIONS", p, nil); a.status != 200 {
			t.Errorf("OPTIONS %s: %d", p, a.status)
		}
	}
	for _, name := range []string{"jane@example.com", "jane+x@example.com", "a:b:c", "a b", "%", "ключ"} {
		for _, p := range []string{"/v3/users/" + urlEscaped(name), "/v3/users/" + urlEscaped(name) + "/"} {
			if got := w.ok(200, "PUT", p, nil, asApp(w.shop)...); got["identifier"] != name {
				t.Errorf("%s: %v", p, got)
			}
		}
	}
	for _, raw := range []string{"jane@example.com", "jane+x@example.com", "a:b:c"} { // as clients send them
		if got := w.ok(200, "PUT", "/v3/users/"+raw, nil, asApp(w.shop)...); got["identifier"] != raw {
			t.Errorf("%s: %v", raw, got)
		}
	}
}

func urlEscaped(s string) string {
	var b bytes.Buffer
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02X", s[i])
	}
	return b.String()
}

func TestSurprise20PathPrefixesAreNamespaces(t *testing.T) {
	l := withLive(onSQLite(t))
	l.user(l.shop, "ada")
	s := l.dial(url.Values{"apiKey": {"key_shop"}, "userId": {"ada"}}, "40/notify/v3,")
	s.hears(`^40/notify/v3,\{"sid":"[^"]+"\}$`)
	l.notify(l.shop, "ada", "Hello")
	s.hears(`^42/notify/v3,\["NEW_NOTIFICATION",`)
}

func TestSurprise21TheSecretHasTwoNames(t *testing.T) {
	w := onSQLite(t)
	w.ok(200, "POST", "/v3/categories", `{"identifier":"a","name":"A"}`, header{"X-ENGAGESPOT-API-KEY", "key_shop"}, header{"X-ENGAGESPOT-SECRET-KEY", w.shop.APISecret})
}

func TestSurprise22ConnectIsIdempotentAndCreatesTheUser(t *testing.T) {
	each(t, func(w *world) {
		ada := append(as(w.shop, "ada"), header{"X-ENGAGESPOT-DEVICE-ID", "d1"})
		for range 3 {
			w.ok(200, "POST", "/v3/sdk/connect", `{"deviceType":"browser","browserType":"firefox"}`, ada...)
		}
		u, err := w.users.Find(t.Context(), w.shop.Environment.ID, "ada")
		if err != nil {
			t.Fatal(err)
		}
		devices, err := w.users.Devices(t.Context(), w.shop.Environment.ID, u.ID)
		if err != nil || len(devices) != 1 || devices[0].Key != "d1" || devices[0].Platform != model.PlatformWeb || devices[0].Browser != "firefox" {
			t.Errorf("devices %+v, %v", devices, err)
		}
		a := w.call("POST", "/v3/sdk/connect", nil, as(w.sealed, "ada")[:2]...)
		if message, is := a.json(t)["message"].(string); a.status != 401 || !is || message == "" { // shown to people
			t.Errorf("%d %s", a.status, a.body)
		}
	})
}

func TestSurprise23IdsAreNumbers(t *testing.T) {
	w := onSQLite(t)
	w.user(w.shop, "ada")
	w.ok(202, "POST", "/v3/notifications", `{"notification":{"title":"x","category":"c"},"recipients":["ada"]}`, asApp(w.shop)...)
	item := w.ok(200, "GET", "/v3/notifications", nil, as(w.shop, "ada")...)["data"].([]any)[0].(map[string]any)
	connected := w.ok(200, "POST", "/v3/sdk/connect", nil, as(w.shop, "ada")...)["app"].(map[string]any)
	topic := w.ok(200, "POST", "/v3/topics", `{"identifier":"t","name":"T"}`, asApp(w.shop)...)
	for what, id := range map[string]any{"notification": item["id"], "its category": item["category"].(map[string]any)["id"], "app": connected["id"], "category": connected["categories"].([]any)[0].(map[string]any)["id"], "topic": topic["id"]} {
		if n, is := id.(float64); !is || n < 1 {
			t.Errorf("the id of the %s is %T", what, id)
		}
	}
	if _, is := item["data"].(map[string]any); !is {
		t.Errorf("data is %T, and some clients read its members unasked", item["data"])
	}
}

func TestSurprise24StatesAreTheCustomers(t *testing.T) {
	each(t, func(w *world) {
		u := w.user(w.shop, "ada")
		id := w.notify(w.shop, "ada", "x")
		ada := as(w.shop, "ada")
		first := w.ok(200, "PUT", path("/v3/notifications/%d/state", id), `{"state":"State 2 ✓","data":{"comment":"fine","stars":"5"}}`, ada...)
		if first["state"] != "State 2 ✓" || first["id"] != float64(id) || first["title"] != "x" || first["seenAt"] != nil || first["clickedAt"] != nil || w.unseen(w.shop, "ada") != 1 {
			t.Errorf("%v", first)
		}
		if list := w.ok(200, "GET", "/v3/notifications?filter=interacted", nil, ada...); len(list["data"].([]any)) != 1 {
			t.Errorf("interacted: %v", list)
		}
		last := w.ok(200, "PUT", path("/v3/notifications/%d/state", id), `{"state":"done","delete":true}`, ada...)
		if last["state"] != "done" || len(w.titles("ada")) != 0 || w.unseen(w.shop, "ada") != 0 {
			t.Errorf("%v", last)
		}
		done, err := w.inbox.Interactions(t.Context(), w.shop.Environment.ID, []model.NotificationID{model.NotificationID(id)})
		list := done[model.NotificationID(id)]
		if err != nil || len(list) != 2 || list[0].State != "State 2 ✓" || string(list[0].Data) != `{"comment":"fine","stars":"5"}` || list[1].Data != nil {
			t.Errorf("interactions: %+v, %v", list, err)
		}
		if a := w.call("PUT", path("/v3/notifications/%d/state", id), `{"state":"x"}`, ada...); a.status != 404 {
			t.Errorf("after its deletion: %d %s", a.status, a.body)
		}
		if report, err := w.store.VerifyCounters(t.Context(), 10); err != nil || report.Drifted != 0 {
			t.Errorf("counters of %d drifted: %+v %v", u.ID, report, err)
		}
	})
}

func TestSurprise25PagesHoldMoreThanTwenty(t *testing.T) {
	w := onSQLite(t)
	w.user(w.shop, "ada")
	for i := range 60 {
		w.notify(w.shop, "ada", fmt.Sprint(i))
	}
	for query, want := range map[string]int{"": 15, "?limit=50": 50, "?limit=50&pageNo=2": 10, "?limit=1000": 60, "?limit=20&pageNo=3": 20, "?limit=20&pageNo=4": 0} {
		list := w.ok(200, "GET", "/v3/notifications"+query, nil, as(w.shop, "ada")...)
		if got := len(list["data"].([]any)); got != want || list["pagination"].(map[string]any)["totalCount"] != 60.0 {
			t.Errorf("%q: %d items of %v, want %d", query, got, list["pagination"], want)
		}
	}
}

func TestSurprise26ClientsThatCannotBeTurned(t *testing.T) {
	// Flutter and Go name the host in their code, and reach this server by DNS: any
	// Host is served.
	w := onSQLite(t)
	a := w.raw([]byte("GET /v3/notifications HTTP/1.1\r\nHost: api.engagespot.co\r\nX-ENGAGESPOT-API-KEY: key_shop\r\nX-ENGAGESPOT-USER-ID: ada\r\n\r\n"))
	if a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestSurprise28TokensGoIntoAuthorization(t *testing.T) {
	w := onSQLite(t)
	w.user(w.vault, "ada")
	w.ok(200, "GET", "/v3/preferences", nil, header{"Authorization", "Bearer " + token(w.vault, "ada")})
	if a := w.call("GET", "/v3/preferences", nil, header{"Authentication", "Bearer " + token(w.vault, "ada")}); a.status != 401 {
		t.Errorf("Authentication: %d %s", a.status, a.body)
	}
}

// A change made here is in the live stream that GraphQL's subscription reads,
// and one made there is here.
// TestPushTokens gives tokens in every way, and takes them away again.
func TestPushTokens(t *testing.T) {
	each(t, func(w *world) {
		tokens := func() string {
			t.Helper()
			fcm, _ := w.ok(200, "GET", "/v3/profile", nil, as(w.shop, "ada")...)["fcm"].(map[string]any)
			return fmt.Sprint(fcm["tokens"])
		}
		is := func(what, want string) {
			t.Helper()
			if got := tokens(); got != want {
				t.Errorf("%s: the tokens are %s, want %s", what, got, want)
			}
		}
		w.ok(202, "POST", "/v3/notifications", `{"notification":{"title":"x"},"sendTo":{"recipients":[{"identifier":"ada","fcm":{"tokens":["a","b"]}}]}}`, asApp(w.shop)...)
		is("with a send", "[a b]")
		w.ok(200, "PUT", "/v3/profile", `{"fcm.token":"c"}`, as(w.shop, "ada")...)
		is("in a profile", "[a b c]")
		patch := func(status int, body string) answer {
			t.Helper()
			a := w.call("PATCH", "/v3/profile", body, as(w.shop, "ada")...)
			if a.status != status {
				t.Errorf("%s is answered %d %s, want %d", body, a.status, a.body, status)
			}
			return a
		}
		patch(200, `[{"op":"remove","path":"/fcm/tokens/1"},{"op":"add","path":"/fcm/tokens/-","value":"d"},{"op":"add","path":"/x","value":1}]`)
		is("one removed, one added", "[a c d]")
		patch(400, `[{"op":"remove","path":"/fcm/tokens/0"},{"op":"remove","path":"/fcm/tokens/2"}]`)
		patch(400, `[{"op":"remove","path":"/fcm/tokens/x"}]`)
		patch(400, `[{"op":"remove","path":"/fcm/tokens/-1"}]`)
		is("refused", "[a c d]")
		patch(200, `[{"op":"remove","path":"/fcm"},{"op":"add","path":"/fcm/token","value":"c"}]`)
		is("all but one removed", "[c]")
		patch(200, `[{"op":"remove","path":"/fcm/tokens"}]`)
		is("all removed", "<nil>")
	})
}

// TestSendsByTemplate sends what a template says that was made through GraphQL.
func TestSendsByTemplate(t *testing.T) {
	each(t, func(w *world) {
		w.user(w.shop, "ada")
		_, err := w.templates.Create(t.Context(), w.shop.Environment.ID, model.Once{}, model.Template{
			Identifier: "shipped", Name: "Shipped", Content: model.TemplateText{Title: "{{order}} is on its way", Body: "to {{address.city}}"},
		})
		if err != nil {
			w.t.Fatal(err)
		}
		send := func(body string) answer { return w.call("POST", "/v3/notifications", body, asApp(w.shop)...) }
		if a := send(`{"notification":{"templateIdentifier":"shipped","title":null,"data":{"order":"A1"}},"data":{"address":{"city":"Oslo"}},"recipients":["ada"]}`); a.status != 202 {
			w.t.Fatalf("%d %s", a.status, a.body)
		}
		page := w.ok(200, "GET", "/v3/notifications", nil, as(w.shop, "ada")...)
		item := page["data"].([]any)[0].(map[string]any)
		if item["title"] != "A1 is on its way" || item["message"] != "to Oslo" || item["data"].(map[string]any)["order"] != "A1" {
			w.t.Errorf("the inbox has %v", item)
		}
		for body, want := range map[string]int{
			`{"notification":{"templateIdentifier":"nothing","category":"not-made"},"recipients":["ada"]}`: 404,
			`{"notification":{"templateId":17},"recipients":["ada"]}`:                                      404,
			`{"notification":{"templateIdentifier":"shipped","title":"mine"},"recipients":["ada"]}`:        400,
			`{"notification":{"templateIdentifier":7},"recipients":["ada"]}`:                               400,
		} {
			if a := send(body); a.status != want || !strings.Contains(a.body, "notification.") {
				w.t.Errorf("%s is answered %d %s, want %d", body, a.status, a.body, want)
			}
		}
		if a := w.call("GET", "/v3/categories", nil, asApp(w.shop)...); strings.Contains(a.body, "not-made") {
			w.t.Error("a send that was refused made its category")
		}
		if a := w.call("POST", "/v3/notifications", `{"notification":{"templateIdentifier":"shipped"},"recipients":["ada"]}`, asApp(w.other)...); a.status != 404 {
			w.t.Errorf("another app's template: %d %s", a.status, a.body)
		}
	})
}

func TestChangesAreSeenAtOnce(t *testing.T) {
	each(t, func(w *world) {
		u, ada, env := w.user(w.shop, "ada"), as(w.shop, "ada"), w.shop.Environment.ID
		woken := make(chan struct{}, 100)
		stream, err := w.inbox.Watch(t.Context(), env, u.ID, inbox.WatchOptions{}, func() { woken <- struct{}{} })
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		next := func() model.InboxEvent {
			t.Helper()
			for {
				e, ok, err := stream.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if ok {
					return e
				}
				select {
				case <-woken:
				case <-time.After(5 * time.Second):
					t.Fatal("nothing came within 5 s")
				}
			}
		}
		next()
		w.ok(202, "POST", "/v3/notifications", `{"notification":{"title":"x"},"recipients":["ada"]}`, asApp(w.shop)...)
		e := next()
		if len(e.Added) != 1 || e.Added[0].Content.Title != "x" || e.Counters.Unseen != 1 {
			t.Fatalf("sent: %+v", e)
		}
		id := e.Added[0].ID
		w.ok(200, "POST", path("/v3/notifications/%d/click", id), nil, ada...)
		if e = next(); len(e.Changed) != 1 || e.Changed[0].ReadAt.IsZero() || !e.Changed[0].SeenAt.IsZero() || e.Counters.Unseen != 0 || e.Counters.Unread != 0 {
			t.Errorf("clicked: %+v", e)
		}
		w.ok(200, "PUT", path("/v3/notifications/%d/state", id), `{"state":"s"}`, ada...)
		if e = next(); len(e.Changed) != 1 || e.Changed[0].State != "s" || e.Changed[0].InteractedAt.IsZero() {
			t.Errorf("state: %+v", e)
		}
		w.ok(200, "DELETE", path("/v3/notifications/%d/reads", id), nil, ada...)
		if e = next(); e.Counters.Unseen != 1 || e.Counters.Unread != 1 {
			t.Errorf("unread: %+v", e)
		}
		w.ok(200, "POST", "/v3/notifications/markAllNotificationsAsRead", nil, ada...)
		if e = next(); len(e.Changed) != 1 || !e.Changed[0].SeenAt.IsZero() || e.Changed[0].ReadAt.IsZero() || e.Counters.Unseen != 0 {
			t.Errorf("all read: %+v", e)
		}
		if _, err := w.inbox.Mark(t.Context(), env, model.Once{}, u.ID, []model.NotificationID{id}, model.MarkUnseen); err != nil {
			t.Fatal(err)
		}
		next()
		if item := w.ok(200, "GET", "/v3/notifications", nil, ada...); item["unreadCount"] != 1.0 || item["data"].([]any)[0].(map[string]any)["clickedAt"] != nil {
			t.Errorf("marked elsewhere: %v", item)
		}
		w.ok(200, "POST", "/v3/notifications/markAllNotificationsAsDeleted", nil, ada...)
		if e = next(); len(e.Removed) != 1 || e.Removed[0] != id || e.Counters.Total != 0 {
			t.Errorf("all deleted: %+v", e)
		}
	})
}

// Every write happens once for a key, and a key stands for one request.
func TestIdempotencyKeys(t *testing.T) {
	each(t, func(w *world) {
		w.user(w.shop, "ada")
		key := header{"Idempotency-Key", "k"}
		app, ada := append(asApp(w.shop), key), append(as(w.shop, "ada"), key)
		body := `{"notification":{"title":"once"},"recipients":["ada"]}`
		first := w.call("POST", "/v3/notifications", body, app...)
		again := w.call("POST", "/v3/notifications", body, app...)
		if first.status != 202 || again.body != first.body {
			t.Errorf("%d %s, then %d %s", first.status, first.body, again.status, again.body)
		}
		if a := w.call("POST", "/v3/notifications", `{"notification":{"title":"other"},"recipients":["ada"]}`, app...); a.status != 422 {
			t.Errorf("another body: %d %s", a.status, a.body)
		}
		list := w.ok(200, "GET", "/v3/notifications", nil, ada...)["data"].([]any)
		if len(list) != 1 {
			t.Fatalf("%d notifications", len(list))
		}
		id := int64(list[0].(map[string]any)["id"].(float64))
		topic := w.ok(200, "POST", "/v3/topics", `{"identifier":"t","name":"T"}`, app...)
		category := w.ok(200, "POST", "/v3/categories", `{"identifier":"c","name":"C"}`, app...)
		w.user(w.shop, "eve")
		for _, call := range []struct {
			method, path, body string
			headers            []header
		}{
			{"PUT", "/v3/users/ada", `{"a":1}`, app},
			{"PUT", path("/v3/notifications/%d/state", id), `{"state":"s"}`, ada},
			{"PUT", "/v3/profile", `{"a":2}`, ada},
			{"PATCH", "/v3/profile", `[{"op":"add","path":"/b","value":1}]`, ada},
			{"PATCH", "/v3/preferences", path(`{"preference":[{"categoryId":%.0f,"channels":[{"channel":"inApp","enabled":true}]}]}`, category["id"]), ada},
			{"POST", path("/v3/topics/%.0f/users", topic["id"]), `{"users":[{"identifier":"ada"}]}`, app},
			{"POST", path("/v3/topics/%.0f/detachUsers", topic["id"]), `{"users":["ada"]}`, app},
			{"POST", "/v3/notifications/markAllNotificationsAsDeleted", "", ada},
			{"DELETE", path("/v3/topics/%.0f", topic["id"]), "", app},
			{"DELETE", path("/v3/categories/%.0f", category["id"]), "", app},
			{"DELETE", "/v3/users/eve", "", app},
		} {
			one := w.call(call.method, call.path, call.body, call.headers...)
			two := w.call(call.method, call.path, call.body, call.headers...)
			if one.status >= 300 || two.status != one.status || two.body != one.body {
				t.Errorf("%s %s: %d %s, then %d %s", call.method, call.path, one.status, one.body, two.status, two.body)
			}
		}
		id = w.notify(w.shop, "ada", "gone")
		for range 2 {
			if a := w.call("DELETE", path("/v3/notifications/%d", id), nil, append(asApp(w.shop), header{"Idempotency-Key", "gone"})...); a.status != 200 {
				t.Errorf("deleting by the application: %d %s", a.status, a.body)
			}
		}
	})
}
