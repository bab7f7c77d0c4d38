package socketio_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"carillon/model"
	"carillon/rest/engagespot/socketio"
)

// house lets in whoever the query names as a user, and tells each user what the
// test says.
type house struct {
	t *testing.T

	mu    sync.Mutex
	fail  error // of Open
	next  error // of Next
	users map[string][]*guest
}

// guest is one session.
type guest struct {
	house *house
	user  string
	auth  string
	wake  func()
	end   func(socketio.How)

	events []socketio.Event // guarded by house.mu
	closed int
}

func (h *house) Peer(r *http.Request) any { return r.URL.Query().Get("userId") }

func (h *house) Open(_ context.Context, peer any, auth json.RawMessage, wake func(), end func(socketio.How)) (socketio.Session, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fail != nil {
		return nil, h.fail
	}
	user := peer.(string)
	if user == "" {
		return nil, model.Errorf(model.KindUnauthenticated, "who are you?")
	}
	g := &guest{house: h, user: user, auth: string(auth), wake: wake, end: end}
	h.users[user] = append(h.users[user], g)
	return g, nil
}

func (g *guest) Next(context.Context) (socketio.Event, bool, error) {
	g.house.mu.Lock()
	defer g.house.mu.Unlock()
	if g.house.next != nil {
		return socketio.Event{}, false, g.house.next
	}
	if g.closed > 0 {
		g.house.t.Errorf("%s was asked after it was closed", g.user)
	}
	if len(g.events) == 0 {
		return socketio.Event{}, false, nil
	}
	e := g.events[0]
	g.events = g.events[1:]
	return e, true, nil
}

func (g *guest) Owner() any { return g.user }

func (g *guest) Close() {
	g.house.mu.Lock()
	defer g.house.mu.Unlock()
	if g.closed++; g.closed > 1 {
		g.house.t.Errorf("a session of %s was closed twice", g.user)
	}
}

// holds reports whether a session is open.
func (h *house) holds() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, sessions := range h.users {
		for _, g := range sessions {
			if g.closed == 0 {
				return true
			}
		}
	}
	return false
}

// tell gives an event to all sessions of a user.
func (h *house) tell(user, name, payload string) {
	for _, g := range h.of(user) {
		h.mu.Lock()
		g.events = append(g.events, socketio.Event{Name: name, Payload: []byte(payload)})
		h.mu.Unlock()
		g.wake()
	}
}

func (h *house) of(user string) []*guest {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]*guest(nil), h.users[user]...)
}

// set changes what the house does.
func (h *house) set(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
}

// open waits until n sessions of a user are, or have been, there.
func (h *house) open(user string, n int) []*guest {
	h.t.Helper()
	eventually(h.t, fmt.Sprintf("%d sessions of %s", n, user), func() bool { return len(h.of(user)) >= n })
	return h.of(user)
}

type server struct {
	*house
	handler *socketio.Handler
	url     string
}

func serve(t *testing.T, settings socketio.Settings) *server {
	t.Helper()
	h := &house{t: t, users: map[string][]*guest{}}
	s := &server{house: h, handler: socketio.New(h, settings, slog.New(slog.DiscardHandler))}
	front := httptest.NewServer(s.handler)
	s.url = front.URL
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.handler.Drain(ctx); err != nil {
			t.Errorf("draining: %v", err)
		}
		front.Close()
		// One that was being opened, or asked, when its socket went is closed by whoever did that.
		eventually(t, "no session to be counted", func() bool { return s.handler.Stats().Sessions.Load() == 0 })
		eventually(t, "every session to be closed", func() bool { return !h.holds() })
		h.mu.Lock()
		defer h.mu.Unlock()
		for user, sessions := range h.users {
			for _, g := range sessions {
				if g.closed != 1 {
					t.Errorf("a session of %s was closed %d times", user, g.closed)
				}
			}
		}
	})
	return s
}

// client is a WebSocket that reads frames as they are.
type client struct {
	t    *testing.T
	conn io.ReadWriteCloser
	in   io.Reader
}

// dial opens a WebSocket and reads the open packet.
func (s *server) dial(user string) *client {
	s.t.Helper()
	c := s.dialRaw(user)
	var open struct {
		SID          string
		Upgrades     []string
		PingInterval int
		PingTimeout  int
		MaxPayload   int
	}
	text := c.text()
	if !strings.HasPrefix(text, `0{"sid":"`) || json.Unmarshal([]byte(text[1:]), &open) != nil || open.SID == "" || open.Upgrades == nil {
		s.t.Fatalf("the open packet is %q", text)
	}
	return c
}

func (s *server) dialRaw(user string) *client {
	s.t.Helper()
	url := "ws" + strings.TrimPrefix(s.url, "http") + "/socket.io/?EIO=4&transport=websocket&userId=" + user
	conn, early, _, err := ws.Dial(s.t.Context(), url)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	c := &client{t: s.t, conn: conn, in: conn}
	if early != nil {
		c.in = early
	}
	return c
}

// connect is dial and the connect of a namespace; "" is the main one.
func (s *server) connect(user, namespace string) *client {
	s.t.Helper()
	c := s.dial(user)
	c.say("40" + namespace)
	if text := c.text(); !strings.HasPrefix(text, "40"+namespace+`{"sid":"`) {
		s.t.Fatalf("connecting %q: %q", namespace, text)
	}
	return c
}

func (c *client) say(text string) {
	c.t.Helper()
	c.send(ws.NewTextFrame([]byte(text)))
}

func (c *client) send(f ws.Frame) {
	c.t.Helper()
	if err := ws.WriteFrame(c.conn, ws.MaskFrame(f)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) frame() ws.Frame {
	c.t.Helper()
	f, err := readFrame(c.in)
	if err != nil {
		c.t.Fatalf("reading a frame: %v", err)
	}
	return f
}

// text is the next message that is no heartbeat.
func (c *client) text() string {
	c.t.Helper()
	for {
		f := c.frame()
		if f.Header.OpCode == ws.OpClose {
			code, reason := ws.ParseCloseFrameData(f.Payload)
			c.t.Fatalf("closed with %d %s", code, reason)
		}
		if text := string(f.Payload); f.Header.OpCode == ws.OpText && text != "2" {
			return text
		}
	}
}

func (c *client) hears(want string) {
	c.t.Helper()
	if got := c.text(); got != want {
		c.t.Fatalf("heard %q, want %q", got, want)
	}
}

// ends waits for the close frame and checks its code.
func (c *client) ends(want ws.StatusCode) {
	c.t.Helper()
	for {
		f := c.frame()
		if f.Header.OpCode != ws.OpClose {
			continue
		}
		if code, reason := ws.ParseCloseFrameData(f.Payload); code != want {
			c.t.Fatalf("closed with %d %s, want %d", code, reason, want)
		}
		_ = ws.WriteFrame(c.conn, ws.MaskFrame(ws.NewCloseFrame(f.Payload))) // as clients do
		return
	}
}

// eventually waits for something, for at most ten seconds.
func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if check() {
			return
		}
		wait := time.NewTimer(2 * time.Millisecond)
		<-wait.C
	}
	t.Fatalf("%s: not within ten seconds", what)
}

// readFrame reads a frame of the server, as a client does.
func readFrame(r io.Reader) (f ws.Frame, err error) {
	if f.Header, err = ws.ReadHeader(r); err != nil {
		return f, err
	}
	f.Payload = make([]byte, f.Header.Length)
	_, err = io.ReadFull(r, f.Payload)
	return f, err
}
