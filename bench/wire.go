package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// wire is one connection that requests are written to as they are on the wire:
// a whole HTTP client would cost more than what it measures.
type wire struct {
	conn net.Conn
	in   *bufio.Reader
	body []byte
}

func dialWire(ctx context.Context, addr string) (*wire, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &wire{conn: conn, in: bufio.NewReaderSize(conn, 16<<10)}, nil
}

// request puts a POST of JSON together.
func request(path, credential string, body []byte) []byte {
	b := []byte("POST " + path + " HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nAccept: application/json\r\n")
	if credential != "" {
		b = append(b, "Authorization: Bearer "+credential+"\r\n"...)
	}
	b = fmt.Appendf(b, "Content-Length: %d\r\n\r\n", len(body))
	return append(b, body...)
}

// errBusy is an answer that asks to come back.
var errBusy = errors.New("503 Service Unavailable")

// do sends a request and returns the body of its answer, which counts until the
// next call. An answer that is not 200 is an error.
func (w *wire) do(request []byte) ([]byte, error) {
	if _, err := w.conn.Write(request); err != nil {
		return nil, err
	}
	length, status := -1, ""
	for first := true; ; first = false {
		line, err := w.in.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if first {
			status = string(line)
		}
		if len(line) == 0 {
			break
		}
		const name = "content-length: "
		if len(line) > len(name) && bytes.EqualFold(line[:len(name)], []byte(name)) {
			if length, err = strconv.Atoi(string(line[len(name):])); err != nil {
				return nil, err
			}
		}
	}
	if length < 0 {
		return nil, errors.New("an answer without its length: " + status)
	}
	w.body = slices.Grow(w.body[:0], length)[:length]
	if _, err := io.ReadFull(w.in, w.body); err != nil {
		return nil, err
	}
	if strings.HasPrefix(status, "HTTP/1.1 503 ") {
		return nil, errBusy
	}
	if status != "HTTP/1.1 200 OK" {
		return nil, fmt.Errorf("%s: %s", status, w.body)
	}
	return w.body, nil
}

// refusedMost is the part of the requests that may be told to come back, as a
// server does that is busier than it should be. They are not counted.
const refusedMost = 0.05

// flood has so many connections ask as fast as they are answered. ask gives a
// request and what to do with its answer; both are called by one connection at
// a time.
func flood(ctx context.Context, addr string, connections int, length time.Duration, ask func(connection, n int) (request []byte, check func(body []byte) error)) (count int, took time.Duration, err error) {
	wires := make([]*wire, connections)
	for i := range wires {
		if wires[i], err = dialWire(ctx, addr); err != nil {
			return 0, 0, err
		}
		defer wires[i].conn.Close()
	}
	var (
		wg     sync.WaitGroup
		counts = make([]int, connections)
		busy   = make([]int, connections)
		errs   = make([]error, connections)
		began  = time.Now()
	)
	for i, w := range wires {
		wg.Go(func() {
			for n := 0; time.Since(began) < length && ctx.Err() == nil && errs[i] == nil; n++ {
				request, check := ask(i, n)
				body, err := w.do(request)
				if errors.Is(err, errBusy) {
					busy[i]++
					continue
				}
				if err == nil {
					err = check(body)
				}
				counts[i], errs[i] = counts[i]+1, err
			}
		})
	}
	wg.Wait()
	took = time.Since(began)
	refused := 0
	for i, n := range counts {
		count += n
		refused += busy[i]
	}
	if refused > 0 && float64(refused) > refusedMost*float64(count) {
		errs = append(errs, fmt.Errorf("%d of %d requests were told to come back", refused, count+refused))
	}
	return count, took, errors.Join(append(errs, ctx.Err())...)
}
