package store_test

import (
	"slices"
	"strings"
	"testing"

	"carillon/store"
	"carillon/store/storetest"
)

// unkeyed are the columns that name a user and have no key to the users of
// their environment: on the way of each send, kept beyond a user, or a queue.
var unkeyed = []string{
	"collapses user_id", "deliveries user_id", "erasures user_id", "events user_id", "notifications user_id", "segment_changes user_id", "webhook_events user_id",
}

// columnsOfUsers are those that name a user, and keysOfUsers those of them that
// are bound to one of the same environment.
const (
	columnsOfUsersSQLite = `select m.name || ' ' || c.name from sqlite_master m join pragma_table_info(m.name) c
		where m.type = 'table' and c.name in ('user_id', 'account_id') order by 1`
	keysOfUsersSQLite = `select m.name || ' ' || u."from" from sqlite_master m join pragma_foreign_key_list(m.name) e join pragma_foreign_key_list(m.name) u on u.id = e.id
		where m.type = 'table' and e."from" = 'env_id' and e."to" = 'env_id' and u."from" in ('user_id', 'account_id') order by 1`
	columnsOfUsersPostgres = `select table_name || ' ' || column_name from information_schema.columns
		where table_schema = current_schema() and column_name in ('user_id', 'account_id') order by 1`
	keysOfUsersPostgres = `select r.relname || ' ' || u.attname from pg_constraint c join pg_class r on r.oid = c.conrelid
		join pg_attribute e on e.attrelid = r.oid and e.attnum = any(c.conkey) and e.attname = 'env_id'
		join pg_attribute u on u.attrelid = r.oid and u.attnum = any(c.conkey) and u.attname in ('user_id', 'account_id')
		where c.contype = 'f' and r.relnamespace = current_schema()::regnamespace order by 1`
)

func TestWhatIsAboutAUserIsOfTheirEnvironment(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		columns, keys := columnsOfUsersSQLite, keysOfUsersSQLite
		if strings.Contains(t.Name(), "postgres") {
			columns, keys = columnsOfUsersPostgres, keysOfUsersPostgres
		}
		there, err := store.Texts(t.Context(), s, columns)
		if err != nil {
			t.Fatal(err)
		}
		bound, err := store.Texts(t.Context(), s, keys)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(there) // the databases sort _ differently
		slices.Sort(bound)
		want := slices.DeleteFunc(there, func(c string) bool { return slices.Contains(unkeyed, c) })
		if bound = slices.Compact(bound); len(want) < 15 || !slices.Equal(bound, want) {
			t.Errorf("bound to a user of the same environment are\n%q, want\n%q", bound, want)
		}

		test, live := newEnvironment(t, s), storetest.Env(t, s, "other")
		ada := storetest.User(t, s, test, "ada")
		for table, insert := range map[string]string{
			"profiles":     "insert into profiles (env_id, user_id, version, attributes) values (?, ?, 1, '{}')",
			"user_aliases": "insert into user_aliases (env_id, user_id, identifier, created_at) values (?, ?, 'a', 0)",
		} {
			if err := store.Exec(t.Context(), s, insert, live, ada); err == nil || !strings.Contains(strings.ToLower(err.Error()), "foreign key") {
				t.Errorf("a row of %s for a user of another environment: %v", table, err)
			}
		}
	})
}
