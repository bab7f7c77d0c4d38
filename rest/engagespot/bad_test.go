package engagespot_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"carillon/app"
	"carillon/model"
)

// request is a request that works, of which the corpus breaks one thing at a
// time.
type request struct {
	method, path string
	query        []string // names of parameters
	body         string   // with every member that means something
	headers      func(w *world) []header
	forms        bool
}

func ofUser(w *world) []header { return as(w.shop, "ada") }
func ofApp(w *world) []header  { return asApp(w.shop) }

// everyRoute is one request for each route, with {n} for a notification, {c}
// for a category and {t} for a topic.
var everyRoute = []request{
	{"POST", "/v3/sdk/connect", nil, `{"deviceType":"browser","browserType":"chrome"}`, ofUser, true},
	{"POST", "/v3/sdk/realtimeTokenRequests", nil, `{}`, ofUser, false},
	{"POST", "/v3/notifications", nil, `{"notification":{"title":"a","message":"b","icon":"https://x.example/i","url":"/a","category":"c","data":{"a":1},"blocks":[{"id":"1","type":"button","text":"t","variant":"primary","link":"/l","externalLink":true,"src":"https://x.example/s"}],"content":{"email":{}}},
		"sendTo":{"recipients":["ada",{"identifier":"eve","email":"eve@example.com","phoneNumber":"+15551234567"}],"topics":["topic"]},"recipients":["ada"],"category":"c","data":{"b":2,"attachments":[{"name":"a","contentType":"text/plain","content":"YQ==","attachmentKey":"k"}]},
		"override":{"channels":["inApp"],"channel":{"email":{"subject":"s"}},"fcm":{"_config":{}}},"sendAt":"2026-01-03T00:00:00Z"}`, ofApp, false},
	{"GET", "/v3/notifications", []string{"pageNo", "limit", "filter", "category", "tenantIdentifier"}, "", ofUser, false},
	{"GET", "/v3/notifications", []string{"userIdentifier"}, "", ofApp, false},
	{"GET", "/v3/notifications/{n}", nil, "", ofUser, false},
	{"DELETE", "/v3/notifications/{n}", nil, "", ofUser, false},
	{"POST", "/v3/notifications/{n}/click", nil, `{"read":true}`, ofUser, true},
	{"PATCH", "/v3/notifications/{n}/click", nil, `{"read":true}`, ofApp, true},
	{"POST", "/v3/notifications/{n}/views", nil, "", ofUser, false},
	{"DELETE", "/v3/notifications/{n}/views", nil, "", ofUser, false},
	{"DELETE", "/v3/notifications/{n}/reads", nil, "", ofUser, false},
	{"PUT", "/v3/notifications/{n}/state", nil, `{"state":"s","delete":false,"data":{"a":"b"}}`, ofUser, false},
	{"POST", "/v3/notifications/markAllNotificationsAsSeen", []string{"page", "pageNo", "limit"}, "", ofUser, false},
	{"POST", "/v3/notifications/markAllNotificationsAsRead", nil, "", ofUser, false},
	{"POST", "/v3/notifications/markAllNotificationsAsDeleted", nil, "", ofUser, false},
	{"GET", "/v3/profile", nil, "", ofUser, false},
	{"PUT", "/v3/profile", nil, `{"email":"ada@example.com","phoneNumber":"+15551234567","firstName":"Ada","fcm":{"tokens":["t"],"token":"u"},"any":{"thing":[1]}}`, ofUser, true},
	{"PATCH", "/v3/profile", nil, `{"email":"ada@example.com","locale":"en","timeZone":"Europe/London","avatarUrl":"https://x.example/a"}`, ofUser, false},
	{"PATCH", "/v3/profile", nil, `[{"op":"add","path":"/x","value":1},{"op":"test","path":"/x","value":1},{"op":"add","path":"/fcm/token","value":"t"}]`, ofUser, false},
	{"GET", "/v3/preferences", nil, "", ofUser, false},
	{"PATCH", "/v3/preferences", nil, `{"preference":[{"categoryId":{c},"channels":[{"channel":"inApp","enabled":true}]}]}`, ofUser, false},
	{"GET", "/v3/categories", nil, "", ofUser, false},
	{"POST", "/v3/categories", nil, `{"identifier":"x","name":"X","hideInInApp":false,"hideInPreferenceManager":true}`, ofApp, false},
	{"DELETE", "/v3/categories/{c}", nil, "", ofApp, false},
	{"POST", "/v3/notifications/categories", nil, `{"identifier":"y","name":"Y"}`, ofApp, false},
	{"DELETE", "/v3/notifications/categories/{c}", nil, "", ofApp, false},
	{"POST", "/v3/users", nil, `{"identifier":"new","profile":{"email":"new@example.com","fcm":{"token":"t"}}}`, ofApp, false},
	{"PUT", "/v3/users/eve", nil, `{"email":"eve@example.com","fcm.token":"t"}`, ofApp, false},
	{"DELETE", "/v3/users/nobody", nil, "", ofApp, false},
	{"DELETE", "/v3/usersnobody", nil, "", ofApp, false},
	{"POST", "/v3/topics", nil, `{"name":"T","identifier":"t"}`, ofApp, false},
	{"PATCH", "/v3/topics/{t}", nil, `{"name":"T"}`, ofApp, false},
	{"DELETE", "/v3/topics/{t}", nil, "", ofApp, false},
	{"POST", "/v3/topics/{t}/users", nil, `{"users":[{"identifier":"ada","channels":["inApp"]}]}`, ofApp, false},
	{"POST", "/v3/topics/{t}/detachUsers", nil, `{"users":["ada"]}`, ofApp, false},
	{"PUT", "/v3/topics/{t}/users/ada", nil, `{"channels":["inApp"]}`, ofApp, false},
	{"GET", "/v3/topics/subscriptions/ada", nil, "", ofApp, false},
	{"PATCH", "/v3/workflows/w", nil, `{"cancellationKey":"k","cancelFor":{"recipients":["ada"]}}`, ofApp, false},
	{"POST", "/v4/workflows/w/cancel-run", nil, `{"cancellationKey":"k"}`, ofApp, false},
	{"POST", "/v3/devices/d/webPushSubscription", nil, `{"endpoint":"https://push.example.com/x","expirationTime":null,"keys":{"p256dh":"AAAA","auth":"AAAA"}}`, ofUser, false},
	{"GET", "/v3/translations/inapp", nil, "", func(*world) []header { return nil }, false},
}

// values are what a member may be by mistake or by malice, as JSON.
var values = []string{
	`null`, `true`, `0`, `-1`, `1.5`, `9223372036854775808`, `1e400`, `1e999999999`, strings.Repeat("9", 400), `""`, `" "`, `[]`, `{}`, `[[]]`, `{"":{}}`, `[null]`, `["\u0000"]`,
	`"\u0000"`, `"\ud800"`, `"\udc00\ud800"`, `"\ufffd"`, `"\u202eabc"`, `"\u200d\u200d"`, `"e\u0301"`, `"\uffff"`, `"a\r\nBcc: x@example.com"`, `"'; drop table users; --"`, `"%s%n{{.}}"`,
	`"{{#each x}}"`, `"<script>alert(1)</script>"`, `"javascript:alert(1)"`, `"java\tscript:alert(1)"`, `"data:text/html,x"`, `"http://[::1"`, `"../../etc/passwd"`, `"__proto__"`, `"not-a-date"`, `"99999-01-01T00:00:00Z"`,
	`"a@b@c"`, `"\"a b\"@example.com"`, `"+1"`, `"` + strings.Repeat("x", 70_000) + `"`, `"` + strings.Repeat("a\u0301", 400) + `"`,
}

// bodies are whole bodies that no route takes.
var bodies = []string{
	"{", "}", "{}{}", `{"a":1,}`, "\ufeff{}", "\xff\xfe{\x00}\x00", "// x\n{}", "<a>1</a>", "\x00", "{\"a\":\"\xff\"}", "nul", "NaN", `{"a":NaN}`, `"text"`, `7`, `true`,
	strings.Repeat("[", 5000) + strings.Repeat("]", 5000), strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000),
}

// TestBadInput breaks every part of every request. The answer is never a fault
// and always JSON in the envelope; what is refused names what is wrong, and
// nothing that was taken poisons what is read afterwards.
//
// The race detector makes databases so slow that with it only some of the cases
// are tried.
func TestBadInput(t *testing.T) {
	each(t, func(w *world) {
		ids := w.furnish()
		for _, r := range everyRoute {
			for name, id := range ids {
				r.path = strings.ReplaceAll(r.path, name, id)
				r.body = strings.ReplaceAll(r.body, name, id)
			}
			w.breakHeaders(r)
			w.breakPath(r)
			w.breakQuery(r)
			w.breakBody(r)
		}
		for _, path := range []string{"/v3/notifications?limit=100", "/v3/profile", "/v3/preferences", "/v3/categories"} {
			if a := w.call("GET", path, nil, ofUser(w)...); a.status != 200 {
				t.Errorf("afterwards %s: %d %s", path, a.status, a.body)
			}
		}
	})
}

// skips leaves out most cases under the race detector.
func (w *world) skips() bool {
	w.tried++
	return underRace && w.tried%64 != 0
}

// furnish makes what the routes are about.
func (w *world) furnish() map[string]string {
	w.t.Helper()
	w.user(w.shop, "ada")
	w.ok(200, "POST", "/v3/topics", `{"name":"Topic","identifier":"topic"}`, ofApp(w)...)
	category := w.ok(200, "POST", "/v3/categories", `{"identifier":"c","name":"C"}`, ofApp(w)...)
	topic := w.ok(200, "POST", "/v3/topics", `{"name":"Other","identifier":"other"}`, ofApp(w)...)
	return map[string]string{
		"{n}": fmt.Sprint(w.notify(w.shop, "ada", "Hello")), "{c}": fmt.Sprintf("%.0f", category["id"]), "{t}": fmt.Sprintf("%.0f", topic["id"]),
	}
}

// judge holds an answer to what every answer must be.
func (w *world) judge(what string, a answer) {
	w.t.Helper()
	switch {
	case a.status >= 500 && a.status != 501:
		w.t.Errorf("%.300s: a fault: %d %s", what, a.status, a.body)
	case !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") || !json.Valid([]byte(a.body)):
		w.t.Errorf("%.300s: no JSON: %d %s", what, a.status, a.body)
	case a.header.Get("Access-Control-Allow-Origin") != "*" || a.header.Get("Cache-Control") != "no-store":
		w.t.Errorf("%.300s: headers %v", what, a.header)
	case a.status >= 400:
		var envelope struct {
			Status, Code string
			Message      any
		}
		if err := json.Unmarshal([]byte(a.body), &envelope); err != nil || envelope.Status != "error" || envelope.Code == "" || envelope.Message == nil {
			w.t.Errorf("%.300s: not the envelope: %d %s", what, a.status, a.body)
		}
		_, list := envelope.Message.([]any)
		if list != (a.status == 400) {
			w.t.Errorf("%.300s: message of a %d is %T: %s", what, a.status, envelope.Message, a.body)
		}
		if !slices.Contains([]int{400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 501}, a.status) {
			w.t.Errorf("%.300s: status %d", what, a.status)
		}
		for _, leak := range []string{"sql", "pq:", "constraint", "json:", "strconv", "goroutine", "model.", "unmarshal", "/tmp/"} {
			if strings.Contains(strings.ToLower(a.body), leak) && !strings.Contains(strings.ToLower(what), leak) {
				w.t.Errorf("%.300s: shows %q: %s", what, leak, a.body)
			}
		}
	}
}

func (w *world) breakHeaders(r request) {
	w.t.Helper()
	good := r.headers(w)
	if good == nil {
		return
	}
	broken := map[string][]header{"none": nil}
	for i, h := range good {
		for _, value := range []string{"", " ", "wrong", "ä", strings.Repeat(".", 20_000), h.value + " "} {
			changed := slices.Clone(good)
			changed[i].value = value
			broken[fmt.Sprintf("%s=%.20q", h.name, value)] = changed
		}
		broken[h.name+" twice"] = append(slices.Clone(good), h)
		broken[h.name+" absent"] = slices.Delete(slices.Clone(good), i, i+1)
	}
	for name, headers := range broken {
		if w.skips() {
			continue
		}
		a := w.call(r.method, r.path, "{broken", headers...)
		what := fmt.Sprintf("%s %s with %s", r.method, r.path, name)
		w.judge(what, a)
		allowed := a.status == 401 || a.status == 403 || a.status == 501
		if strings.HasPrefix(name, "X-ENGAGESPOT-USER-ID=") || strings.HasPrefix(name, "X-ENGAGESPOT-API-KEY") || strings.HasSuffix(name, `"`) {
			allowed = a.status <= 501 // trimmed blanks are the same credential, and another user is a user
		}
		if !allowed {
			w.t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
	for _, e := range []*app.Created{w.other, w.vault} {
		if strings.Contains(r.path, "/notifications/1") || strings.Contains(r.path, "/topics/1") || strings.Contains(r.path, "/categories/1") {
			a := w.call(r.method, r.path, r.body, with(with(good, "X-ENGAGESPOT-API-KEY", e.Environment.APIKey), "X-ENGAGESPOT-API-SECRET", e.APISecret)...)
			w.judge("of another app: "+r.path, a)
			if a.status < 400 {
				w.t.Errorf("%s %s of another app: %d %s", r.method, r.path, a.status, a.body)
			}
		}
	}
}

func (w *world) breakPath(r request) {
	w.t.Helper()
	segments := strings.Split(r.path, "/")
	for i := 2; i < len(segments); i++ {
		for _, value := range []string{"%00", "%ff", "%EF%BF%BD", "..", ".", "0", "-1", "1e3", "9223372036854775808", "%20", "a%2Fb", "a%252Fb", "{x}", "'--", strings.Repeat("x", 300)} {
			if w.skips() {
				continue
			}
			changed := slices.Clone(segments)
			changed[i] = value
			path := strings.Join(changed, "/")
			w.judge(r.method+" "+path, w.call(r.method, path, r.body, r.headers(w)...))
		}
	}
	for _, path := range []string{r.path + "/", "/" + strings.ReplaceAll(r.path, "/", "//"), r.path + "?" + strings.Repeat("a=1&", 2000)} {
		a := w.call(r.method, path, "{broken", r.headers(w)...)
		w.judge(r.method+" "+path, a)
		if a.status == 405 || a.status == 301 || a.status == 307 {
			w.t.Errorf("%s %.100s: %d", r.method, path, a.status)
		}
	}
}

func (w *world) breakQuery(r request) {
	w.t.Helper()
	for _, name := range r.query {
		for _, value := range []string{"", "0", "-1", "1.5", "x", "9223372036854775808", "1000000", "\x00", "\xff", "' or 1=1", strings.Repeat("x", 3000)} {
			path := r.path + "?" + url.Values{name: {value}}.Encode()
			w.judge(r.method+" "+path, w.call(r.method, path, nil, r.headers(w)...))
		}
		w.judge(name+" twice", w.call(r.method, r.path+"?"+name+"=1&"+name+"=2", nil, r.headers(w)...))
	}
}

func (w *world) breakBody(r request) {
	w.t.Helper()
	if r.body == "" {
		return
	}
	headers := r.headers(w)
	for _, body := range bodies {
		if w.skips() {
			continue
		}
		a := w.call(r.method, r.path, body, headers...)
		w.judge(fmt.Sprintf("%s %s %.100q", r.method, r.path, body), a)
		if a.status < 400 {
			w.t.Errorf("%s %s %.100q: %d %s", r.method, r.path, body, a.status, a.body)
		}
	}
	for _, kind := range []string{"text/plain", "application/xml", "multipart/form-data; boundary=x", "application/json; charset=utf-16", "application/x-www-form-urlencoded", "text/plain, application/json", "application/json;" + strings.Repeat(" a=b;", 1000)} {
		a := w.call(r.method, r.path, r.body, append(headers, header{"Content-Type", kind})...)
		w.judge(r.path+" as "+kind, a)
		if !r.forms && a.status != 415 && a.status != 501 && !strings.HasPrefix(kind, "application/json; a") {
			w.t.Errorf("%s %s as %.50s: %d", r.method, r.path, kind, a.status)
		}
	}
	w.judge(r.path+" zipped", w.call(r.method, r.path, r.body, append(headers, header{"Content-Encoding", "gzip"})...))
	doc, err := model.DecodeJSON(json.RawMessage(r.body))
	if err != nil {
		w.t.Fatalf("%s: %v", r.body, err)
	}
	for _, path := range members(doc) {
		for _, value := range values {
			if w.skips() {
				continue
			}
			body := replaced(doc, path, value)
			a := w.call(r.method, r.path, body, headers...)
			w.judge(fmt.Sprintf("%s %s with %s=%.60s", r.method, r.path, strings.Join(path, "."), value), a)
		}
		w.judge(fmt.Sprintf("%s %s without %s", r.method, r.path, path), w.call(r.method, r.path, replaced(doc, path, ""), headers...))
	}
}

// members lists the ways to every member and element of a document.
func members(doc any) [][]string {
	var out [][]string
	var walk func(v any, path []string)
	walk = func(v any, path []string) {
		if len(path) > 0 {
			out = append(out, path)
		}
		switch v := v.(type) {
		case map[string]any:
			for _, name := range sortedKeysOf(v) {
				walk(v[name], append(slices.Clone(path), name))
			}
		case []any:
			for i := range v {
				walk(v[i], append(slices.Clone(path), fmt.Sprint(i)))
			}
		}
	}
	walk(doc, nil)
	return out
}

func sortedKeysOf(m map[string]any) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// replaced is a document with another value at a path, or without the member.
func replaced(doc any, path []string, value string) string {
	if len(path) == 0 {
		return value
	}
	var parts []string
	switch v := doc.(type) {
	case map[string]any:
		for _, name := range sortedKeysOf(v) {
			inner := encoded(v[name])
			if name == path[0] {
				inner = replaced(v[name], path[1:], value)
			}
			if inner != "" {
				parts = append(parts, encoded(name)+":"+inner)
			}
		}
		return "{" + strings.Join(parts, ",") + "}"
	case []any:
		for i, item := range v {
			inner := encoded(item)
			if fmt.Sprint(i) == path[0] {
				inner = replaced(item, path[1:], value)
			}
			if inner != "" {
				parts = append(parts, inner)
			}
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	return encoded(doc)
}

func encoded(v any) string {
	b, _ := model.EncodeJSON(v)
	return string(b)
}

// Lists that are too long are refused whole, and say how long they may be.
func TestLongLists(t *testing.T) {
	w := onSQLite(t)
	ids := w.furnish()
	list := func(n int, format string) string {
		items := make([]string, n)
		for i := range items {
			items[i] = strings.ReplaceAll(format, "#", fmt.Sprint(i))
		}
		return "[" + strings.Join(items, ",") + "]"
	}
	for _, tt := range []struct{ method, path, body, want string }{
		{"POST", "/v3/notifications", `{"notification":{"title":"x"},"recipients":` + list(1001, `"u#"`) + `}`, "1000"},
		{"POST", "/v3/notifications", `{"notification":{"title":"x"},"sendTo":{"recipients":` + list(100_000, `"u#"`) + `}}`, "1000"},
		{"POST", "/v3/notifications", `{"notification":{"title":"x","blocks":` + list(21, `{"type":"button"}`) + `},"recipients":["ada"]}`, "20"},
		{"POST", "/v3/notifications", `{"notification":{"title":"x"},"recipients":["ada"],"data":{"attachments":` + list(21, `{"name":"a","content":"YQ=="}`) + `}}`, "20"},
		{"POST", "/v3/topics/{t}/users", `{"users":` + list(1001, `{"identifier":"u#"}`) + `}`, "1000"},
		{"POST", "/v3/topics/{t}/detachUsers", `{"users":` + list(1001, `"u#"`) + `}`, "1000"},
		{"PUT", "/v3/users/ada", `{"fcm":{"tokens":` + list(51, `"t#"`) + `}}`, "50"},
	} {
		a := w.call(tt.method, strings.ReplaceAll(tt.path, "{t}", ids["{t}"]), tt.body, asApp(w.shop)...)
		w.judge(tt.path, a)
		if a.status != 400 || !strings.Contains(strings.ReplaceAll(a.body, ",", ""), tt.want) {
			t.Errorf("%s: %d %.300s", tt.path, a.status, a.body)
		}
	}
	if body := `{"notification":{"title":"x"},"recipients":` + list(1000, `"ada"`) + `}`; w.call("POST", "/v3/notifications", body, asApp(w.shop)...).status != 202 {
		t.Error("a thousand times the same one is one")
	}
	if n := len(w.titles("ada")); n != 2 {
		t.Errorf("%d titles, want the first and this one", n)
	}
}
