package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"carillon/internal/lab"
)

// deliveriesStory is two workers (embedded, the one server there is) that deliver
// to a webhook under a steady load, and kill -9 of them in turn: every delivery
// is made, and twice only where its worker died while it was under way, under
// the same id.
type deliveriesStory struct {
	carry   cargo
	kills   int
	senders int
	every   time.Duration // from one send of a sender to its next
	users   int
	between [2]time.Duration // how long a worker lives, at least and at most
	lease   time.Duration
	seed    uint64
}

// cargo is what the workers of a story carry.
type cargo struct {
	name  string
	takes time.Duration // that each takes where it arrives, so that some are under way at any time
	sink  func(take func(context.Context, lab.Call)) (*lab.Sink, error)
	// order has it brought to url for users. done waits until none waits any more,
	// and sees that each has arrived.
	order func(ctx context.Context, c *lab.Client, url string, users []string) (done func(context.Context) error, err error)
	title func(promise) string // of what arrives of a send
}

// deliveries go out over a channel.
var deliveries = cargo{
	name: "deliveries", takes: 50 * time.Millisecond, sink: lab.NewSink, title: func(p promise) string { return p.key },
	order: func(ctx context.Context, c *lab.Client, url string, users []string) (func(context.Context) error, error) {
		err := hook(ctx, c, hookConcurrency, map[string][]string{url: users})
		return func(ctx context.Context) error { return delivered(ctx, c) }, err
	},
}

// deliveriesReport is what the story found.
type deliveriesReport struct {
	carry      cargo
	load       *load
	deliveries int
	twice      int // deliveries that arrived more than once
	kills      []span
	settled    time.Duration // from the last send to the last delivery
}

// span is a time within which something happened.
type span struct{ from, to time.Time }

func (r deliveriesReport) String() string {
	return fmt.Sprintf("%s; %d %s, %d of them more than once after %d kills, all within %s", r.load, r.deliveries, r.carry.name, r.twice, len(r.kills), round(r.settled))
}

// hookConcurrency is how many webhooks a worker has under way at most, and of how
// many events at a time it tells an endpoint.
const hookConcurrency = 16

// hookSettings let servers call webhooks on loopback, and give what a dead one
// held to another soon.
func hookSettings(lease time.Duration, role string) []string {
	return []string{"OUTGOING_ALLOW=127.0.0.0/8", "DELIVERY_LEASE=" + lease.String(), "ROLE=" + role}
}

// run tells the story on s. The error says which promise was broken.
func (d deliveriesStory) run(ctx context.Context, s *lab.Setup) (report deliveriesReport, err error) {
	report.carry, report.load = d.carry, &load{seed: d.seed, every: d.every}
	sink, err := d.carry.sink(func(ctx context.Context, _ lab.Call) { _ = pause(ctx, d.carry.takes) })
	if err != nil {
		return report, err
	}
	defer sink.Close()
	w, err := newWorld(ctx, s, d.users)
	if err != nil {
		return report, err
	}
	defer func() {
		err = w.withLogs(err)
		w.close()
	}()
	roles, workers := []string{"all"}, []int{0}
	if s.Postgres != nil {
		roles, workers = []string{"api", "worker", "worker"}, []int{1, 2}
	}
	for _, role := range roles {
		w.settings = hookSettings(d.lease, role)
		if _, err := w.start(ctx); err != nil {
			return report, err
		}
	}
	c := w.client(0)
	done, err := d.carry.order(ctx, c, sink.URL, w.users)
	if err != nil {
		return report, err
	}
	l := report.load
	l.clients, l.users = []*lab.Client{c}, w.users
	if err := l.during(ctx, d.senders, func() (err error) {
		report.kills, err = d.kill(ctx, w, workers)
		return err
	}); err != nil {
		return report, err
	}
	began := time.Now()
	if err := done(ctx); err != nil {
		return report, err
	}
	report.settled = time.Since(began)
	return report, errors.Join(report.judge(sink.Calls()), l.verify(ctx))
}

// hook makes a provider, and gives users the webhooks that they are named under.
func hook(ctx context.Context, c *lab.Client, concurrency int, users map[string][]string) error {
	if err := c.Provider(ctx, "webhook", concurrency); err != nil {
		return err
	}
	for url, names := range users {
		for _, u := range names {
			if err := c.Address(ctx, u, url); err != nil {
				return err
			}
		}
	}
	return nil
}

// kill kills the workers in turn, and says when.
func (d deliveriesStory) kill(ctx context.Context, w *world, workers []int) (kills []span, err error) {
	random := rand.New(rand.NewPCG(d.seed, 0))
	for n := range d.kills {
		if err := pause(ctx, between(random, d.between)); err != nil {
			return kills, err
		}
		i := workers[n%len(workers)]
		k := span{from: time.Now()}
		w.servers[i].Kill()
		k.to = time.Now()
		kills = append(kills, k)
		if _, err := w.again(ctx, i); err != nil {
			return kills, err
		}
	}
	return kills, pause(ctx, d.between[0])
}

// deliverWithin is how long the last delivery may take: one that was under way
// at three kills is set aside for a minute.
const deliverWithin = 2 * time.Minute

// delivered waits until no delivery waits any more, and sees that each was
// sent.
func delivered(ctx context.Context, c *lab.Client) error {
	if err := lab.Poll(ctx, deliverWithin, func() error {
		left, err := c.Deliveries(ctx, "QUEUED", "ATTEMPTING")
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("%d deliveries or more are left, the newest of them %+v", len(left), left[0])
		}
		return err
	}); err != nil {
		return err
	}
	failed, err := c.Deliveries(ctx, "FAILED", "EXPIRED", "CANCELED", "SKIPPED", "UNKNOWN")
	if err == nil && len(failed) > 0 {
		err = fmt.Errorf("%d deliveries or more have ended without being sent, the newest of them as %s: %s", len(failed), failed[0].State, failed[0].Detail)
	}
	return err
}

// recording is how long a result may take from the receiver's answer to the
// database, on a machine with much else to do.
const recording = 2 * time.Second

// judge compares what arrived with what was promised.
func (r *deliveriesReport) judge(calls []lab.Call) error {
	type whose struct{ title, user string }
	ids, before := map[whose]string{}, map[string]lab.Call{}
	var errs []error
	for _, c := range calls {
		of := whose{c.Title, c.User}
		if id := ids[of]; id != "" && id != c.Delivery {
			errs = append(errs, fmt.Errorf("%s came to %s as %s and as %s", c.Title, c.User, id, c.Delivery))
		}
		ids[of] = c.Delivery
		if first, again := before[c.Delivery]; again {
			r.twice++
			if !r.excuses(first, c) {
				errs = append(errs, fmt.Errorf("%s came to %s again, after %s, though no worker died meanwhile", c.Title, c.User, c.Began.Sub(first.Began)))
			}
		}
		before[c.Delivery] = c
	}
	r.deliveries = len(before)
	for _, p := range r.load.kept {
		for _, u := range p.to {
			if ids[whose{r.carry.title(p), u}] == "" {
				errs = append(errs, fmt.Errorf("%s was acknowledged and its part of the %s never came to %s", p.key, r.carry.name, u))
			}
		}
	}
	if most := hookConcurrency * len(r.kills); r.twice > most {
		errs = append(errs, fmt.Errorf("%d %s came more than once, and at most %d were under way", r.twice, r.carry.name, most))
	}
	return errors.Join(errs...)
}

// excuses reports whether a worker died between two attempts, while the first
// was under way or its result being written.
func (r *deliveriesReport) excuses(first, again lab.Call) bool {
	for _, k := range r.kills {
		if k.to.After(first.Began) && k.from.Before(again.Began) && (first.Ended.IsZero() || k.from.Before(first.Ended.Add(recording))) {
			return true
		}
	}
	return false
}

// isolationStory is apps in trouble beside one that is well: their providers
// hang and refuse, and one delivery ends the process each time. The deliveries
// of the app that is well must not wait for it.
type isolationStory struct {
	each  time.Duration // of what is measured
	every time.Duration // from one send of the app that is well to its next
	lease time.Duration
	late  time.Duration // that a delivery may come after its send was accepted
}

// isolationReport is what the story found: how long deliveries took from the
// answer to their send to their first byte.
type isolationReport struct {
	took    [3]*timings // alone, beside trouble, and beside what ends the process
	hanging int         // attempts of the apps in trouble that hung
	deaths  int
	set     string // what became of what ended the process
}

func (r isolationReport) String() string {
	return fmt.Sprintf("from the acceptance of a send to the first byte of its webhook: alone %s; while %d attempts of others hang and a provider refuses %s; while one of another ends the process %d times %s; that one: %s",
		r.took[0], r.hanging, r.took[1], r.deaths, r.took[2], r.set)
}

// isolationRun is the story while it is told.
type isolationRun struct {
	story  isolationStory
	world  *world
	load   *load
	report *isolationReport
	sink   *lab.Sink
	deaths chan struct{}
	sent   int
	answer map[string]time.Time // by title
}

// run tells the story on s. The error says which promise was broken.
func (i isolationStory) run(ctx context.Context, s *lab.Setup) (report isolationReport, err error) {
	for n := range report.took {
		report.took[n] = new(timings)
	}
	w, err := newWorld(ctx, s, 1)
	if err != nil {
		return report, err
	}
	defer func() {
		err = w.withLogs(err)
		w.close()
	}()
	roles := []string{"all"}
	if s.Postgres != nil {
		roles = []string{"api", "worker"}
	}
	for _, role := range roles {
		w.settings = hookSettings(i.lease, role)
		if _, err := w.start(ctx); err != nil {
			return report, err
		}
	}
	r := &isolationRun{
		story: i, world: w, report: &report, load: &load{clients: []*lab.Client{w.client(0)}},
		deaths: make(chan struct{}, 1), answer: map[string]time.Time{},
	}
	if r.sink, err = lab.NewSink(nil); err != nil {
		return report, err
	}
	defer r.sink.Close()
	if err := hook(ctx, r.load.client(), hookConcurrency, map[string][]string{r.sink.URL: w.users}); err != nil {
		return report, err
	}
	return report, r.tell(ctx)
}

func (r *isolationRun) tell(ctx context.Context) error {
	if err := r.measure(ctx, 0, nil); err != nil {
		return err
	}
	hanging, err := lab.NewSink(func(ctx context.Context, _ lab.Call) { <-ctx.Done() })
	if err != nil {
		return err
	}
	defer hanging.Close()
	poison, err := lab.NewSink(r.poisoned)
	if err != nil {
		return err
	}
	defer poison.Close()
	refusing, err := lab.FreeAddr()
	if err != nil {
		return err
	}
	ill, err := r.app(ctx, "ill", []string{hanging.URL, hanging.URL, "http://" + refusing})
	if err != nil {
		return err
	}
	for n := range 40 {
		if _, _, err := ill.Send(ctx, []string{"u0", "u1", "u2"}, fmt.Sprintf("ill %d", n), fmt.Sprintf("ill-%d", n)); err != nil {
			return err
		}
	}
	if err := r.measure(ctx, 1, nil); err != nil {
		return err
	}
	deadly, err := r.app(ctx, "deadly", []string{poison.URL})
	if err != nil {
		return err
	}
	if err := r.measure(ctx, 2, func() error { return r.dies(ctx, deadly) }); err != nil {
		return err
	}
	r.report.hanging = len(hanging.Calls())
	return delivered(ctx, r.load.client())
}

// app makes an app in trouble, with a user for each webhook.
func (r *isolationRun) app(ctx context.Context, name string, urls []string) (*lab.Client, error) {
	env, err := r.world.setup.CreateApp(ctx, name, "test")
	if err != nil {
		return nil, err
	}
	c := lab.NewClient(r.world.servers[0].URL, env.SecretKey)
	users, err := c.Identify(ctx, len(urls))
	if err != nil {
		return nil, err
	}
	hooks := map[string][]string{}
	for n, url := range urls {
		hooks[url] = append(hooks[url], users[n])
	}
	return c, hook(ctx, c, 256, hooks)
}

// poisoned is what the poisonous delivery does where it arrives.
func (r *isolationRun) poisoned(ctx context.Context, _ lab.Call) {
	r.deaths <- struct{}{}
	<-ctx.Done()
}

// dies has a delivery sent that ends the process that makes it, until it is set
// aside.
func (r *isolationRun) dies(ctx context.Context, c *lab.Client) error {
	if _, _, err := c.Send(ctx, []string{"u0"}, "deadly", "deadly"); err != nil {
		return err
	}
	worker := len(r.world.servers) - 1
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.deaths:
			r.report.deaths++
			r.world.servers[worker].Kill()
			if _, err := r.world.again(ctx, worker); err != nil {
				return err
			}
		case <-time.After(50 * time.Millisecond):
			if list, err := c.Deliveries(ctx, "QUEUED", "FAILED"); err == nil && len(list) == 1 && strings.HasPrefix(list[0].Detail, "set aside") {
				r.report.set = list[0].Detail
				return nil
			}
		}
		if r.report.deaths > 5 {
			return fmt.Errorf("a delivery ended the process %d times", r.report.deaths)
		}
	}
}

// measure sends at a steady pace for a while, or for as long as beside takes,
// and sees that each delivery comes in time.
func (r *isolationRun) measure(ctx context.Context, phase int, beside func() error) error {
	first, over := r.sent, make(chan struct{})
	var (
		wg   sync.WaitGroup
		errs [2]error
	)
	wg.Go(func() {
		defer close(over)
		if beside == nil {
			errs[0] = pause(ctx, r.story.each)
			return
		}
		errs[0] = beside()
	})
	wg.Go(func() { errs[1] = r.sender(ctx, over) })
	wg.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	return lab.Poll(ctx, r.story.late, func() error { return r.arrived(phase, first) })
}

// sender sends until stop is closed.
func (r *isolationRun) sender(ctx context.Context, stop <-chan struct{}) error {
	for {
		select {
		case <-stop:
			return nil
		case <-time.After(r.story.every):
		}
		p := promise{key: fmt.Sprintf("well %d", r.sent), to: r.world.users}
		if _, _, err := r.load.insist(ctx, p); err != nil {
			return err
		}
		r.answer[p.key] = time.Now()
		r.sent++
	}
}

// arrived sees that everything from first on has arrived, in time.
func (r *isolationRun) arrived(phase, first int) error {
	came := map[string]time.Time{}
	for _, c := range r.sink.Calls() {
		if came[c.Title].IsZero() {
			came[c.Title] = c.Began
		}
	}
	took := new(timings)
	for n := first; n < r.sent; n++ {
		title := fmt.Sprintf("well %d", n)
		at := came[title]
		if at.IsZero() {
			return fmt.Errorf("%s has not arrived", title)
		}
		took.add(max(0, at.Sub(r.answer[title])))
	}
	if r.report.took[phase] = took; took.at(1) > r.story.late {
		return lab.StopPolling{Err: fmt.Errorf("a delivery of an app that is well came after %s", took.at(1))}
	}
	return nil
}
