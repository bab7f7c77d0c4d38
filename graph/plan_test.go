package graph_test

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"carillon/graph"
	"carillon/model"
	"carillon/store/storetest"
)

// unplanned is the same world behind a server that executes everything.
func (w *world) unplanned(t *testing.T) *world {
	t.Helper()
	c := w.config
	c.Unplanned = true
	api := must(graph.New(c))(t)
	other := *w
	other.api, other.http = api, httptest.NewServer(api)
	t.Cleanup(func() {
		if err := api.Drain(t.Context()); err != nil && t.Context().Err() == nil {
			t.Errorf("draining: %v", err)
		}
		other.http.Close()
	})
	return &other
}

const everyField = `__typename id number title body icon url blocks { __typename id type text variant link externalLink src } data state createdAt seenAt readAt interactedAt archivedAt expiresAt`

// planned are queries of the kind that plans are for, and neighbours of them
// that are not; both ways must give the same text for all.
var planned = []struct{ query, variables string }{
	{`{ viewer { user { inbox { nodes { ` + everyField + ` } } } } }`, ``},
	{`{ __typename viewer { __typename user { __typename id identifier inbox { __typename edges { __typename cursor node { id } } pageInfo { __typename hasNextPage hasPreviousPage startCursor endCursor } counters { __typename total unseen unread } position } } } }`, ``},
	{`{ a: viewer { b: user { c: inbox(first: 2) { d: nodes { e: title e2: title } pageInfo { more: hasNextPage } } } } }`, ``},
	{`query ($n: Int) { viewer { user { inbox(first: $n) { nodes { id } pageInfo { hasNextPage endCursor } } } } }`, `{"n":1}`},
	{`query ($n: Int) { viewer { user { inbox(first: $n) { nodes { id } pageInfo { hasNextPage } } } } }`, `{}`},
	{`query ($n: Int) { viewer { user { inbox(first: $n) { nodes { id } } } } }`, `{"n":null}`},
	{`query ($n: Int) { viewer { user { inbox(first: $n) { nodes { id } } } } }`, `{"n":101}`},
	{`query ($n: Int = 3) { viewer { user { inbox(first: $n) { nodes { id } pageInfo { hasNextPage } } } } }`, `{}`},
	{`query ($n: Int) { viewer { user { inbox(first: $n) { nodes { id } pageInfo { hasNextPage } } } } }`, `{"n":100}`},
	{`{ viewer { user { inbox(first: 0) { nodes { id } } } } }`, ``},
	{`{ viewer { user { inbox(first: 21) { nodes { id } pageInfo { hasNextPage } } } } }`, ``},
	{`query ($u: String!) { user(identifier: $u) { id inbox { counters { total unseen unread } position } } }`, `{"u":"ada"}`},
	{`query ($u: String!) { user(identifier: $u) { id inbox { counters { total } } } }`, `{"u":"bob"}`},
	{`{ user(identifier: "ada") { inbox { nodes { title } } } }`, ``},
	{`{ user(identifier: """ada""") { inbox { nodes { title } } } }`, ``},
	{`{ viewer { ...V } } fragment V on Viewer { user { ...U ... on User { inbox { counters { unread } } } } } fragment U on User { inbox { counters { total } nodes { ...N } } id } fragment N on Notification { id title }`, ``},
	{`{ viewer { user { inbox { nodes { ... on Node { id } title } } } } }`, ``},
	{`{ viewer { user { inbox { nodes { blocks { id } blocks { text id } } nodes { title } } } } }`, ``},
	{`query ($yes: Boolean!, $no: Boolean!) { viewer { user { inbox { nodes { id @skip(if: $yes) title @include(if: $no) body ...B @include(if: $yes) } } } } } fragment B on Notification { url }`, `{"yes":true,"no":false}`},
	{`{ viewer { user { inbox { nodes { category { identifier } title } } } } }`, ``},
	{`{ viewer { user { inbox(filter: {unread: true}) { nodes { id } counters { unread } } } } }`, ``},
	{`{ viewer { user { inbox(filter: null, after: null, last: null) { nodes { id } } } } }`, ``},
	{`{ viewer { user { inbox(last: 1) { nodes { id } pageInfo { hasPreviousPage } } } } }`, ``},
	{`{ viewer { user { a: inbox(first: 1) { nodes { id } } b: inbox(first: 2) { nodes { id } } } } }`, ``},
	{`{ viewer { app { name } user { inbox { counters { total } } } } }`, ``},
	{`{ viewer { user { attributes inbox { counters { total } } } } }`, ``},
	{`{ viewer { user { id } } }`, ``},
}

func ask(t *testing.T, w *world, as, query, variables string) string {
	t.Helper()
	r := request{as: as, query: query}
	if variables != "" {
		r.variables = json.RawMessage(variables)
	}
	_, body := w.post(t, r, nil)
	return string(body)
}

// withoutRequest is an answer without what tells one request from another.
func withoutRequest(s string) string {
	before, rest, ok := strings.Cut(s, `"requestId":"`)
	if !ok {
		return s
	}
	_, after, _ := strings.Cut(rest, `"`)
	return before + after
}

// TestPlansAnswerAsExecutionDoes asks everything of a server with plans and of
// one without, again after each change of the inbox, so that the second time an
// answer may be one that was kept.
func TestPlansAnswerAsExecutionDoes(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		plain, ctx, shop := w.unplanned(t), t.Context(), w.envs["shop"]
		ada := must(w.store.UserID(ctx, shop.ID, "ada"))(t)
		same := func(when string) {
			t.Helper()
			for _, q := range planned {
				for _, as := range []string{"shop/ada", "shop", "vault/ada", "shop/nobody yet"} {
					want := withoutRequest(ask(t, plain, as, q.query, q.variables))
					for range 2 {
						if got := withoutRequest(ask(t, w, as, q.query, q.variables)); got != want {
							t.Errorf("%s, as %s: %s %s\ngot  %s\nwant %s", when, as, q.query, q.variables, got, want)
						}
					}
				}
			}
		}
		newest := func(n int) (ids []model.NotificationID) {
			no := false
			for _, item := range must(w.store.Inbox(ctx, shop.ID, ada, model.InboxFilter{Archived: &no}, model.PageRequest{Limit: n}))(t).Items {
				ids = append(ids, item.ID)
			}
			return ids
		}
		same("at first")
		for i := range 22 {
			w.send(shop, "more", "", model.Content{Title: strings.Repeat("\"\\/<&>é", i%3) + "more", Body: "line\r\nline", URL: "/?a=1&b=2", Data: json.RawMessage(`{"n":1e3}`)}, "ada")
		}
		same("after sends")
		must(w.inbox.Mark(ctx, shop.ID, model.Once{}, ada, newest(3), model.MarkInteracted))(t)
		same("after a mark")
		must(w.inbox.MarkAll(ctx, shop.ID, model.Once{}, ada, model.MarkRead, nil, nil))(t)
		same("after a mark-all")
		must(w.inbox.Mark(ctx, shop.ID, model.Once{}, ada, newest(1), model.MarkArchived))(t)
		must(w.inbox.Delete(ctx, shop.ID, model.Once{}, ada, newest(2)))(t)
		same("after a deletion")
		must(w.users.Delete(ctx, shop.ID, model.Once{}, "ada"))(t)
		same("after the user's end")
	})
}

// TestPlannedStreamsTellAsExecutionDoes follows one inbox on two servers.
func TestPlannedStreamsTellAsExecutionDoes(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		plain, ctx, shop := w.unplanned(t), t.Context(), w.envs["shop"]
		ada := must(w.store.UserID(ctx, shop.ID, "ada"))(t)
		const all = `subscription { inbox(first: 2) { __typename position reset counters { __typename total unseen unread } added { ` + everyField + ` }
			changed { id readAt } removed marked { __typename as upTo at } } }`
		const skips = `subscription { inbox(first: 2) { position added { id title @skip(if: true) category { identifier } } } }`
		var pairs [][2]*events
		for _, query := range []string{all, skips} {
			pairs = append(pairs, [2]*events{w.follow(t, "shop/ada", query, nil), plain.follow(t, "shop/ada", query, nil)})
		}
		same := func(when string) {
			t.Helper()
			for _, p := range pairs {
				got, want := p[0].next(), p[1].next()
				if got != want || p[0].lastID != p[1].lastID || !strings.Contains(got, "position") {
					t.Errorf("%s:\ngot  %s\nwant %s", when, got, want)
				}
			}
		}
		same("a snapshot")
		sent := w.send(shop, "more", "comments", model.Content{Title: "More", Blocks: []model.Block{{ID: "b", Type: "IMAGE", Src: "https://example.com/a.png"}}}, "ada")
		same("a send")
		no := false
		items := must(w.store.Inbox(ctx, shop.ID, ada, model.InboxFilter{Archived: &no}, model.PageRequest{Limit: 1}))(t).Items
		if items[0].SendID != sent.ID {
			t.Fatalf("the newest is of send %d, want %d", items[0].SendID, sent.ID)
		}
		must(w.inbox.Mark(ctx, shop.ID, model.Once{}, ada, []model.NotificationID{items[0].ID}, model.MarkRead))(t)
		same("a mark")
		must(w.inbox.MarkAll(ctx, shop.ID, model.Once{}, ada, model.MarkRead, nil, nil))(t)
		same("a mark-all")
		must(w.inbox.Delete(ctx, shop.ID, model.Once{}, ada, []model.NotificationID{items[0].ID}))(t)
		same("a deletion")
	})
}

// TestUnchangedInboxIsNotReadAgain holds the second answer to a look at the
// inbox's seq, and one after a change by another process to be read anew.
func TestUnchangedInboxIsNotReadAgain(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		query := func() string { return ask(t, w, "shop/ada", `{ viewer { user { inbox { nodes { title } } } } }`, "") }
		first := query()
		w.calls.taken()
		if again := query(); again != first {
			t.Errorf("got %s, want %s", again, first)
		}
		if got := w.calls.taken(); got["NewestInbox same"] != 1 || got["NewestInbox"] != 1 || got["User"] > 0 {
			t.Errorf("it read %v, want the seq alone", got)
		}
		storetest.Send(t, w.store, w.envs["shop"].ID, storetest.Sent{Title: "by another process"}, must(w.store.UserID(t.Context(), w.envs["shop"].ID, "ada"))(t))
		if got := query(); !strings.Contains(got, "by another process") {
			t.Errorf("an old answer was given: %s", got)
		}
	})
}
