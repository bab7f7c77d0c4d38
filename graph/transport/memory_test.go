package transport_test

import (
	"encoding/json"
	"fmt"
	"net"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"carillon/graph/transport"
)

// footprint is what the process holds, after it was cleaned up.
func footprint() (heap, stack uint64, goroutines int) {
	for range 3 { // stacks shrink by half each time
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc, m.StackInuse, runtime.NumGoroutine()
}

// TestIdleSubscriber measures what a subscriber costs who has heard one event
// and waits for the next: the server's end of the connection and, since both
// ends are in this process, the client's file too. The budget is 20 KB.
func TestIdleSubscriber(t *testing.T) {
	const n = 500
	s := serve(t, func(s *transport.Settings) { s.Connections = 2 * n })
	s.connect(t, "application") // what is there once is not counted
	heap0, stack0, goroutines0 := footprint()
	clients := make([]*client, n)
	for i := range clients {
		c := s.connect(t, strconv.Itoa(i))
		c.subscribe("1", "subscription { counter { n text } }")
		clients[i] = c
	}
	eventually(t, "all are open", func() bool { return s.feed.Len() == n })
	s.feed.Advance(1)
	for _, c := range clients {
		c.hear("next")
	}
	s.http.Client().CloseIdleConnections()
	heap, stack, goroutines := footprint()
	each := func(a, b uint64) int { return (int(a) - int(b)) / n }
	t.Logf("each of %d: heap %d B, stack %d B, %.2f goroutines", n, each(heap, heap0), each(stack, stack0), float64(goroutines-goroutines0)/n)
	if total := each(heap+stack, heap0+stack0); total > 20<<10 {
		t.Errorf("a subscriber that waits costs %d bytes, want at most 20 KB", total)
	}
	if goroutines-goroutines0 > n+20 {
		t.Errorf("%d goroutines for %d subscribers", goroutines-goroutines0, n)
	}
}

// BenchmarkFanOut measures one event to n subscribers, each on a socket of its
// own, until every one of them has it.
func BenchmarkFanOut(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run("subscribers="+strconv.Itoa(n), func(b *testing.B) {
			s := serve(b, func(s *transport.Settings) { s.Connections = 2 * n })
			clients := make([]*client, n)
			for i := range clients {
				clients[i] = s.connect(b, strconv.Itoa(i))
				clients[i].subscribe("1", "subscription { counter { n text } }")
			}
			eventually(b, "all are open", func() bool { return s.feed.Len() == n })
			b.ReportAllocs()
			for b.Loop() {
				s.feed.Advance(1)
				for _, c := range clients {
					if _, err := c.read(); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/subscriber")
		})
	}
}

// BenchmarkQuery measures a small query over HTTP, and over a socket.
func BenchmarkQuery(b *testing.B) {
	s := serve(b)
	body, _ := json.Marshal(map[string]any{
		"query": "query($n: Int) { users(first: $n) { total nodes { id name tags } } }", "variables": map[string]int{"n": 20},
	})
	b.Run("HTTP", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if resp, text := s.send(b, request{body: string(body)}); resp.StatusCode != 200 {
				b.Fatal(text)
			}
		}
	})
	b.Run("Socket", func(b *testing.B) {
		c := s.connect(b, "ada")
		b.ReportAllocs()
		for b.Loop() {
			c.say(`{"type":"subscribe","id":"1","payload":` + string(body) + `}`)
			c.hear("next")
			c.hear("complete")
		}
	})
}

// TestIdleEventStream is TestIdleSubscriber over server-sent events.
func TestIdleEventStream(t *testing.T) {
	const n = 500
	s := serve(t, func(s *transport.Settings) { s.Connections = 2 * n })
	s.connect(t, "application") // what is there once is not counted
	heap0, stack0, goroutines0 := footprint()
	streams := make([]net.Conn, n)
	for i := range streams {
		streams[i] = s.rawStream(t, strconv.Itoa(i))
	}
	eventually(t, "all are open", func() bool { return s.feed.Len() == n })
	s.feed.Advance(1)
	for _, conn := range streams {
		readUntil(t, conn, "event: next\n")
	}
	heap, stack, goroutines := footprint()
	each := func(a, b uint64) int { return (int(a) - int(b)) / n }
	t.Logf("each of %d: heap %d B, stack %d B, %.2f goroutines", n, each(heap, heap0), each(stack, stack0), float64(goroutines-goroutines0)/n)
	if total := each(heap+stack, heap0+stack0); total > 20<<10 {
		t.Errorf("a stream that waits costs %d bytes, want at most 20 KB", total)
	}
	if goroutines-goroutines0 > n+20 {
		t.Errorf("%d goroutines for %d streams", goroutines-goroutines0, n)
	}
}

// rawStream opens an event stream on a connection that nothing stands between.
func (s *server) rawStream(t testing.TB, name string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	body := `{"query":"subscription { counter { n text } }"}`
	_, err = fmt.Fprintf(conn, "POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nAccept: text/event-stream\r\nContent-Length: %d\r\n\r\n%s",
		name, len(body), body)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// readUntil reads what a connection says, up to some words.
func readUntil(t testing.TB, conn net.Conn, words string) (text string) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	for some := make([]byte, 4096); !strings.Contains(text, words); {
		n, err := conn.Read(some)
		if err != nil {
			t.Fatalf("%v after %q", err, text)
		}
		text += string(some[:n])
	}
	return text
}
