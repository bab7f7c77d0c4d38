package live_test

import (
	"runtime"
	"strconv"
	"testing"

	"carillon/live"
	"carillon/model"
)

type deaf struct{}

func (deaf) Offer(model.Hint) {}

// BenchmarkPublish measures one change of an inbox that n streams in this
// process watch, with nobody else on the bus. The budget is 300 ns at one
// watcher, 5 ns for each further one, and no allocation.
func BenchmarkPublish(b *testing.B) {
	for _, n := range []int{0, 1, 100} {
		b.Run("watchers="+strconv.Itoa(n), func(b *testing.B) {
			hub := live.NewHub(live.Config{})
			for range n {
				defer hub.Watch(ada, deaf{})()
			}
			h := (&model.InboxChange{Env: 1, User: 2, Seq: 1}).Hint()
			ctx := b.Context()
			for range 1 << 15 {
				hub.Publish(ctx, h) // fill what waits for the bus
			}
			b.ReportAllocs()
			for b.Loop() {
				hub.Publish(ctx, h)
			}
		})
	}
}

// BenchmarkPublishFanOut measures one send to 10,000 open streams, published in
// chunks of 1,000, while the hub runs.
func BenchmarkPublishFanOut(b *testing.B) {
	hub := live.NewHub(live.Config{})
	const users, chunk = 10_000, 1_000
	hints := make([]model.Hint, users)
	for u := range hints {
		hints[u] = (&model.InboxChange{Env: 1, User: model.UserID(u), Seq: 1}).Hint()
		defer hub.Watch(hints[u].Key, deaf{})()
	}
	go hub.Run(b.Context())
	b.ReportAllocs()
	for b.Loop() {
		for i := 0; i < users; i += chunk {
			hub.Publish(b.Context(), hints[i:i+chunk]...)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/users, "ns/hint")
}

// BenchmarkWatch measures a stream that opens and closes, and what 10,000 open
// ones hold in memory. The budget is 300 bytes a watcher.
func BenchmarkWatch(b *testing.B) {
	b.Run("opened and closed", func(b *testing.B) {
		hub := live.NewHub(live.Config{})
		b.ReportAllocs()
		for b.Loop() {
			hub.Watch(ada, deaf{})()
		}
	})
	b.Run("held", func(b *testing.B) {
		const n = 10_000
		var held uint64
		for b.Loop() {
			hub := live.NewHub(live.Config{})
			cancels := make([]func(), n)
			before := heap()
			for u := range n {
				cancels[u] = hub.Watch(model.InboxKey(1, model.UserID(u)), deaf{})
			}
			held = heap() - before
			runtime.KeepAlive(cancels)
			runtime.KeepAlive(hub)
		}
		b.ReportMetric(float64(held)/n, "B/watcher")
	})
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
