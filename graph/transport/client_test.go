package transport_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
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
