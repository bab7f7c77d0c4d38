package graph_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"carillon/store/storetest"
)

// TestUsersArePagedInEveryOrder walks each order forward and backward, a user at
// a time, by the cursors that the list gives out.
func TestUsersArePagedInEveryOrder(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		page := func(order, part string) (names []string, start, end string) {
			t.Helper()
			var answer struct {
				Data struct {
					Users struct {
						Nodes    []struct{ Identifier string }
						PageInfo struct{ StartCursor, EndCursor string }
					}
				}
			}
			body := w.ask(t, "shop", fmt.Sprintf(`{ users(%s, orderBy: {%s}) { nodes { identifier } pageInfo { startCursor endCursor } } }`, part, order))
			if err := json.Unmarshal([]byte(body), &answer); err != nil {
				t.Fatal(err)
			}
			users := answer.Data.Users
			for _, u := range users.Nodes {
				names = append(names, u.Identifier)
			}
			return names, users.PageInfo.StartCursor, users.PageInfo.EndCursor
		}
		for _, field := range []string{"CREATED_AT", "IDENTIFIER", "SIGNED_UP_AT", "LAST_SEEN_AT", "EMAIL"} {
			for _, direction := range []string{"ASC", "DESC"} {
				order := "field: " + field + ", direction: " + direction
				all, _, _ := page(order, "first: 100")
				if len(all) < 3 {
					t.Fatalf("%s: %v", order, all)
				}
				forward, _, after := page(order, "first: 1")
				for range len(all) - 1 {
					next, _, end := page(order, fmt.Sprintf("first: 1, after: %q", after))
					forward, after = append(forward, next...), end
				}
				backward, before, _ := page(order, "last: 1")
				for range len(all) - 1 {
					next, start, _ := page(order, fmt.Sprintf("last: 1, before: %q", before))
					backward, before = append(next, backward...), start
				}
				if !slices.Equal(forward, all) || !slices.Equal(backward, all) {
					t.Errorf("%s: %v, forward %v, backward %v", order, all, forward, backward)
				}
			}
		}
	})
}
