package store_test

import (
	"testing"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

// eachStore runs a benchmark once for each database.
func eachStore(b *testing.B, run func(b *testing.B, s *store.Store)) {
	b.Run("sqlite", func(b *testing.B) { run(b, storetest.Open(b, store.Config{URL: storetest.SQLite(b)})) })
	b.Run("postgres", func(b *testing.B) { run(b, storetest.Open(b, store.Config{URL: storetest.Postgres(b)})) })
}

func benchUser(b *testing.B, s *store.Store) (model.EnvID, model.UserID) {
	env := storetest.Env(b, s, "shop")
	return env, storetest.User(b, s, env, "ada")
}

// BenchmarkInbox reads the first page of an inbox of 100,000 items. The budget
// is what the page of an inbox of 100 costs: 0.2 ms on PostgreSQL, 0.5 ms on
// SQLite; also for the unread when almost all or almost nothing is. What no
// index has, such as a category that is not there, may walk: 100 ms.
func BenchmarkInbox(b *testing.B) {
	eachStore(b, func(b *testing.B, s *store.Store) {
		ctx := b.Context()
		env, user := benchUser(b, s)
		all := sendMany(b, s, env, user, 100_000)
		if _, _, err := s.MarkNotifications(ctx, env, model.Once{}, user, all[50_000:50_100], model.MarkArchived); err != nil {
			b.Fatal(err)
		}
		if err := store.Exec(ctx, s, "analyze"); err != nil {
			b.Fatal(err)
		}
		page := func(name string, f model.InboxFilter) {
			b.Run(name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := s.Inbox(ctx, env, user, f, model.PageRequest{Limit: 20}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		page("newest", listed)
		page("unread=100000", model.InboxFilter{Archived: &no, Unread: &yes})
		page("archived=100", model.InboxFilter{Archived: &yes})
		page("both", model.InboxFilter{})
		page("category=none", model.InboxFilter{Archived: &no, Categories: []model.CategoryID{5}})
		if _, _, err := s.MarkAll(ctx, env, model.Once{}, user, model.MarkRead, nil, nil); err != nil {
			b.Fatal(err)
		}
		if _, _, err := s.MarkNotifications(ctx, env, model.Once{}, user, all[:10], model.MarkUnseen); err != nil {
			b.Fatal(err)
		}
		page("unread=10,oldest", model.InboxFilter{Archived: &no, Unread: &yes})
		page("unseen=10,oldest", model.InboxFilter{Archived: &no, Unseen: &yes})
		page("newest,covered", listed)
		b.Run("counters", func(b *testing.B) {
			for b.Loop() {
				if _, _, err := s.InboxCounters(ctx, env, user); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

// BenchmarkMarkAll marks 50,000 unread items: in one row for all of the inbox,
// and item by item in one statement for a filter. The budget of the first is
// that of one small transaction, whatever there is to mark.
func BenchmarkMarkAll(b *testing.B) {
	eachStore(b, func(b *testing.B, s *store.Store) {
		ctx := b.Context()
		env, user := benchUser(b, s)
		sendMany(b, s, env, user, 50_000)
		mark := func(b *testing.B, as model.MarkState, f *model.InboxFilter) {
			out, _, err := s.MarkAll(ctx, env, model.Once{}, user, as, nil, f)
			if err != nil || out.Value.Affected != 50_000 {
				b.Fatalf("%s: %+v, %v", as, out.Value, err)
			}
		}
		b.Run("all", func(b *testing.B) {
			for b.Loop() {
				mark(b, model.MarkRead, nil)
				b.StopTimer()
				mark(b, model.MarkUnseen, nil)
				b.StartTimer()
			}
		})
		b.Run("filter", func(b *testing.B) {
			for b.Loop() {
				mark(b, model.MarkRead, &model.InboxFilter{Archived: &no, Categories: []model.CategoryID{0}})
				b.StopTimer()
				mark(b, model.MarkUnseen, nil)
				b.StartTimer()
			}
		})
	})
}
