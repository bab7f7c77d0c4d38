package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"carillon/internal/lab"
)

// lean is a client that costs so little that there can be many of it beside the
// server that it asks: requests are written as they were made beforehand.
type lean struct {
	addr   string
	places chan struct{} // as many requests as may be under way; others wait

	mu   sync.Mutex
	idle []*leanConn
}

// leanMost bounds the connections: the proxies and servers of stories beside this
// one need files, too.
const leanMost = 4000

func newLean(addr string) *lean { return &lean{addr: addr, places: make(chan struct{}, leanMost)} }

type leanConn struct {
	net.Conn
	in *bufio.Reader
}

// leanRequest makes a request that lean can ask again and again.
func leanRequest(addr, credential, body string) []byte {
	return fmt.Appendf(nil, "POST /graphql HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nAccept: application/graphql-response+json\r\nContent-Length: %d\r\n\r\n%s",
		addr, credential, len(body), body)
}

// leanPatience is how long an answer may take.
const leanPatience = 20 * time.Second

// ask gives the answer's status, whether it says when to come back, and whether
// it did what was asked.
func (l *lean) ask(ctx context.Context, request []byte) (status int, comeBack, done bool, err error) {
	l.places <- struct{}{}
	defer func() { <-l.places }()
	c, err := l.take(ctx)
	if err != nil {
		return 0, false, false, err
	}
	if err := c.SetDeadline(time.Now().Add(leanPatience)); err != nil {
		return 0, false, false, err
	}
	if _, err := c.Write(request); err != nil {
		c.Close()
		return 0, false, false, err
	}
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.Close()
		return 0, false, false, err
	}
	body, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		c.Close()
		return 0, false, false, err
	}
	l.give(c, res.Close)
	done = res.StatusCode == http.StatusOK && !bytes.Contains(body, []byte(`"errors":[`)) && !bytes.Contains(body, []byte(`"userErrors":[{`))
	if !done && res.StatusCode == http.StatusOK {
		return 0, false, false, &lab.AnswerError{Status: res.StatusCode, Body: string(body)}
	}
	return res.StatusCode, res.Header.Get("Retry-After") != "", done, nil
}

func (l *lean) take(ctx context.Context) (*leanConn, error) {
	l.mu.Lock()
	if n := len(l.idle); n > 0 {
		c := l.idle[n-1]
		l.idle = l.idle[:n-1]
		l.mu.Unlock()
		return c, nil
	}
	l.mu.Unlock()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", l.addr)
	if err != nil {
		return nil, err
	}
	return &leanConn{conn, bufio.NewReader(conn)}, nil
}

func (l *lean) give(c *leanConn, closing bool) {
	if closing {
		c.Close()
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.idle = append(l.idle, c)
}

func (l *lean) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.idle {
		c.Close()
	}
	l.idle = nil
}
