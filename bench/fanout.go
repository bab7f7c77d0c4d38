package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
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

// fanOut measures one send to 10,000 open subscribers, until the last has it,
// and what a subscriber takes who waits.
func (p *place) fanOut(ctx context.Context) error {
	c, err := p.gather(ctx)
	if err != nil {
		return err
	}
	ours, bare, end, err := p.both(ctx)
	if err != nil {
		return err
	}
	defer end()
	tokens := c.tokens()
	var (
		rates  [2]samples
		memory [2]float64
	)
	for i, s := range []struct {
		*side
		join func(i int) (net.Conn, *bufio.Reader, error)
		body func(title string) []byte
		want string
	}{
		{
			side: ours, join: func(i int) (net.Conn, *bufio.Reader, error) { return joinOurs(ctx, ours.addr, tokens[i]) },
			body: func(title string) []byte {
				const text = `mutation ($title: String!) { sendNotification(input: {to: {topics: ["all"]}, title: $title}) { send { id } userErrors { message } } }`
				b, _ := json.Marshal(map[string]any{"query": text, "variables": map[string]any{"title": title}}) // of text
				return request("/graphql", c.SecretKey, b)
			}, want: `"send":{"id":`,
		},
		{
			side: bare, join: func(int) (net.Conn, *bufio.Reader, error) { return joinBare(ctx, bare.addr) },
			body: func(title string) []byte {
				b, _ := json.Marshal(map[string]any{"env": c.env, "title": title}) // of text and numbers
				return request("/sendall", "", b)
			}, want: `"title":`,
		},
	} {
		if rates[i], memory[i], err = p.fanOutOn(ctx, s.side, s.join, s.body, s.want); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	p.addRates(fmt.Sprintf("W3 deliveries of one send to %s open subscribers", count(people)), rates[0], rates[1])
	p.add(result{
		work: "W3 memory of an idle subscriber (RSS)", ours: fmt.Sprintf("%.1f KB", memory[0]/1024), bare: fmt.Sprintf("%.1f KB", memory[1]/1024),
		ratio: fmt.Sprintf("%.2f", memory[0]/memory[1]),
	})
	return nil
}

func (p *place) fanOutOn(ctx context.Context, s *side, join func(int) (net.Conn, *bufio.Reader, error), body func(string) []byte, want string) (rates samples, memory float64, err error) {
	before, err := p.rests(ctx, s)
	if err != nil {
		return nil, 0, err
	}
	a, err := assemble(people, join)
	if err != nil {
		return nil, 0, err
	}
	defer a.leave()
	after, err := p.rests(ctx, s)
	if err != nil {
		return nil, 0, err
	}
	w, err := dialWire(ctx, s.addr)
	if err != nil {
		return nil, 0, err
	}
	defer w.conn.Close()
	send := func(title string) error {
		answer, err := w.do(body(title))
		if err == nil && !bytes.Contains(answer, []byte(want)) {
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
		sample, err := p.watch(ctx, s, "fanout", func() (sent int, took time.Duration, err error) {
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
