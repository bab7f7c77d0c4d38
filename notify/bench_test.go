package notify_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"carillon/model"
	"carillon/store/storetest"
)

// BenchmarkSends measures 16 senders that send to one user on PostgreSQL,
// beside a hand-written counterpart that does the same work (a durable send, an
// inbox row, exact counters, a seq) with one transaction for each send. The
// budget is 1.3 times the counterpart's sends. Run it with -cpu 2.
func BenchmarkSends(b *testing.B) {
	b.Run("carillon", func(b *testing.B) {
		f := newFixture(b, storetest.Postgres(b))
		f.clock.now = time.Now()
		f.users(b, "ada")
		senders(b, func(ctx context.Context) error {
			_, err := f.Send(ctx, f.env, hello("ada"))
			return err
		})
		f.noDrift(b)
	})
	b.Run("counterpart", func(b *testing.B) {
		url := storetest.Postgres(b)
		f := newFixture(b, url)
		user := f.users(b, "ada")[0]
		pool, err := pgxpool.New(b.Context(), url)
		if err != nil {
			b.Fatal(err)
		}
		defer pool.Close()
		if _, err := pool.Exec(b.Context(), "insert into inboxes values ($1, $2, 0, 0, 0, 0, 0, 0, 0)", f.env.ID, user.ID); err != nil {
			b.Fatal(err)
		}
		var ids atomic.Int64
		ids.Store(1 << 40)
		senders(b, func(ctx context.Context) error { return bareSend(ctx, pool, f.env.ID, user.ID, &ids) })
		f.noDrift(b)
	})
}

// senders runs send from 16 goroutines.
func senders(b *testing.B, send func(ctx context.Context) error) {
	b.SetParallelism(16 / runtime.GOMAXPROCS(0))
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := send(b.Context()); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sends/s")
}

func bareSend(ctx context.Context, pool *pgxpool.Pool, env model.EnvID, user model.UserID, ids *atomic.Int64) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		var seq int64
		if err := tx.QueryRow(ctx, `update inboxes set seq = seq + 1, total = total + 1, unseen = unseen + 1, unread = unread + 1
			where env_id = $1 and user_id = $2 returning seq`, env, user).Scan(&seq); err != nil {
			return err
		}
		send, now := ids.Add(2), time.Now().UnixMicro()
		if _, err := tx.Exec(ctx, `insert into sends (env_id, id, request_id, status, title, content, category_id, fired_at, created_at, total, done, skipped, failed)
			values ($1, $2::bigint, $2::text, 'SENT', 'Hello', '{"body":"World"}', 0, $3, $3, 1, 1, 0, 0)`, env, send, now); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `insert into notifications (env_id, id, user_id, send_id, category_id, sort_at, added_seq, seq, seen_seq, read_seq, in_inbox, reason)
			values ($1, $2, $3, $4, 0, $5, $6, $6, $6, $6, true, $7)`, env, send+1, user, send, now, seq, int16(model.ReasonEnvDefault))
		return err
	})
}
