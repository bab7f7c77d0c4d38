package graph_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"carillon/store/storetest"
)

// TestEdit follows edits over HTTP to an open inbox, to one that is asked for, and to
// mail that has gone out and mail that has not.
func TestEdit(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		w.must(t, "shop", `mutation { createProvider(input: {kind: "recorder", channel: EMAIL, secrets: {token: "t"}}) { provider { id } userErrors { message } } }`)
		w.must(t, "shop", `mutation { createTemplate(input: {identifier: "order", name: "Order", content: {title: "Order {{data.n}}"}}) { userErrors { message } } }`)
		send := func(input string) string {
			out := w.must(t, "shop", `mutation { sendNotification(input: {to: {users: ["ada"]}, `+input+`}) { send { id edition editedAt } userErrors { message } } }`)
			id, _, _ := strings.Cut(strings.TrimPrefix(encode(out), `{"sendNotification":{"send":{"editedAt":null,"edition":0,"id":"`), `"`)
			return id
		}
		plain, again, own := send(`title: "Wrong", body: "At nine."`), send(`template: "order", data: {n: 1}`), send(`template: "order", data: {n: 7}`)

		const newest = `{ viewer { user { inbox(first: 3) { counters { total unseen unread } nodes { title body editedAt readAt } } } } }`
		w.must(t, "shop/ada", newest) // kept
		phone := w.open(t, "shop/ada")
		phone.subscribe("1", `subscription { inbox { reset counters { total unseen unread } added { title } changed { title body url data editedAt readAt } removed } }`, nil)
		wants(t, "the first event", phone.next("1"), `"reset":"FIRST"`)
		edit := func(id, input string) string {
			w.clock.pass(1e9)
			return encode(w.must(t, "shop", fmt.Sprintf(`mutation { editSend(input: {id: %q, %s}) { send { title edition editedAt } userErrors { code path message } replayed } }`, id, input)))
		}
		wants(t, "the edit", edit(plain, `title: "Right", url: "/orders/1", data: {a: 1}`), `"edition":1`, `"title":"Right"`, `"editedAt":"2026-`)
		wants(t, "an open inbox", phone.next("1"), `"reset":null,"counters":{"total":6,"unseen":5,"unread":5},"added":[],"changed":[{"title":"Right","body":"At nine.","url":"/orders/1","data":{"a":1},"editedAt":"2026-`, `"readAt":null}],"removed":[]`)
		edit(again, `data: {n: 2}`)
		edit(own, `title: "Sold out", body: ""`)
		wants(t, "what is asked for", encode(w.must(t, "shop/ada", newest)), `"total":6,"unread":5,"unseen":5`, `"title":"Right"`, `"title":"Order 2"`, `"title":"Sold out"`)

		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); w.delivery.Run(ctx) }()
		t.Cleanup(func() { stop(); <-done })
		waitFor(t, func() bool { return len(w.recorder.Taken()) == 3 })
		var mails []string
		for _, m := range w.recorder.Taken() {
			mails = append(mails, m.Message.Title+"/"+m.Message.Text)
		}
		slices.Sort(mails)
		if got := fmt.Sprint(mails); got != "[Order 2/ Right/At nine. Sold out/]" {
			t.Errorf("the mails say %s", got)
		}
		edit(plain, `body: "At ten."`)
		query := fmt.Sprintf(`{ send(id: %q) { edition } deliveries(filter: {send: %[1]q}, first: 1) { nodes { state attempts { number edition } } } }`, plain)
		waitFor(t, func() bool { return strings.Contains(encode(w.must(t, "shop", query)), `"edition":1,"number":1`) })
		wants(t, "mail that has gone out", encode(w.must(t, "shop", query)), `"send":{"edition":2}`)

		for _, tt := range []struct{ as, id, input, want string }{
			{"shop", plain, `title: " "`, `{"code":"REQUIRED","path":["title"]`},
			{"shop", plain, `url: "javascript:alert(1)", blocks: [{type: BUTTON, id: "a"}, {type: BUTTON, id: "a"}]`, `"path":["blocks","1","id"]`},
			{"shop", plain, `idempotencyKey: "k"`, `"path":["title"]`},
			{"other", plain, `title: "Stolen"`, `{"code":"NOT_FOUND","path":["id"]`},
			{"shop", "x", `title: "T"`, `{"code":"NOT_FOUND","path":["id"]`},
			{"shop/ada", plain, `title: "Mine"`, `"FORBIDDEN"`},
		} {
			_, body := w.post(t, request{as: tt.as, query: fmt.Sprintf(`mutation { editSend(input: {id: %q, %s}) { send { id } userErrors { code path } } }`, tt.id, tt.input)}, nil)
			wants(t, tt.as+" edits "+tt.input, string(body), tt.want)
		}
		w.must(t, "shop", fmt.Sprintf(`mutation { recallSend(input: {id: %q}) { userErrors { message } } }`, plain))
		_, body := w.post(t, request{as: "shop", query: fmt.Sprintf(`mutation { editSend(input: {id: %q, title: "Back"}) { userErrors { code path message } } }`, plain)}, nil)
		wants(t, "after the recall", string(body), `"code":"CONFLICT","path":["id"],"message":"names a send that was recalled`)
	})
}
