package transport_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"carillon/graph/transport"
)

// client is the other end of a socket, which can also do what no client
// should.
type client struct {
	t    testing.TB
	conn net.Conn
	in   io.Reader
}

// dial opens a socket with the right subprotocol, with others, or with none ("").
func (s *server) dial(t testing.TB, protocols ...string) *client {
	t.Helper()
	switch {
	case protocols == nil:
		protocols = []string{"graphql-transport-ws"}
	case protocols[0] == "":
		protocols = nil
	}
	dialer := ws.Dialer{Protocols: protocols, Timeout: 10 * time.Second}
	conn, br, _, err := dialer.Dial(t.Context(), "ws"+strings.TrimPrefix(s.url, "http"))
	if err != nil && !errors.Is(err, ws.ErrHandshakeBadSubProtocol) {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &client{t: t, conn: conn, in: conn}
	if br != nil {
		c.in = io.MultiReader(io.LimitReader(br, int64(br.Buffered())), conn)
	}
	return c
}

// connect opens a socket and waits for its acknowledgement.
func (s *server) connect(t testing.TB, name string) *client {
	t.Helper()
	c := s.dial(t)
	c.say(`{"type":"connection_init","payload":{"authorization":"Bearer ` + name + `"}}`)
	c.hear("connection_ack")
	return c
}

// say sends a text message.
func (c *client) say(text string) { c.frame(ws.NewTextFrame([]byte(text))) }

func (c *client) frame(f ws.Frame) {
	c.t.Helper()
	if err := ws.WriteFrame(c.conn, ws.MaskFrame(f)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) subscribe(id, query string) {
	c.t.Helper()
	payload, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		c.t.Fatal(err)
	}
	c.say(fmt.Sprintf(`{"type":"subscribe","id":%q,"payload":%s}`, id, payload))
}

// said is a message of the server.
type said struct {
	Type    string
	ID      string
	Payload json.RawMessage
}

// read returns the next frame; pings are answered on the way.
func (c *client) read() (ws.Frame, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return ws.Frame{}, err
	}
	for {
		header, err := ws.ReadHeader(c.in)
		if err != nil {
			return ws.Frame{}, err
		}
		payload := make([]byte, header.Length)
		if _, err := io.ReadFull(c.in, payload); err != nil {
			return ws.Frame{}, err
		}
		if header.OpCode != ws.OpPing {
			return ws.Frame{Header: header, Payload: payload}, nil
		}
		c.frame(ws.NewPongFrame(payload))
	}
}

// hear returns the next message, which must be of a type.
func (c *client) hear(kind string) said {
	c.t.Helper()
	f, err := c.read()
	if err != nil {
		c.t.Fatalf("waiting for %s: %v", kind, err)
	}
	if f.Header.OpCode != ws.OpText {
		c.t.Fatalf("waiting for %s: frame %v %q", kind, f.Header.OpCode, f.Payload)
	}
	var m said
	if err := json.Unmarshal(f.Payload, &m); err != nil {
		c.t.Fatalf("%v in %s", err, f.Payload)
	}
	if m.Type != kind {
		c.t.Fatalf("heard %s, want %s", f.Payload, kind)
	}
	return m
}

// closed waits for the close frame, and then for the end of the connection. It
// returns the code.
func (c *client) closed() (code int, reason string) {
	c.t.Helper()
	for {
		f, err := c.read()
		if err != nil {
			c.t.Fatalf("waiting for a close frame: %v", err)
		}
		if f.Header.OpCode != ws.OpClose {
			continue
		}
		status, reason := ws.ParseCloseFrameData(f.Payload)
		if _, err := c.read(); !errors.Is(err, io.EOF) {
			c.t.Fatalf("after the close frame: %v, want the end of the stream", err)
		}
		c.conn.Close()
		return int(status), reason
	}
}

// shutsWith asserts the close code.
func (c *client) shutsWith(want int) {
	c.t.Helper()
	if code, reason := c.closed(); code != want {
		c.t.Errorf("closed with %d %q, want %d", code, reason, want)
	}
}

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

// TestCloseCodes provokes every code with which the server closes.
func TestCloseCodes(t *testing.T) {
	t.Parallel()
	const init = `{"type":"connection_init","payload":{"authorization":"Bearer ada"}}`
	control := func(op ws.OpCode, payload string) ws.Frame { return ws.NewFrame(op, true, []byte(payload)) }
	tests := []struct {
		name string
		want int
		do   func(*client)
	}{
		{"NoCredential", 4401, func(c *client) { c.say(`{"type":"connection_init"}`) }},
		{"NullPayload", 4401, func(c *client) { c.say(`{"type":"connection_init","payload":null}`) }},
		{"WrongCredential", 4401, func(c *client) {
			c.say(`{"type":"connection_init","payload":{"authorization":"Bearer wrong"}}`)
		}},
		{"WrongOrigin", 4403, func(c *client) {
			c.say(`{"type":"connection_init","payload":{"authorization":"Bearer forbidden"}}`)
		}},
		{"DatabaseAway", 1013, func(c *client) {
			c.say(`{"type":"connection_init","payload":{"authorization":"Bearer away"}}`)
		}},
		{"Bug", 4500, func(c *client) { c.say(`{"type":"connection_init","payload":{"authorization":"Bearer bug"}}`) }},
		{"Panic", 4500, func(c *client) { c.say(`{"type":"connection_init","payload":{"authorization":"Bearer panic"}}`) }},
		{"SubscribeFirst", 4401, func(c *client) { c.subscribe("1", "{ hello }") }},
		{"SecondInit", 4429, func(c *client) { c.say(init); c.hear("connection_ack"); c.say(init) }},
		{"SecondInitAtOnce", 4429, func(c *client) { c.say(init); c.say(init) }},
		{"DuplicateID", 4409, func(c *client) {
			c.say(init)
			c.hear("connection_ack")
			c.subscribe("1", "subscription { counter { n } }")
			c.subscribe("1", "{ hello }")
		}},
		{"NotJSON", 4400, func(c *client) { c.say(`hello`) }},
		{"Empty", 4400, func(c *client) { c.say(``) }},
		{"List", 4400, func(c *client) { c.say(`[]`) }},
		{"NoType", 4400, func(c *client) { c.say(`{"id":"1"}`) }},
		{"NumberType", 4400, func(c *client) { c.say(`{"type":1}`) }},
		{"UnknownType", 4400, func(c *client) { c.say(`{"type":"start","id":"1"}`) }},
		{"ServersType", 4400, func(c *client) { c.say(`{"type":"connection_ack"}`) }},
		{"TextPayload", 4400, func(c *client) { c.say(`{"type":"connection_init","payload":"x"}`) }},
		{"NoID", 4400, func(c *client) {
			c.say(init)
			c.hear("connection_ack")
			c.say(`{"type":"subscribe","payload":{"query":"{a}"}}`)
		}},
		{"EmptyID", 4400, func(c *client) { c.say(init); c.hear("connection_ack"); c.say(`{"type":"complete","id":""}`) }},
		{"NumberID", 4400, func(c *client) { c.say(`{"type":"complete","id":1}`) }},
		{"LongID", 4400, func(c *client) { c.say(`{"type":"complete","id":"` + strings.Repeat("x", 129) + `"}`) }},
		{"NoPayload", 4400, func(c *client) { c.say(init); c.hear("connection_ack"); c.say(`{"type":"subscribe","id":"1"}`) }},
		{"NoQuery", 4400, func(c *client) {
			c.say(init)
			c.hear("connection_ack")
			c.say(`{"type":"subscribe","id":"1","payload":{}}`)
		}},
		{"ListVariables", 4400, func(c *client) {
			c.say(init)
			c.hear("connection_ack")
			c.say(`{"type":"subscribe","id":"1","payload":{"query":"{ hello }","variables":[]}}`)
		}},
		{"Binary", 4400, func(c *client) { c.frame(ws.NewBinaryFrame([]byte(init))) }},
		{"NotUTF8", 1007, func(c *client) { c.say("{\"type\":\"ping\",\"payload\":{\"a\":\"\xff\"}}") }},
		{"TooLargeBeforeInit", 1009, func(c *client) { c.say(`{"type":"ping","x":"` + strings.Repeat("x", 20_000) + `"}`) }},
		{"TooLarge", 1009, func(c *client) {
			c.say(init)
			c.hear("connection_ack")
			c.say(`{"type":"ping","x":"` + strings.Repeat("x", 300_000) + `"}`)
		}},
		{"TooLargeInParts", 1009, func(c *client) {
			c.frame(ws.NewFrame(ws.OpText, false, make([]byte, 10_000)))
			c.frame(ws.NewFrame(ws.OpContinuation, false, make([]byte, 10_000)))
		}},
		{"NotMasked", 1002, func(c *client) { _ = ws.WriteFrame(c.conn, ws.NewTextFrame([]byte(init))) }},
		{"Continuation", 1002, func(c *client) { c.frame(ws.NewFrame(ws.OpContinuation, true, []byte("x"))) }},
		{"TextInText", 1002, func(c *client) {
			c.frame(ws.NewFrame(ws.OpText, false, []byte("{")))
			c.say("}")
		}},
		{"ReservedCode", 1002, func(c *client) { c.frame(control(0x3, "")) }},
		{"LongPing", 1002, func(c *client) { c.frame(control(ws.OpPing, strings.Repeat("x", 126))) }},
		{"BadCloseCode", 1002, func(c *client) { c.frame(control(ws.OpClose, "\x00\x01")) }},
		{"ShortClose", 1002, func(c *client) { c.frame(control(ws.OpClose, "x")) }},
		{"Close", 1000, func(c *client) { c.frame(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "bye"))) }},
		{"EmptyClose", 1000, func(c *client) { c.frame(ws.NewCloseFrame(nil)) }},
		{"DatabaseAwayLater", 1013, func(c *client) {
			c.say(init)
			c.hear("connection_ack")
			c.subscribe("1", `subscription { broken(how: "next:unavailable") { n } }`)
		}},
		{"RenewalOfAnother", 4403, func(c *client) {
			c.say(init)
			c.hear("connection_ack")
			c.say(`{"type":"ping","payload":{"authorization":"Bearer bob"}}`)
		}},
		{"WrongRenewal", 4403, func(c *client) {
			c.say(init)
			c.hear("connection_ack")
			c.say(`{"type":"ping","payload":{"authorization":"Bearer wrong"}}`)
		}},
		{"RenewalWithoutDatabase", 1013, func(c *client) {
			c.say(init)
			c.hear("connection_ack")
			c.say(`{"type":"ping","payload":{"authorization":"Bearer away"}}`)
		}},
	}
	s := serve(t, func(s *transport.Settings) { s.UserConnections = 1000 })
	t.Run("Each", func(t *testing.T) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				c := s.dial(t)
				tt.do(c)
				c.shutsWith(tt.want)
			})
		}
	})
	eventually(t, "every socket, session and stream is gone", func() bool {
		return s.Stats().Sockets.Load() == 0 && s.auth.count() == 0 && s.feed.Len() == 0 && s.Stats().Subscriptions.Load() == 0
	})
	counted := s.Stats().Closes()
	for _, tt := range tests {
		if counted[tt.want] == 0 {
			t.Errorf("%d is not counted: %v", tt.want, counted)
		}
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

	c.subscribe("slow1", "{ slow }")
	c.subscribe("slow2", "{ slow }")
	c.subscribe("slow3", "{ slow }")
	if m := c.hear("error"); m.ID != "slow3" || !strings.Contains(string(m.Payload), "RATE_LIMITED") {
		t.Errorf("one operation too many: %s %s", m.ID, m.Payload)
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

func TestSessionEndsTheSocket(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := s.connect(t, "ada")
	c.subscribe("1", "subscription { counter { n } }")
	eventually(t, "it is open", func() bool { return s.feed.Len() == 1 })
	s.auth.end("ada", "expired")
	if code, reason := c.closed(); code != 4403 || reason != "the credential expired" {
		t.Errorf("closed with %d %q", code, reason)
	}
	eventually(t, "the stream is closed", func() bool { return s.feed.Len() == 0 })
}

func TestDrain(t *testing.T) {
	t.Parallel()
	s := serve(t, func(s *transport.Settings) { s.RequestTimeout = 300 * time.Millisecond })
	idle := s.connect(t, "ada")
	idle.subscribe("1", "subscription { counter { n } }")
	busy := s.connect(t, "bob")
	busy.subscribe("1", "{ slow }")
	eventually(t, "all run", func() bool { return s.feed.Len() == 1 && s.Stats().Operations.Load() == 1 })
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		done <- s.Drain(ctx)
	}()
	idle.shutsWith(1001)
	resp, body := s.send(t, request{method: "GET", headers: []string{
		"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13",
	}})
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("a new socket while draining: %d %s", resp.StatusCode, body)
	}
	if resp, _ := s.send(t, request{body: `{"query":"{ hello }"}`}); resp.StatusCode != 200 {
		t.Errorf("a plain request while draining: %d", resp.StatusCode)
	}
	busy.hear("error") // it ran to its end, which is its deadline
	busy.shutsWith(1001)
	if err := <-done; err != nil {
		t.Error(err)
	}
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
