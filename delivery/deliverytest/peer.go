package deliverytest

import (
	"bytes"
	"cmp"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// Answer is what an HTTP peer says.
type Answer struct {
	Status int // zero: 200
	Header map[string]string
	Body   string
}

// HTTP describes a peer whose protocol runs over HTTP.
type HTTP struct {
	// Take reads a request, checks that it is one of the protocol, and returns the
	// message in it and the answer. It may be called concurrently.
	Take func(t *testing.T, r *http.Request, body []byte) (Received, Answer)
	// Other is asked first, for requests that are no messages, such as those for a
	// token: it answers them and returns true. Nil: there are none.
	Other func(w http.ResponseWriter, r *http.Request, body []byte) bool
	// Faults are the protocol's own answers for faults that have one; a plain
	// status serves for the others.
	Faults map[Fault]Answer
	// TLS has the peer speak it, and HTTP/2.
	TLS bool
}

// HTTPPeer is a running peer.
type HTTPPeer struct {
	URL string

	t     *testing.T
	is    HTTP
	mu    sync.Mutex
	fault Fault
	got   []Received
	done  chan struct{}
}

// Start runs the peer until the test ends.
func (h HTTP) Start(t *testing.T) *HTTPPeer {
	t.Helper()
	p := &HTTPPeer{t: t, is: h, done: make(chan struct{})}
	s := httptest.NewUnstartedServer(p)
	if h.TLS {
		s.EnableHTTP2, s.TLS = true, TLS()
		s.StartTLS()
	} else {
		s.Start()
	}
	p.URL = s.URL
	t.Cleanup(func() { close(p.done); s.CloseClientConnections(); s.Close() })
	return p
}

// Set makes the peer misbehave, or behave again.
func (p *HTTPPeer) Set(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
}

// Received returns what was taken so far.
func (p *HTTPPeer) Received() []Received {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.got[:len(p.got):len(p.got)]
}

// ServeHTTP implements [http.Handler].
func (p *HTTPPeer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if p.is.Other != nil && p.is.Other(w, r, body) {
		return
	}
	got, answer := p.is.Take(p.t, r, body)
	p.mu.Lock()
	fault := p.fault
	if fault == FaultNone {
		p.got = append(p.got, got)
	}
	p.mu.Unlock()
	own, ok := p.is.Faults[fault]
	if !ok {
		own, ok = usual[fault]
	}
	if ok {
		write(w, own)
		return
	}
	switch fault {
	case FaultHang:
		select {
		case <-p.done:
		case <-r.Context().Done():
		}
		panic(http.ErrAbortHandler)
	case FaultReset:
		reset(w)
	case FaultCut:
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, `{"a":`)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case FaultHuge:
		for chunk := bytes.Repeat([]byte(" "), 1<<12); ; {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	default:
		write(w, answer)
	}
}

// usual are the faults that are an answer.
var usual = map[Fault]Answer{
	FaultError:        {Status: http.StatusInternalServerError, Body: "oh no"},
	FaultRateLimited:  {Status: http.StatusTooManyRequests},
	FaultRetryAfter:   {Status: http.StatusTooManyRequests, Header: map[string]string{"Retry-After": "7"}},
	FaultMalformed:    {Body: "<html>Welcome</html>"},
	FaultUnauthorized: {Status: http.StatusUnauthorized},
	FaultGone:         {Status: http.StatusGone},
	FaultRefused:      {Status: http.StatusBadRequest},
	FaultRedirect:     {Status: http.StatusTemporaryRedirect, Header: map[string]string{"Location": "/elsewhere"}},
}

func write(w http.ResponseWriter, a Answer) {
	for name, value := range a.Header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(cmp.Or(a.Status, http.StatusOK))
	_, _ = io.WriteString(w, a.Body)
}

// reset ends the connection with a reset, or the stream where many share one.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// JSONAnswer is an answer with a JSON body.
func JSONAnswer(status int, body string, headers ...string) Answer {
	a := Answer{Status: status, Body: body, Header: map[string]string{"Content-Type": "application/json"}}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		a.Header[name] = value
	}
	return a
}
