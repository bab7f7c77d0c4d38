package transport_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"carillon/graph/transport"
)

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

func TestSubscribeWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	s := serve(t, func(s *transport.Settings) { s.RequestTimeout = 500 * time.Millisecond })
	c := s.connect(t, "ada")
	c.subscribe("1", `subscription { broken(how: "away twice") { n } }`)
	eventually(t, "it is open in the end", func() bool { return s.feed.Len() == 1 })
	s.feed.Advance(1)
	c.hear("next")
	c.subscribe("2", `subscription { broken(how: "unavailable") { n } }`)
	c.shutsWith(1013)
	eventually(t, "every stream is gone", func() bool { return s.feed.Len() == 0 && s.Stats().Subscriptions.Load() == 0 })
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
