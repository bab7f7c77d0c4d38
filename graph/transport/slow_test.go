package transport_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"carillon/graph/transport"
)

// TestSlowReaderDelaysNobody has one peer that never reads and others that do.
func TestSlowReaderDelaysNobody(t *testing.T) {
	t.Parallel()
	s := serve(t, func(s *transport.Settings) { s.WriteTimeout, s.Writers = 500*time.Millisecond, 1 })
	slow := s.connect(t, "slow")
	slow.subscribe("1", "subscription { counter(bytes: 500000) { n text } }")
	slow.subscribe("2", "subscription { counter(bytes: 500000) { n text } }")
	quick := s.connect(t, "quick")
	quick.subscribe("1", "subscription { counter { n } }")
	eventually(t, "all are open", func() bool { return s.feed.Len() == 3 })

	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var slowest time.Duration
	for i := range 200 {
		began := time.Now()
		s.feed.Advance(1)
		var got struct {
			Data struct{ Counter struct{ N int } }
		}
		if err := json.Unmarshal(quick.hear("next").Payload, &got); err != nil || got.Data.Counter.N != i+1 {
			t.Fatalf("event %d: %+v, %v", i+1, got, err)
		}
		slowest = max(slowest, time.Since(began))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if slowest > 2*time.Second {
		t.Errorf("an event took %v to the quick one", slowest)
	}
	if grown := int(after.HeapAlloc) - int(before.HeapAlloc); grown > 64<<20 {
		t.Errorf("the slow one holds %d MB", grown>>20)
	}
	t.Logf("the slowest event took %v", slowest)
	eventually(t, "the slow one is dropped", func() bool {
		return s.Stats().SlowReaders.Load() == 1 && s.feed.Len() == 1 && s.Stats().Blocked.Load() == 0
	})
}

// TestSlowReaderMissesNothing has a peer that stops for a while and reads on.
func TestSlowReaderMissesNothing(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := s.connect(t, "ada")
	c.subscribe("1", "subscription { counter(bytes: 300000) { n text } }")
	eventually(t, "it is open", func() bool { return s.feed.Len() == 1 })
	const n = 100
	s.feed.Advance(n)
	eventually(t, "the socket is full", func() bool { return s.Stats().Blocked.Load() == 1 })
	for i := range n {
		var got struct {
			Data struct{ Counter struct{ N int } }
		}
		if err := json.Unmarshal(c.hear("next").Payload, &got); err != nil || got.Data.Counter.N != i+1 {
			t.Fatalf("event %d: %+v, %v", i+1, got, err)
		}
	}
}

// TestSubscriptionsOfOneSocketTakeTurns has one stream with much to say beside
// one with little.
func TestSubscriptionsOfOneSocketTakeTurns(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := s.connect(t, "ada")
	c.subscribe("much", "subscription { counter { n } }")
	eventually(t, "it is open", func() bool { return s.feed.Len() == 1 })
	s.feed.Advance(20_000)
	c.subscribe("little", `subscription { counter(after: "19999") { n } }`)
	for heard := 0; ; heard++ {
		if m := c.hear("next"); m.ID == "little" {
			t.Logf("heard after %d events of the other", heard)
			return
		}
		if heard == 19_990 {
			t.Fatal("the stream with little to say waits for the other to end")
		}
	}
}

// TestPeerThatAsksAndDoesNotReadIsHeldBack sends pings without reading what is
// said to them, until it cannot send any more.
func TestPeerThatAsksAndDoesNotReadIsHeldBack(t *testing.T) {
	t.Parallel()
	s := serve(t, func(s *transport.Settings) { s.WriteTimeout = 5 * time.Second })
	c := s.connect(t, "ada")
	payload := strings.Repeat("x", 900)
	frame := ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(`{"type":"ping","payload":{"a":"` + payload + `"}}`))))
	for i := 0; ; i++ {
		if err := c.conn.SetWriteDeadline(time.Now().Add(500 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.conn.Write(frame); err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("after %d pings: %v, want the write to wait", i, err)
			}
			t.Logf("held back after %d pings", i)
			return
		}
	}
}

func TestFloodOfSubscribes(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := s.connect(t, "ada")
	const n = 1000
	go func() {
		for i := range n {
			c.subscribe(fmt.Sprint(i), "subscription { counter { n } }")
		}
	}()
	var refused atomic.Int64
	go func() {
		for {
			f, err := c.read()
			if err != nil {
				return
			}
			if strings.Contains(string(f.Payload), `"type":"error"`) {
				refused.Add(1)
			}
		}
	}()
	eventually(t, "each is open or refused", func() bool { return int(refused.Load())+s.feed.Len() == n })
	if got := s.feed.Len(); got > 100 || got == 0 {
		t.Errorf("%d subscriptions are open, want at most 100", got)
	}
}
