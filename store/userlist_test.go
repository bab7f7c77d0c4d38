package store_test

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

// fillUsers makes users of whom one in a hundred is disabled, and few have the
// plan "rare".
const fillUsers = `with made as (
		insert into users (env_id, id, identifier, enabled, created_at, updated_at, last_seen_at)
		select $1, 1000000 + n, 'user-' || n, n % 100 <> 0, 1700000000000000 + n, 0, n from generate_series(1, 20000) n returning id)
	insert into profiles (env_id, user_id, version, attributes, email, phone_number)
	select $1, id, 1, '{"email":"u' || id || '@example.com","firstName":"First' || id || '","lastName":"Last' || id || '","plan":"' || case when id % 1000 = 0 then 'rare' else 'free' end || '"}',
		'u' || id || '@example.com', '+1555' || id from made`

// TestListsOfUsersGoByIndexes says that no statement of these lists reads all
// users of the database.
func TestListsOfUsersGoByIndexes(t *testing.T) {
	t.Parallel()
	storetest.OnPostgres(t, func(t *testing.T, url string) {
		ctx := t.Context()
		s := storetest.Open(t, store.Config{URL: url, MaxConns: 4})
		env := storetest.Env(t, s, "shop")
		db, err := pgx.Connect(ctx, url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close(ctx) })
		if _, err := db.Exec(ctx, fillUsers, int64(env)); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(ctx, "analyze users, profiles"); err != nil {
			t.Fatal(err)
		}
		var queries []string
		store.Watch(s, func(q string) { queries = append(queries, q) })
		no := false
		after := time.UnixMicro(1700000000000000 + 19_900).UTC()
		list := func(f model.UserFilter, o model.UserOrder, most int) int {
			t.Helper()
			queries = nil
			page, err := s.ListUsers(ctx, env, f, o, model.PageRequest{Limit: most})
			if err != nil {
				t.Fatal(err)
			}
			for _, q := range queries {
				rows, err := db.Query(ctx, "explain "+q)
				if err != nil {
					t.Fatal(err)
				}
				plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
				if err != nil {
					t.Fatal(err)
				}
				if text := strings.Join(plan, "\n"); strings.Contains(text, "Seq Scan on users") || strings.Contains(text, "Seq Scan on profiles") {
					t.Errorf("%s\nreads everything:\n%s", q, text)
				}
			}
			return len(page.Items)
		}
		for name, tt := range map[string]struct {
			f    model.UserFilter
			want int
		}{
			"all":        {model.UserFilter{}, 20},
			"search":     {model.UserFilter{Search: "last10199"}, 20},
			"searchTwo":  {model.UserFilter{Search: "last1019999 first"}, 1},
			"phone":      {model.UserFilter{Search: "+1 555 1019"}, 20},
			"email":      {model.UserFilter{Email: "u1000007@example.com"}, 1},
			"prefix":     {model.UserFilter{IdentifierPrefix: "user-1999"}, 11},
			"disabled":   {model.UserFilter{Enabled: &no}, 20},
			"accounts":   {model.UserFilter{Kind: model.UserAccount}, 0},
			"created":    {model.UserFilter{CreatedAt: model.TimeRange{Since: after}}, 20},
			"signedUp":   {model.UserFilter{SignedUpAt: model.TimeRange{Since: after}}, 20},
			"topic":      {model.UserFilter{Topic: 7}, 0},
			"account":    {model.UserFilter{Account: 7}, 0},
			"attributes": {model.UserFilter{Properties: []model.PropertyFilter{{Name: "plan", Type: model.PropertyText, Value: json.RawMessage(`"rare"`)}}}, 20},
			"common":     {model.UserFilter{Properties: []model.PropertyFilter{{Name: "plan", Type: model.PropertyText, Value: json.RawMessage(`"free"`)}}}, 20},
			"nobodyHas":  {model.UserFilter{Properties: []model.PropertyFilter{{Name: "plan", Type: model.PropertyText, Value: json.RawMessage(`"none"`)}}}, 0},
		} {
			for _, by := range []model.UserOrderKey{model.ByCreation, model.ByIdentifier, model.BySignUp, model.ByLastSeen, model.ByEmail, model.ByID} {
				if got := list(tt.f, model.UserOrder{By: by}, 20); got != tt.want {
					t.Errorf("%s in order %d: %d users, want %d", name, by, got, tt.want)
				}
			}
		}

		t.Run("someInOrder", func(t *testing.T) { // too many for the first try, and what passes of them is far on
			f := model.UserFilter{
				CreatedAt:  model.TimeRange{Since: time.UnixMicro(1700000000000000 + 17_000).UTC()},
				Properties: []model.PropertyFilter{{Name: "plan", Type: model.PropertyText, Test: model.PropertyContains, Value: json.RawMessage(`"ar"`)}},
			}
			for _, by := range []model.UserOrderKey{model.ByIdentifier, model.BySignUp, model.ByLastSeen, model.ByEmail} {
				for _, ascending := range []bool{false, true} {
					page, err := s.ListUsers(ctx, env, f, model.UserOrder{By: by, Ascending: ascending}, model.PageRequest{Limit: 20})
					if err != nil {
						t.Fatal(err)
					}
					var got []string
					for _, u := range page.Items {
						got = append(got, u.Identifier)
					}
					want := []string{"user-20000", "user-19000", "user-18000", "user-17000"}
					if ascending {
						slices.Reverse(want)
					}
					if !slices.Equal(got, want) || page.HasMore {
						t.Errorf("in order %d, ascending %v: %v, more: %v; want %v", by, ascending, got, page.HasMore, want)
					}
				}
			}
		})
		t.Run("inParallel", func(t *testing.T) {
			eager := storetest.Open(t, store.Config{URL: eagerly(t, url), MaxConns: 4})
			for value, want := range map[string]int{`"free"`: 20, `"rare"`: 20} {
				f := model.UserFilter{Properties: []model.PropertyFilter{{Name: "plan", Type: model.PropertyText, Value: json.RawMessage(value)}}}
				page, err := eager.ListUsers(ctx, env, f, model.UserOrder{}, model.PageRequest{Limit: 20})
				if err != nil || len(page.Items) != want {
					t.Errorf("plan %s: %d users, %v; want %d", value, len(page.Items), err, want)
				}
			}
		})
	})
}

// eagerly is the URL of a database that makes parallel plans wherever it can.
func eagerly(t *testing.T, at string) string {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	for _, setting := range []string{"parallel_setup_cost", "parallel_tuple_cost", "min_parallel_table_scan_size", "min_parallel_index_scan_size"} {
		q.Set(setting, "0")
	}
	u.RawQuery = q.Encode()
	return u.String()
}
