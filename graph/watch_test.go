package graph_test

import (
	"encoding/json"
	"strings"
	"testing"

	"carillon/store/storetest"
)

const watchDeliveries = `subscription($after: DeliveryPosition, $send: ID, $notification: ID, $user: String, $provider: ID, $channels: [Channel!], $states: [DeliveryState!], $first: Int = 10) {
	deliveries(after: $after, send: $send, notification: $notification, user: $user, provider: $provider, channels: $channels, states: $states, first: $first) {
		position changed { id state address notification { user { identifier } } provider { name } attempts { number answer } }
	}
}`

// retry has a delivery be tried again.
func (w *world) retry(t *testing.T, delivery string) {
	t.Helper()
	_, body := w.post(t, request{as: "shop", query: `mutation { retryDelivery(input: {id: "` + delivery + `"}) { delivery { state } userErrors { message } } }`}, nil)
	wants(t, "retrying", w.shown(string(body)), `"state":"QUEUED"`)
}

// TestDeliveriesAreLive watches the deliveries of two environments, on both
// databases.
func TestDeliveriesAreLive(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		shop, other := w.open(t, "shop"), w.open(t, "other")
		streams := map[string]map[string]any{
			"all": nil, "hers": {"user": "ada", "send": w.names["welcome"], "notification": w.names["welcome/ada"], "channels": []string{"EMAIL"}, "states": []string{"QUEUED"}},
			"his": {"user": "bob"}, "sms": {"channels": []string{"SMS"}}, "failed": {"states": []string{"FAILED"}},
		}
		for name, variables := range streams {
			shop.subscribe(name, watchDeliveries, variables)
			wants(t, "the first event of "+name, shop.next(name), `"position":"Aw`, `"changed":[]`)
		}
		other.subscribe("1", watchDeliveries, nil)
		other.next("1")
		console := w.follow(t, "shop", watchDeliveries, nil)
		console.next()
		position := console.lastID

		w.retry(t, "@welcome/ada/first")
		event := `"changed":[{"id":"@welcome/ada/first","state":"QUEUED","address":"ada@example.com","notification":{"user":{"identifier":"ada"}},"provider":null,"attempts":[{"number":1,"answer":"Service Unavailable"}]}]`
		for seen := map[string]bool{}; !seen["all"] || !seen["hers"]; {
			m := shop.hear()
			if m.Type != "next" || m.ID != "all" && m.ID != "hers" || seen[m.ID] {
				t.Fatalf("heard %s of %s: %s", m.Type, m.ID, m.Payload)
			}
			wants(t, m.ID, w.shown(string(m.Payload)), event)
			seen[m.ID] = true
		}
		wants(t, "server-sent events", console.next(), event)

		// What happens elsewhere is not told here, and the other way round. Nobody
		// publishes this one: it is found in the database.
		w.exec(`insert into deliveries (env_id, id, notification_id, user_id, send_id, channel, lane, state, reason, address, run_at, created_at, updated_at)
			values (?, 'theirs', 1, 1, 1, 2, ?, 5, 12, 'theirs@example.com', 0, ?, ?)`, int64(w.envs["other"].ID), int64(w.envs["other"].ID)*32+2, start.UnixMicro(), w.clock.Now().UnixMicro())
		theirs := other.next("1")
		wants(t, "the other environment", theirs, `"state":"SKIPPED","address":"theirs@example.com","notification":null`)
		if strings.Count(theirs, `"state"`) != 1 {
			t.Errorf("the other environment was told %s", theirs)
		}
		w.retry(t, "@welcome/ada/second")
		wants(t, "the next event", shop.next("all"), `[{"id":"@welcome/ada/second","state":"QUEUED"`)

		console.close()
		back := w.follow(t, "shop", watchDeliveries, map[string]any{"after": "junk", "states": []string{"QUEUED"}, "first": 1}, "Last-Event-ID: "+position)
		both := back.next() + back.next()
		wants(t, "what was missed, an event at a time", both, "@welcome/ada/first", "@welcome/ada/second")
	})
}

// TestDeliveriesAreForApplications holds the stream to its credential and to what
// there is in its environment.
func TestDeliveriesAreForApplications(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	s := w.open(t, "shop/ada")
	s.subscribe("1", `subscription { deliveries { position } }`, nil)
	wants(t, "a user", s.next("1"), `"code":"FORBIDDEN"`)

	application := w.open(t, "shop")
	for _, refused := range []struct{ variables, named string }{
		{`{"after":"junk"}`, "after must be a position that a stream of deliveries gave out"},
		{`{"after":"AQAAAAAAAAABAAAAAAAAAAIAAAAAAAAAAw"}`, "after must be a position"},
		{`{"first":0}`, "first must be between 1 and 100"},
		{`{"first":101}`, "first must be"},
		{`{"channels":[]}`, "channels must name one at least"},
		{`{"states":[]}`, "states must name one at least"},
		{`{"states":["GONE"]}`, "GONE"},
		{`{"user":"nobody"}`, "user names nothing in this environment"},
		{`{"send":"` + w.names["elsewhere"] + `"}`, "send names nothing in this environment"},
		{`{"send":"junk","notification":"","provider":"prv_none"}`, "names nothing in this environment"},
	} {
		var v map[string]any
		if err := json.Unmarshal([]byte(refused.variables), &v); err != nil {
			t.Fatal(err)
		}
		application.subscribe(refused.variables, watchDeliveries, v)
		wants(t, refused.variables, application.next(refused.variables), "error", refused.named)
	}

	var made struct {
		Data struct {
			CreateCredential struct {
				Credential struct{ ID string }
				Secret     string
			}
		}
	}
	_, body := w.post(t, request{as: "shop", query: `mutation { createCredential(input: {kind: SECRET_KEY, name: "Console"}) { credential { id } secret userErrors { message } } }`}, nil)
	if err := json.Unmarshal(body, &made); err != nil {
		t.Fatal(err)
	}
	w.envs["console"] = &environment{secret: made.Data.CreateCredential.Secret}
	console := w.open(t, "console")
	console.subscribe("1", watchDeliveries, nil)
	console.next("1")
	w.names["console"] = made.Data.CreateCredential.Credential.ID
	w.post(t, request{as: "shop", query: `mutation { revokeCredential(input: {id: "@console"}) { credential { id } userErrors { message } } }`}, nil)
	wants(t, "its key is revoked", console.next("1"), "close 4403")
}
