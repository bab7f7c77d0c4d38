package socketio_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"carillon/model"
	"carillon/rest/engagespot/socketio"
)

func TestHandshake(t *testing.T) {
	t.Parallel()
	s := serve(t, socketio.Settings{})
	c := s.dialRaw("ada")
	text := c.text()
	rest, _ := strings.CutPrefix(text, `0{"sid":"`)
	_, rest, _ = strings.Cut(rest, `"`)
	if rest != `,"upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}` {
		t.Errorf("the open packet is %q", text)
	}
	c.say("2probe")
	c.hears("3probe")
	c.say(`40{"token":"x"}`)
	if text := c.text(); !strings.HasPrefix(text, `40{"sid":"`) {
		t.Fatalf("heard %q", text)
	}
	if g := s.open("ada", 1)[0]; g.auth != `{"token":"x"}` {
		t.Errorf("the session was opened with %q", g.auth)
	}
	c.send(ws.NewPingFrame([]byte("hey")))
	if f := c.frame(); f.Header.OpCode != ws.OpPong || string(f.Payload) != "hey" {
		t.Errorf("a ping of the WebSocket is answered with %+v", f)
	}
}

func TestRequestsThatOpenNoSocket(t *testing.T) {
	t.Parallel()
	s := serve(t, socketio.Settings{})
	for _, tt := range []struct {
		name, method, query string
		status, code        int
	}{
		{"Polling", "GET", "EIO=4&transport=polling", 400, 0},
		{"PollingPost", "POST", "EIO=4&transport=polling&sid=x", 400, 0},
		{"NoTransport", "GET", "EIO=4", 400, 0},
		{"Upgrade", "GET", "EIO=4&transport=websocket&sid=x", 400, 1},
		{"OldVersion", "GET", "EIO=3&transport=websocket", 400, 5},
		{"NoVersion", "GET", "", 400, 5},
		{"NoUpgradeHeader", "GET", "EIO=4&transport=websocket", 426, 3},
		{"Method", "PUT", "EIO=4&transport=websocket", 405, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			req, err := http.NewRequestWithContext(t.Context(), tt.method, s.url+"/socket.io/?"+tt.query, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			var body struct {
				Code    *int
				Message string
			}
			if err := json.NewDecoder(resp.Body).Decode(&body); err != nil || body.Code == nil {
				t.Fatalf("the body is not as Engine.IO has it: %v", err)
			}
			if resp.StatusCode != tt.status || *body.Code != tt.code || body.Message == "" || resp.Header.Get("Access-Control-Allow-Origin") != "*" {
				t.Errorf("got %d, %d %q; want %d, %d", resp.StatusCode, *body.Code, body.Message, tt.status, tt.code)
			}
		})
	}
}

func TestEventsGoToTheirUserInEachNamespace(t *testing.T) {
	t.Parallel()
	s := serve(t, socketio.Settings{})
	phone, laptop := s.connect("ada", ""), s.connect("ada", "/notify,")
	bob := s.connect("bob", "")
	s.tell("ada", "NEW", `{"id":1}`)
	s.tell("bob", "NEW", `{"id":2}`)
	phone.hears(`42["NEW",{"id":1}]`)
	laptop.hears(`42/notify,["NEW",{"id":1}]`)
	bob.hears(`42["NEW",{"id":2}]`)

	// A second namespace over the same socket.
	phone.say("40/more,")
	if text := phone.text(); !strings.HasPrefix(text, `40/more,{"sid":"`) {
		t.Fatalf("heard %q", text)
	}
	s.tell("ada", "READ", `{}`)
	got := map[string]bool{phone.text(): true, phone.text(): true}
	if !got[`42["READ",{}]`] || !got[`42/more,["READ",{}]`] {
		t.Errorf("heard %v", got)
	}
	phone.say("41/more,")
	eventually(t, "the namespace to be left", func() bool { return s.handler.Stats().Sessions.Load() == 3 })
	phone.say(`42["what clients tell",{"is":"not listened to"}]`)
	phone.say(`427["nor",{"is":"it acknowledged"}]`)
	s.tell("bob", "NEW", `{"id":3}`)
	bob.hears(`42["NEW",{"id":3}]`)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	t.Run("OfACredential", func(t *testing.T) {
		t.Parallel()
		s := serve(t, socketio.Settings{InitTimeout: 2 * time.Second})
		c := s.dial("")
		c.say("40/x,")
		c.hears(`44/x,{"message":"who are you?"}`)
		c.ends(1008) // much later
	})
	t.Run("WhenTheDatabaseIsAway", func(t *testing.T) {
		t.Parallel()
		s := serve(t, socketio.Settings{})
		s.set(func() { s.fail = model.Errorf(model.KindUnavailable, "away") })
		c := s.dial("ada")
		c.say("40")
		c.ends(1013)
	})
	t.Run("OfABug", func(t *testing.T) {
		t.Parallel()
		s := serve(t, socketio.Settings{})
		s.set(func() { s.fail = errors.New("secret details") })
		c := s.dial("ada")
		c.say("40")
		c.ends(1011)
	})
	t.Run("OfTooManySockets", func(t *testing.T) {
		t.Parallel()
		s := serve(t, socketio.Settings{UserConnections: 2})
		first := s.connect("ada", "")
		s.connect("ada", "")
		c := s.dial("ada")
		c.say("40")
		if text := c.text(); !strings.HasPrefix(text, `44{"message":`) {
			t.Fatalf("the third socket heard %q", text)
		}
		s.connect("bob", "")
		first.say("41")
		eventually(t, "the first to be gone", func() bool { return s.handler.Stats().Sessions.Load() == 2 })
		s.connect("ada", "")
	})
	t.Run("OfTooManyNamespaces", func(t *testing.T) {
		t.Parallel()
		s := serve(t, socketio.Settings{Namespaces: 1})
		c := s.connect("ada", "")
		c.say("40/more,")
		if text := c.text(); !strings.HasPrefix(text, `44/more,{"message":`) {
			t.Fatalf("heard %q", text)
		}
	})
	t.Run("WhenTheServerIsFull", func(t *testing.T) {
		t.Parallel()
		s := serve(t, socketio.Settings{Connections: 1})
		c := s.connect("ada", "")
		_, _, _, err := ws.Dial(t.Context(), "ws"+strings.TrimPrefix(s.url, "http")+"/socket.io/?EIO=4&transport=websocket")
		if status, ok := errors.AsType[ws.StatusError](err); !ok || status != http.StatusServiceUnavailable {
			t.Fatalf("a second socket got %v, want 503", err)
		}
		s.tell("ada", "NEW", "{}")
		c.hears(`42["NEW",{}]`)
	})
}

func TestWhatIsNotTheProtocolCloses(t *testing.T) {
	t.Parallel()
	s := serve(t, socketio.Settings{Message: 1000, InitMessage: 500, Packets: 20})
	for _, tt := range []struct {
		name string
		say  func(c *client)
		want ws.StatusCode
	}{
		{"Nonsense", func(c *client) { c.say("hello") }, 4400},
		{"SecondConnect", func(c *client) { c.say("40") }, 4400},
		{"BinaryEvent", func(c *client) { c.say(`451-["x"]`) }, 4400},
		{"BinaryFrame", func(c *client) { c.send(ws.NewBinaryFrame([]byte("40"))) }, 1003},
		{"NotUTF8", func(c *client) { c.send(ws.NewTextFrame([]byte("42\xff"))) }, 1007},
		{"TooLarge", func(c *client) { c.say("42" + strings.Repeat("x", 999)) }, 1009},
		{"TooMany", func(c *client) {
			for range 21 {
				c.say("3")
			}
		}, 1008},
		{"TooManyPings", func(c *client) {
			for range 21 {
				c.send(ws.NewPingFrame(nil))
			}
		}, 1008},
		{"Close", func(c *client) { c.say("1") }, 1000},
		{"CloseFrame", func(c *client) { c.send(ws.NewCloseFrame(ws.NewCloseFrameBody(1001, ""))) }, 1000},
		{"BadCloseFrame", func(c *client) { c.send(ws.NewCloseFrame([]byte{1})) }, 1002},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := s.connect(tt.name, "")
			c.t = t
			tt.say(c)
			c.ends(tt.want)
		})
	}
	t.Run("TooLargeBeforeConnect", func(t *testing.T) {
		t.Parallel()
		c := s.dial("x")
		c.t = t
		c.say("40{" + strings.Repeat(" ", 500) + "}")
		c.ends(1009)
	})
}

func TestHeartbeats(t *testing.T) {
	t.Parallel()
	s := serve(t, socketio.Settings{PingInterval: 40 * time.Millisecond, PingTimeout: 500 * time.Millisecond})
	alive, silent := s.connect("ada", ""), s.connect("bob", "")
	_ = silent
	beats := 0
	for s.handler.Stats().DeadPeers.Load() == 0 {
		if f := alive.frame(); string(f.Payload) == "2" {
			beats++
			alive.say("3")
		}
	}
	if beats < 5 {
		t.Errorf("there were %d heartbeats before the silent one was dropped", beats)
	}
	s.tell("ada", "NEW", "{}")
	alive.hears(`42["NEW",{}]`)
	eventually(t, "the silent one to be gone", func() bool { return s.handler.Stats().Sockets.Load() == 1 })
}

func TestNobodyStaysWithoutANamespace(t *testing.T) {
	t.Parallel()
	s := serve(t, socketio.Settings{InitTimeout: 100 * time.Millisecond})
	s.dial("ada").ends(1008)
	s = serve(t, socketio.Settings{InitTimeout: 2 * time.Second})
	c := s.connect("ada", "")
	c.say("41")
	c.ends(1008)
}

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	s := serve(t, socketio.Settings{})
	expired, revoked := s.connect("expired", ""), s.connect("revoked", "/x,")
	s.open("expired", 1)[0].end(socketio.ComeBack)
	expired.ends(1000)
	s.open("revoked", 1)[0].end(socketio.ForGood)
	revoked.hears("41/x,")

	deleted := s.connect("deleted", "")
	s.set(func() { s.next = io.EOF })
	s.open("deleted", 1)[0].wake()
	deleted.hears("41")
	s.set(func() { s.next = nil })

	away := s.connect("away", "")
	s.set(func() { s.next = model.Errorf(model.KindUnavailable, "away") })
	s.open("away", 1)[0].wake()
	away.ends(1013)
}

func TestDrain(t *testing.T) {
	t.Parallel()
	s := serve(t, socketio.Settings{})
	clients := []*client{s.connect("ada", ""), s.connect("bob", "/x,"), s.dial("")}
	done := make(chan error, 1)
	go func() { done <- s.handler.Drain(t.Context()) }()
	for _, c := range clients {
		c.ends(1001)
		c.conn.Close()
	}
	if err := <-done; err != nil {
		t.Errorf("draining: %v", err)
	}
	resp, err := http.Get(s.url + "/socket.io/?EIO=4&transport=polling")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if _, _, _, err := ws.Dial(t.Context(), "ws"+strings.TrimPrefix(s.url, "http")+"/?EIO=4&transport=websocket"); err == nil {
		t.Error("a socket was opened after draining began")
	}
}

func TestDrainCutsOffWhoDoesNotGo(t *testing.T) {
	t.Parallel()
	s := serve(t, socketio.Settings{})
	s.connect("ada", "") // and it never reads the close frame
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.handler.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("draining = %v", err)
	}
	eventually(t, "nobody to be left", func() bool { return s.handler.Stats().Sockets.Load() == 0 })
}

// TestSlowReader holds that one who does not read costs one event, delays
// nobody and is dropped.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	s := serve(t, socketio.Settings{WriteTimeout: time.Second, Writers: 1})
	s.connect("slow", "")
	quick := s.connect("quick", "")
	big := `"` + strings.Repeat("x", 1<<20) + `"`
	for range 30 {
		s.tell("slow", "BIG", big)
	}
	eventually(t, "the slow one to be full", func() bool {
		return s.handler.Stats().Blocked.Load() == 1 || s.handler.Stats().SlowReaders.Load() == 1 // already
	})
	s.tell("quick", "NEW", "{}")
	quick.hears(`42["NEW",{}]`)
	eventually(t, "the slow one to be dropped", func() bool { return s.handler.Stats().SlowReaders.Load() == 1 })
	if left := func() int { s.mu.Lock(); defer s.mu.Unlock(); return len(s.users["slow"][0].events) }(); left < 5 {
		t.Errorf("of 30 events only %d were not taken from the session: the rest queued up", left)
	}
}

// TestEverythingAtOnce is for the race detector: sockets come, are told, are
// ended from all sides and go, and nobody hears what is another's.
func TestEverythingAtOnce(t *testing.T) {
	t.Parallel()
	s := serve(t, socketio.Settings{Writers: 4, UserConnections: 1000})
	users := []string{"ada", "bob", "cy"}
	var wg sync.WaitGroup
	for i := range 24 {
		user := users[i%len(users)]
		wg.Go(func() {
			for range 6 {
				c := s.dialRaw(user)
				c.say("40")
				for range rand.IntN(8) {
					f, err := readFrame(c.in)
					if err != nil || f.Header.OpCode == ws.OpClose || string(f.Payload) == "41" {
						break
					}
					if text := string(f.Payload); strings.HasPrefix(text, "42") && !strings.Contains(text, user) {
						t.Errorf("%s heard %q", user, text)
					}
				}
				c.conn.Close()
			}
		})
	}
	stop := make(chan struct{})
	var telling sync.WaitGroup
	for _, user := range users {
		telling.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				for _, g := range s.of(user) {
					s.set(func() { g.events = append(g.events, socketio.Event{Name: "FOR", Payload: []byte(`"` + user + `"`)}) })
					g.wake()
					if rand.IntN(40) == 0 {
						g.end(socketio.How(rand.IntN(2)))
					}
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	telling.Wait()
	eventually(t, "everyone to be gone", func() bool { return s.handler.Stats().Sockets.Load() == 0 })
}
