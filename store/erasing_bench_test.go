package store_test

import (
	"fmt"
	"testing"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

// BenchmarkErasureAmongAnswers erases users who have next to nothing in an
// environment with 100,000 stored answers of sends to others: all of these are
// looked at.
func BenchmarkErasureAmongAnswers(b *testing.B) {
	eachStore(b, func(b *testing.B, s *store.Store) {
		ctx := b.Context()
		env, user := benchUser(b, s)
		ids, _ := storetest.Send(b, s, env, storetest.Sent{Title: "T"}, user)
		if err := store.Exec(ctx, s, fmt.Sprintf(`insert into idempotency (env_id, actor, operation, key, hash, result, created_at)
			with recursive c (n) as (select 1 union all select n + 1 from c where n < 100000)
			select %d, 0, 'sendNotification', 'order ' || n, cast('x' as %s), '{"Send":{"ID":%d,"EnvID":1,"RequestID":"7d444840-9dc0-11d1-b245-5ffdce74fad2","Status":"SENT","Content":{"Title":"","Body":"","Icon":"","URL":"","Data":null},"CategoryID":0,"Channels":null,"SendAt":"0001-01-01T00:00:00Z","FiredAt":"2026-11-28T03:54:07.123456Z","ExpiresAt":"0001-01-01T00:00:00Z","CreatedAt":"2026-11-28T03:54:07.123456Z","RecalledAt":"0001-01-01T00:00:00Z","Progress":{"Total":1,"Done":1,"Skipped":0,"Failed":0}},"Plan":null,"Skipped":null}', 0 from c`,
			env, map[bool]string{true: "bytea", false: "blob"}[b.Name() == "BenchmarkErasureAmongAnswers/postgres"], ids[0].SendID)); err != nil {
			b.Fatal(err)
		}
		if err := store.Exec(ctx, s, "analyze"); err != nil {
			b.Fatal(err)
		}
		for n := 0; b.Loop(); n++ {
			name := fmt.Sprintf("somebody-%d", n)
			storetest.User(b, s, env, name)
			if err := storetest.Erase(ctx, s, env, model.Once{}, name); err != nil {
				b.Fatal(err)
			}
		}
	})
}
