package redis_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"carillon/live"
	"carillon/live/livetest"
	"carillon/live/redis"
	"carillon/model"
)

// BenchmarkPublish measures one call of the bus with n hints of one send: what
// the goroutine that publishes does, and Redis with it.
func BenchmarkPublish(b *testing.B) {
	bus, err := redis.New(redis.Config{URL: livetest.RedisURL(b), Namespace: "bench", Log: quiet})
	if err != nil {
		b.Fatal(err)
	}
	defer bus.Close()
	content := &model.Content{Title: "Your order is on its way", Body: strings.Repeat("b", 200), URL: "https://example.com/orders/1"}
	for _, n := range []int{1, 64, 1024} {
		hints := make([]model.Hint, n)
		for u := range hints {
			hints[u] = (&model.InboxChange{Env: 1, User: model.UserID(u), Seq: 7, Counters: model.Counters{Total: 7, Unseen: 1, Unread: 3}, Added: []model.Notification{{
				ID: model.NotificationID(100_000 + u), EnvID: 1, UserID: model.UserID(u), SendID: 99_999, Content: content, InInbox: true,
				SortAt: time.Unix(1_800_000_000, 0), CreatedAt: time.Unix(1_800_000_000, 0), Seq: 7,
			}}}).Hint()
		}
		b.Run("hints="+strconv.Itoa(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := bus.Publish(b.Context(), hints); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/hint")
		})
	}
}

// BenchmarkHop measures a hint from the call of Publish in one process to the
// call of Offer in another. The aim is 200 µs.
func BenchmarkHop(b *testing.B) {
	url := livetest.RedisURL(b)
	hub := func() *live.Hub {
		bus, err := redis.New(redis.Config{URL: url, Namespace: "hop", Log: quiet})
		if err != nil {
			b.Fatal(err)
		}
		h := live.NewHub(live.Config{Bus: bus})
		stop := background(h.Run)
		b.Cleanup(func() {
			stop()
			_ = bus.Close()
		})
		return h
	}
	from, to := hub(), hub()
	r := new(livetest.Recorder)
	cancel := to.Watch(ada, r)
	livetest.Eventually(b, "the first hint", func() bool {
		from.Publish(b.Context(), model.Hint{Key: ada, Seq: -1})
		return r.Has(-1)
	})
	cancel()
	arrived := make(signal, 1)
	defer to.Watch(ada, arrived)()
	for b.Loop() {
		from.Publish(b.Context(), model.Hint{Key: ada, Seq: 1})
		<-arrived
	}
}

// signal is a watcher that waits to be asked for hints that are not beacons.
type signal chan struct{}

func (s signal) Offer(h model.Hint) {
	if h.Seq > 0 {
		s <- struct{}{}
	}
}
