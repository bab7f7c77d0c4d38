package door

import (
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"
)

type busy struct{}

func (busy) Busy() bool { return true }

func (busy) TurnsAway(r *Request) []byte {
	if string(r.Target) == "/away" {
		return []byte("away")
	}
	return nil
}

// pair is a connection as its client sees it, and as its server does.
func pair(t *testing.T) (client net.Conn, server *conn, idle func()) {
	t.Helper()
	var lc net.ListenConfig
	inner, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { inner.Close() })
	l := Listen(inner, busy{}, time.Minute, 5*time.Second)
	var d net.Dialer
	if client, err = d.DialContext(t.Context(), "tcp", inner.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { accepted.Close() })
	for _, c := range []net.Conn{client, accepted} {
		if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	return client, accepted.(*conn), func() { l.Track(accepted, http.StateIdle) }
}

// TestReadingOn plays the part of net/http, which reads on while a handler works.
func TestReadingOn(t *testing.T) {
	t.Parallel()
	const (
		in   = "POST /in HTTP/1.1\r\nContent-Length: 1\r\n\r\nb"
		away = "POST /away HTTP/1.1\r\nContent-Length: 1\r\n\r\nb"
	)
	for name, test := range map[string]struct {
		early  string // what comes before the handler is done
		ahead  int    // bytes of it that are read by then
		rest   string // what comes of it later
		closed bool   // the door, from then on
	}{
		"nothing":                 {early: "", ahead: 0},
		"a byte":                  {early: away, ahead: 1},
		"a byte, but not all":     {early: away[:len(away)-1], ahead: 1, rest: "b"},
		"a byte, and half a head": {early: away[:9], ahead: 1, rest: away[9:], closed: true},
		"two bytes":               {early: away, ahead: 2, closed: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, server, idle := pair(t)
			buffer := make([]byte, 4096)
			say := func(s string) {
				t.Helper()
				if _, err := client.Write([]byte(s)); err != nil {
					t.Fatal(err)
				}
			}
			hear := func(c net.Conn, most int, want string) {
				t.Helper()
				if n, err := c.Read(buffer[:most]); string(buffer[:n]) != want || err != nil {
					t.Fatalf("%q, %v, want %q", buffer[:n], err, want)
				}
			}
			say(in)
			hear(server, len(buffer), in)
			say(test.early)
			if test.ahead > 0 {
				hear(server, test.ahead, test.early[:test.ahead])
			}
			idle()
			if rest := test.early[test.ahead:]; rest != "" {
				hear(server, len(buffer), rest)
			}
			if test.rest != "" {
				say(test.rest)
				hear(server, len(buffer), test.rest)
			}
			idle()
			say(away)
			if test.closed {
				hear(server, len(buffer), away)
				return
			}
			read := make(chan error)
			go func() {
				n, err := server.Read(buffer[:2048])
				if got := string(buffer[:n]); err == nil && got != in {
					err = fmt.Errorf("the server is given %q, want %q", got, in)
				}
				read <- err
			}()
			answer := make([]byte, 16)
			if n, err := client.Read(answer); string(answer[:n]) != "away" || err != nil {
				t.Fatalf("%q, %v, want a refusal", answer[:n], err)
			}
			say(in)
			if err := <-read; err != nil {
				t.Error(err)
			}
		})
	}
}
