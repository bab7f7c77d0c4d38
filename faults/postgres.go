package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"carillon/internal/lab"
)

// postgresStory is a PostgreSQL that crashes, is shut down, hangs, and loses
// connections at any byte, under a steady load and with clients that follow
// their inboxes. The server is never restarted: it has to come back by itself.
type postgresStory struct {
	rounds   int           // how often each of it happens
	pause    time.Duration // how long it hangs, at least
	cutting  time.Duration // how long connections are cut for
	deadline time.Duration // of a request
	senders  int
	users    int
	clients  int
	seed     uint64
}

// postgresReport is what the story found.
type postgresReport struct {
	load  *load
	tally tally
	cuts  int64    // connections to PostgreSQL that were cut
	back  *timings // from PostgreSQL's return to the server's
	told  *timings // from a question without PostgreSQL to the refusal
}

func (r postgresReport) String() string {
	return fmt.Sprintf("%s; %d connections cut; refusals while it is away %s; ready after its return %s; %s", r.load, r.cuts, r.told, r.back, r.tally)
}

// postgresRun is the story while it is told.
type postgresRun struct {
	story  postgresStory
	world  *world
	load   *load
	proxy  *lab.Proxy
	random *rand.Rand
	report *postgresReport
}

// run tells the story on s. The error says which promise was broken.
func (p postgresStory) run(ctx context.Context, s *lab.Setup) (report postgresReport, err error) {
	report = postgresReport{load: &load{seed: p.seed}, back: new(timings), told: new(timings)}
	w, err := newWorld(ctx, s, p.users+1)
	if err != nil {
		return report, err
	}
	defer func() {
		err = w.withLogs(err)
		w.close()
	}()
	proxy, err := lab.NewProxy(s.Postgres.Addr())
	if err != nil {
		return report, err
	}
	defer proxy.Close()
	w.settings = []string{"DATABASE_URL=" + s.Postgres.URLVia(proxy.Addr), "REQUEST_TIMEOUT=" + p.deadline.String()}
	if _, err := w.start(ctx); err != nil {
		return report, err
	}
	list, err := newFollowers(ctx, s, p.clients, w.users, p.seed, w.urls()...)
	if err != nil {
		return report, err
	}
	l := report.load
	l.clients, l.users = []*lab.Client{w.patient()}, w.users[:p.users]
	r := &postgresRun{p, w, l, proxy, rand.New(rand.NewPCG(p.seed, 0)), &report}
	report.tally, err = following(ctx, list, w.client(0), func(ctx context.Context) error {
		if err := allBegun(ctx, list); err != nil {
			return err
		}
		return l.during(ctx, p.senders, func() error { return r.hurt(ctx) })
	})
	report.cuts = proxy.Cuts()
	if err != nil {
		return report, err
	}
	if slowest := l.answers.at(1); slowest > 10*p.deadline {
		return report, fmt.Errorf("an answer took %s, the deadline being %s", slowest, p.deadline)
	}
	if err := l.verify(ctx); err != nil {
		return report, err
	}
	return report, w.verify(ctx)
}

// patient is a client that waits longer than any request may take, so that it
// is the server that ends one.
func (w *world) patient() *lab.Client {
	return lab.NewPatientClient(w.servers[0].URL, w.env.SecretKey, 5*time.Minute)
}

// blow is something that is done to PostgreSQL for a while.
type blow struct {
	name     string
	do, undo func(context.Context) error
	// meanwhile sees how the server bears it.
	meanwhile func(context.Context) error
}

func (r *postgresRun) blows() []blow {
	pg := r.world.setup.Postgres
	plain := func(do func() error) func(context.Context) error {
		return func(context.Context) error { return do() }
	}
	var unlock func() error
	return []blow{
		{"crashed", plain(pg.Crash), pg.Restart, r.away},
		{"killed", plain(func() error { pg.Kill(); return nil }), pg.Restart, r.away},
		{"shut down", plain(pg.Stop), pg.Restart, r.away},
		{"hung", plain(pg.Pause), plain(pg.Resume), r.away},
		{
			"slow",
			plain(func() error { r.proxy.Delay(250 * time.Millisecond); return nil }),
			plain(func() error { r.proxy.Delay(0); return nil }),
			func(ctx context.Context) error { return pause(ctx, r.story.cutting) },
		},
		{
			"cut off by a partition",
			plain(func() error { r.proxy.Lose(true); return nil }),
			plain(func() error { r.proxy.Lose(false); return nil }),
			r.away,
		},
		{
			"cut off again and again",
			plain(func() error { r.proxy.CutAfter(func() int64 { return rand.Int64N(20_000) }); return nil }),
			plain(func() error { r.proxy.CutAfter(nil); return nil }),
			r.cutting,
		},
		{
			// As after a failover: sessions that were opened meanwhile cannot
			// write, for as long as they last.
			"read-only",
			func(ctx context.Context) error {
				return pg.SQL(ctx, "alter role postgres set default_transaction_read_only = on",
					"select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'carillon'")
			},
			func(ctx context.Context) error {
				return pg.SQL(ctx, "alter role postgres reset default_transaction_read_only")
			},
			func(ctx context.Context) error {
				// Meanwhile the load has every connection replaced.
				return errors.Join(pause(ctx, time.Second), r.refuses(ctx, "a send", "a mark"))
			},
		},
		{
			"locked",
			func(ctx context.Context) (err error) {
				unlock, err = pg.Lock(context.WithoutCancel(ctx), "inboxes")
				return err
			},
			plain(func() error { return unlock() }),
			func(ctx context.Context) error { return r.refuses(ctx, everything...) },
		},
	}
}

// hurt does everything to PostgreSQL in turn, and waits after each until the
// server has come back.
func (r *postgresRun) hurt(ctx context.Context) error {
	healthy, stop := r.watchHealth(ctx)
	defer stop()
	for range r.story.rounds {
		for _, b := range r.blows() {
			if err := r.strike(ctx, b); err != nil {
				return fmt.Errorf("when PostgreSQL was %s: %w", b.name, err)
			}
		}
	}
	return healthy()
}

func (r *postgresRun) strike(ctx context.Context, b blow) error {
	if err := pause(ctx, between(r.random, [2]time.Duration{200 * time.Millisecond, time.Second})); err != nil {
		return err
	}
	if err := b.do(ctx); err != nil {
		return err
	}
	err := b.meanwhile(ctx)
	if err := errors.Join(err, b.undo(context.WithoutCancel(ctx))); err != nil {
		return err
	}
	return r.comesBack(ctx)
}

// cutting waits while connections are cut, and until some were.
func (r *postgresRun) cutting(ctx context.Context) error {
	const enough = 20
	before := r.proxy.Cuts()
	return errors.Join(pause(ctx, r.story.cutting), lab.Poll(ctx, settleWithin, func() error {
		if n := r.proxy.Cuts() - before; n < enough {
			return fmt.Errorf("%d connections were cut, where %d should have been by now", n, enough)
		}
		return nil
	}))
}

// away sees that the server says that PostgreSQL is.
func (r *postgresRun) away(ctx context.Context) error {
	began := time.Now()
	if err := lab.Poll(ctx, 10*time.Second, func() error { return notReady(ctx, r.world.servers[0].URL) }); err != nil {
		return err
	}
	if err := r.refuses(ctx, everything...); err != nil {
		return err
	}
	return pause(ctx, r.story.pause-time.Since(began))
}

// everything is what refuses can ask for.
var everything = []string{"a send", "a query", "a mark"}

// refuses asks for this and that while PostgreSQL does not do it: everything
// must be answered, by a refusal that says to come back.
func (r *postgresRun) refuses(ctx context.Context, what ...string) error {
	c := r.world.patient()
	defer c.Close()
	probe := promise{key: fmt.Sprintf("probe-%d", r.random.Uint64()), to: r.world.users[:1]}
	for _, ask := range what {
		asked := time.Now()
		var err error
		switch ask {
		case "a send":
			r.load.owe(probe)
			_, _, err = c.Send(ctx, probe.to, probe.key, probe.key)
		case "a query":
			_, err = c.Inbox(ctx, probe.to[0], true)
		case "a mark":
			err = c.MarkAll(ctx, probe.to[0], "SEEN", probe.key)
		}
		took := time.Since(asked)
		r.report.told.add(took)
		refused, answered := errors.AsType[*lab.AnswerError](err)
		switch {
		case !answered:
			return fmt.Errorf("%s had no refusal: %w", ask, err)
		case !refused.Temporary():
			return fmt.Errorf("%s had the wrong answer: %w", ask, err)
		case took > 10*r.story.deadline:
			return fmt.Errorf("%s was refused after %s only, the deadline being %s", ask, took, r.story.deadline)
		}
	}
	return nil
}

// comesBack waits until the server is ready, and answers, again.
func (r *postgresRun) comesBack(ctx context.Context) error {
	c := r.world.client(0)
	defer c.Close()
	began := time.Now()
	err := lab.Poll(ctx, settleWithin, func() error {
		if err := lab.Ready(ctx, r.world.servers[0].URL); err != nil {
			return err
		}
		if _, err := c.Notifications(ctx, r.world.users[0]); err != nil {
			return err
		}
		for range 20 { // over more than one connection to PostgreSQL
			if err := c.MarkAll(ctx, r.world.users[0], "SEEN", fmt.Sprintf("back-%d", r.random.Uint64())); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("the server did not come back: %w", err)
	}
	r.report.back.add(time.Since(began))
	return r.works(ctx, c)
}

const sendStatus = `query ($id: ID!) { send(id: $id) { status } }`

// works sees that the server's own work goes on too: a scheduled send fires,
// and what expires is taken away. Nothing else is sent to the last user.
func (r *postgresRun) works(ctx context.Context, c *lab.Client) error {
	user := r.world.users[len(r.world.users)-1]
	var out struct {
		SendNotification struct{ Send struct{ ID string } }
	}
	// A try that fails may take longer than the send was to be waited for.
	err := lab.Poll(ctx, settleWithin, func() error {
		now := time.Now().UTC().Truncate(time.Microsecond)
		err := c.Do(ctx, sendChange, map[string]any{"input": map[string]any{
			"to": map[string]any{"users": []string{user}}, "title": "for a moment", "idempotencyKey": fmt.Sprintf("moment-%d", r.random.Uint64()),
			"sendAt": now.Add(500 * time.Millisecond), "expiresAt": now.Add(time.Second),
		}}, &out)
		if err == nil && out.SendNotification.Send.ID == "" {
			err = errors.New("a send that is scheduled and expires is not accepted")
		}
		return err
	})
	if err != nil {
		return err
	}
	return lab.Poll(ctx, settleWithin, func() error {
		var sent struct{ Send struct{ Status string } }
		if err := c.Do(ctx, sendStatus, map[string]any{"id": out.SendNotification.Send.ID}, &sent); err != nil {
			return err
		}
		have, err := c.Inbox(ctx, user, true)
		if err == nil && (sent.Send.Status != "SENT" || len(have.Items) > 0) {
			err = fmt.Errorf("a scheduled send that expires is %s, and its inbox has %d items", sent.Send.Status, len(have.Items))
		}
		return err
	})
}

// notReady is an error unless /readyz says that the server is not ready.
func notReady(ctx context.Context, url string) error {
	status, err := get(ctx, url+"/readyz")
	if err == nil && status != http.StatusServiceUnavailable {
		err = fmt.Errorf("/readyz answers %d while the database is away", status)
	}
	return err
}

// get asks for a page that needs no credential.
func get(ctx context.Context, url string) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, res.Body.Close()
}

// watchHealth asks /healthz again and again until stop; healthy says whether it
// always said yes.
func (r *postgresRun) watchHealth(ctx context.Context) (healthy func() error, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	result := make(chan error, 1)
	go func() {
		result <- func() error {
			for pause(ctx, 50*time.Millisecond) == nil {
				status, err := get(ctx, r.world.servers[0].URL+"/healthz")
				if ctx.Err() != nil {
					break
				}
				if err != nil || status != http.StatusOK {
					return fmt.Errorf("/healthz answered %d while the database was hurt: %w", status, err)
				}
			}
			return nil //nolint:nilerr // stopped: what the last request met does not count
		}()
	}()
	return func() error {
		cancel()
		return <-result
	}, cancel
}
