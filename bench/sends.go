package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"carillon/internal/lab"
)

const senders = 16

// target is a server that takes sends to one user: ours or the counterpart.
type target struct {
	name    string
	process *lab.Process
	post    func(ctx context.Context, c *http.Client, title string) error
	stream  func(ctx context.Context) (titles <-chan string, stop func(), err error)
	stored  func(ctx context.Context) (int, error)
}

// ours starts the server with one user who may have a token.
func (p *place) ours(ctx context.Context, name string) (*target, error) {
	env, err := p.setup.CreateApp(ctx, name, "test")
	if err != nil {
		return nil, err
	}
	srv, _, err := p.setup.Serve(ctx)
	if err != nil {
		return nil, err
	}
	client := lab.NewClient(srv.URL, env.SecretKey)
	if _, err := client.Identify(ctx, 1); err != nil {
		return nil, err
	}
	token, err := p.setup.CLI(ctx, "token", "--app", name, "--environment", "test", "--user", "u0")
	if err != nil {
		return nil, err
	}
	const mutation = `mutation ($title: String!) { sendNotification(input: {to: {users: ["u0"]}, title: $title}) { send { id } userErrors { message } } }`
	return &target{
		name: "ours", process: srv.Process,
		post: func(ctx context.Context, c *http.Client, title string) error {
			body, err := json.Marshal(map[string]any{"query": mutation, "variables": map[string]any{"title": title}})
			if err != nil {
				return err
			}
			answer, err := post(ctx, c, srv.URL+"/graphql", "Bearer "+env.SecretKey, body)
			if err == nil && !bytes.Contains(answer, []byte(`"send":{"id":`)) {
				err = fmt.Errorf("answer: %s", answer)
			}
			return err
		},
		stream: func(ctx context.Context) (<-chan string, func(), error) {
			return subscribeOurs(ctx, strings.Replace(srv.URL, "http", "ws", 1)+"/graphql", strings.TrimSpace(token))
		},
		stored: func(ctx context.Context) (int, error) {
			var out struct {
				User struct {
					Inbox struct {
						Counters struct{ Total int }
					}
				}
			}
			err := client.Do(ctx, `{ user(identifier: "u0") { inbox(first: 1) { counters { total } } } }`, nil, &out)
			return out.User.Inbox.Counters.Total, err
		},
	}, nil
}

// bare starts the counterpart: this program in its other role.
func (p *place) bare(ctx context.Context) (*target, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	addr, err := lab.FreeAddr()
	if err != nil {
		return nil, err
	}
	proc, err := lab.Start("counterpart", p.setup.Env, self, "-bare", addr)
	if err != nil {
		return nil, err
	}
	url := "http://" + addr
	if err := lab.Poll(ctx, 10*time.Second, func() error { return lab.Ready(ctx, url) }); err != nil {
		return nil, err
	}
	var acknowledged atomic.Int64
	return &target{
		name: "counterpart", process: proc,
		post: func(ctx context.Context, c *http.Client, title string) error {
			body, err := json.Marshal(map[string]any{"user": 1, "title": title})
			if err != nil {
				return err
			}
			answer, err := post(ctx, c, url+"/send", "", body)
			if err == nil && !bytes.Contains(answer, []byte(`"seq":`)) {
				err = fmt.Errorf("answer: %s", answer)
			}
			acknowledged.Add(1)
			return err
		},
		stream: func(ctx context.Context) (<-chan string, func(), error) {
			conn, _, _, err := ws.Dial(ctx, strings.Replace(url, "http", "ws", 1)+"/ws")
			if err != nil {
				return nil, nil, err
			}
			titles := make(chan string, 1024)
			go func() {
				defer close(titles)
				for {
					b, err := wsutil.ReadServerText(conn)
					var e bareEvent
					if err != nil || json.Unmarshal(b, &e) != nil {
						return
					}
					titles <- e.Title
				}
			}()
			return titles, func() { _ = conn.Close() }, nil
		},
		stored: func(context.Context) (int, error) { return int(acknowledged.Load()), nil },
	}, nil
}

// subscribeOurs follows the inbox over graphql-transport-ws.
func subscribeOurs(ctx context.Context, url, token string) (<-chan string, func(), error) {
	dialer := ws.Dialer{Protocols: []string{"graphql-transport-ws"}}
	conn, _, _, err := dialer.Dial(ctx, url)
	if err != nil {
		return nil, nil, err
	}
	say := func(m map[string]any) error {
		b, err := json.Marshal(m)
		if err != nil {
			return err
		}
		return wsutil.WriteClientText(conn, b)
	}
	if err := say(map[string]any{"type": "connection_init", "payload": map[string]any{"authorization": "Bearer " + token}}); err != nil {
		return nil, nil, err
	}
	if b, err := wsutil.ReadServerText(conn); err != nil || !bytes.Contains(b, []byte("connection_ack")) {
		return nil, nil, fmt.Errorf("connecting: %s, %w", b, err)
	}
	const subscription = `subscription { inbox { position counters { unread } reset added { id title } } }`
	if err := say(map[string]any{"id": "1", "type": "subscribe", "payload": map[string]any{"query": subscription}}); err != nil {
		return nil, nil, err
	}
	if b, err := wsutil.ReadServerText(conn); err != nil || !bytes.Contains(b, []byte(`"FIRST"`)) {
		return nil, nil, fmt.Errorf("waiting for the snapshot: %s, %w", b, err)
	}
	titles := make(chan string, 4096)
	go func() {
		defer close(titles)
		for {
			b, op, err := wsutil.ReadServerData(conn)
			if err != nil || op != ws.OpText {
				return
			}
			var m struct {
				Type    string
				Payload struct {
					Data struct {
						Inbox struct{ Added []struct{ Title string } }
					}
				}
			}
			if json.Unmarshal(b, &m) != nil {
				return
			}
			if m.Type == "ping" {
				_ = say(map[string]any{"type": "pong"})
			}
			for _, n := range m.Payload.Data.Inbox.Added {
				titles <- n.Title
			}
		}
	}()
	return titles, func() { _ = conn.Close() }, nil
}

func post(ctx context.Context, c *http.Client, url, authorization string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	res, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("answer %s: %s", res.Status, b)
	}
	return b, err
}

// sends measures durable sends to one online user by 16 senders.
func (p *place) sends(ctx context.Context) error {
	ours, err := p.ours(ctx, "sends")
	if err != nil {
		return err
	}
	defer ours.process.Kill()
	bare, err := p.bare(ctx)
	if err != nil {
		return err
	}
	defer bare.process.Kill()
	var rates [2][]float64
	for range p.rounds {
		for i, t := range []*target{ours, bare} {
			rate, err := t.flood(ctx, p.length)
			if err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			rates[i] = append(rates[i], rate)
		}
	}
	a, b := median(rates[0]), median(rates[1])
	p.add("W2 sends/s to one online user, 16 senders", fmt.Sprintf("%.0f", a), fmt.Sprintf("%.0f", b), fmt.Sprintf("%.2f", a/b))
	return nil
}

// flood sends as fast as 16 senders can while one subscriber listens, and
// checks that every acknowledged send arrived and is stored.
func (t *target) flood(ctx context.Context, length time.Duration) (perSecond float64, err error) {
	before, err := t.stored(ctx)
	if err != nil {
		return 0, err
	}
	titles, stop, err := t.stream(ctx)
	if err != nil {
		return 0, err
	}
	defer stop()
	got := make(chan map[string]bool, 1)
	go func() {
		seen := map[string]bool{}
		for title := range titles {
			seen[title] = true
			if title == "last" {
				break
			}
		}
		got <- seen
	}()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: senders}}
	var (
		wg    sync.WaitGroup
		count atomic.Int64
		errs  = make(chan error, senders)
		began = time.Now()
	)
	for i := range senders {
		wg.Go(func() {
			for n := 0; time.Since(began) < length; n++ {
				if err := t.post(ctx, client, fmt.Sprintf("%d-%d", i, n)); err != nil {
					errs <- err
					return
				}
				count.Add(1)
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	close(errs)
	for err := range errs {
		return 0, err
	}
	if err := t.post(ctx, client, "last"); err != nil {
		return 0, err
	}
	select {
	case seen := <-got:
		if len(seen) != int(count.Load())+1 {
			return 0, fmt.Errorf("the subscriber saw %d of %d sends", len(seen), count.Load()+1)
		}
	case <-time.After(10 * time.Second):
		return 0, errors.New("the last send did not reach the subscriber in 10 s")
	}
	after, err := t.stored(ctx)
	if err != nil {
		return 0, err
	}
	if after-before != int(count.Load())+1 {
		return 0, fmt.Errorf("%d sends were acknowledged, %d are stored", count.Load()+1, after-before)
	}
	return float64(count.Load()) / took.Seconds(), nil
}

// latency measures the way from the send's first byte to the event at the
// subscriber, at 200 sends a second.
func (p *place) latency(ctx context.Context) error {
	ours, err := p.ours(ctx, "latency")
	if err != nil {
		return err
	}
	defer ours.process.Kill()
	bare, err := p.bare(ctx)
	if err != nil {
		return err
	}
	defer bare.process.Kill()
	var text [2]string
	var p99s [2]float64
	for i, t := range []*target{ours, bare} {
		times, err := t.pace(ctx, 200, p.length)
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		p50, p99 := times[len(times)/2], times[len(times)*99/100]
		text[i], p99s[i] = fmt.Sprintf("p50 %.2f ms, p99 %.2f ms", ms(p50), ms(p99)), ms(p99)
	}
	p.add("W2 send → event at 200 sends/s", text[0], text[1], fmt.Sprintf("%.2f (p99)", p99s[0]/p99s[1]))
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (t *target) pace(ctx context.Context, perSecond int, length time.Duration) ([]time.Duration, error) {
	titles, stop, err := t.stream(ctx)
	if err != nil {
		return nil, err
	}
	defer stop()
	n := int(length.Seconds() * float64(perSecond))
	var (
		mu    sync.Mutex
		begun = map[string]time.Time{}
		took  = make([]time.Duration, 0, n)
		done  = make(chan struct{})
	)
	go func() {
		defer close(done)
		for title := range titles {
			now := time.Now()
			mu.Lock()
			took = append(took, now.Sub(begun[title]))
			full := len(took) == n
			mu.Unlock()
			if full {
				return
			}
		}
	}()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	errs := make(chan error, n)
	var wg sync.WaitGroup
	for i := range n {
		<-tick.C
		wg.Go(func() {
			title := fmt.Sprintf("paced %d", i)
			mu.Lock()
			begun[title] = time.Now()
			mu.Unlock()
			errs <- t.post(ctx, client, title)
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return nil, err
		}
	}
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		return nil, errors.New("some events did not arrive within 10 s")
	}
	slices.Sort(took)
	return took, nil
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}
