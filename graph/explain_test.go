package graph_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"carillon/model"
	"carillon/store/storetest"
)

// TestEachReasonIsExplained reaches every reason of the schema over the API, as
// an application would, and reads it back through explainDelivery, as the
// application and as the user. For two there is no notification to explain: of
// them the send tells, and of the unknown user explainPreference.
func TestEachReasonIsExplained(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); w.delivery.Run(ctx) }()
		t.Cleanup(func() { stop(); <-done })

		ask := func(query string) map[string]any {
			t.Helper()
			return w.must(t, "shop", query)
		}
		for _, channel := range []string{"EMAIL", "SMS", "WHATSAPP"} {
			ask(`mutation { createProvider(input: {kind: "recorder", channel: ` + channel + `, secrets: {token: "t"}}) { provider { id } userErrors { message } } }`)
		}
		ask(`mutation { createCategory(input: {identifier: "must", name: "M", defaultEnabled: true, requiredChannels: [EMAIL]}) { userErrors { message } } }`)
		ask(`mutation { createCategory(input: {identifier: "quiet", name: "Q", defaultEnabled: false}) { userErrors { message } } }`)
		for _, u := range []string{"plain", "off", "chan", "cat", "catchan", "fan", "bounced", "topical"} {
			ask(fmt.Sprintf(`mutation { identifyUser(input: {identifier: %q, email: "%s@example.com", phoneNumber: "+4915112345678"}) { userErrors { message } } }`, u, u))
		}
		ask(`mutation { identifyUser(input: {identifier: "nowhere"}) { userErrors { message } } }`)
		ask(`mutation { setUserEnabled(input: {user: "off", enabled: false}) { userErrors { message } } }`)
		ask(`mutation { setPreferences(input: {user: "chan", changes: [{channel: EMAIL, enabled: false}]}) { userErrors { message } } }`)
		ask(`mutation { setPreferences(input: {user: "cat", changes: [{category: "comments", enabled: false}]}) { userErrors { message } } }`)
		ask(`mutation { setPreferences(input: {user: "catchan", changes: [{category: "comments", channel: EMAIL, enabled: false}]}) { userErrors { message } } }`)
		ask(`mutation { setPreferences(input: {user: "fan", changes: [{category: "quiet", enabled: true}, {category: "comments", enabled: false}, {category: "comments", channel: EMAIL, enabled: true}]}) { userErrors { message } } }`)
		ask(`mutation { suppressAddress(input: {channel: EMAIL, address: "bounced@example.com"}) { userErrors { message } } }`)
		ask(`mutation { createTopic(input: {identifier: "t", name: "T"}) { userErrors { message } } }`)
		ask(`mutation { subscribeToTopic(input: {topic: "t", users: [{identifier: "topical", channels: [SMS]}]}) { userErrors { message } } }`)
		ask(`mutation { createSegment(input: {identifier: "s", name: "S", rule: {identifierPrefix: "plain"}}) { userErrors { message } } }`)
		ask(`mutation { setSegmentSuppression(input: {segment: "s", user: "plain", suppressed: true}) { userErrors { message } } }`)
		ask(`mutation { sendNotification(input: {to: {users: ["fan"]}, title: "T", dedupeKey: "k"}) { userErrors { message } } }`)

		reached := map[string]bool{}
		for _, tt := range []struct {
			name, to, extra, channel string
			reason                   model.Reason
			allowed                  bool
		}{
			{"Unknown", "nobody-at-all", "", "EMAIL", model.ReasonUserUnknown, false},
			{"Duplicate", "fan", `dedupeKey: "k"`, "EMAIL", model.ReasonDuplicate, false},
			{"SegmentSuppressed", "plain", `segments: ["s"]`, "EMAIL", model.ReasonSegmentSuppressed, false},
			{"SegmentSuppressedInApp", "plain", `segments: ["s"]`, "IN_APP", model.ReasonSegmentSuppressed, false},
			{"Disabled", "off", "", "EMAIL", model.ReasonUserDisabled, false},
			{"DisabledInApp", "off", "", "IN_APP", model.ReasonUserDisabled, false},
			{"NoAddress", "nowhere", "", "EMAIL", model.ReasonNoAddress, false},
			{"NoAddressNamed", "nowhere", "channels: [EMAIL]", "EMAIL", model.ReasonNoAddress, false},
			{"Suppressed", "bounced", "", "EMAIL", model.ReasonSuppressed, false},
			{"AdminOff", "plain", "", "VOICE", model.ReasonAdminOff, false},
			{"NotRequested", "plain", "channels: [SMS]", "EMAIL", model.ReasonChannelNotRequested, false},
			{"TopicOff", "topical", `topics: ["t"]`, "EMAIL", model.ReasonUserTopic, false},
			{"TopicOffInApp", "topical", `topics: ["t"]`, "IN_APP", model.ReasonUserTopic, false},
			{"TopicOn", "topical", `topics: ["t"]`, "SMS", model.ReasonUserTopic, true},
			{"Required", "chan", `category: "must"`, "EMAIL", model.ReasonRequired, true},
			{"ChannelOff", "chan", "", "EMAIL", model.ReasonUserChannelOff, false},
			{"CategoryChannel", "catchan", `category: "comments"`, "EMAIL", model.ReasonUserCategoryChannel, false},
			{"Category", "cat", `category: "comments"`, "EMAIL", model.ReasonUserCategory, false},
			{"CategoryChannelOn", "fan", `category: "comments"`, "EMAIL", model.ReasonUserCategoryChannel, true},
			{"CategoryOn", "fan", `category: "quiet"`, "EMAIL", model.ReasonUserCategory, true},
			{"CategoryDefaultOff", "plain", `category: "quiet"`, "EMAIL", model.ReasonCategoryDefault, false},
			{"CategoryDefaultOn", "plain", `category: "comments"`, "EMAIL", model.ReasonCategoryDefault, true},
			{"EnvDefault", "plain", "", "EMAIL", model.ReasonEnvDefault, true},
			{"EnvDefaultInApp", "plain", "", "IN_APP", model.ReasonEnvDefault, true},
		} {
			target := fmt.Sprintf(`{users: [%q]}`, tt.to)
			if strings.HasPrefix(tt.extra, "topics") || strings.HasPrefix(tt.extra, "segments") {
				target, tt.extra = "{"+tt.extra+"}", ""
			}
			reached[tt.reason.String()] = true
			sent := ask(fmt.Sprintf(`mutation { sendNotification(input: {to: %s, title: "T", %s}) { send { id } skipped { identifier reason } userErrors { message } } }`, target, tt.extra))
			if err := w.sends.ExpandAll(ctx); err != nil {
				t.Fatal(err)
			}
			payload := sent["sendNotification"].(map[string]any)
			if tt.reason == model.ReasonUserUnknown || tt.reason == model.ReasonDuplicate {
				want := fmt.Sprintf("[map[identifier:%s reason:%s]]", tt.to, tt.reason)
				kept := ask(fmt.Sprintf(`{ send(id: %q) { skipped { identifier reason } } }`, payload["send"].(map[string]any)["id"]))["send"].(map[string]any)
				if got, then := fmt.Sprint(payload["skipped"]), fmt.Sprint(kept["skipped"]); got != want || then != want {
					t.Errorf("%s: skipped %s, and later %s; want %s", tt.name, got, then, want)
				}
				continue
			}
			log := ask(fmt.Sprintf(`{ notifications(first: 1, filter: {send: %q, user: %q}) { nodes { id keptOutBy } } }`, payload["send"].(map[string]any)["id"], tt.to))
			nodes := log["notifications"].(map[string]any)["nodes"].([]any)
			if len(nodes) != 1 {
				t.Errorf("%s: %d notifications", tt.name, len(nodes))
				continue
			}
			id := nodes[0].(map[string]any)["id"].(string)
			// Of what kept somebody out of the inbox the log itself says why.
			out := nodes[0].(map[string]any)["keptOutBy"]
			if allowed := tt.channel == "IN_APP" && tt.allowed; allowed && out != nil || tt.reason == model.ReasonUserDisabled && out != tt.reason.String() {
				t.Errorf("%s: kept out by %v", tt.name, out)
			}
			query := fmt.Sprintf(`{ explainDelivery(notification: %q, channel: %s) { allowed reason ladder { reason outcome detail } } }`, id, tt.channel)
			for _, as := range []string{"shop", "shop/" + tt.to} {
				d, _ := w.must(t, as, query)["explainDelivery"].(map[string]any)
				if d == nil || d["allowed"] != tt.allowed || d["reason"] != tt.reason.String() {
					t.Errorf("%s, asked by %s: %v, want %v by %s", tt.name, as, d, tt.allowed, tt.reason)
					continue
				}
				if !strings.Contains(fmt.Sprint(d["ladder"]), "outcome:DECIDED_") {
					t.Errorf("%s: the ladder has no rung that decided: %v", tt.name, d["ladder"])
				}
			}
			if d := w.must(t, "shop/zoe", query)["explainDelivery"]; d != nil {
				t.Errorf("%s: another user sees %v", tt.name, d)
			}
		}
		d := ask(`{ explainPreference(user: "nobody-at-all", channel: EMAIL) { reason } }`)["explainPreference"].(map[string]any)
		if d["reason"] != "USER_UNKNOWN" {
			t.Errorf("nobody's preference is explained by %v", d)
		}
		for _, v := range ask(`{ __type(name: "ReasonCode") { enumValues { name } } }`)["__type"].(map[string]any)["enumValues"].([]any) {
			if name := v.(map[string]any)["name"].(string); !reached[name] {
				t.Errorf("no case reaches %s", name)
			}
		}
	})
}

// TestDeliveriesAreShown follows a message over the API: the application sees all
// of it, the user what is theirs, and nobody a secret.
func TestDeliveriesAreShown(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); w.delivery.Run(ctx) }()
		t.Cleanup(func() { stop(); <-done })
		made := w.must(t, "shop", `mutation { createProvider(input: {kind: "recorder", channel: EMAIL, name: "M", config: {from: "x"}, secrets: {token: "a-very-secret-token"}}) { provider { id secrets config receiptsUrl } } }`)
		if s := fmt.Sprint(made); strings.Contains(s, "a-very-secret") || !strings.Contains(s, "secrets:[token]") || !strings.Contains(s, "receiptsUrl:<nil>") {
			t.Errorf("the provider is shown as %s", s)
		}
		w.must(t, "shop", `mutation { sendNotification(input: {to: {users: ["ada"]}, title: "Shown"}) { send { id } } }`)
		var all string
		deadline := time.Now().Add(10 * time.Second)
		for all = ""; !strings.Contains(all, "SENT"); all = fmt.Sprint(w.must(t, "shop", `{ deliveries(first: 1) { nodes { state address } } }`)) {
			if time.Now().After(deadline) {
				t.Fatal("the delivery is not sent: ", all)
			}
			<-time.After(5 * time.Millisecond)
		}
		const shown = `deliveries { channel state reason address messageId detail provider { name secrets } attempts { number kind errorClass status messageId answer detail } }`
		query := `{ user(identifier: "ada") { inbox(first: 1) { nodes { title ` + shown + ` } } } }`
		asApp, asUser := encode(w.must(t, "shop", query)), encode(w.must(t, "shop/ada", query))
		for _, part := range []string{`"state":"SENT"`, `"address":"ada@example.com"`, `"name":"M"`, `"kind":"recorder"`, `"messageId":"rec-`} {
			if !strings.Contains(asApp, part) {
				t.Errorf("the application does not see %s in %s", part, asApp)
			}
		}
		for _, part := range []string{`"state":"SENT"`, `"address":"ada@example.com"`, `"provider":null`, `"kind":null`, `"messageId":null`} {
			if !strings.Contains(asUser, part) {
				t.Errorf("the user does not see %s in %s", part, asUser)
			}
		}
		if s := asApp + asUser; strings.Contains(s, "a-very-secret") {
			t.Error("an answer holds the secret")
		}
	})
}

func encode(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

// must asks and fails the test unless the answer is whole.
func (w *world) must(t *testing.T, as, query string) map[string]any {
	t.Helper()
	_, body := w.post(t, request{as: as, query: query}, nil)
	var answer struct {
		Data   map[string]any
		Errors []any
	}
	if err := json.Unmarshal(body, &answer); err != nil || len(answer.Errors) > 0 {
		t.Fatalf("%s as %s: %s", query, as, body)
	}
	if s := string(body); strings.Contains(s, `"userErrors":[{`) {
		t.Fatalf("%s as %s: %s", query, as, s)
	}
	return answer.Data
}
