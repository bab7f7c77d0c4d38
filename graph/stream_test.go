package graph_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"carillon/model"
	"carillon/store/storetest"
)

const watchInbox = `subscription($after: InboxPosition, $user: String, $categories: [String!], $first: Int = 2) {
	inbox(after: $after, user: $user, categories: $categories, first: $first) {
		reset position counters { total unseen unread }
		added { id title category { identifier } user { identifier } send { title } } changed { id readAt } removed
		marked { as upTo at }
	}
}`

func wants(t *testing.T, what, got string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("%s: got\n%s\nwant in it\n%s", what, got, w)
		}
	}
}

// TestInboxIsLive is the story of one inbox on two devices, on both databases.
func TestInboxIsLive(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		phone := w.open(t, "shop/ada")
		phone.subscribe("1", watchInbox, nil)
		wants(t, "the first event is the newest page", phone.next("1"), `"reset":"FIRST","position":"position 4 of @shop/ada"`,
			`"counters":{"total":3,"unseen":2,"unread":2}`,
			`"added":[{"id":"@invoice/ada","title":"Invoice","category":{"identifier":"billing"},"user":{"identifier":"ada"},"send":{"title":"Invoice"}},{"id":"@comment/ada"`,
			`"changed":[],"removed":[],"marked":[]`)

		laptop := w.follow(t, "shop/ada", watchInbox, map[string]any{"first": 1})
		wants(t, "another device", laptop.next(), `"reset":"FIRST"`)

		w.send(w.envs["shop"], "hello", "comments", model.Content{Title: "Hello"}, "ada")
		for _, event := range []string{phone.next("1"), laptop.next()} {
			wants(t, "a send comes to every device", event, `"reset":null,"position":"position 5 of @shop/ada","counters":{"total":4,"unseen":3,"unread":3}`,
				`"added":[{"id":"@hello/ada","title":"Hello","category":{"identifier":"comments"},"user":{"identifier":"ada"},"send":{"title":"Hello"}}]`)
		}

		phone.subscribe("2", `mutation { markNotifications(input: {ids: ["@hello/ada"], as: READ}) { position } }`, nil)
		wants(t, "a mark shows on the other device", laptop.next(), `"position":"position 6 of @shop/ada"`, `"changed":[{"id":"@hello/ada","readAt":"20`)

		position := laptop.lastID
		laptop.close()
		phone.subscribe("3", `mutation { markAllNotifications(input: {as: SEEN}) { affected } deleteNotifications(input: {ids: ["@welcome/ada"]}) { deleted } }`, nil)
		waitFor(t, func() bool {
			_, body := w.post(t, request{as: "shop/ada", query: `{ viewer { user { inbox { position } } } }`}, nil)
			return strings.Contains(w.shown(string(body)), "position 8 of")
		})
		resumed := w.follow(t, "shop/ada", watchInbox, map[string]any{"after": position})
		wants(t, "what was missed comes as one event", resumed.next(), `"reset":null,"position":"position 8 of @shop/ada","counters":{"total":3,"unseen":0,"unread":2}`,
			`"removed":["@welcome/ada"]`, `"as":"SEEN"`)
		if resumed.lastID == "" {
			t.Error("the event has no id to resume with")
		}
	})
}

// TestStreamPositions holds a stream to say why it begins anew.
func TestStreamPositions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	positionOf := func(user string) string {
		_, body := w.post(t, request{as: "shop/" + user, query: `{ viewer { user { inbox { position } } } }`}, nil)
		_, rest, _ := strings.Cut(string(body), `"position":"`)
		position, _, _ := strings.Cut(rest, `"`)
		return position
	}
	ada, bob := positionOf("ada"), positionOf("bob")
	w.send(w.envs["shop"], "missed", "", model.Content{Title: "Missed"}, "ada")

	e := w.follow(t, "shop/ada", watchInbox, map[string]any{"after": bob}, "Last-Event-ID: "+ada)
	wants(t, "Last-Event-ID beats after", e.next(), `"reset":null`, `"added":[{"id":"@missed/ada"`)
	e = w.follow(t, "shop/ada", watchInbox, map[string]any{"after": bob})
	wants(t, "the position of another inbox", e.next(), `"reset":"UNKNOWN_POSITION"`, `"@missed/ada"`)
	e = w.follow(t, "shop/ada", watchInbox, nil, "Last-Event-ID: 17")
	wants(t, "a Last-Event-ID of something else", e.next(), `"reset":"UNKNOWN_POSITION"`)
	for variables, named := range map[string]string{`{"after":"junk"}`: "after must be a position", `{"first":0}`: "first must be between 1 and 100", `{"first":101}`: "first must be", `{"categories":["comments","nothing"]}`: "categories.1 names no category"} {
		var v map[string]any
		if err := json.Unmarshal([]byte(variables), &v); err != nil {
			t.Fatal(err)
		}
		e = w.follow(t, "shop/ada", watchInbox, v)
		wants(t, variables, e.next(), named, `"path":["inbox"]`)
		wants(t, "and that is all", e.next(), "complete")
	}
}

// TestStreamsAreOfOneInbox holds streams to their environment and user.
func TestStreamsAreOfOneInbox(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	application := w.open(t, "shop")
	application.subscribe("1", watchInbox, map[string]any{"user": "bob", "categories": []string{"comments"}})
	wants(t, "a secret key watches whom it names", application.next("1"), `"position":"position 1 of @shop/bob"`, `"added":[]`)

	w.send(w.envs["other"], "abroad", "comments", model.Content{Title: "Abroad"}, "ada")
	w.send(w.envs["shop"], "his", "comments", model.Content{Title: "His"}, "bob", "ada")
	wants(t, "only his own", application.next("1"), `"position":"position 2 of @shop/bob"`, `"added":[{"id":"@his/bob"`)
	w.send(w.envs["shop"], "hidden", "billing", model.Content{Title: "Hidden"}, "bob")
	wants(t, "what the filter hides moves position and counters", application.next("1"),
		`"position":"position 3 of @shop/bob","counters":{"total":3,"unseen":3,"unread":3},"added":[]`)

	for as, variables := range map[string]map[string]any{
		"shop/ada":     {"user": "bob"},
		"shop/bob":     {"user": "nobody"},
		"shop":         {"user": "zoe"}, // who is in another app
		"vault/newbie": nil,             // who is not known yet
	} {
		s := w.open(t, as)
		s.subscribe("1", watchInbox, variables)
		wants(t, as, s.next("1"), `error [{"message":`, `"code":"NOT_FOUND"`)
	}
	s := w.open(t, "shop")
	s.subscribe("1", watchInbox, nil)
	wants(t, "without a user", s.next("1"), `user is required with a secret key`)
	s = w.open(t, "shop/ada")
	s.subscribe("1", `subscription { sendProgress(id: "@later") { status } }`, nil)
	wants(t, "a user", s.next("1"), `"code":"FORBIDDEN"`)
	if m := w.connect(t, "nobody").hear(); m.Type != "close" || string(m.Payload) != "4401" {
		t.Errorf("without a credential the socket said %s %s, want close 4401", m.Type, m.Payload)
	}
	if e := w.follow(t, "nobody", watchInbox, nil); e.status != 401 {
		t.Errorf("without a credential the stream has status %d, want 401", e.status)
	}
}

func TestProgressIsLive(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	s := w.open(t, "shop")
	const watch = `subscription($id: ID!) { sendProgress(id: $id) { id status progress { total done } category { name } } }`
	s.subscribe("1", watch, map[string]any{"id": w.names["later"]})
	wants(t, "where it stands", s.next("1"), `{"id":"@later","status":"SCHEDULED","progress":{"total":1,"done":0},"category":null}`)
	w.post(t, request{as: "shop", query: `mutation { cancelSend(input: {id: "@later"}) { send { id } } }`}, nil)
	wants(t, "a change", s.next("1"), `"status":"CANCELED"`)
	wants(t, "the end", s.next("1"), "complete")

	s.subscribe("2", watch, map[string]any{"id": w.names["welcome"]})
	wants(t, "one that has gone out", s.next("2"), `"status":"SENT","progress":{"total":2,"done":2}`)
	wants(t, "the end", s.next("2"), "complete")
	for _, id := range []string{w.names["elsewhere"], w.names["welcome/ada"], "junk"} {
		s.subscribe("3", watch, map[string]any{"id": id})
		wants(t, id, s.next("3"), "error", `"code":"NOT_FOUND"`)
	}
}

// TestStreamsEndWithTheirCredential holds open connections to what opened them.
func TestStreamsEndWithTheirCredential(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))

	s := w.open(t, "vault/ada")
	s.subscribe("1", watchInbox, nil)
	s.next("1")
	w.post(t, request{as: "vault", query: `mutation { revokeCredential(input: {id: "@vault.tokenKey"}) { credential { id } userErrors { message } } }`}, nil)
	wants(t, "the key of its token is revoked", s.next("1"), "close 4403")

	socket, stream := w.open(t, "shop/ada"), w.follow(t, "shop/ada", watchInbox, nil)
	socket.subscribe("1", watchInbox, nil)
	socket.next("1")
	stream.next()
	other := w.open(t, "shop/bob")
	other.subscribe("1", watchInbox, nil)
	other.next("1")
	w.post(t, request{as: "shop", query: `mutation { deleteUser(input: {user: "ada"}) { deletedUserId } }`}, nil)
	if got := socket.next("1"); !strings.HasPrefix(got, "close 4403") && !strings.Contains(got, "NOT_FOUND") {
		t.Errorf("the socket of a deleted user said %s, want a close with 4403 or an error", got)
	}
	if got := stream.next(); strings.Contains(got, `"position"`) {
		t.Errorf("the stream of a deleted user said %s", got)
	}
	w.send(w.envs["shop"], "still", "", model.Content{Title: "Still"}, "bob")
	wants(t, "another's stream goes on", other.next("1"), `"@still/bob"`)
}

// TestOneSocketFromUnknownToKnown is what a front end does at its first start
// where tokens are needed.
func TestOneSocketFromUnknownToKnown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	s := w.open(t, "vault/newbie")
	s.subscribe("1", `mutation { identifyUser(input: {identifier: "newbie"}) { created } }`, nil)
	wants(t, "identifying", s.next("1"), `"created":true`)
	s.subscribe("2", `{ viewer { user { identifier inbox { counters { total } } } } }`, nil)
	wants(t, "reading", s.next("2"), `"identifier":"newbie","inbox":{"counters":{"total":0}}`)
	s.subscribe("3", watchInbox, nil)
	wants(t, "watching", s.next("3"), `"reset":"FIRST"`)
	w.send(w.envs["vault"], "hi", "", model.Content{Title: "Hi"}, "newbie")
	wants(t, "hearing", s.next("3"), `"title":"Hi"`)
}

// waitFor polls until something is so.
func waitFor(t *testing.T, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !so(); {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain")
		}
		select {
		case <-t.Context().Done():
			t.Fatal("the test is over")
		case <-time.After(5 * time.Millisecond):
		}
	}
}
