package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// audience are 10,000 subscribers of one server, each on a connection of its
// own, who note that a send has reached them.
type audience struct {
	conns   []net.Conn
	missing atomic.Int64 // of the send that is on its way
	reached chan error   // everyone, or why not
	title   atomic.Pointer[[]byte]
}

// assemble opens the connections, a few at a time.
func assemble(n int, join func(i int) (net.Conn, *bufio.Reader, error)) (*audience, error) {
	a := &audience{conns: make([]net.Conn, n), reached: make(chan error, n)}
	a.title.Store(new([]byte))
	const lanes = 16
	var wg sync.WaitGroup
	errs := make([]error, lanes)
	for lane := range lanes {
		wg.Go(func() {
			for i := lane; i < n && errs[lane] == nil; i += lanes {
				conn, in, err := join(i)
				if errs[lane] = err; err == nil {
					a.conns[i] = conn
					go a.listen(conn, in)
				}
			}
		})
	}
	wg.Wait()
	err := errors.Join(errs...)
	if err != nil {
		a.leave()
	}
	return a, err
}

func (a *audience) leave() {
	for _, c := range a.conns {
		if c != nil {
			c.Close()
		}
	}
}

func (a *audience) listen(conn net.Conn, in *bufio.Reader) {
	var buffer []byte
	for {
		frame, err := hear(conn, in, buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil && !bytes.Contains(frame, *a.title.Load()) {
			err = fmt.Errorf("a subscriber got %s", frame)
		}
		if err != nil {
			a.reached <- err
			return
		}
		if a.missing.Add(-1) == 0 {
			a.reached <- nil
		}
		buffer = frame
	}
}

// tell sends to everyone, and waits until everyone has it.
func (a *audience) tell(send func(title string) error, title string) (time.Duration, error) {
	text := []byte(title + `"`)
	a.title.Store(&text)
	a.missing.Store(int64(len(a.conns)))
	began := time.Now()
	if err := send(title); err != nil {
		return 0, err
	}
	select {
	case err := <-a.reached:
		return time.Since(began), err
	case <-time.After(30 * time.Second):
		return 0, fmt.Errorf("%d of %d have not got the send after 30 s", a.missing.Load(), len(a.conns))
	}
}

// listening is one side of a fan-out: how to subscribe, and how to send.
type listening struct {
	*side
	join   func(i int) (net.Conn, *bufio.Reader, error)
	path   string
	secret string
	body   func(title string) any
	sent   string // what an answer has in it
}

// fanOut measures one send to 10,000 open subscribers, until the last has it,
// and what a subscriber takes who waits: first with an inbox for each, which is
// 10,000 rows too, then all with the same one, which is the delivery alone.
func (p *place) fanOut(ctx context.Context) error {
	// The counterpart keeps the sockets of the audience before.
	var files syscall.Rlimit
	const needed = 2*people + 500
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return err
	}
	if files.Cur < needed {
		return fmt.Errorf("a process may have %d files open, and %d are needed: raise ulimit -n", files.Cur, needed)
	}
	c, err := p.gather(ctx)
	if err != nil {
		return err
	}
	ours, bare, end, err := p.both(ctx, fmt.Sprintf("MAX_CONNECTIONS_USER=%d", people))
	if err != nil {
		return err
	}
	defer end()
	tokens := c.tokens()
	const each = `mutation ($title: String!) { sendNotification(input: {to: {topics: ["all"]}, title: $title}) { send { id } userErrors { message } } }`
	one := strings.Replace(each, `topics: ["all"]`, `users: ["`+userName(0)+`"]`, 1)
	ourSide := func(text string, token func(i int) string) listening {
		return listening{
			side: ours, path: "/graphql", secret: c.SecretKey, sent: `"send":{"id":`,
			join: func(i int) (net.Conn, *bufio.Reader, error) { return joinOurs(ctx, ours.addr, token(i)) },
			body: func(title string) any {
				return map[string]any{"query": text, "variables": map[string]any{"title": title}}
			},
		}
	}
	bareSide := func(path string, body map[string]any) listening {
		return listening{
			side: bare, path: path, sent: `"title":`,
			join: func(int) (net.Conn, *bufio.Reader, error) { return joinBare(ctx, bare.addr) },
			body: func(title string) any {
				body["title"] = title
				return body
			},
		}
	}
	for i, work := range []struct {
		name  string
		sides [2]listening
	}{
		{"an inbox for each", [2]listening{ourSide(each, func(i int) string { return tokens[i] }), bareSide("/sendall", map[string]any{"env": c.env})}},
		{"all of one inbox", [2]listening{ourSide(one, func(int) string { return tokens[0] }), bareSide("/send", map[string]any{"user": 3})}},
	} {
		var (
			rates  [2]samples
			memory [2]float64
		)
		for j, s := range work.sides {
			if rates[j], memory[j], err = p.fanOutOn(ctx, s); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
		p.addRates(fmt.Sprintf("W3 deliveries of one send to %s open subscribers, %s", count(people), work.name), rates[0], rates[1])
		if i > 0 {
			continue // the counterpart has not noticed yet who left
		}
		p.add(result{
			work: "W3 memory of an idle subscriber (RSS)", ours: fmt.Sprintf("%.1f KB", memory[0]/1024), bare: fmt.Sprintf("%.1f KB", memory[1]/1024),
			ratio: fmt.Sprintf("%.2f", memory[0]/memory[1]),
		})
	}
	return nil
}

func (p *place) fanOutOn(ctx context.Context, s listening) (rates samples, memory float64, err error) {
	before, err := p.rests(ctx, s.side)
	if err != nil {
		return nil, 0, err
	}
	a, err := assemble(people, s.join)
	if err != nil {
		return nil, 0, err
	}
	defer a.leave()
	after, err := p.rests(ctx, s.side)
	if err != nil {
		return nil, 0, err
	}
	w, err := dialWire(ctx, s.addr)
	if err != nil {
		return nil, 0, err
	}
	defer w.conn.Close()
	send := func(title string) error {
		body, err := json.Marshal(s.body(title))
		if err != nil {
			return err
		}
		answer, err := w.do(request(s.path, s.secret, body))
		if err == nil && !bytes.Contains(answer, []byte(s.sent)) {
			err = fmt.Errorf("answer: %s", answer)
		}
		return err
	}
	// The first one makes the inboxes, and is not counted.
	if _, err := a.tell(send, "fan-out to warm up"); err != nil {
		return nil, 0, err
	}
	n := 0
	for range p.rounds {
		sample, err := p.watch(ctx, s.side, "fanout", func() (sent int, took time.Duration, err error) {
			for took < p.length/2 {
				n++
				one, err := a.tell(send, fmt.Sprintf("fan-out %d", n))
				if err != nil {
					return 0, 0, err
				}
				took += one
				sent += people
			}
			return sent, took, nil
		})
		if err != nil {
			return nil, 0, err
		}
		rates = append(rates, sample)
	}
	return rates, (after - before) / people, nil
}

// rests is the memory of a server that has been left alone until it no longer
// gives any back.
func (p *place) rests(ctx context.Context, s *side) (bytes float64, err error) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	last, since := 0.0, 0
	for range 40 {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-tick.C:
		}
		if bytes, err = resident(s.PID()); err != nil {
			return 0, err
		}
		if bytes < last*0.99 || last == 0 {
			last, since = bytes, 0
		} else if since++; since == 8 {
			break
		}
	}
	return bytes, nil
}
