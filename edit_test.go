package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestEditsOfTemplatesGoOut edits sends of a template that wait to go out to Slack:
// other data is rendered, and a text stands for the template.
func TestEditsOfTemplatesGoOut(t *testing.T) {
	t.Parallel()
	e := startEmbedded(t, "OUTGOING_ALLOW=127.0.0.0/8", "LOG_LEVEL=error")
	posts, slack := slackSink(t)
	key := e.demoKey(t)
	ask := func(query string, args ...any) string {
		t.Helper()
		query = fmt.Sprintf(query, args...)
		b, err := json.Marshal(e.query(t, key, query))
		if err != nil || strings.HasPrefix(query, "mutation") && !strings.Contains(string(b), `"userErrors":[]`) {
			t.Fatalf("%s: %s, %v", query, b, err)
		}
		return string(b)
	}
	id := regexp.MustCompile(`"id":"([^"]+)"`)
	ask(`mutation { identifyUser(input: {identifier: "grace"}) { userErrors { path message } } }`)
	ask(`mutation { addAddress(input: {user: "grace", channel: SLACK, address: %q}) { userErrors { path message } } }`, slack)
	ask(`mutation { createProvider(input: {kind: "slack", channel: SLACK, name: "S"}) { userErrors { path message } } }`)
	ask(`mutation { createTemplate(input: {identifier: "order", name: "Order", content: {title: "Order {{data.n}}"}, channels: [{channel: SLACK, content: {title: "Slack {{data.n}}"}}]}) { userErrors { path message } } }`)
	for _, edit := range []string{`data: {n: 20}`, `title: "Sold out"`} {
		send := id.FindStringSubmatch(ask(`mutation { sendNotification(input: {to: {users: ["grace"]}, template: "order", data: {n: 10}, escalations: [{channel: SLACK, afterSeconds: 3600, unless: READ}]}) { send { id } userErrors { path message } } }`))[1]
		ask(`mutation { editSend(input: {id: %q, %s}) { userErrors { path message } } }`, send, edit)
	}
	for _, d := range id.FindAllStringSubmatch(ask(`{ deliveries(first: 5) { nodes { id } } }`), -1) {
		ask(`mutation { retryDelivery(input: {id: %q}) { userErrors { path message } } }`, d[1])
	}
	text := regexp.MustCompile(`Slack \d+|Sold out`)
	said := []string{text.FindString(<-posts), text.FindString(<-posts)}
	slices.Sort(said)
	if got := strings.Join(said, ", "); got != "Slack 20, Sold out" {
		t.Errorf("Slack got %s", got)
	}
	inbox := ask(`{ user(identifier: "grace") { inbox(first: 5) { nodes { title } } } }`)
	for _, title := range []string{"Order 20", "Sold out"} {
		if !strings.Contains(inbox, title) {
			t.Errorf("the inbox is %s, without %s", inbox, title)
		}
	}
}
