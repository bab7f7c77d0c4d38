package graph_test

import (
	"fmt"
	"testing"

	"carillon/store/storetest"
)

// TestInboxNamesItsUser sends what names the recipient to one user and a segment,
// and edits it: each reads their own name, asked for and live, and nobody another
// one's.
func TestInboxNamesItsUser(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		w.must(t, "shop", `mutation {
			patchProfile(input: {user: "bob", set: {firstName: "Bob"}}) { userErrors { message } }
			createTemplate(input: {identifier: "hi", name: "Hello", content: {title: "{{recipient.firstName}}, order {{data.n}}", body: "For all"}}) { userErrors { message } }
		}`)
		const newest = `{ viewer { user { inbox(first: 1) { nodes { title body } } } } }`
		const stream = `subscription { inbox { reset added { title body } changed { title body } } }`
		names := map[string]string{"shop/ada": "Ada", "shop/bob": "Bob"}
		phones := map[string]*socket{}
		for who := range names {
			w.must(t, who, newest) // kept
			phones[who] = w.open(t, who)
			phones[who].subscribe("1", stream, nil)
			wants(t, "the first event", phones[who].next("1"), `"reset":"FIRST"`)
		}
		all := func(what, event, text string) {
			t.Helper()
			for who, name := range names {
				said := fmt.Sprintf(text, name)
				wants(t, what+", live, "+who, phones[who].next("1"), event+`:[`+said+`]`)
				wants(t, what+", asked for, "+who, w.ask(t, who, newest), `"nodes":[`+said+`]`)
			}
		}

		sent := w.must(t, "shop", `mutation { sendNotification(input: {to: {users: ["bob"], segments: ["named"]}, template: "hi", data: {n: 1}}) { send { id title } userErrors { message } } }`)
		wants(t, "the send", encode(sent), `"title":", order 1"`)
		id := sent["sendNotification"].(map[string]any)["send"].(map[string]any)["id"]
		if err := w.sends.ExpandAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		all("the send", `"added"`, `{"title":"%s, order 1","body":"For all"}`)
		edit := func(input string) {
			t.Helper()
			wants(t, "the edit", encode(w.must(t, "shop", fmt.Sprintf(`mutation { editSend(input: {id: %q, %s}) { userErrors { path message } } }`, id, input))), `"userErrors":[]`)
		}
		edit(`data: {n: 2}`)
		all("other data", `"changed"`, `{"title":"%s, order 2","body":"For all"}`)
		edit(`body: "Anew"`)
		all("another body", `"changed"`, `{"title":"%s, order 2","body":"Anew"}`)
		edit(`title: "Sold out"`)
		all("a title for all", `"changed"`, `{"title":"Sold out","body":"Anew"%.0s}`)

		// A send to one user is edited by data as well.
		one := w.must(t, "shop", `mutation { sendNotification(input: {to: {users: ["ada"]}, template: "hi", data: {n: 3}}) { send { id title } userErrors { message } } }`)
		wants(t, "a send to one", encode(one), `"title":"Ada, order 3"`)
		id = one["sendNotification"].(map[string]any)["send"].(map[string]any)["id"]
		edit(`data: {n: 4}`)
		wants(t, "its edit", w.ask(t, "shop/ada", newest), `"title":"Ada, order 4"`)
	})
}
