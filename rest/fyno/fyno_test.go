package fyno_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"carillon/live/livetest"
	"carillon/model"
)

// keys tries keys, workspaces and versions that do not belong together: all
// are answered alike.
func keys(t *testing.T, w *world) {
	for name, tt := range map[string]struct{ key, path string }{
		"NoKey":            {"", "/v1/" + w.prefix + "shop/test/profiles/x"},
		"AnotherKey":       {"sk_test_nothing", "/v1/" + w.prefix + "shop/test/profiles/x"},
		"AnotherVersion":   {w.keys["test"], "/v1/" + w.prefix + "shop/live/profiles/x"},
		"AnotherWorkspace": {w.keys["test"], "/v1/" + w.prefix + "other/test/profiles/x"},
		"NoWorkspace":      {w.keys["test"], "/v1/nothing/suppressions"},
	} {
		if status, body := w.raw(tt.key, "GET", tt.path, ""); status != 401 || body != `{"_message":"Invalid API details","status":"error"}` {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	if status, body := w.raw(w.keys["test"], "POST", "/v1/FY0000001/test/profiles", `{"distinct_id":"x"}`); status != 201 {
		t.Errorf("a workspace of Fyno's own: %d %s", status, body)
	}
}

// eventsArrive sends events and looks at what the provider is given.
func eventsArrive(t *testing.T, w *world) {
	ok := func(want int, method, path, body string) map[string]any {
		t.Helper()
		status, answer := w.call("test", method, path, body)
		if status != want {
			t.Fatalf("%s %s is answered %d %s", path, body, status, answer)
		}
		out := map[string]any{}
		_ = json.Unmarshal([]byte(answer), &out)
		return out
	}
	ok(201, "POST", "/profiles", `{"distinct_id":"U1","channel":{"email":"ada@example.com","sms":"+15550100001","push":[{"token":"abc"},{"token":"off","status":0}]}}`)
	ok(202, "POST", "/event", `{"event":"orders","distinct_id":"U1","data":{"number":1}}`)
	ok(202, "POST", "/event", `{"event":"welcome","to":{"email":"somebody@example.com"},"data":{"number":2}}`)
	ok(202, "POST", "/event", `{"event":"welcome","distinct_id":"U1","to":{"email":"other@example.com","push":"","slack":"U09"},"data":{"number":3}}`)
	ok(201, "POST", "/profiles", `{"distinct_id":"U0","status":0,"channel":{"email":"off@example.com"}}`)
	ok(202, "POST", "/event", `{"event":"welcome","distinct_id":"U0","data":{"number":4}}`)
	ok(202, "POST", "/event/bulk", `{"event":"welcome","batch":[{"to":{"sms":"15550100009"},"data":{"number":5}},{"to":{"email":"last@example.com"},"data":{"number":6}}]}`)
	want := []string{
		"EMAIL ada@example.com Order 1", "EMAIL last@example.com Order 6", "EMAIL other@example.com Order 3", "EMAIL somebody@example.com Order 2",
		"MOBILE_PUSH abc Order 1", "MOBILE_PUSH abc Order 3",
		"SLACK U09 Order 3",
		"SMS +15550100001 Order 1", "SMS +15550100001 Order 3", "SMS +15550100009 Order 5",
	}
	var got []string
	livetest.Eventually(t, "all messages", func() bool {
		w.clock.pass(time.Second)
		got = nil
		for _, s := range w.recorder.Taken() {
			if !w.providers[s.Provider] {
				continue
			}
			got = append(got, fmt.Sprintf("%s %s %s", s.Message.Channel, s.Message.To.Address, s.Message.Title))
		}
		slices.Sort(got)
		return len(got) >= len(want)
	})
	if !slices.Equal(got, want) {
		t.Errorf("arrived\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	u, err := w.users.Find(t.Context(), w.envs["test"].ID, "U1")
	if err != nil || u.Profile.Attribute(model.AttrEmail) != "ada@example.com" {
		t.Errorf("the profile has %s, %v", u.Profile.Attributes, err)
	}
}

// aKeyGivesTheFirstAnswer sends twice with one Idempotency-Key, and with
// another body.
func aKeyGivesTheFirstAnswer(t *testing.T, w *world) {
	w.call("test", "POST", "/profiles", `{"distinct_id":"U1","channel":{"email":"ada@example.com"}}`)
	var first string
	for i, body := range []string{`{"event":"welcome","distinct_id":"U1","data":{"number":1}}`, `{"event":"welcome","distinct_id":"U1","data":{"number":2}}`} {
		req, err := http.NewRequestWithContext(t.Context(), "POST", w.http.URL+"/v1/"+w.prefix+"shop/test/event", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{"Authorization": {"Bearer " + w.keys["test"]}, "Idempotency-Key": {"k1"}, "Content-Type": {"application/json"}}
		res, err := w.http.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(res.Body)
		answer := string(raw)
		if res.Body.Close(); err != nil || res.StatusCode != 202 || !strings.Contains(answer, `"request_id"`) || !strings.Contains(answer, "ada@example.com") {
			t.Fatalf("%d, %v, %s", res.StatusCode, err, answer)
		}
		if i == 0 {
			first = answer
		} else if answer != first {
			t.Errorf("the second call with a key is answered\n%s, the first was\n%s", answer, first)
		}
	}
}

// routes are all that take a body, with one that is right.
var routes = []struct{ method, path, body string }{
	{"POST", "/profiles", `{"distinct_id":"U2","name":"A B","status":1,"timezone":"Europe/Paris","channel":{"sms":"+15550100001","email":"a@example.com","slack":"U1","push":[{"token":"t","integration_id":"i","status":1}],"inapp":[{"token":"t"}],"webpush":[]}}`},
	{"PUT", "/profiles/U1", `{"distinct_id":"U1","name":"A B","status":1,"timezone":"Europe/Paris","channel":{"sms":"+15550100001","push":[{"token":"t"}]}}`},
	{"PATCH", "/profiles/U1/channel", `{"channel":{"email":"a@example.com","push":[{"token":"t2"}],"inapp":{"token":"t"}}}`},
	{"POST", "/profiles/U1/channel/delete", `{"channel":["email"]}`},
	{"POST", "/profiles/delete", `{"distinct_id":["U3"]}`},
	{"POST", "/profiles/properties/set", `{"distinct_id":"U1","$set":{"a":1}}`},
	{"POST", "/profiles/properties/set-once", `{"distinct_id":"U1","$once":{"b":1}}`},
	{"POST", "/profiles/properties/numerical-add", `{"distinct_id":"U1","$add":{"c":1}}`},
	{"POST", "/profiles/properties/list-append", `{"distinct_id":"U1","$append":{"d":"x"}}`},
	{"POST", "/profiles/properties/list-remove", `{"distinct_id":"U1","$remove":{"d":"x"}}`},
	{"POST", "/profiles/properties/unset", `{"distinct_id":"U1","$unset":["a"]}`},
	{"POST", "/profiles/properties/batch", `{"batch":[{"distinct_id":"U1","action":{"$set":{"a":1}}}]}`},
	{"PUT", "/subscriptions/preference?distinct_id=U1", `{"user_preference":{"orders":{"sms":"opted-out"}}}`},
	{"POST", "/subscriptions/list/orders/user", `{"distinct_id":"U1","channel":"sms","status":"opted-out"}`},
	{"POST", "/suppressions", `{"channel":"email","destination":"x@example.com","description":"d","expiry_ts":"2030-01-01"}`},
	{"POST", "/event", `{"event":"welcome","distinct_id":"U1","to":{"email":"a@example.com"},"data":{"a":1},"callback":{"custom_id":"1"}}`},
	{"POST", "/event/bulk", `{"event":"welcome","batch":[{"distinct_id":"U1","to":{"email":"a@example.com"},"data":{"a":1}}]}`},
}

// badInput puts a bad value in the place of every value of every body. It is
// taken, or refused in the envelope; never is it a fault.
func badInput(t *testing.T, w *world) {
	bad := []string{`null`, `true`, `-1`, `1e400`, `""`, `"\u0000"`, `"\ud800"`, `[]`, `[null]`, `{}`, `{"a":{"b":[1]}}`, `"` + strings.Repeat("x", 300) + `"`, strings.Repeat("[", 100) + strings.Repeat("]", 100)}
	tried := 0
	for _, r := range routes {
		w.call("test", "POST", "/profiles", `{"distinct_id":"U1","channel":{"email":"a@example.com"}}`)
		for _, whole := range append([]string{"", "{", "text", "\xff"}, variants(r.body, bad)...) {
			status, answer := w.call("test", r.method, r.path, whole)
			var envelope map[string]string
			if tried++; status >= 500 || status >= 400 && (json.Unmarshal([]byte(answer), &envelope) != nil || envelope["status"] != "error" || envelope["_message"] == "" || len(envelope) != 2) {
				t.Errorf("%s %s %.200s is answered %d %s", r.method, r.path, whole, status, answer)
			}
		}
		w.call("test", "POST", "/profiles", `{"distinct_id":"U3"}`)
		w.call("test", "POST", "/profiles/delete", `{"distinct_id":["U2"]}`)
		if status, answer := w.call("test", r.method, r.path, r.body); status >= 300 {
			t.Errorf("the good body of %s %s is answered %d %s", r.method, r.path, status, answer)
		}
	}
	if tried < 500 {
		t.Errorf("%d bodies are few", tried)
	}
}

// variants are a body with each of its values replaced by each of the bad ones.
func variants(body string, bad []string) (out []string) {
	var value any
	if err := json.Unmarshal([]byte(body), &value); err != nil {
		panic(err)
	}
	const mark = "MARK-OF-THE-PLACE"
	encode := func(root any) {
		raw, _ := json.Marshal(root)
		for _, b := range bad {
			out = append(out, strings.Replace(string(raw), `"`+mark+`"`, b, 1))
		}
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, was := range v {
				v[name] = mark
				encode(value)
				v[name] = was
				walk(was)
			}
		case []any:
			for i, was := range v {
				v[i] = mark
				encode(value)
				v[i] = was
				walk(was)
			}
		}
	}
	walk(value)
	return out
}
