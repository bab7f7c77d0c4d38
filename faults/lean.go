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
	"strconv"
	"sync"
	"syscall"
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

// leanMost bounds the connections, as those who ask do; and the proxies and
// servers of stories beside this one need files, too.
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
	answer, again, err := l.once(ctx, request)
	if again { // as clients do, on a new connection
		l.close()
		answer, _, err = l.once(ctx, request)
	}
	if err != nil {
		return 0, false, false, err
	}
	done = answer.status == http.StatusOK && !bytes.Contains(answer.body, []byte(`"errors":[`)) && !bytes.Contains(answer.body, []byte(`"userErrors":[{`))
	if !done && answer.status == http.StatusOK {
		return 0, false, false, &lab.AnswerError{Status: answer.status, Body: string(answer.body)}
	}
	return answer.status, answer.comeBack, done, nil
}

// once asks on a connection. again says that it was one that the server had given
// up by then, since it had not been used for a while.
func (l *lean) once(ctx context.Context, request []byte) (answer leanAnswer, again bool, err error) {
	c, used, err := l.take(ctx)
	if err != nil {
		return answer, false, err
	}
	if err := c.SetDeadline(time.Now().Add(leanPatience)); err != nil {
		return answer, false, err
	}
	if _, err = c.Write(request); err == nil {
		answer, err = c.read()
	}
	if err != nil {
		c.Close()
		return answer, used && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)), err
	}
	l.give(c, answer.closing)
	return answer, false, nil
}

// leanAnswer is what lean looks at of an answer.
type leanAnswer struct {
	status            int
	comeBack, closing bool
	body              []byte // only of a 200
}

// read reads an answer whose length is told, as all are that lean is given.
func (c *leanConn) read() (a leanAnswer, err error) {
	length := -1
	for first := true; ; first = false {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return a, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if first {
			if len(line) < len("HTTP/1.1 200") {
				return a, fmt.Errorf("an answer begins with %q", line)
			}
			if a.status, err = strconv.Atoi(string(line[9:12])); err != nil {
				return a, fmt.Errorf("an answer begins with %q", line)
			}
			continue
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch string(name) {
		case "Content-Length":
			if length, err = strconv.Atoi(string(value)); err != nil {
				return a, fmt.Errorf("Content-Length %q", value)
			}
		case "Retry-After":
			a.comeBack = true
		case "Connection":
			a.closing = string(value) == "close"
		}
	}
	if length < 0 {
		return a, errors.New("an answer does not tell its length")
	}
	if a.status != http.StatusOK {
		_, err = c.in.Discard(length)
		return a, err
	}
	a.body = make([]byte, length)
	_, err = io.ReadFull(c.in, a.body)
	return a, err
}

func (l *lean) take(ctx context.Context) (c *leanConn, used bool, err error) {
	l.mu.Lock()
	if n := len(l.idle); n > 0 {
		c = l.idle[n-1]
		l.idle = l.idle[:n-1]
		l.mu.Unlock()
		return c, true, nil
	}
	l.mu.Unlock()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", l.addr)
	if err != nil {
		return nil, false, err
	}
	return &leanConn{conn, bufio.NewReader(conn)}, false, nil
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
