package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"carillon/internal/lab"
)

// overloadStory is a server that is asked for three times what it can do, by
// clients that do not wait for each other; by a crowd of clients each of which asks
// again as soon as it is answered, whatever the answer; and by one environment that
// floods it while another goes about its business.
type overloadStory struct {
	users  int
	each   time.Duration // of what is measured beforehand
	length time.Duration // of the overload, and of the flood
	seed   uint64
	// judged says that the figures must hold: they mean little beside other
	// work on the same machine.
	judged bool
}

// overloadReport is what the story found.
type overloadReport struct {
	alone    *timings // answers to requests one by one
	peak     float64  // requests done a second when clients wait for each other
	over     flow
	crowd    float64     // requests done a second for clients that come back at once
	neighbor [3]*timings // of the quiet environment: alone, beside a flood, beside one that is over its rate
	floods   [2]flow
}

// flow is what became of a stream of requests.
type flow struct {
	offered  float64 // a second
	took     time.Duration
	done     timings
	refused  timings
	rude     atomic.Int64 // refusals that do not say when to come back
	failures atomic.Int64 // neither done nor refused
	first    error
	mu       sync.Mutex
}

func (f *flow) String() string {
	return fmt.Sprintf("offered %.0f/s, done %.0f/s %s, refused %.0f/s %s", f.offered, f.rate(&f.done), &f.done, f.rate(&f.refused), &f.refused)
}

func (f *flow) rate(t *timings) float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return float64(len(t.all)) / f.took.Seconds()
}

func (r *overloadReport) String() string {
	s := fmt.Sprintf("alone %s; peak %.0f/s", r.alone, r.peak)
	s += fmt.Sprintf("\n  three times as much: %s\n    goodput %.0f%% of the peak, p99 %.1f times that alone", &r.over, 100*r.goodput(), r.slowness())
	s += fmt.Sprintf("\n  %d clients that come back at once: %.0f/s done, %.0f%% of the peak", crowded, r.crowd, 100*r.crowd/r.peak)
	for i, what := range []string{"alone", "beside a flood", "beside a flood over its rate"} {
		s += fmt.Sprintf("\n  another environment %s: %s", what, r.neighbor[i])
		if i > 0 {
			s += fmt.Sprintf(" (p99 %.2f times that alone)\n    the flood: %s", r.disturbance(i), &r.floods[i-1])
		}
	}
	return s
}

func (r *overloadReport) goodput() float64 { return r.over.rate(&r.over.done) / r.peak }

func (r *overloadReport) slowness() float64 { return ratio(r.over.done.at(0.99), r.alone.at(0.99)) }

func (r *overloadReport) disturbance(i int) float64 {
	return ratio(r.neighbor[i].at(0.99), r.neighbor[0].at(0.99))
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(max(b, time.Microsecond)) }

// crowded is how many clients come back at once.
const crowded = 256

// overloadRun is the story while it is told.
type overloadRun struct {
	story  overloadStory
	world  *world
	client *lean // of the environment that floods
	other  *lean // of the quiet one
	report *overloadReport
	// together ends that those who ask have a processor of their own.
	together func()
	loud     [][]byte // requests of one environment
	soft     [][]byte // of the other
}

const (
	inboxQuestion = `query Inbox { viewer { user { inbox(first: 20) { counters { total unseen unread } position nodes { id title body readAt seenAt createdAt } } } } }`
	overSend      = `mutation Send($to: [String!]!) { sendNotification(input: {to: {users: $to}, title: "An order is on its way", body: "It should be with you on Friday."}) { send { id } userErrors { message } } }`
)

// run tells the story on s. The error says which promise was broken.
func (o overloadStory) run(ctx context.Context, s *lab.Setup) (*overloadReport, error) {
	r := &overloadRun{story: o, report: &overloadReport{alone: new(timings)}, together: func() {}}
	defer func() { r.together() }()
	for i := range r.report.neighbor {
		r.report.neighbor[i] = new(timings)
	}
	err := r.begin(ctx, s)
	if r.world != nil {
		defer r.world.close()
	}
	if err == nil {
		err = r.tell(ctx)
		r.client.close()
		r.other.close()
	}
	if err == nil {
		err = r.world.verify(ctx)
	}
	if err != nil && r.world != nil {
		err = r.world.withLogs(err)
	}
	return r.report, err
}

// begin starts a server with two environments, whose users have some items.
func (r *overloadRun) begin(ctx context.Context, s *lab.Setup) error {
	w, err := newWorld(ctx, s, r.story.users)
	if err != nil {
		return err
	}
	other, err := s.CreateApp(ctx, "other", "test")
	if err != nil {
		return err
	}
	r.world = w
	w.settings = []string{"RATE_USER=0"}
	if r.story.judged {
		w.settings = append(w.settings, "GOMAXPROCS=2")
	}
	if _, err := w.start(ctx); err != nil {
		return err
	}
	if err := r.apart(ctx); err != nil {
		return err
	}
	addr := strings.TrimPrefix(w.servers[0].URL, "http://")
	r.client, r.other = newLean(addr), newLean(addr)
	if r.loud, err = r.requests(ctx, addr, appName, w.env); err != nil {
		return err
	}
	r.soft, err = r.requests(ctx, addr, "other", other)
	return err
}

// apart has those who ask keep out of the way of the servers there are now, where
// figures count.
func (r *overloadRun) apart(ctx context.Context) (err error) {
	if r.story.judged {
		r.together()
		r.together, err = r.world.apart(ctx)
	}
	return err
}

// requests are those of an environment: seven inboxes to three sends.
func (r *overloadRun) requests(ctx context.Context, addr, app string, env lab.Environment) (all [][]byte, err error) {
	c := lab.NewClient("http://"+addr, env.SecretKey)
	defer c.Close()
	users, err := c.Identify(ctx, r.story.users)
	if err != nil {
		return nil, err
	}
	for n := range 30 {
		if _, _, err := c.Send(ctx, users, fmt.Sprintf("item %d", n), fmt.Sprintf("begin-%d", n)); err != nil {
			return nil, err
		}
	}
	question, err := json.Marshal(map[string]any{"query": inboxQuestion})
	if err != nil {
		return nil, err
	}
	for i, u := range users {
		if i%10 < 3 {
			body, err := json.Marshal(map[string]any{"query": overSend, "variables": map[string]any{"to": []string{u}}})
			if err != nil {
				return nil, err
			}
			all = append(all, leanRequest(addr, env.SecretKey, string(body)))
			continue
		}
		token, err := r.world.setup.Token(ctx, app, "test", u)
		if err != nil {
			return nil, err
		}
		all = append(all, leanRequest(addr, token, string(question)))
	}
	return all, nil
}

// tell measures, overloads and floods.
func (r *overloadRun) tell(ctx context.Context) error {
	const waiting = 16
	if _, err := r.closed(ctx, r.loud, waiting, r.story.each/4); err != nil { // warm
		return err
	}
	var alone, soft flow
	if err := r.open(ctx, r.client, &alone, r.loud, 40, r.story.each); err != nil {
		return err
	}
	r.report.alone = &alone.done
	peak, err := r.closed(ctx, r.loud, waiting, r.story.each)
	if err != nil {
		return err
	}
	r.report.peak = peak
	if err := r.open(ctx, r.client, &r.report.over, r.loud, 3*peak, r.story.length); err != nil {
		return err
	}
	if r.report.crowd, err = r.closed(ctx, r.loud, crowded, r.story.each); err != nil {
		return err
	}
	if err := r.open(ctx, r.other, &soft, r.soft, 40, r.story.each); err != nil {
		return err
	}
	r.report.neighbor[0] = &soft.done
	if err := r.beside(ctx, 0, 3*peak); err != nil {
		return err
	}
	// The same with a rate of a tenth of the flood.
	r.world.servers[0].Kill()
	r.client.close()
	r.other.close()
	r.world.settings = append(r.world.settings, fmt.Sprintf("RATE_ENVIRONMENT=%d", int(peak*0.15)))
	if _, err := r.world.again(ctx, 0); err != nil {
		return err
	}
	if err := r.apart(ctx); err != nil {
		return err
	}
	for _, requests := range [][][]byte{r.loud, r.soft} { // warm
		if _, err := r.closed(ctx, requests, waiting, r.story.each/4); err != nil {
			return err
		}
	}
	if err := r.beside(ctx, 1, 1.5*peak); err != nil {
		return err
	}
	return r.judge()
}

// beside has one environment flood while the other goes about its business.
func (r *overloadRun) beside(ctx context.Context, i int, rate float64) error {
	var (
		quiet flow
		wg    sync.WaitGroup
		errs  [2]error
	)
	wg.Go(func() { errs[0] = r.open(ctx, r.client, &r.report.floods[i], r.loud, rate, r.story.length/2) })
	wg.Go(func() { errs[1] = r.open(ctx, r.other, &quiet, r.soft, 40, r.story.length/2) })
	wg.Wait()
	r.report.neighbor[i+1] = &quiet.done
	if n := len(quiet.refused.all); n > 0 && r.story.judged {
		errs[1] = errors.Join(errs[1], fmt.Errorf("%d requests of the quiet environment were refused", n))
	}
	return errors.Join(errs[:]...)
}

// closed has clients ask one after the other, and says how many requests a
// second are done.
func (r *overloadRun) closed(ctx context.Context, requests [][]byte, clients int, length time.Duration) (float64, error) {
	var (
		wg   sync.WaitGroup
		done atomic.Int64
		errs = make([]error, clients)
		end  = time.Now().Add(length)
	)
	for i := range clients {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(r.story.seed, uint64(i)))
			for time.Now().Before(end) && errs[i] == nil && ctx.Err() == nil {
				status, _, ok, err := r.client.ask(ctx, requests[random.IntN(len(requests))])
				if err == nil && !ok && !refusal(status) {
					err = fmt.Errorf("an answer %d", status)
				}
				if errs[i] = err; ok {
					done.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return float64(done.Load()) / length.Seconds(), errors.Join(errs...)
}

// open asks at a rate, whatever becomes of the requests. Times count from when
// a request was due.
func (r *overloadRun) open(ctx context.Context, client *lean, f *flow, requests [][]byte, rate float64, length time.Duration) error {
	random := rand.New(rand.NewPCG(r.story.seed, 99))
	began := time.Now()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	var wg sync.WaitGroup
	for n := 0; time.Since(began) < length && ctx.Err() == nil; <-tick.C {
		for due := began.Add(time.Duration(float64(n) / rate * float64(time.Second))); due.Before(time.Now()); due = began.Add(time.Duration(float64(n) / rate * float64(time.Second))) {
			n++
			request := requests[random.IntN(len(requests))]
			wg.Go(func() { f.ask(ctx, client, request, due) })
		}
	}
	f.took = time.Since(began)
	wg.Wait()
	f.offered = rate
	if n := f.failures.Load(); n > 0 {
		return fmt.Errorf("%d requests were neither done nor refused, the first: %w", n, f.first)
	}
	return ctx.Err()
}

// refusal reports whether a status asks to come back.
func refusal(status int) bool {
	return status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests
}

func (f *flow) ask(ctx context.Context, client *lean, request []byte, due time.Time) {
	status, comeBack, done, err := client.ask(ctx, request)
	took := time.Since(due)
	switch {
	case done:
		f.done.add(took)
	case err == nil && refusal(status):
		f.refused.add(took)
		if !comeBack {
			f.rude.Add(1)
		}
	default:
		if f.failures.Add(1) == 1 {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.first = fmt.Errorf("status %d: %w", status, err)
		}
	}
}

// judge holds what was measured against what is promised.
func (r *overloadRun) judge() error {
	rep := r.report
	var errs []error
	broken := func(is bool, format string, args ...any) {
		if is {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	for _, f := range []*flow{&rep.over, &rep.floods[0], &rep.floods[1]} {
		broken(f.rude.Load() > 0, "%d refusals did not say when to come back", f.rude.Load())
	}
	if r.story.judged {
		broken(rep.goodput() < 0.8, "goodput is %.0f%% of the peak", 100*rep.goodput())
		broken(rep.crowd < 0.5*rep.peak, "with clients that come back at once %.0f%% of the peak is done", 100*rep.crowd/rep.peak)
		broken(rep.slowness() > 3, "the p99 of what is done is %.1f times that alone", rep.slowness())
		broken(rep.disturbance(1) > 1.5, "a flood makes the p99 of another environment %.2f times that alone", rep.disturbance(1))
		broken(rep.disturbance(2) > 1.5, "a flood over its rate makes the p99 of another environment %.2f times that alone", rep.disturbance(2))
	}
	return errors.Join(errs...)
}
