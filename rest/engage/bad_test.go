package engage_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// bodies are all routes that take a body, with one that is right.
var bodies = []struct{ request, body string }{
	{"POST /v1/users", `{"id":"u2","first_name":"A","last_name":"B","number":"2348012345678","email":"b@example.com","created_at":"2021-01-12","meta":{"a":1},"lists":["$list"],"device_token":"t","device_platform":"ios","is_account":true,"accounts":[{"id":"org","role":"r"}]}`},
	{"PUT /v1/users/u1", `{"id":"u1","first_name":"A","email":"a@example.com","number":1,"created_at":"2021-01-12","meta":{"a":"b"},"tz":"Africa/Lagos","app_version":"1","app_build":"2","app_last_active":"2021-01-12","lists":["$list"]}`},
	{"POST /v1/users/u1/events", `{"event":"e","value":1,"properties":{"a":1},"timestamp":"2021-01-12"}`},
	{"POST /v1/users/merge", `{"source":"u2","destination":"u1"}`},
	{"POST /v1/users/u1/convert", `{"type":"customer"}`},
	{"POST /v1/users/u1/accounts", `{"accounts":[{"id":"org","role":"r"}]}`},
	{"PUT /v1/users/u1/accounts/org", `{"role":"r"}`},
	{"POST /v1/users/u1/lists", `{"lists":["$list"]}`},
	{"DELETE /v1/users/u1/lists", `{"lists":["$list"]}`},
	{"POST /v1/lists", `{"title":"t","description":"d","redirect_url":"https://example.com","double_optin":true}`},
	{"PUT /v1/lists/$list", `{"title":"t","description":"d","redirect_url":"https://example.com","double_optin":true}`},
	{"POST /v1/lists/$list/subscribers", `{"first_name":"A","last_name":"B","email":"a@example.com","number":"2348012345678","created_at":"2021-01-12","meta":{"a":1}}`},
	{"PUT /v1/lists/$list/subscribers/u1", `{"subscribed":true}`},
	{"POST /v1/send/email", `{"from":{"name":"n","email":"f@example.com"},"to":["a@example.com"],"cc":["c@example.com"],"bcc":"d@example.com","reply_to":"r@example.com","subject":"s","html":"h","text":"t","track_opens":true,"track_clicks":true}`},
	{"POST /v1/send/email", `{"to":"a@example.com","template":"receipt","template_variables":{"number":1}}`},
	{"POST /v1/send/sms", `{"from":"f","to":"2348012345678","body":"b","source":"twilio","channel":"dnd","track_clicks":true}`},
	{"POST /v1/batch", `{"data":[{"id":"u1","first_name":"A"},{"uid":"u1","event":"e","value":1,"properties":{"a":1}}]}`},
}

// badInput puts a bad value in the place of every value of every body. It is
// taken, or refused in the envelope; never is it a fault.
func badInput(t *testing.T, w *world) {
	bad := []string{`null`, `true`, `-1`, `1e400`, `""`, `"\u0000"`, `"\ud800"`, `[null]`, `{"a":{"b":[1]}}`, `"` + strings.Repeat("x", 300) + `"`, strings.Repeat("[", 100) + strings.Repeat("]", 100)}
	w.play([]step{
		{as: both, request: "POST /v1/lists", body: `{"title":"News"}`, status: 201, save: "id list"},
		{as: key, request: "POST /v1/users", body: `{"id":"org","is_account":true}`, status: 201},
		{as: key, request: "POST /v1/users", body: `{"id":"u1"}`, status: 201},
	})
	tried := 0
	for _, r := range bodies {
		w.do(both, "PUT /v1/users/u2", `{}`)
		for _, whole := range append([]string{"{", "text", "\xff", "[1]", `"x"`}, variants(w.fill(r.body), bad)...) {
			status, answer := w.do(both, w.fill(r.request), whole)
			var envelope map[string]any
			if tried++; status >= 500 || status >= 400 && (json.Unmarshal([]byte(answer), &envelope) != nil || len(envelope) != 1 || envelope["error"] == "" || envelope["error"] == nil) {
				t.Errorf("%s %.200s is answered %d %s", r.request, whole, status, answer)
			}
		}
		if status, answer := w.do(both, w.fill(r.request), w.fill(r.body)); status >= 300 {
			t.Errorf("the good body of %s is answered %d %s", r.request, status, answer)
		}
	}
	if tried < 700 {
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
	encode := func() {
		raw, _ := json.Marshal(value)
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
				encode()
				v[name] = was
				walk(was)
			}
		case []any:
			for i, was := range v {
				v[i] = mark
				encode()
				v[i] = was
				walk(was)
			}
		}
	}
	walk(value)
	return out
}
