package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"carillon/internal/lab"
)

// termStory is SIGTERM under load, again and again. Embedded, a server ends and
// the next one takes its place; in production there are two that are restarted
// in turn, and clients move over.
type termStory struct {
	stops   int
	senders int
	users   int
	clients int
	between [2]time.Duration // from one start to the next stop
	seed    uint64
}

// termReport is what the story found.
type termReport struct {
	asked *asked
	tally tally
	stops *timings // from SIGTERM to the end of the process
}

func (r termReport) String() string {
	return fmt.Sprintf("%d stops, %s; %s; %s", len(r.stops.all), r.stops, r.asked, r.tally)
}

// stopWithin is how long a server may take to end. Nothing that it does here
// takes longer than a moment.
const stopWithin = 25 * time.Second

// run tells the story on s. The error says which promise was broken.
func (t termStory) run(ctx context.Context, s *lab.Setup) (report termReport, err error) {
	report = termReport{asked: &asked{seed: t.seed, gaps: new(timings)}, stops: new(timings)}
	w, err := newWorld(ctx, s, t.users)
	if err != nil {
		return report, err
	}
	defer func() {
		err = w.withLogs(err)
		w.close()
	}()
	servers := 1
	if s.Postgres != nil {
		servers = 2
	}
	for range servers {
		if _, err := w.start(ctx); err != nil {
			return report, err
		}
	}
	list, err := newFollowers(ctx, s, t.clients, w.users, t.seed, w.urls()...)
	if err != nil {
		return report, err
	}
	for _, f := range list {
		f.orderly = true
	}
	a := report.asked
	a.world = w
	report.tally, err = following(ctx, list, w.client(0), func(ctx context.Context) error {
		if err := allBegun(ctx, list); err != nil {
			return err
		}
		return a.during(ctx, t.senders, func() error { return t.stop(ctx, w, report.stops) })
	})
	if err != nil {
		return report, err
	}
	if err := a.verify(ctx); err != nil {
		return report, err
	}
	return report, w.verify(ctx)
}

// stop stops and starts the servers in turn.
func (t termStory) stop(ctx context.Context, w *world, stops *timings) error {
	random := rand.New(rand.NewPCG(t.seed, 0))
	for n := range t.stops {
		if err := pause(ctx, between(random, t.between)); err != nil {
			return err
		}
		i := n % len(w.servers)
		began := time.Now()
		code, err := w.servers[i].Stop(stopWithin)
		if err != nil {
			return err
		}
		if code != 0 {
			return fmt.Errorf("the server ended with %d:\n%s", code, w.servers[i].Log())
		}
		stops.add(time.Since(began))
		if _, err := w.again(ctx, i); err != nil {
			return err
		}
	}
	return pause(ctx, t.between[0])
}

// asked is requests that are made once, and what became of each: whoever had no
// answer, or was told to come back, must find that nothing was done.
type asked struct {
	world *world
	seed  uint64
	gaps  *timings // from the first attempt that had no answer to the next answer

	mu         sync.Mutex
	accepted   []promise
	refused    []promise
	unanswered []promise
}

func (a *asked) String() string {
	return fmt.Sprintf("%d sends accepted, %d refused, %d not begun, clients without a server for %s", len(a.accepted), len(a.refused), len(a.unanswered), a.gaps)
}

// during has senders ask until hurt has returned, over HTTP and WebSockets in
// turn.
func (a *asked) during(ctx context.Context, senders int, hurt func() error) error {
	stop := make(chan struct{})
	errs := make([]error, senders)
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() { errs[i] = a.sender(ctx, i, stop) })
	}
	hurtErr := hurt()
	close(stop)
	wg.Wait()
	return errors.Join(append(errs, hurtErr)...)
}

// channel is a way to ask one server.
type channel interface {
	send(ctx context.Context, p promise) (id string, err error)
	close()
}

func (a *asked) sender(ctx context.Context, number int, stop <-chan struct{}) error {
	random := rand.New(rand.NewPCG(a.seed, uint64(number)+1))
	var failing time.Time
	for n, at := 0, number; ; n++ {
		ch, err := a.open(ctx, number, at)
		for err == nil {
			select {
			case <-stop:
				ch.close()
				return nil
			case <-ctx.Done():
				return ctx.Err()
			default:
			}
			p := promise{key: fmt.Sprintf("t%d-%d", number, n), to: a.some(random)}
			n++
			p.id, err = ch.send(ctx, p)
			if noted := a.note(p, err); noted != nil {
				return noted
			}
			if err == nil && !failing.IsZero() {
				a.gaps.add(time.Since(failing))
				failing = time.Time{}
			}
		}
		if ch != nil {
			ch.close()
		}
		if failing.IsZero() {
			failing = time.Now()
		}
		select {
		case <-stop:
			return nil
		default:
		}
		at++
		if err := pause(ctx, between(random, [2]time.Duration{0, 20 * time.Millisecond})); err != nil {
			return err
		}
	}
}

// some picks one to three users or, once in a while, all.
func (a *asked) some(random *rand.Rand) []string {
	users := a.world.users
	if random.IntN(10) == 0 {
		return users
	}
	var to []string
	for _, i := range random.Perm(len(users))[:1+random.IntN(3)] {
		to = append(to, users[i])
	}
	return to
}

// note files a request by its outcome. An answer that is neither yes nor "come
// back" is an error.
func (a *asked) note(p promise, err error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	answer, answered := errors.AsType[*lab.AnswerError](err)
	switch {
	case err == nil:
		a.accepted = append(a.accepted, p)
	case answered && !answer.Temporary():
		return fmt.Errorf("%s: %w", p.key, err)
	case answered:
		a.refused = append(a.refused, p)
	default:
		a.unanswered = append(a.unanswered, p)
	}
	return nil
}

// open is a channel of a sender to the server whose turn it is.
func (a *asked) open(ctx context.Context, sender, server int) (channel, error) {
	c := a.world.client(server % len(a.world.servers))
	if sender%2 == 0 {
		return httpChannel{c}, nil
	}
	s, err := c.Dial(ctx)
	if err != nil {
		return nil, err
	}
	return socketChannel{s}, nil
}

type httpChannel struct{ *lab.Client }

func (c httpChannel) send(ctx context.Context, p promise) (string, error) {
	id, _, err := c.Send(ctx, p.to, p.key, p.key)
	return id, err
}

func (c httpChannel) close() { c.Close() }

type socketChannel struct{ *lab.Socket }

func (c socketChannel) send(_ context.Context, p promise) (string, error) {
	id, _, err := c.Send(p.to, p.key, p.key)
	return id, err
}

func (c socketChannel) close() { c.Close() }

// verify looks for each request in the database: what was accepted is there
// once for each of its recipients, and nothing else is.
func (a *asked) verify(ctx context.Context) error {
	var errs []error
	cut := map[string]string{}
	for _, p := range a.unanswered {
		cut[p.key] = "had no answer and was carried out: it was cut"
	}
	for _, p := range a.refused {
		cut[p.key] = "was refused and carried out"
	}
	l := &load{clients: a.world.clients(), users: a.world.users, kept: a.accepted}
	for _, u := range l.users {
		list, err := l.client().Notifications(ctx, u)
		if err != nil {
			return err
		}
		for _, n := range list {
			if why, ok := cut[n.Title]; ok {
				errs = append(errs, fmt.Errorf("%s %s", n.Title, why))
			}
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	return l.verify(ctx)
}
