package transport_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"carillon/graph/internal/testschema"
	"carillon/graph/transport"
)

func TestQueryOverASocket(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := s.dial(t)
	s.auth.expires = time.Unix(1_900_000_000, 0)
	c.say(`{"type":"connection_init","payload":{"authorization":"Bearer ada"}}`)
	var limits struct{ MaxMessageBytes, MaxSubscriptions, PingSeconds, Exp int }
	if err := json.Unmarshal(c.hear("connection_ack").Payload, &limits); err != nil || limits.MaxMessageBytes != 256<<10 ||
		limits.MaxSubscriptions != 100 || limits.PingSeconds != 20 || limits.Exp != 1_900_000_000 {
		t.Errorf("the acknowledgement says %+v, %v", limits, err)
	}
	c.subscribe(`a"é`, `{ who }`)
	if m := c.hear("next"); string(m.Payload) != `{"data":{"who":"ada"}}` || m.ID != `a"é` {
		t.Errorf("got %s %s", m.ID, m.Payload)
	}
	if m := c.hear("complete"); m.ID != `a"é` {
		t.Errorf("completed %s", m.ID)
	}
	c.subscribe("a", `mutation { rename(input: {id: 1, name: "x"}) { user { name } } }`)
	if m := c.hear("next"); string(m.Payload) != `{"data":{"rename":{"user":{"name":"x"}}}}` {
		t.Errorf("got %s", m.Payload)
	}
	c.hear("complete")
	for query, want := range map[string]string{
		`{ nothing }`:                       "GRAPHQL_VALIDATION_FAILED",
		`{`:                                 "GRAPHQL_PARSE_FAILED",
		`query($n: Int!) { number(n: $n) }`: "BAD_USER_INPUT",
		`{ users(first: 6000) { nodes { id } } }`:              "QUERY_TOO_COMPLEX",
		`subscription { broken(how: "forbidden") { n } }`:      "FORBIDDEN",
		`subscription { broken(how: "next:forbidden") { n } }`: "FORBIDDEN",
		`subscription { broken(how: "next:bug") { n } }`:       "INTERNAL",
		`subscription { broken(how: "next:panic") { n } }`:     "INTERNAL",
	} {
		c.subscribe("b", query)
		m := c.hear("error") // and no complete behind it, or the next round hears it
		if !strings.Contains(string(m.Payload), want) || m.ID != "b" || strings.Contains(string(m.Payload), "secret") {
			t.Errorf("%s: %s %s, want %s", query, m.ID, m.Payload, want)
		}
	}
	c.subscribe("c", `{ hello fail(how: "forbidden") }`)
	if m := c.hear("next"); !strings.Contains(string(m.Payload), "FORBIDDEN") || !strings.Contains(string(m.Payload), "hello world") {
		t.Errorf("got %s", m.Payload)
	}
	c.hear("complete")
}

func TestSubscriptionOverASocket(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := s.connect(t, "ada")
	c.subscribe("1", `subscription { counter { n } }`)
	c.subscribe("2", `subscription { counter(to: 3, after: "1") { at: n } }`)
	eventually(t, "both are open", func() bool { return s.feed.Len() == 2 })
	if got := s.Stats().Subscriptions.Load(); got != 2 {
		t.Errorf("%d subscriptions are counted, want 2", got)
	}
	s.feed.Advance(4)
	got := map[string]string{}
	for range 4 + 2 + 1 {
		f, err := c.read()
		if err != nil {
			t.Fatal(err)
		}
		var m said
		if err := json.Unmarshal(f.Payload, &m); err != nil {
			t.Fatal(err)
		}
		got[m.ID] += m.Type + string(m.Payload) + " "
	}
	want := map[string]string{
		"1": `next{"data":{"counter":{"n":1}}} next{"data":{"counter":{"n":2}}} next{"data":{"counter":{"n":3}}} next{"data":{"counter":{"n":4}}} `,
		"2": `next{"data":{"counter":{"at":2}}} next{"data":{"counter":{"at":3}}} complete `,
	}
	for id, w := range want {
		if got[id] != w {
			t.Errorf("%s: got %s\nwant %s", id, got[id], w)
		}
	}
	c.say(`{"type":"complete","id":"1"}`)
	c.say(`{"type":"complete","id":"nothing"}`)
	eventually(t, "both are closed", func() bool { return s.feed.Len() == 0 })
	s.feed.Advance(1)
	c.subscribe("1", `{ hello }`) // the id is free again, and nothing more was said on it
	c.hear("next")
	c.hear("complete")
	if got := s.Stats().Subscriptions.Load(); got != 0 {
		t.Errorf("%d subscriptions are counted, want none", got)
	}
}

func TestSubprotocol(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.dial(t, "graphql-ws").shutsWith(4406)
	s.dial(t, "").shutsWith(4406)
	// Whoever can also speak the old one gets this one.
	c := s.dial(t, "graphql-ws", "graphql-transport-ws")
	c.say(`{"type":"connection_init","payload":{"authorization":"ada"}}`)
	c.hear("connection_ack")
}

func TestInitInTime(t *testing.T) {
	t.Parallel()
	s := serve(t, func(s *transport.Settings) { s.InitTimeout = 50 * time.Millisecond })
	c := s.dial(t)
	c.say(`{"type":"ping"}`)
	c.hear("pong")
	c.shutsWith(4408)
}

func TestPingsBeforeAndAfterInit(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := s.dial(t)
	c.say(`{"type":"ping","payload":{"a":[1]}}`)
	if m := c.hear("pong"); string(m.Payload) != `{"a":[1]}` {
		t.Errorf("the pong brings %s", m.Payload)
	}
	c.frame(ws.NewPingFrame([]byte("x")))
	if f, err := c.read(); err != nil || f.Header.OpCode != ws.OpPong || string(f.Payload) != "x" {
		t.Errorf("a ping frame is answered by %v %q, %v", f.Header.OpCode, f.Payload, err)
	}
	c.say(`{"type":"pong"}`)
	c.say(`{"type":"connection_init","payload":{"authorization":"ada"}}`)
	c.hear("connection_ack")
	c.say(`{"type":"ping"}`)
	if m := c.hear("pong"); m.Payload != nil {
		t.Errorf("the pong brings %s", m.Payload)
	}
	c.say(`{"type":"ping","payload":{"authorization":"Bearer ada"}}`)
	if m := c.hear("pong"); string(m.Payload) != `{"exp":2000000000}` {
		t.Errorf("after a renewal the pong brings %s", m.Payload)
	}
}

func TestMessagesInParts(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := s.dial(t)
	init := `{"type":"connection_init","payload":{"authorization":"Bearer é"}}`
	at := strings.Index(init, "é") + 1 // in the middle of a rune
	c.frame(ws.NewFrame(ws.OpText, false, []byte(init[:at])))
	c.frame(ws.NewPingFrame([]byte("between")))
	c.frame(ws.NewFrame(ws.OpContinuation, false, nil))
	c.frame(ws.NewFrame(ws.OpContinuation, true, []byte(init[at:])))
	if f, err := c.read(); err != nil || string(f.Payload) != "between" {
		t.Errorf("the ping between the parts: %q, %v", f.Payload, err)
	}
	c.hear("connection_ack")
	// Byte by byte.
	frame := ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(`{"type":"ping"}`))))
	for _, b := range frame {
		if _, err := c.conn.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	c.hear("pong")
}

func TestFirstMessageWithTheHandshake(t *testing.T) {
	t.Parallel()
	s := serve(t)
	conn, err := net.Dial("tcp", s.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	padding := strings.Repeat(" ", 500) // more than fits into the socket's own few bytes
	frames := ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(`{"type":"connection_init",` + padding + `"payload":{"authorization":"ada"}}`))))
	if _, err := conn.Write(append([]byte("GET /graphql HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"), frames...)); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 0, 1024)
	for !strings.HasSuffix(string(head), "\r\n\r\n") {
		b := make([]byte, 1)
		if _, err := conn.Read(b); err != nil {
			t.Fatal(err)
		}
		head = append(head, b...)
	}
	(&client{t: t, conn: conn, in: conn}).hear("connection_ack")
}

func TestHandshakeIsRefusedInJSON(t *testing.T) {
	t.Parallel()
	s := serve(t)
	upgrade := []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}
	for _, headers := range [][]string{
		append(upgrade[:2:2], "Sec-WebSocket-Version: 13"),
		append(upgrade[:3:3], "Sec-WebSocket-Version: 8"),
	} {
		resp, body := s.send(t, request{method: "GET", headers: headers})
		if resp.StatusCode != 400 || firstCode(t, body) != "BAD_USER_INPUT" {
			t.Errorf("%v: %d %s", headers, resp.StatusCode, body)
		}
	}
}

func TestSilentPeersAreDropped(t *testing.T) {
	t.Parallel()
	s := serve(t, func(s *transport.Settings) {
		s.PingInterval, s.DeadAfter = 40*time.Millisecond, 200*time.Millisecond
	})
	lively := s.connect(t, "ada")
	lively.subscribe("1", "subscription { counter { n } }")
	silent := s.connect(t, "bob")
	silent.subscribe("1", "subscription { counter { n } }")
	done := make(chan struct{})
	go func() {
		defer close(done)
		lively.hear("next") // answers pings meanwhile
	}()
	eventually(t, "the silent one is gone", func() bool { return s.Stats().DeadPeers.Load() == 1 && s.feed.Len() == 1 })
	s.feed.Advance(1)
	<-done
}

func TestLimitsOfASocket(t *testing.T) {
	t.Parallel()
	s := serve(t, func(s *transport.Settings) { s.Subscriptions, s.InFlight = 3, 2 })
	c := s.connect(t, "ada")
	for i := range 3 {
		c.subscribe(fmt.Sprint(i), "subscription { counter { n } }")
		eventually(t, "it is open", func() bool { return s.feed.Len() == i+1 })
	}
	c.subscribe("over", "subscription { counter { n } }")
	if m := c.hear("error"); m.ID != "over" || !strings.Contains(string(m.Payload), "LIMIT_EXCEEDED") {
		t.Errorf("one subscription too many: %s %s", m.ID, m.Payload)
	}
	c.say(`{"type":"complete","id":"0"}`)
	eventually(t, "it is closed", func() bool { return s.feed.Len() == 2 })
	c.subscribe("again", "subscription { counter { n } }")
	eventually(t, "it is open", func() bool { return s.feed.Len() == 3 })

	for i := range 2 + 3 { // that run, and that wait their turn
		c.subscribe(fmt.Sprint("slow", i), "{ slow }")
	}
	c.subscribe("over", "{ slow }")
	if m := c.hear("error"); m.ID != "over" || !strings.Contains(string(m.Payload), "RATE_LIMITED") {
		t.Errorf("one operation too many: %s %s", m.ID, m.Payload)
	}
}

// TestOperationsWaitTheirTurn asks for everything at once, as a client does
// that comes back.
func TestOperationsWaitTheirTurn(t *testing.T) {
	t.Parallel()
	s := serve(t, func(s *transport.Settings) { s.Subscriptions, s.InFlight, s.Message = 50, 2, 8<<10 })
	c := s.connect(t, "ada")
	for _, id := range []string{"first", "second"} {
		c.subscribe(id, "{ slow }")
	}
	for i := range 50 {
		c.subscribe(fmt.Sprint(i), "subscription { counter { n } }")
	}
	if n := s.feed.Len(); n != 0 {
		t.Errorf("%d subscriptions are open before it is their turn", n)
	}
	c.say(`{"type":"complete","id":"7"}`) // while it waits: it never begins
	for _, id := range []string{"first", "second"} {
		c.say(`{"type":"complete","id":"` + id + `"}`)
	}
	eventually(t, "all the others are open", func() bool { return s.feed.Len() == 49 })
	s.feed.Advance(1)
	heard := map[string]bool{}
	for range 49 {
		heard[c.hear("next").ID] = true
	}
	if len(heard) != 49 || heard["7"] {
		t.Errorf("heard of %d: %v", len(heard), heard)
	}

	for _, id := range []string{"first", "second"} {
		c.subscribe(id, "{ slow }")
	}
	c.subscribe("long", "{ hello } # "+strings.Repeat("x", 5<<10))
	c.subscribe("longer", "{ hello } # "+strings.Repeat("x", 5<<10))
	if m := c.hear("error"); m.ID != "longer" || !strings.Contains(string(m.Payload), "RATE_LIMITED") {
		t.Errorf("more bytes wait than one message may have: %s %s", m.ID, m.Payload)
	}
}

func TestLimitsOfConnections(t *testing.T) {
	t.Parallel()
	s := serve(t, func(s *transport.Settings) { s.Connections, s.UserConnections = 5, 2 })
	first := s.connect(t, "ada")
	s.connect(t, "ada")
	c := s.dial(t)
	c.say(`{"type":"connection_init","payload":{"authorization":"ada"}}`)
	c.shutsWith(1013)
	eventually(t, "it is gone", func() bool { return s.Stats().Sockets.Load() == 2 })
	s.connect(t, "bob")
	s.connect(t, "application")
	s.connect(t, "application")
	s.dial(t).shutsWith(1013)
	first.conn.Close()
	eventually(t, "there is room", func() bool { return s.Stats().Sockets.Load() == 4 })
	s.connect(t, "ada")
}

func TestCompleteEndsAQueryAndNotAMutation(t *testing.T) {
	t.Parallel()
	s := serve(t, func(s *transport.Settings) { s.RequestTimeout = time.Minute })
	c := s.connect(t, "ada")
	c.subscribe("query", "{ slow }")
	c.subscribe("mutation", "mutation { linger }")
	eventually(t, "both run", func() bool { return s.Stats().Operations.Load() == 2 })
	c.say(`{"type":"complete","id":"mutation"}`)
	c.say(`{"type":"complete","id":"query"}`)
	eventually(t, "both are done", func() bool { return s.Stats().Operations.Load() == 0 })
	if testschema.Cut.Load() != 0 {
		t.Error("the mutation was given up")
	}
	c.subscribe("query", "{ hello }") // nothing was said about the others
	c.hear("next")
}

// TestSocketOverTLS has a connection on which no write can be tried without
// waiting.
func TestSocketOverTLS(t *testing.T) {
	t.Parallel()
	s := serve(t)
	secure := httptest.NewTLSServer(s.Handler)
	t.Cleanup(secure.Close)
	dialer := ws.Dialer{
		Protocols: []string{"graphql-transport-ws"},
		TLSConfig: secure.Client().Transport.(*http.Transport).TLSClientConfig.Clone(),
	}
	dialer.TLSConfig.ServerName = "example.com"
	conn, _, _, err := dialer.Dial(t.Context(), "wss"+strings.TrimPrefix(secure.URL, "https")+"/graphql")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &client{t: t, conn: conn, in: conn}
	c.say(`{"type":"connection_init","payload":{"authorization":"ada"}}`)
	c.hear("connection_ack")
	c.subscribe("1", "subscription { counter(to: 50) { n } }")
	s.feed.Advance(50)
	for range 50 {
		c.hear("next")
	}
	c.hear("complete")
	c.say("nonsense")
	c.shutsWith(4400)
}
