package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"carillon/internal/lab"
)

const (
	// reached is how many users a send of the measurement reaches, and fills how
	// many sends fill the queue.
	reached, fills = 100, 100
	// deliveryPace is the sends a second of the measurement of latency.
	deliveryPace = 100
	// hooks is how many attempts a provider makes at the same time.
	hooks = 64
)

// deliveries measures the queue on PostgreSQL. There is no counterpart.
func (p *place) deliveries(ctx context.Context) error { return p.queue(ctx, p.setup, "PostgreSQL") }

// sqliteDeliveries measures the queue of the embedded set-up.
func (p *place) sqliteDeliveries(ctx context.Context) error {
	home := filepath.Join(filepath.Dir(p.setup.Dir), "sqlite-deliveries")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	setup, err := lab.Embedded(p.setup.Binary, home)
	if err != nil {
		return err
	}
	return p.queue(ctx, setup, "SQLite")
}

// queue measures how fast a full queue is emptied, and how soon a delivery goes
// out from one that is empty: to the log, and to a webhook on loopback.
func (p *place) queue(ctx context.Context, setup *lab.Setup, database string) error {
	for _, kind := range []string{"log", "webhook"} {
		q := &queued{place: p, setup: setup, kind: kind}
		if err := q.measure(ctx); err != nil {
			return err
		}
		p.add(result{work: fmt.Sprintf("%s deliveries of a full queue, %s", database, kind), ours: fmt.Sprintf("%.0f/s", q.rates.rate()), cpu: q.rates.cpu()})
		p.add(result{
			work: fmt.Sprintf("%s %s at %d sends/s", database, map[string]string{"log": "send planned → attempt begun, log", "webhook": "send acknowledged → first byte, webhook"}[kind], deliveryPace),
			ours: fmt.Sprintf("p50 %.2f ms, p99 %.2f ms", ms(q.waits[len(q.waits)/2]), ms(q.waits[len(q.waits)*99/100])),
		})
	}
	return nil
}

// queued is the measurement of one kind of provider.
type queued struct {
	*place
	setup *lab.Setup
	kind  string

	env   lab.Environment
	sink  *lab.Sink
	users []string
	rates samples
	waits []time.Duration // sorted
}

func (q *queued) measure(ctx context.Context) (err error) {
	if q.env, err = q.setup.CreateApp(ctx, "deliveries-"+q.kind, "test"); err != nil {
		return err
	}
	if q.sink, err = lab.NewSink(nil); err != nil {
		return err
	}
	defer q.sink.Close()
	for range q.rounds {
		if err := q.with(ctx, "api", q.fill); err != nil {
			return err
		}
		if err := q.with(ctx, "all", q.drain); err != nil {
			return err
		}
	}
	if err := q.judge(); err != nil {
		return err
	}
	return q.with(ctx, "all", q.pace)
}

// with does something with a server in a role.
func (q *queued) with(ctx context.Context, role string, do func(context.Context, *side, *lab.Client) error) error {
	srv, err := q.serve(ctx, q.setup, "OUTGOING_ALLOW=127.0.0.0/8", "ROLE="+role)
	if err != nil {
		return err
	}
	client := lab.NewClient("http://"+srv.addr, q.env.SecretKey)
	defer client.Close()
	err = do(ctx, srv, client)
	_, stopErr := srv.Stop(30 * time.Second)
	return errors.Join(err, stopErr)
}

// fill fills the queue while nobody works on it.
func (q *queued) fill(ctx context.Context, _ *side, c *lab.Client) error {
	if q.users == nil {
		if err := q.people(ctx, c); err != nil {
			return err
		}
	}
	for n := range fills {
		if _, _, err := c.Send(ctx, q.users, fmt.Sprintf("Order %d is on its way", n), fmt.Sprintf("fill-%d-%d", len(q.rates), n)); err != nil {
			return err
		}
	}
	return nil
}

func (q *queued) people(ctx context.Context, c *lab.Client) (err error) {
	if q.users, err = c.Identify(ctx, reached); err != nil {
		return err
	}
	for _, u := range q.users {
		if err := c.Address(ctx, u, q.sink.URL); err != nil {
			return err
		}
	}
	return c.Provider(ctx, q.kind, hooks)
}

// drain measures how long the queue takes from the server's being ready.
func (q *queued) drain(ctx context.Context, srv *side, c *lab.Client) error {
	s, err := q.watch(ctx, srv, "deliveries-"+q.kind, func() (int, time.Duration, error) {
		began := time.Now()
		err := emptied(ctx, c)
		return reached * fills, time.Since(began), err
	})
	q.rates = append(q.rates, s)
	return err
}

// emptied waits until the queue is empty. Asking costs too, so it is asked
// rarely.
func emptied(ctx context.Context, c *lab.Client) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for {
		err := empty(ctx, c)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-look.C:
		}
	}
}

func empty(ctx context.Context, c *lab.Client) error {
	var out struct {
		Deliveries struct{ Nodes []struct{ ID string } }
	}
	err := c.Do(ctx, "{ deliveries(first: 1, filter: {states: [QUEUED, ATTEMPTING]}) { nodes { id } } }", nil, &out)
	if err == nil && len(out.Deliveries.Nodes) > 0 {
		err = errors.New("deliveries are left")
	}
	return err
}

// judge sees that webhooks came as often as they should, each once.
func (q *queued) judge() error {
	if q.kind == "log" {
		return nil
	}
	seen := map[string]bool{}
	for _, c := range q.sink.Calls() {
		seen[c.Delivery] = true
	}
	if want := q.rounds * reached * fills; len(seen) != want || len(q.sink.Calls()) != want {
		return fmt.Errorf("%d deliveries came in %d calls, and should have been %d", len(seen), len(q.sink.Calls()), want)
	}
	return nil
}

// pace sends to one user at a steady pace, and measures how long deliveries
// wait.
func (q *queued) pace(ctx context.Context, _ *side, c *lab.Client) error {
	answered := map[string]time.Time{}
	ticker := time.NewTicker(time.Second / deliveryPace)
	defer ticker.Stop()
	for began := time.Now(); time.Since(began) < q.length && ctx.Err() == nil; <-ticker.C {
		title := fmt.Sprintf("paced %d", len(answered))
		if _, _, err := c.Send(ctx, q.users[:1], title, title); err != nil {
			return err
		}
		answered[title] = time.Now()
	}
	if err := emptied(ctx, c); err != nil {
		return err
	}
	if q.kind == "log" {
		return q.logged(ctx, c, min(100, len(answered)))
	}
	for _, call := range q.sink.Calls() {
		if at := answered[call.Title]; !at.IsZero() {
			q.waits = append(q.waits, max(0, call.Began.Sub(at)))
		}
	}
	if len(q.waits) != len(answered) {
		return fmt.Errorf("%d of %d deliveries came", len(q.waits), len(answered))
	}
	slices.Sort(q.waits)
	return nil
}

// logged reads from the server's own records how long the newest waited.
func (q *queued) logged(ctx context.Context, c *lab.Client, newest int) error {
	var out struct {
		Deliveries struct {
			Nodes []struct {
				CreatedAt time.Time
				Attempts  []struct{ StartedAt time.Time }
			}
		}
	}
	if err := c.Do(ctx, `query ($n: Int!) { deliveries(first: $n) { nodes { createdAt attempts { startedAt } } } }`, map[string]any{"n": newest}, &out); err != nil {
		return err
	}
	for _, d := range out.Deliveries.Nodes {
		if len(d.Attempts) != 1 {
			return fmt.Errorf("a delivery had %d attempts", len(d.Attempts))
		}
		q.waits = append(q.waits, max(0, d.Attempts[0].StartedAt.Sub(d.CreatedAt)))
	}
	slices.Sort(q.waits)
	return nil
}
