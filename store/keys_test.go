package store_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

// TestIDsAreLookedUpOneByOne says that what an environment has much of is still
// found by key when it came after statistics were gathered: as far as those
// know, nobody has heard of the environment.
func TestIDsAreLookedUpOneByOne(t *testing.T) {
	t.Parallel()
	storetest.OnPostgres(t, func(t *testing.T, url string) {
		ctx := t.Context()
		s := storetest.Open(t, store.Config{URL: url, MaxConns: 4})
		old, env := storetest.Env(t, s, "old"), storetest.Env(t, s, "new")
		db, err := pgx.Connect(ctx, url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close(ctx) })
		fill := func(env model.EnvID) {
			t.Helper()
			if _, err := db.Exec(ctx, fillUsers, int64(env)); err != nil {
				t.Fatal(err)
			}
		}
		fill(old)
		if _, err := db.Exec(ctx, "analyze users, profiles"); err != nil {
			t.Fatal(err)
		}
		fill(env)
		var queries []string
		store.Watch(s, func(q string) { queries = append(queries, q) })
		users, err := s.UsersByID(ctx, env, []model.UserID{1000005, 1000006, 1000007})
		if err != nil || len(users) != 3 {
			t.Fatalf("got %d users, %v", len(users), err)
		}
		if _, err := s.User(ctx, env, "user-19000"); err != nil {
			t.Fatal(err)
		}
		for _, q := range queries {
			rows, err := db.Query(ctx, "explain (analyze, timing off) "+q)
			if err != nil {
				t.Fatal(err)
			}
			plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil {
				t.Fatal(err)
			}
			text := strings.Join(plan, "\n")
			for _, m := range regexp.MustCompile(`actual rows=(\d+)|Removed by (?:Join )?Filter: (\d+)`).FindAllStringSubmatch(text, -1) {
				if n, _ := strconv.Atoi(m[1] + m[2]); n > 3 {
					t.Errorf("%s\nreads %d rows for three:\n%s", q, n, text)
				}
			}
		}
	})
}
