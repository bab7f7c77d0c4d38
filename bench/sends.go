package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"carillon/internal/lab"
)

// senders is how many send at once.
const senders = 16

// target is a server that takes sends to one user who listens: ours or the
// counterpart.
type target struct {
	*side
	send   func(title string) []byte                   // a request
	sent   []byte                                      // what its answer has in it
	stream func(ctx context.Context) (*watcher, error) // of the user's inbox
	stored func(ctx context.Context) (int, error)      // how much is in it
}

const (
	sendText = `mutation ($title: String!) { sendNotification(input: {to: {users: ["u0"]}, title: $title}) { send { id } userErrors { message } } }`
	total    = `{ user(identifier: "u0") { inbox(first: 1) { counters { total } } } }`
)

// oursFor makes a target of ours: an app with one user.
func (p *place) oursFor(ctx context.Context, setup *lab.Setup, app string) (*target, error) {
	env, err := setup.CreateApp(ctx, app, "test")
	if err != nil {
		return nil, err
	}
	srv, err := p.serve(ctx, setup)
	if err != nil {
		return nil, err
	}
	client := lab.NewClient("http://"+srv.addr, env.SecretKey)
	if _, err := client.Identify(ctx, 1); err != nil {
		srv.Kill()
		return nil, err
	}
	users, err := newSigner(ctx, client)
	if err != nil {
		srv.Kill()
		return nil, err
	}
	token := users.token("u0")
	return &target{
		side: srv, sent: []byte(`"send":{"id":`),
		send: func(title string) []byte {
			body, _ := json.Marshal(map[string]any{"query": sendText, "variables": map[string]any{"title": title}}) // of text
			return request("/graphql", env.SecretKey, body)
		},
		stream: func(ctx context.Context) (*watcher, error) { return watchOurs(ctx, srv.addr, token) },
		stored: func(ctx context.Context) (int, error) {
			var out struct {
				User struct {
					Inbox struct{ Counters struct{ Total int } }
				}
			}
			err := client.Do(ctx, total, nil, &out)
			return out.User.Inbox.Counters.Total, err
		},
	}, nil
}

// bareFor makes a target of the counterpart: another user for each name.
func (p *place) bareFor(ctx context.Context, user int) (*target, error) {
	srv, err := p.counterpart(ctx)
	if err != nil {
		return nil, err
	}
	acknowledged := 0
	return &target{
		side: srv, sent: []byte(`"seq":`),
		send: func(title string) []byte {
			body, _ := json.Marshal(map[string]any{"user": user, "title": title}) // of text and numbers
			return request("/send", "", body)
		},
		stream: func(ctx context.Context) (*watcher, error) { return watchBare(ctx, srv.addr) },
		// Its events carry a seq, which is how many there were.
		stored: func(ctx context.Context) (int, error) {
			w, err := dialWire(ctx, srv.addr)
			if err != nil {
				return 0, err
			}
			defer w.conn.Close()
			body, err := w.do(request("/send", "", fmt.Appendf(nil, `{"user":%d,"title":"counted"}`, user)))
			var e bareEvent
			if err == nil {
				err = json.Unmarshal(body, &e)
			}
			acknowledged++
			return int(e.Seq) - acknowledged, err
		},
	}, nil
}

// sends measures durable sends to one online user by 16 senders.
func (p *place) sends(ctx context.Context) error {
	ours, err := p.oursFor(ctx, p.setup, "sends")
	if err != nil {
		return err
	}
	defer ours.Kill()
	bare, err := p.bareFor(ctx, 1)
	if err != nil {
		return err
	}
	defer bare.Kill()
	var rates [2]samples
	for range p.rounds {
		for i, t := range []*target{ours, bare} {
			s, err := p.watch(ctx, t.side, "sends", func() (int, time.Duration, error) { return t.flood(ctx, p.length) })
			if err != nil {
				return err
			}
			rates[i] = append(rates[i], s)
		}
	}
	p.addRates("W2 sends to one online user, 16 senders", rates[0], rates[1])
	return nil
}

// flood sends as fast as 16 senders can while one subscriber listens, and
// checks that every acknowledged send arrived and is stored.
func (t *target) flood(ctx context.Context, length time.Duration) (n int, took time.Duration, err error) {
	before, err := t.stored(ctx)
	if err != nil {
		return 0, 0, err
	}
	w, err := t.stream(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer w.close()
	n, took, err = flood(ctx, t.addr, senders, length, func(connection, n int) ([]byte, func([]byte) error) {
		return t.send(fmt.Sprintf("%d-%d", connection, n)), t.acknowledged
	})
	if err != nil {
		return 0, 0, err
	}
	if err := w.await(n, 10*time.Second); err != nil {
		return 0, 0, err
	}
	after, err := t.stored(ctx)
	if err == nil && after-before != n {
		err = fmt.Errorf("%d sends were acknowledged, %d are stored", n, after-before)
	}
	return n, took, err
}

func (t *target) acknowledged(body []byte) error {
	if !bytes.Contains(body, t.sent) {
		return fmt.Errorf("answer: %s", body)
	}
	return nil
}

// pace is the sends a second of the measurement of latency.
const pace = 200

// latency measures the way from the send's first byte to the event at the
// subscriber, at 200 sends a second.
func (p *place) latency(ctx context.Context) error {
	ours, err := p.oursFor(ctx, p.setup, "latency")
	if err != nil {
		return err
	}
	defer ours.Kill()
	bare, err := p.bareFor(ctx, 2)
	if err != nil {
		return err
	}
	defer bare.Kill()
	var text [2]string
	var p99s [2]float64
	for i, t := range []*target{ours, bare} {
		if _, err := t.paced(ctx, time.Second); err != nil { // to warm up
			return fmt.Errorf("%s: %w", t.name, err)
		}
		var times []time.Duration
		if _, err := p.watch(ctx, t.side, "latency", func() (int, time.Duration, error) {
			times, err = t.paced(ctx, 2*p.length)
			return len(times), 2 * p.length, err
		}); err != nil {
			return err
		}
		p50, p99 := times[len(times)/2], times[len(times)*99/100]
		text[i], p99s[i] = fmt.Sprintf("p50 %.2f ms, p99 %.2f ms", ms(p50), ms(p99)), ms(p99)
	}
	p.add(result{work: fmt.Sprintf("W2 send → event at %d sends/s", pace), ours: text[0], bare: text[1], ratio: fmt.Sprintf("%.2f (p99)", p99s[0]/p99s[1])})
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// paced sends at a steady pace over as many connections as it takes, and says
// how long each send took to arrive.
func (t *target) paced(ctx context.Context, length time.Duration) ([]time.Duration, error) {
	w, err := t.stream(ctx)
	if err != nil {
		return nil, err
	}
	defer w.close()
	n := int(length.Seconds() * pace)
	var (
		wg    sync.WaitGroup
		idle  = make(chan *wire, n)
		begun = make(map[string]time.Time, n)
		errs  = make(chan error, n)
		tick  = time.NewTicker(time.Second / pace)
	)
	defer tick.Stop()
	for i := range n {
		<-tick.C
		title := fmt.Sprintf("paced %d", i)
		begun[title] = time.Now()
		wg.Go(func() {
			errs <- func() error {
				var c *wire
				select {
				case c = <-idle:
				default:
					if c, err = dialWire(ctx, t.addr); err != nil {
						return err
					}
				}
				body, err := c.do(t.send(title))
				if err != nil {
					return err
				}
				idle <- c
				return t.acknowledged(body)
			}()
		})
	}
	wg.Wait()
	close(errs)
	close(idle)
	for c := range idle {
		c.conn.Close()
	}
	for err := range errs {
		if err != nil {
			return nil, err
		}
	}
	if err := w.await(n, 10*time.Second); err != nil {
		return nil, err
	}
	took := make([]time.Duration, 0, n)
	for title, at := range w.arrived() {
		if from, ok := begun[title]; ok {
			took = append(took, at.Sub(from))
		}
	}
	if len(took) != n {
		return nil, errors.New("other sends than these arrived")
	}
	slices.Sort(took)
	return took, nil
}
