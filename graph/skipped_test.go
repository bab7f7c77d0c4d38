package graph_test

import (
	"bytes"
	"testing"

	"carillon/store/storetest"
)

// TestNobodyIsToldWhomASendLeftOut: a recipient sees the send, but neither who
// else was to get it nor what they chose.
func TestNobodyIsToldWhomASendLeftOut(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		w.post(t, request{as: "shop", query: `mutation { sendNotification(input: {to: {users: ["ada", "a-secret-person"]}, title: "Both of you"}) { send { id } } }`}, nil)
		_, body := w.post(t, request{as: "shop", query: `{ sends(first: 1) { nodes { skipped { identifier reason } } } }`}, nil)
		if !bytes.Contains(body, []byte("a-secret-person")) {
			t.Errorf("the application is told %s, want whom the send left out", body)
		}
		_, body = w.post(t, request{as: "shop/ada", query: `{ viewer { user { inbox(first: 1) { nodes { title send { skipped { identifier reason } } } } } } }`}, nil)
		if !bytes.Contains(body, []byte("Both of you")) || bytes.Contains(body, []byte("a-secret-person")) {
			t.Errorf("a recipient is told %s, want the send and nobody else", body)
		}
	})
}
