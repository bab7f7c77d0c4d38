package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"carillon/internal/dial"
	"carillon/internal/dial/dialtest"
	"carillon/internal/signature"
)

// TestDialectsCallNothingPrivate gives the dialects private addresses, and names
// that stand for one, wherever they take something that is called later.
func TestDialectsCallNothingPrivate(t *testing.T) {
	t.Parallel()
	four, six := dialtest.NewPair(t)
	o := startReaching(t, dial.Config{Resolver: dialtest.Names(t, dialtest.Home)})
	made := o.environment(t, "bells")
	c := &customer{outside: o, t: t, key: made.SecretKey}
	c.ask(`mutation { w: createProvider(input: {kind: "webhook", name: "W", secrets: {secret: "` + signature.NewSecret() + `"}}) { userErrors { path message } }
		s: createProvider(input: {kind: "slack", name: "S"}) { userErrors { path message } } d: createProvider(input: {kind: "discord", name: "D"}) { userErrors { path message } }
		t: createProvider(input: {kind: "teams", name: "T"}) { userErrors { path message } } p: createProvider(input: {kind: "webpush", name: "P", config: {subject: "mailto:ops@example.com"}}) { userErrors { path message } }
		f: createTemplate(input: {identifier: "hello", name: "Hello", content: {title: "Hello"}}) { userErrors { path message } }
		u: identifyUser(input: {identifier: "ada"}) { userErrors { path message } } }`)
	engage := c.query(t, c.key, `mutation { createCredential(input: {kind: ENGAGE}) { credential { id } secret } }`)["createCredential"].(map[string]any)
	s := &surfaces{embedded: o.embedded, heads: map[string]http.Header{
		"fyno":    {"Authorization": {"Bearer " + made.SecretKey}},
		"spot":    {"X-Engagespot-Api-Key": {made.Environment.APIKey}, "X-Engagespot-Api-Secret": {made.APISecret}},
		"browser": {"X-Engagespot-Api-Key": {made.Environment.APIKey}, "X-Engagespot-User-Id": {"ada"}, "X-Engagespot-Device-Id": {"browser-1"}},
		"engage":  {"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(engage["credential"].(map[string]any)["id"].(string)+":"+engage["secret"].(string)))}},
	}}
	passed := map[string]int{}
	for i, host := range privates {
		at := fmt.Sprintf("%s:%d", host, four.Port())
		url, push := jsonText("http://"+at+"/hook"), jsonText(map[string]any{
			"endpoint": "https://" + host + "/push", "keys": map[string]string{"auth": "c2l4dGVlbi1ieXRlLWtleQ", "p256dh": browserKey()}, // at 443, the only port that is taken
		})
		for _, call := range []struct{ as, request, body string }{
			{"browser", fmt.Sprintf("POST /v3/devices/d%d/webPushSubscription", i%8), push},
			{"spot", "POST /v3/notifications", fmt.Sprintf(`{"notification":{"title":"T"},"recipients":["ada"],"override":{"channels":["webhook","slack"],"default_webhook":{"url":%s},"slack":{"url":%[1]s}}}`, url)},
			{"fyno", "PATCH /v1/bells/test/profiles/ada/channel", `{"channel":{"webpush":[{"token":` + push + `,"status":1}]}}`},
			{"fyno", "PATCH /v1/bells/test/profiles/ada/channel", fmt.Sprintf(`{"channel":{"slack":%s,"discord":%[1]s,"teams":%[1]s}}`, url)},
			{"fyno", "POST /v1/bells/test/event", fmt.Sprintf(`{"event":"hello","to":{"slack":%s,"discord":%[1]s,"teams":%[1]s}}`, url)},
			{"engage", "PUT /v1/users/ada", fmt.Sprintf(`{"device_token":%s,"device_platform":"ios"}`, url)},
		} {
			status, answer := s.call(t, call.as, call.request, call.body)
			if status >= 500 {
				t.Errorf("%s %s is answered %d %s", call.request, call.body, status, answer)
			}
			if status < 300 {
				passed[call.as]++
			}
		}
	}
	c.ask(`mutation { sendNotification(input: {to: {users: ["ada"]}, title: "T"}) { userErrors { path message } } }`)
	eventually(t, "the deliveries to end", func() bool {
		return !strings.Contains(fmt.Sprint(c.ask(`{ deliveries(first: 1, filter: {states: [QUEUED, ATTEMPTING]}) { nodes { state } } }`)), "state")
	})
	push := fmt.Sprint(c.ask(`{ deliveries(first: 100, filter: {channels: [WEB_PUSH]}) { nodes { attempts { errorClass } } } }`))
	if !strings.Contains(push, "errorClass:CONFIG") {
		t.Errorf("the browsers were called: %s", push)
	}
	log := fmt.Sprint(c.ask(`{ deliveries(first: 100) { nodes { state address detail attempts { errorClass } } } }`))
	if strings.Contains(log, "state:SENT") || !strings.Contains(log, "errorClass:CONFIG") {
		t.Errorf("deliveries ended as %s", log)
	}
	if len(passed) < 4 {
		t.Errorf("only these took what was tried: %v", passed)
	}
	four.Silent(t)
	six.Silent(t)
}

func jsonText(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}
