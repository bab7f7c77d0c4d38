package graph_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// socket is a client of graphql-transport-ws.
type socket struct {
	t    *testing.T
	w    *world
	conn net.Conn
	rw   io.ReadWriter
}

// message is a message of either side.
type message struct {
	ID      string          `json:"id,omitempty"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// connect opens a socket as someone; see [world.authenticate].
func (w *world) connect(t *testing.T, as string) *socket {
	t.Helper()
	dialer := ws.Dialer{Protocols: []string{"graphql-transport-ws"}, Timeout: patience}
	conn, buffered, _, err := dialer.Dial(t.Context(), "ws"+strings.TrimPrefix(w.http.URL, "http"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s := &socket{t: t, w: w, conn: conn, rw: conn}
	if buffered != nil {
		s.rw = struct {
			io.Reader
			io.Writer
		}{io.MultiReader(buffered, conn), conn}
	}
	h := http.Header{}
	w.authenticate(h, as)
	init := map[string]string{}
	for name, field := range map[string]string{"Authorization": "authorization", "X-Carillon-Key": "key", "X-Carillon-User": "user"} {
		if v := h.Get(name); v != "" {
			init[field] = v
		}
	}
	s.say(message{Type: "connection_init", Payload: must(json.Marshal(init))(t)})
	return s
}

// open is connect for who is let in.
func (w *world) open(t *testing.T, as string) *socket {
	t.Helper()
	s := w.connect(t, as)
	if m := s.hear(); m.Type != "connection_ack" {
		t.Fatalf("heard %s %s, want connection_ack", m.Type, m.Payload)
	}
	return s
}

func (s *socket) say(m message) {
	s.t.Helper()
	if err := wsutil.WriteClientText(s.conn, must(json.Marshal(m))(s.t)); err != nil {
		s.t.Fatal(err)
	}
}

// hear returns the next message; a close is the type "close".
func (s *socket) hear() message {
	s.t.Helper()
	if err := s.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	text, err := wsutil.ReadServerText(s.rw)
	if closed, ok := errors.AsType[wsutil.ClosedError](err); ok {
		return message{Type: "close", Payload: must(json.Marshal(closed.Code))(s.t)}
	}
	if err != nil {
		s.t.Fatalf("waiting for a message: %v", err)
	}
	var m message
	if err := json.Unmarshal(text, &m); err != nil {
		s.t.Fatalf("%v in %s", err, text)
	}
	return m
}

// subscribe starts an operation.
func (s *socket) subscribe(id, query string, variables map[string]any) {
	s.t.Helper()
	payload := must(json.Marshal(map[string]any{"query": s.w.filled(s.t, query, nil), "variables": variables}))(s.t)
	s.say(message{ID: id, Type: "subscribe", Payload: payload})
}

// next is the payload of the next event of the operation id, with ids as
// names. What comes for others is skipped.
func (s *socket) next(id string) string {
	s.t.Helper()
	for {
		m := s.hear()
		switch {
		case m.ID != id && m.Type != "close":
		case m.Type == "next":
			return s.w.shown(string(m.Payload))
		default:
			return m.Type + " " + s.w.shown(string(m.Payload))
		}
	}
}

// shown is text with ids as names.
func (w *world) shown(text string) string {
	return (&normal{world: w, seen: map[string]string{}}).text(text)
}

// events is an event stream as a client reads it.
type events struct {
	t      *testing.T
	w      *world
	status int
	lines  *bufio.Scanner
	lastID string
	close  func()
}

// follow opens an event stream as someone.
func (w *world) follow(t *testing.T, as, query string, variables map[string]any, headers ...string) *events {
	t.Helper()
	payload := must(json.Marshal(map[string]any{"query": w.filled(t, query, nil), "variables": variables}))(t)
	req := must(http.NewRequestWithContext(t.Context(), http.MethodPost, w.http.URL, bytes.NewReader(payload)))(t)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "text/event-stream")
	w.authenticate(req.Header, as)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := w.http.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return &events{t: t, w: w, status: resp.StatusCode, lines: bufio.NewScanner(resp.Body), close: func() { resp.Body.Close() }}
}

// next is the next event: its data with ids as names, or its kind when it has
// another than next.
func (e *events) next() string {
	e.t.Helper()
	timeout := time.AfterFunc(patience, e.close)
	defer timeout.Stop()
	kind, data := "", ""
	for e.lines.Scan() {
		field, value, _ := strings.Cut(e.lines.Text(), ": ")
		switch {
		case field == "event":
			kind = value
		case field == "data":
			data = value
		case field == "id":
			e.lastID = value
		case field == "" && kind == "next":
			return e.w.shown(data)
		case field == "" && kind != "":
			return kind
		}
	}
	return "end"
}
