package notify_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"carillon/model"
	"carillon/store/storetest"
)

// BenchmarkBroadcast measures one send to a topic of 100,000 users on
// PostgreSQL from its acceptance to its end, beside a bare INSERT … SELECT of
// the same rows, with the same indexes and the same inboxes counted. Each user
// has an inbox already. The budget is 0.4 of the bare insert's rows.
func BenchmarkBroadcast(b *testing.B) {
	const users = 100_000
	url := storetest.Postgres(b)
	f := newFixture(b, url)
	f.clock.now = time.Now()
	conn, err := pgx.Connect(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close(context.Background())
	exec := func(query string, args ...any) {
		b.Helper()
		if _, err := conn.Exec(b.Context(), query, args...); err != nil {
			b.Fatal(err)
		}
	}
	topic, err := f.store.CreateTopic(b.Context(), f.env.ID, model.Once{}, "all", "All", model.TopicDetails{})
	if err != nil {
		b.Fatal(err)
	}
	exec("insert into users (env_id, id, identifier, enabled, created_at, updated_at) select $1, 1000000 + n, 'user-' || n, true, 1, 1 from generate_series(1, $2::int) n", f.env.ID, users)
	exec("insert into topic_members (env_id, topic_id, user_id, created_at) select $1, $2, id, 1 from users where env_id = $1", f.env.ID, topic.Value.ID)
	exec("insert into inboxes select env_id, id, 0, 0, 0, 0, 0, 0, 0 from users where env_id = $1", f.env.ID)
	exec("select setval('ids', 10000000)")
	exec("vacuum analyze")

	b.Run("carillon", func(b *testing.B) {
		for b.Loop() {
			r := f.mustSend(b, model.SendRequest{To: model.SendTarget{Topics: []string{"all"}}, Content: model.Content{Title: "Hello"}})
			if err := f.ExpandAll(b.Context()); err != nil {
				b.Fatal(err)
			}
			m, err := f.Find(b.Context(), f.env.ID, r.Send.ID)
			if err != nil || m.Status != model.SendSent || m.Progress.Done != users {
				b.Fatalf("ended as %+v, %v", m, err)
			}
		}
		b.ReportMetric(float64(users*b.N)/b.Elapsed().Seconds(), "rows/s")
	})
	id := int64(1) << 40
	bare := func(b *testing.B, inboxes bool) {
		for b.Loop() {
			id += users + 1
			tx, err := conn.Begin(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			exec(fmt.Sprintf(`insert into notifications (env_id, id, user_id, send_id, category_id, sort_at, added_seq, seq, seen_seq, read_seq, in_inbox, reason)
				select env_id, %d + row_number() over (), user_id, %[1]d, 0, %d, 1, 1, 1, 1, true, 12 from topic_members where env_id = $1 and topic_id = $2`, id, time.Now().UnixMicro()), f.env.ID, topic.Value.ID)
			if inboxes {
				exec("update inboxes set seq = seq + 1, total = total + 1, unseen = unseen + 1, unread = unread + 1 where env_id = $1", f.env.ID)
			}
			if err := tx.Commit(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(users*b.N)/b.Elapsed().Seconds(), "rows/s")
	}
	b.Run("rows", func(b *testing.B) { bare(b, false) })
	b.Run("rowsAndInboxes", func(b *testing.B) { bare(b, true) })
	b.Run("carillonAgain", func(b *testing.B) {
		for b.Loop() {
			f.mustSend(b, model.SendRequest{To: model.SendTarget{Topics: []string{"all"}}, Content: model.Content{Title: "Hello"}})
			if err := f.ExpandAll(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(users*b.N)/b.Elapsed().Seconds(), "rows/s")
	})
}
