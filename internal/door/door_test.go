package door_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"carillon/internal/door"
)

// keeper turns everybody away who asks for /away, while it is busy.
type keeper struct {
	busy atomic.Bool
	hold func() // when it is set, before it says so
}

const away = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 4\r\n\r\naway"

func (k *keeper) Busy() bool { return k.busy.Load() }

func (k *keeper) TurnsAway(r *door.Request) []byte {
	switch {
	case string(r.Target) != "/away":
		return nil
	case k.hold != nil:
		k.hold()
	case r.Closes:
		return []byte(strings.Replace(away, "Retry-After: 1", "Connection: close", 1))
	}
	return []byte(away)
}

// tell answers with the body that it was sent.
func tell(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "in %s %s", r.URL.Path, body)
}

// serve has a server with a door, which tells when there is no other handler.
func serve(t *testing.T, k *keeper, handler http.Handler) *httptest.Server {
	t.Helper()
	if handler == nil {
		handler = http.HandlerFunc(tell)
	}
	s := httptest.NewUnstartedServer(handler)
	l := door.Listen(s.Listener, k, time.Minute, 5*time.Second)
	s.Listener, s.Config.ConnState = l, l.Track
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// client is one connection.
type client struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

func dial(t *testing.T, s *httptest.Server) *client {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &client{t, conn, bufio.NewReader(conn)}
}

func (c *client) write(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		c.t.Fatal(err)
	}
}

// answer is the next answer's body.
func (c *client) answer() string {
	c.t.Helper()
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(body)
}

func (c *client) want(answers ...string) {
	c.t.Helper()
	for _, want := range answers {
		if got := c.answer(); got != want {
			c.t.Errorf("the answer is %.80q, want %.80q", got, want)
		}
	}
}

// wantAway wants that requests are turned away. The first ones may not be: net/http
// may have begun to read them while it ended with the one before.
func (c *client) wantAway() {
	c.t.Helper()
	got := ""
	for range 100 {
		c.write(post("/away", ""))
		if got = c.answer(); got == "away" {
			return
		}
	}
	c.t.Errorf("the answer is %.80q, again and again", got)
}

func (c *client) wantEnd() {
	c.t.Helper()
	if b, err := c.in.ReadByte(); !errors.Is(err, io.EOF) {
		c.t.Errorf("the connection goes on with %q, %v", b, err)
	}
}

// post is a request; more are further headers.
func post(path, body string, more ...string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n%s\r\n%s", path, len(body), strings.Join(more, ""), body)
}

func TestWhoIsTurnedAwayMayComeAgain(t *testing.T) {
	t.Parallel()
	k := new(keeper)
	c := dial(t, serve(t, k, nil))
	c.write(post("/away", "a"))
	c.want("in /away a")
	k.busy.Store(true)
	c.wantAway()
	for range 3 {
		c.write(post("/away", "b"))
		c.want("away")
	}
	c.write(post("/else", "c"))
	c.want("in /else c")
	c.wantAway()
	c.write(post("/away", strings.Repeat("d", 60_000))) // it comes in pieces
	c.want("away")
	c.write(post("/away", ""))
	c.want("away")
	k.busy.Store(false)
	c.write(post("/away", "e"))
	c.want("in /away e")
}

func TestABodyMayComeLater(t *testing.T) {
	t.Parallel()
	k := new(keeper)
	k.busy.Store(true)
	c := dial(t, serve(t, k, nil))
	whole := post("/away", "01234567")
	c.write(whole[:len(whole)-8])
	c.want("away") // before the rest is there
	c.write(whole[len(whole)-8 : len(whole)-3])
	c.write(whole[len(whole)-3:] + post("/else", "x"))
	c.want("in /else x")
	c.wantAway()
}

func TestAClosedDoorCloses(t *testing.T) {
	t.Parallel()
	k := new(keeper)
	k.busy.Store(true)
	s := serve(t, k, nil)
	c := dial(t, s)
	c.write(post("/away", strings.Repeat("b", 9_000), "Connection: close\r\n"))
	c.want("away")
	c.wantEnd()
	c = dial(t, s)
	c.write("POST /away HTTP/1.0\r\nContent-Length: 1\r\n\r\nb")
	c.want("away")
	c.wantEnd()
}

// TestWhatIsNotPlainIsTheServers has requests of which it is not plain where they
// end: never may a part of one be taken for another.
func TestWhatIsNotPlainIsTheServers(t *testing.T) {
	t.Parallel()
	hidden := post("/away", "")
	for name, test := range map[string]struct {
		pieces []string
		want   []string
	}{
		"one before another was answered": {[]string{post("/else", "a") + hidden}, []string{"in /else a", "in /away "}},
		"in a body that comes later":      {[]string{post("/else", hidden)[:50], post("/else", hidden)[50:]}, []string{"in /else " + hidden}},
		"in a body of chunks": {
			[]string{"POST /else HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", fmt.Sprintf("%x\r\n", len(hidden)), hidden, "\r\n0\r\n\r\n"},
			[]string{"in /else " + hidden},
		},
		"after half a head": {[]string{"POST /else HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nA: ", "b\r\n\r\nc"}, []string{"in /else c"}},
		"twice as long":     {[]string{"POST /else HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n", "ab"}, []string{"in /else ab"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := new(keeper)
			k.busy.Store(true)
			arrived := make(chan struct{}, 1)
			c := dial(t, serve(t, k, noticed(arrived)))
			for i, piece := range test.pieces {
				c.write(piece)
				if i == 0 && len(test.pieces) > 1 && strings.HasSuffix(piece, "\r\n\r\n") {
					<-arrived // the handler has the head, and waits for the rest
				}
			}
			c.want(test.want...)
		})
	}
}

// noticed sends word of a request that has come before it tells.
func noticed(arrived chan<- struct{}) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case arrived <- struct{}{}:
		default:
		}
		tell(w, r)
	})
}

// TestWhatIsSentTooEarlyIsNotTornApart sends the next request while a handler
// works: net/http reads its first byte by then.
func TestWhatIsSentTooEarlyIsNotTornApart(t *testing.T) {
	t.Parallel()
	k := new(keeper)
	k.busy.Store(true)
	working, goOn := make(chan struct{}), make(chan struct{})
	c := dial(t, serve(t, k, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			_, _ = io.Copy(io.Discard, r.Body)
			working <- struct{}{}
			<-goOn
		}
		fmt.Fprintf(w, "%s in %s", r.Method, r.URL.Path)
	})))
	c.write(post("/slow", "a"))
	<-working
	c.write(post("/away", ""))
	close(goOn)
	c.want("POST in /slow")
	if got := c.answer(); got != "POST in /away" && got != "away" {
		t.Errorf("the second answer is %q", got)
	}
	c.write(post("/else", ""))
	c.want("POST in /else")
	c.wantAway()
}

// TestABodyThatLooksLikeARequestIsABody is of a request that came together with
// the one before it, but for its body.
func TestABodyThatLooksLikeARequestIsABody(t *testing.T) {
	t.Parallel()
	k := new(keeper)
	k.busy.Store(true)
	arrived := make(chan struct{}, 2)
	c := dial(t, serve(t, k, noticed(arrived)))
	hidden := post("/away", "")
	second := post("/else", hidden)
	c.write(post("/else", "a") + second[:len(second)-len(hidden)])
	<-arrived
	<-arrived
	c.write(hidden)
	c.want("in /else a", "in /else "+hidden)
}

func TestAClientThatGoesIsNoticed(t *testing.T) {
	t.Parallel()
	k := new(keeper)
	k.busy.Store(true)
	working, gone := make(chan struct{}), make(chan error, 1)
	c := dial(t, serve(t, k, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(working)
		<-r.Context().Done()
		gone <- context.Cause(r.Context())
	})))
	c.write(post("/else", ""))
	<-working
	c.Close()
	select {
	case <-gone:
	case <-t.Context().Done():
	}
}

// TestAConnectionIsHandedOn has a handler take the connection, as WebSockets do.
func TestAConnectionIsHandedOn(t *testing.T) {
	t.Parallel()
	k := new(keeper)
	k.busy.Store(true)
	c := dial(t, serve(t, k, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		if _, ok := conn.(interface{ CloseWrite() error }); !ok {
			t.Errorf("a %T is not what a TCP connection is", conn)
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
		line, _ := rw.ReadString('\n')
		_, _ = io.WriteString(conn, line)
	})))
	c.write("GET /else HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	if line, err := c.in.ReadString('\n'); err != nil || !strings.Contains(line, "101") {
		t.Fatalf("%q, %v", line, err)
	}
	_, _ = c.in.ReadString('\n')
	const said = "POST /away HTTP/1.1\r\n"
	c.write(said)
	if line, err := c.in.ReadString('\n'); err != nil || line != said {
		t.Errorf("the echo is %q, %v", line, err)
	}
}

// TestAShutdownWaitsForAnswers shuts the server down while one is being turned away,
// on a connection that was used before, and on one that was not.
func TestAShutdownWaitsForAnswers(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]string{"used before": post("/else", ""), "new": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			held, goOn := make(chan struct{}), make(chan struct{})
			k := &keeper{hold: func() {
				held <- struct{}{}
				<-goOn
			}}
			k.busy.Store(true)
			s := serve(t, k, nil)
			c := dial(t, s)
			if before != "" {
				c.write(before)
				c.want("in /else ")
			}
			answered := make(chan struct{})
			go func() {
				defer close(answered)
				c.wantAway()
			}()
			<-held
			closed := make(chan error, 1)
			go func() { closed <- s.Config.Close() }() // as Shutdown does with what it takes for unused
			select {
			case err := <-closed:
				t.Fatalf("the server was closed before the answer: %v", err)
			case <-time.After(20 * time.Millisecond):
			}
			close(goOn)
			if err := <-closed; err != nil {
				t.Error(err)
			}
			<-answered
		})
	}
}
