package graph_test

import (
	"strings"
	"testing"

	"carillon/store/storetest"
)

// TestLargeSendIsFollowed is the story of a send to everyone, as the back end
// and a recipient see it.
func TestLargeSendIsFollowed(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		w.sends.Chunk = 1
		phone := w.open(t, "shop/ada")
		phone.subscribe("1", watchInbox, nil)
		phone.next("1")

		_, body := w.post(t, request{as: "shop", query: `mutation { sendNotification(input: {to: {everyone: true, topics: ["news"]}, title: "All of you"}) { send { id } } }`}, nil)
		_, id, _ := strings.Cut(string(body), `"id":"`)
		id, _, _ = strings.Cut(id, `"`)
		w.names["all"] = id
		backEnd := w.open(t, "shop")
		backEnd.subscribe("1", `subscription($id: ID!) { sendProgress(id: $id) { id status progress { total done skipped } } }`, map[string]any{"id": id})
		wants(t, "at first", backEnd.next("1"), `{"id":"@all","status":"EXPANDING","progress":{"total":null,"done":0,"skipped":0}}`)

		if err := w.sends.ExpandAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		wants(t, "ada gets it", phone.next("1"), `"counters":{"total":4,"unseen":3,"unread":3}`, `"title":"All of you"`)
		last := backEnd.next("1")
		for strings.Contains(last, `"EXPANDING"`) {
			wants(t, "on the way", last, `"total":3`)
			last = backEnd.next("1")
		}
		wants(t, "in the end", last, `"status":"SENT","progress":{"total":3,"done":2,"skipped":1}`)
		wants(t, "the end", backEnd.next("1"), "complete")
	})
}
