package dial_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"carillon/internal/dial"
	"carillon/internal/dial/dialtest"
)

// only127dot2 lets 127.0.0.2 be called, and nothing else of this machine.
var only127dot2 = dial.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}}

// server answers at 127.0.0.2.
func server(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := &httptest.Server{Listener: dialtest.Listen(t, "127.0.0.2:0"), Config: &http.Server{Handler: h}}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// names is a resolver that answers each question with the next of the answers, and
// with the last of them from then on.
func names(t *testing.T, answers ...string) *net.Resolver {
	t.Helper()
	asked := 0
	return dialtest.Names(t, func() [4]byte {
		ip := netip.MustParseAddr(answers[min(asked, len(answers)-1)]).As4()
		asked++
		return ip
	})
}

func get(t *testing.T, d *dial.Dialer, url string) (*dial.Answer, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("{}"))
	if err != nil {
		return nil, err
	}
	return dial.Do(d.HTTP(), req)
}

func TestSpellingsAreNotDialled(t *testing.T) {
	t.Parallel()
	four, six := dialtest.NewPair(t)
	port := strconv.Itoa(four.Port())
	d := dial.New(dial.Config{Guard: only127dot2, Timeout: 2 * time.Second, Resolver: names(t, "127.0.0.1")})
	for _, host := range spellings {
		url := "http://" + host + ":" + port + "/"
		if _, err := get(t, d, url); err == nil {
			t.Errorf("%q was called", url)
		}
		conn, err := d.DialContext(t.Context(), "tcp", net.JoinHostPort(strings.Trim(host, "[]"), port))
		if err == nil {
			_ = conn.Close()
			t.Errorf("%q was dialled", host)
		}
	}
	four.Silent(t)
	six.Silent(t)
}

func TestBlockedIsToldApart(t *testing.T) {
	t.Parallel()
	c := dialtest.NewCanary(t, "127.0.0.1:0")
	_, err := get(t, dial.New(dial.Config{}), "http://"+c.Addr().String()+"/secret-path")
	var exchange *dial.ExchangeError
	if !errors.Is(err, dial.ErrBlocked) || !errors.As(err, &exchange) || exchange.Sent {
		t.Errorf("got %v, want it blocked, with nothing sent", err)
	}
	if strings.Contains(err.Error(), "secret-path") {
		t.Errorf("%q holds the URL", err)
	}
	if _, err := dial.New(dial.Config{}).DialContext(t.Context(), "udp", c.Addr().String()); !errors.Is(err, dial.ErrBlocked) {
		t.Errorf("UDP: got %v, want it blocked", err)
	}
	c.Silent(t)
}

func TestNameThatChangesItsAnswer(t *testing.T) {
	t.Parallel()
	c := dialtest.NewCanary(t, "127.0.0.1:0")
	s := server(t, func(w http.ResponseWriter, _ *http.Request) {})
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	d := dial.New(dial.Config{Guard: only127dot2, Resolver: names(t, "127.0.0.2", "127.0.0.1")})
	if _, err := get(t, d, "http://receiver.example:"+port+"/"); err != nil {
		t.Fatalf("while the name was allowed: %v", err)
	}
	d.HTTP().CloseIdleConnections()
	for _, port := range []string{port, strconv.Itoa(c.Port())} {
		if _, err := get(t, d, "http://receiver.example:"+port+"/"); !errors.Is(err, dial.ErrBlocked) {
			t.Errorf("after the name changed: %v, want it blocked", err)
		}
	}
	c.Silent(t)
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	c := dialtest.NewCanary(t, "127.0.0.1:0")
	allowed := server(t, func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") })
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, to := range []string{"http://" + c.Addr().String(), allowed.URL} {
			s := server(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", to)
				w.WriteHeader(status)
			})
			a, err := get(t, dial.New(dial.Config{Guard: only127dot2}), s.URL)
			if err != nil || a.Status != status {
				t.Errorf("got %+v, %v, want the %d itself", a, err, status)
			}
		}
	}
	c.Silent(t)
}

func TestNoProxy(t *testing.T) {
	c := dialtest.NewCanary(t, "127.0.0.2:0")
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		t.Setenv(name, "http://"+c.Addr().String())
	}
	s := server(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("here")) })
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	d := dial.New(dial.Config{Guard: only127dot2, Resolver: names(t, "127.0.0.2")})
	if a, err := get(t, d, "http://receiver.example:"+port+"/"); err != nil || string(a.Body) != "here" {
		t.Errorf("got %+v, %v", a, err)
	}
	c.Silent(t)
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	write := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
	}
	bomb := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		for range 1 << 10 {
			if _, err := z.Write(make([]byte, 1<<10)); err != nil {
				return
			}
		}
		_ = z.Close()
	}
	raw := func(answer string, then func(net.Conn)) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, answer)
			if then != nil {
				then(conn)
			}
		}
	}
	wait := func(c net.Conn) { _, _ = io.Copy(io.Discard, c) } // until the other side hangs up
	drip := func(c net.Conn) {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for range 1000 {
			if _, err := io.WriteString(c, "x"); err != nil {
				return
			}
			<-tick.C
		}
	}
	tests := []struct {
		name    string
		answer  http.HandlerFunc
		status  int // 0: an error
		is      error
		sent    bool
		says    string
		timeout time.Duration
	}{
		{name: "Small", answer: write("hello"), status: 200},
		{name: "ExactlyAll", answer: write(strings.Repeat("x", 64<<10)), status: 200},
		{name: "TooLarge", answer: write(strings.Repeat("x", 64<<10+1)), is: dial.ErrTooLarge, sent: true, says: "the answer is too large or encoded"},
		{name: "Compressed", answer: bomb, is: dial.ErrEncoded, sent: true, says: "the answer is too large or encoded"},
		{name: "Hangs", answer: raw("", wait), is: context.DeadlineExceeded, sent: true, says: "timed out", timeout: 300 * time.Millisecond},
		{name: "HangsInTheBody", answer: raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", wait), is: context.DeadlineExceeded, sent: true, says: "timed out", timeout: 300 * time.Millisecond},
		{name: "Drips", answer: raw("HTTP/1.1 200 OK\r\n\r\n", drip), is: context.DeadlineExceeded, sent: true, says: "timed out", timeout: 300 * time.Millisecond},
		{name: "DripsHeaders", answer: raw("HTTP/1.1 200 OK\r\nA: ", drip), is: context.DeadlineExceeded, sent: true, says: "timed out", timeout: 300 * time.Millisecond},
		{name: "Cut", answer: raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", nil), is: io.ErrUnexpectedEOF, sent: true, says: "the connection failed"},
		{name: "HangsUp", answer: raw("", nil), is: io.EOF, sent: true, says: "the connection failed"},
		{name: "NotHTTP", answer: raw("220 smtp.example ESMTP\r\n", nil), sent: true, says: "the connection failed"},
		{name: "Switches", answer: raw("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", wait), sent: true, says: "the connection failed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := server(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Accept-Encoding") != "identity" {
					t.Errorf("asked for the encodings %q", r.Header["Accept-Encoding"])
				}
				_, _ = io.Copy(io.Discard, r.Body)
				tt.answer(w, r)
			})
			a, err := get(t, dial.New(dial.Config{Guard: only127dot2, Timeout: tt.timeout}), s.URL)
			if tt.status != 0 {
				if err != nil || a.Status != tt.status {
					t.Errorf("got %v, %v, want the status %d", a, err, tt.status)
				}
				return
			}
			var exchange *dial.ExchangeError
			if !errors.As(err, &exchange) || exchange.Sent != tt.sent || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("got %v, want %v, sent: %t", err, tt.is, tt.sent)
			}
			if got := dial.Describe(err); got != tt.says {
				t.Errorf("described as %q, want %q", got, tt.says)
			}
		})
	}
}

func TestFailuresBeforeAnythingIsSent(t *testing.T) {
	t.Parallel()
	gone, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	plain := server(t, func(http.ResponseWriter, *http.Request) {})
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	_ = secure.Listener.Close()
	if secure.Listener, err = net.Listen("tcp", "127.0.0.2:0"); err != nil {
		t.Fatal(err)
	}
	secure.StartTLS()
	t.Cleanup(secure.Close)
	d := dial.New(dial.Config{Guard: only127dot2})
	for url, says := range map[string]string{
		"http://" + gone.Addr().String():                     "the connection was refused",
		strings.Replace(plain.URL, "http://", "https://", 1): "TLS failed",
		secure.URL: "the TLS certificate is not valid for this host",
	} {
		_, err := get(t, d, url)
		var exchange *dial.ExchangeError
		if !errors.As(err, &exchange) || exchange.Sent || dial.Describe(err) != says {
			t.Errorf("%s: got %v (%s), want %q with nothing sent", url, err, dial.Describe(err), says)
		}
	}
	if got := dial.Describe(fmt.Errorf("dialling: %w", &net.DNSError{IsNotFound: true})); got != "the host name was not found" {
		t.Errorf("an unknown name is described as %q", got)
	}
}
