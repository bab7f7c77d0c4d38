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
	w, err := newWorld(ctx, s, p.users)
	if err != nil {
		return report, err
	}
	defer w.close()
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
	l.clients, l.users = []*lab.Client{w.patient()}, w.users
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

// hurt does everything to PostgreSQL in turn, and waits after each until the
// server has come back.
func (r *postgresRun) hurt(ctx context.Context) error {
	healthy, stop := r.watchHealth(ctx)
	defer stop()
	pg := r.world.setup.Postgres
	for range r.story.rounds {
		for _, f := range []struct {
			name     string
			do, undo func(context.Context) error
		}{
			{"crashed", func(context.Context) error { return pg.Crash() }, pg.Restart},
			{"killed", func(context.Context) error { pg.Kill(); return nil }, pg.Restart},
			{"shut down", func(context.Context) error { return pg.Stop() }, pg.Restart},
			{"hung", func(context.Context) error { return pg.Pause() }, func(context.Context) error { return pg.Resume() }},
		} {
			if err := r.away(ctx, f.do, f.undo); err != nil {
				return fmt.Errorf("when PostgreSQL was %s: %w", f.name, err)
			}
		}
		if err := r.cut(ctx); err != nil {
			return fmt.Errorf("when connections to PostgreSQL were cut: %w", err)
		}
	}
	return healthy()
}

// away takes PostgreSQL away for a while, and sees that the server says so.
func (r *postgresRun) away(ctx context.Context, do, undo func(context.Context) error) error {
	if err := pause(ctx, between(r.random, [2]time.Duration{200 * time.Millisecond, time.Second})); err != nil {
		return err
	}
	if err := do(ctx); err != nil {
		return err
	}
	err := r.refuses(ctx)
	if err := errors.Join(err, undo(context.WithoutCancel(ctx))); err != nil {
		return err
	}
	return r.comesBack(ctx)
}

// refuses asks for this and that while PostgreSQL is away: everything must be
// answered, by a refusal that says to come back.
func (r *postgresRun) refuses(ctx context.Context) error {
	began := time.Now()
	if err := lab.Poll(ctx, 10*time.Second, func() error { return notReady(ctx, r.world.servers[0].URL) }); err != nil {
		return err
	}
	c := r.world.patient()
	defer c.Close()
	probe := promise{key: fmt.Sprintf("probe-%d", r.random.Uint64()), to: r.world.users[:1]}
	r.load.owe(probe)
	for _, ask := range []struct {
		what string
		do   func() error
	}{
		{"a send", func() error { _, _, err := c.Send(ctx, probe.to, probe.key, probe.key); return err }},
		{"a query", func() error { _, err := c.Notifications(ctx, r.world.users[0]); return err }},
		{"a mark", func() error { return c.Mark(ctx, r.world.users[0], []string{"Tm90aWZpY2F0aW9uOjE"}, "READ", probe.key) }},
	} {
		asked := time.Now()
		err := ask.do()
		took := time.Since(asked)
		r.report.told.add(took)
		refused, answered := errors.AsType[*lab.AnswerError](err)
		switch {
		case !answered:
			return fmt.Errorf("%s had no answer: %w", ask.what, err)
		case !refused.Temporary():
			return fmt.Errorf("%s had the wrong answer: %w", ask.what, err)
		case took > 10*r.story.deadline:
			return fmt.Errorf("%s was refused after %s only, the deadline being %s", ask.what, took, r.story.deadline)
		}
	}
	return pause(ctx, r.story.pause-time.Since(began))
}

// comesBack waits until the server is ready, and answers, again.
func (r *postgresRun) comesBack(ctx context.Context) error {
	began := time.Now()
	err := lab.Poll(ctx, settleWithin, func() error {
		if err := lab.Ready(ctx, r.world.servers[0].URL); err != nil {
			return err
		}
		_, err := r.world.client(0).Notifications(ctx, r.world.users[0])
		return err
	})
	if err != nil {
		return fmt.Errorf("the server did not come back: %w", err)
	}
	r.report.back.add(time.Since(began))
	return nil
}

// cut has connections to PostgreSQL end at random bytes for a while.
func (r *postgresRun) cut(ctx context.Context) error {
	r.proxy.CutAfter(func() int64 { return rand.Int64N(20_000) })
	err := pause(ctx, r.story.cutting)
	r.proxy.CutAfter(nil)
	return errors.Join(err, r.comesBack(ctx))
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
			return nil
		}()
	}()
	return func() error {
		cancel()
		return <-result
	}, cancel
}
