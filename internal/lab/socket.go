package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gobwas/ws"
)

// connectWithin bounds how long a stream may take to be opened.
const connectWithin = 30 * time.Second

// Ended says that the server ended a stream in good order: with a close code,
// or, where Code is zero, with the end of an event stream.
type Ended struct {
	Code   int
	Reason string
}

func (e *Ended) Error() string {
	return fmt.Sprintf("the server ended the stream: %d %s", e.Code, e.Reason)
}

// Socket is a WebSocket that speaks graphql-transport-ws, one operation at a
// time.
type Socket struct {
	conn net.Conn
	in   *bufio.Reader

	mu   sync.Mutex // of writing
	next int        // id of the next operation
}

// message is what both sides say.
type message struct {
	ID      string          `json:"id,omitempty"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// Dial opens a socket and waits until the server has acknowledged it. A refusal
// is an *AnswerError or an *Ended.
func (c *Client) Dial(ctx context.Context) (*Socket, error) {
	ctx, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	dialer := ws.Dialer{Protocols: []string{"graphql-transport-ws"}}
	conn, in, _, err := dialer.Dial(ctx, strings.Replace(c.URL, "http", "ws", 1))
	if status, ok := errors.AsType[ws.StatusError](err); ok {
		return nil, &AnswerError{int(status), "the upgrade was refused"}
	}
	if err != nil {
		return nil, err
	}
	if in == nil {
		in = bufio.NewReader(conn)
	}
	s := &Socket{conn: conn, in: in}
	stop := context.AfterFunc(ctx, s.Cut)
	defer stop()
	if err := s.init(c.Credential); err != nil {
		s.Cut()
		return nil, err
	}
	return s, nil
}

func (s *Socket) init(credential string) error {
	payload, err := json.Marshal(map[string]string{"authorization": "Bearer " + credential})
	if err != nil {
		return err
	}
	if err := s.say(message{Type: "connection_init", Payload: payload}); err != nil {
		return err
	}
	m, err := s.hear()
	if err != nil {
		return err
	}
	if m.Type != "connection_ack" {
		return fmt.Errorf("the server answered connection_init with %s", m.Type)
	}
	return nil
}

// subscribe begins an operation and returns its id.
func (s *Socket) subscribe(query string, variables map[string]any) (id string, err error) {
	payload, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return "", err
	}
	s.next++
	id = strconv.Itoa(s.next)
	return id, s.say(message{ID: id, Type: "subscribe", Payload: payload})
}

// answer waits for the next message about an operation and returns the data.
// The error is io.EOF after its last one.
func (s *Socket) answer(id string) (json.RawMessage, error) {
	m, err := s.hear()
	switch {
	case err != nil:
		return nil, err
	case m.ID != id:
		return nil, fmt.Errorf("a message %s came about operation %q, not %q", m.Type, m.ID, id)
	}
	switch m.Type {
	case "next":
		return dataOf(http.StatusOK, m.Payload)
	case "error":
		return nil, refusedBy(m.Payload)
	case "complete":
		return nil, io.EOF
	default:
		return nil, fmt.Errorf("a message %s came", m.Type)
	}
}

// Do runs a query or mutation on the socket and decodes its data into out.
func (s *Socket) Do(query string, variables map[string]any, out any) error {
	id, err := s.subscribe(query, variables)
	if err != nil {
		return err
	}
	data, err := s.answer(id)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, out); err != nil {
		return err
	}
	if _, err := s.answer(id); !errors.Is(err, io.EOF) {
		return fmt.Errorf("there was no end of operation %s: %w", id, err)
	}
	return nil
}

func (s *Socket) say(m message) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return s.write(ws.NewTextFrame(text))
}

func (s *Socket) write(f ws.Frame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return ws.WriteFrame(s.conn, ws.MaskFrameInPlace(f))
}

// hear waits for the next message of the protocol, and answers pings meanwhile.
func (s *Socket) hear() (message, error) {
	var m message
	for {
		text, err := s.frame()
		if err != nil {
			return m, err
		}
		if text == nil {
			continue
		}
		if err := json.Unmarshal(text, &m); err != nil {
			return m, fmt.Errorf("reading a message: %w", err)
		}
		if m.Type != "ping" {
			return m, nil
		}
		if err := s.say(message{Type: "pong"}); err != nil {
			return m, err
		}
		m = message{}
	}
}

// frameLimit is far above what the server sends at once.
const frameLimit = 16 << 20

// frame reads one frame; nil when it was not a message. The server never sends
// a message in several.
func (s *Socket) frame() ([]byte, error) {
	header, err := ws.ReadHeader(s.in)
	if err != nil {
		return nil, err
	}
	if header.Length > frameLimit {
		return nil, fmt.Errorf("a frame of %d bytes came", header.Length)
	}
	payload := make([]byte, header.Length)
	if _, err := io.ReadFull(s.in, payload); err != nil {
		return nil, err
	}
	switch header.OpCode {
	case ws.OpText:
		return payload, nil
	case ws.OpPing:
		return nil, s.write(ws.NewPongFrame(payload))
	case ws.OpClose:
		code, reason := ws.ParseCloseFrameData(payload)
		_ = s.write(ws.NewCloseFrame(ws.NewCloseFrameBody(code, ""))) // it may be gone by now
		s.conn.Close()
		return nil, &Ended{int(code), reason}
	case ws.OpPong:
		return nil, nil
	default:
		return nil, fmt.Errorf("a frame of kind %x came", header.OpCode)
	}
}

// Cut ends the connection as a network does that goes away: the other side gets
// a reset, or nothing.
func (s *Socket) Cut() { reset(s.conn) }

// Close ends the connection as the protocol has it.
func (s *Socket) Close() {
	_ = s.write(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusNormalClosure, ""))) // it may be gone already
	s.conn.Close()
}

// reset closes a connection without the usual farewell.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // it may be closed already
	}
	conn.Close()
}
