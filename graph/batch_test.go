package graph_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"carillon/model"
	"carillon/store/storetest"
)

// TestPagesAreReadSetWise holds lists to a number of look-ups that does not
// grow with the page: what rows refer to is read once for all of them.
func TestPagesAreReadSetWise(t *testing.T) {
	t.Parallel()
	w := emptyWorld(t, storetest.SQLite(t))
	env := w.addEnv("shop", model.AuthOpen)
	const rows = 30
	for i := range 3 {
		w.category(env, model.Category{Identifier: fmt.Sprint("c", i), Name: "C", DefaultEnabled: true})
	}
	for i := range rows {
		name := fmt.Sprint("u", i)
		w.identify(env, name, `{}`)
		w.send(env, fmt.Sprint("s", i), fmt.Sprint("c", i%3), model.Content{Title: "T"}, "u0", name)
	}
	tests := []struct {
		name, as, query string
		atMost          map[string]int // of everything else: none
	}{
		{
			"Inbox", "shop/u0",
			`{ viewer { user { inbox(first: 30) { nodes { interactions { state } user { identifier } send { title skipped { identifier } category { name } } category { name } } edges { node { user { id } send { id } category { id } } } } } } }`,
			map[string]int{"User": 1, "Sends": 1, "Categories": 1, "Interactions": 1, "Skipped": 1}, // the user is the one the inbox was asked of
		},
		{
			"Log", "shop",
			`{ notifications(first: 60) { nodes { user { identifier } send { title category { name } } category { name } } } }`,
			map[string]int{"UsersByID": 1, "Sends": 1, "Categories": 1},
		},
		{
			"Sends", "shop",
			`{ sends(first: 30) { nodes { skipped { identifier } category { name } } edges { node { category { id } } } } }`,
			map[string]int{"Categories": 1, "Skipped": 1},
		},
		{
			"Plan", "shop",
			`mutation { sendNotification(input: {to: {users: ["` + strings.Join(users(rows), `","`) + `"]}, title: "T", category: "c0"}) {
				plan { user { identifier } notification { title user { identifier } send { title } category { name } } } userErrors { message } } }`,
			map[string]int{"UsersByID": 2, "Notifications": 1, "Sends": 1, "Categories": 1},
		},
		{
			"Dry run", "shop",
			`mutation { sendNotification(input: {to: {users: ["` + strings.Join(users(rows), `","`) + `"]}, title: "T", dryRun: true}) {
				plan { user { identifier } notification { id } } userErrors { message } } }`,
			map[string]int{"UsersByID": 1},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w.calls.taken()
			_, body := w.post(t, request{as: tt.as, query: tt.query}, nil)
			if n := strings.Count(string(body), `"u`); !strings.Contains(string(body), `"data"`) || strings.Contains(string(body), `"errors"`) || strings.Contains(string(body), `{"message"`) || tt.name == "Log" && n < rows {
				t.Fatalf("the page did not come: %.300s", body)
			}
			got := w.calls.taken()
			for what, n := range got {
				if n > tt.atMost[what] {
					t.Errorf("%s was called %d times for one page, want at most %d", what, n, tt.atMost[what])
				}
			}
		})
	}
}

func users(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprint("u", i)
	}
	return out
}

// TestRowsGetTheirOwnReferences reads every row's references and compares
// them with the row's own: a batch must not hand one row another's.
func TestRowsGetTheirOwnReferences(t *testing.T) {
	t.Parallel()
	w := emptyWorld(t, storetest.SQLite(t))
	env := w.addEnv("shop", model.AuthOpen)
	for i := range 20 {
		name := fmt.Sprint("u", i)
		w.identify(env, name, `{}`)
		w.send(env, name, "", model.Content{Title: name}, name)
	}
	_, body := w.post(t, request{as: "shop", query: `{ notifications(first: 20) { nodes { title user { identifier } send { title } } } }`}, nil)
	var answer struct {
		Data struct {
			Notifications struct {
				Nodes []struct {
					Title string
					User  struct{ Identifier string }
					Send  struct{ Title string }
				}
			}
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatal(err)
	}
	if n := len(answer.Data.Notifications.Nodes); n != 20 {
		t.Fatalf("got %d rows, want 20: %s", n, body)
	}
	for _, n := range answer.Data.Notifications.Nodes {
		if n.User.Identifier != n.Title || n.Send.Title != n.Title {
			t.Errorf("row %s has user %s and send %s", n.Title, n.User.Identifier, n.Send.Title)
		}
	}
}
