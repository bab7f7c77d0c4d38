package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"time"

	"carillon/internal/lab"
)

// redisStory is a Redis that is not there, dies, forgets, is full, hangs and is
// slow, between a server that takes sends and one that streams them.
type redisStory struct {
	each    time.Duration // how long each of it lasts
	senders int
	users   int
	clients int
	seed    uint64
	late    time.Duration // streams may be at most; zero: lateAtMost
}

// redisReport is what the story found, phase by phase.
type redisReport struct {
	phases []*phase
	tally  tally
}

// phase is one state of Redis, and how sends and streams did meanwhile.
type phase struct {
	name  string
	sends timings // until they were answered
	late  timings // from the answer to the event on the other server
}

func (r redisReport) String() string {
	var b strings.Builder
	for _, p := range r.phases {
		fmt.Fprintf(&b, "\n  %-16s sends %s, streams late by %s", p.name, p.sends.String(), p.late.String())
	}
	return r.tally.String() + b.String()
}

const (
	// lateAtMost is how late a stream may be without Redis. What is aimed at
	// is 5 s.
	lateAtMost = 15 * time.Second
	// sendsWithin is what 99% of the sends must be answered within, whatever
	// Redis does. What is aimed at is the same time as with Redis.
	sendsWithin = 2 * time.Second
)

// state is something that Redis does for a while.
type state struct {
	name     string
	do, undo func(context.Context) error
}

// states are what the story goes through. Down comes first: the servers start
// without Redis.
func states(r *lab.Redis, proxy *lab.Proxy) []state {
	command := func(words ...string) func(context.Context) error {
		return func(ctx context.Context) error { return r.Do(ctx, words...) }
	}
	signal := func(s syscall.Signal) func(context.Context) error {
		return func(context.Context) error { return r.Signal(s) }
	}
	delay := func(d time.Duration) func(context.Context) error {
		return func(context.Context) error { proxy.Delay(d); return nil }
	}
	nothing := func(context.Context) error { return nil }
	return []state{
		{"down at start", nothing, r.Start},
		{"well", nothing, nothing},
		{"killed", func(context.Context) error { r.Kill(); return nil }, r.Start},
		{"flushed", command("FLUSHALL"), command("FLUSHALL")},
		{"full", command("CONFIG", "SET", "maxmemory", "1"), command("CONFIG", "SET", "maxmemory", "0")},
		{"a replica", command("REPLICAOF", "127.0.0.1", "1"), command("REPLICAOF", "NO", "ONE")},
		{"hung", signal(syscall.SIGSTOP), signal(syscall.SIGCONT)},
		{"slow by 2 s", delay(2 * time.Second), delay(0)},
		{"well again", nothing, nothing},
	}
}

// run tells the story on s. The error says which promise was broken.
func (r redisStory) run(ctx context.Context, s *lab.Setup) (report redisReport, err error) {
	w, err := newWorld(ctx, s, r.users)
	if err != nil {
		return report, err
	}
	defer func() {
		err = w.withLogs(err)
		w.close()
	}()
	proxy, err := lab.NewProxy(s.Redis.Addr())
	if err != nil {
		return report, err
	}
	defer proxy.Close()
	w.settings = []string{"REDIS_URL=redis://" + proxy.Addr}
	s.Redis.Kill()
	for range 2 {
		if _, err := w.start(ctx); err != nil {
			return report, fmt.Errorf("starting without Redis: %w", err)
		}
	}
	list, err := newFollowers(ctx, s, r.clients, w.users, r.seed, w.servers[1].URL)
	if err != nil {
		return report, err
	}
	p := &post{client: w.client(0), users: w.users, acked: map[string]ack{}, early: map[string]int{}}
	for _, f := range list {
		f.calm, f.told = true, p.came
	}
	report.tally, err = following(ctx, list, w.client(0), func(ctx context.Context) error {
		if err := allBegun(ctx, list); err != nil {
			return err
		}
		for _, st := range states(s.Redis, proxy) {
			ph := &phase{name: st.name}
			report.phases = append(report.phases, ph)
			if err := r.phase(ctx, p, ph, st); err != nil {
				return fmt.Errorf("while Redis was %s: %w", st.name, err)
			}
		}
		return nil
	})
	if err == nil {
		err = report.judge(r.late)
	}
	return report, errors.Join(err, w.verify(ctx))
}

// phase sends while Redis is in a state, and then waits until the last of it
// has arrived.
func (r redisStory) phase(ctx context.Context, p *post, ph *phase, st state) error {
	if err := st.do(ctx); err != nil {
		return err
	}
	err := p.send(ctx, ph, r.senders, r.each, r.seed)
	if err == nil {
		err = lab.Poll(ctx, settleWithin, func() error { return p.allCame(r.clients / r.users) })
	}
	return errors.Join(err, st.undo(context.WithoutCancel(ctx)))
}

// judge holds what was measured against what is promised.
func (r *redisReport) judge(most time.Duration) error {
	if most == 0 {
		most = lateAtMost
	}
	var errs []error
	for _, ph := range r.phases {
		if late := ph.late.at(1); late > most {
			errs = append(errs, fmt.Errorf("streams were late by %s while Redis was %s", late, ph.name))
		}
		if p99 := ph.sends.at(0.99); p99 > sendsWithin {
			errs = append(errs, fmt.Errorf("1%% of the sends took more than %s while Redis was %s", p99, ph.name))
		}
	}
	return errors.Join(errs...)
}

// post sends, and measures how late followers hear of it.
type post struct {
	client *lab.Client
	users  []string

	mu    sync.Mutex
	n     int
	acked map[string]ack // by title
	early map[string]int // how often a title came before its answer
}

// ack is when a send was answered, and how often it came since.
type ack struct {
	at    time.Time
	phase *phase
	came  int
}

// send puts a light, steady load on the server. Every send must be accepted.
func (p *post) send(ctx context.Context, ph *phase, senders int, length time.Duration, seed uint64) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	end := time.Now().Add(length)
	errs := make([]error, senders)
	var wg sync.WaitGroup
	for i := range senders {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		wg.Go(func() {
			for time.Now().Before(end) && errs[i] == nil {
				errs[i] = p.one(ctx, ph, p.users[random.IntN(len(p.users))])
				_ = pause(ctx, between(random, [2]time.Duration{0, 100 * time.Millisecond})) // then sending fails
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (p *post) one(ctx context.Context, ph *phase, user string) error {
	p.mu.Lock()
	p.n++
	title := fmt.Sprintf("n%d", p.n)
	p.mu.Unlock()
	began := time.Now()
	if _, _, err := p.client.Send(ctx, []string{user}, title, title); err != nil {
		return fmt.Errorf("a send failed: %w", err)
	}
	now := time.Now()
	ph.sends.add(now.Sub(began))
	if err := p.client.MarkAll(ctx, user, "SEEN", title); err != nil {
		return fmt.Errorf("a mark failed: %w", err)
	}
	if _, err := p.client.Counters(ctx, user); err != nil {
		return fmt.Errorf("a query failed: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.acked[title] = ack{now, ph, p.early[title]}
	for range p.early[title] {
		ph.late.add(0)
	}
	delete(p.early, title)
	return nil
}

// came notes that a follower was told of a notification.
func (p *post) came(_ string, n lab.Item) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a, answered := p.acked[n.Title]
	if !answered {
		p.early[n.Title]++
		return
	}
	a.phase.late.add(time.Since(a.at))
	a.came++
	p.acked[n.Title] = a
}

// allCame is an error until everything has come as often as there are
// followers of a user.
func (p *post) allCame(times int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for title, a := range p.acked {
		if a.came != times {
			return fmt.Errorf("%s, accepted %s ago, has come %d times, and not %d", title, time.Since(a.at).Round(time.Millisecond), a.came, times)
		}
	}
	return nil
}
