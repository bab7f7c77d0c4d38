package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"carillon/internal/lab"
)

// freezeStory is a server that stands still, as when its machine is paused, for
// longer than what it had under way is leased to it, and then goes on as if
// nothing had been. In production another has made its deliveries by then, and
// told its endpoints: what the first says of them must change nothing. Others
// send to both meanwhile.
type freezeStory struct {
	rounds  int
	held    int           // deliveries, and events of an endpoint, that are under way when it stops; 8 at most
	lease   time.Duration // of them
	still   time.Duration // that it stands at least
	senders int
	users   int
	seed    uint64
}

// freezeReport is what the story found.
type freezeReport struct {
	load             *load
	deliveries       int // under way when it stopped
	events           int // the same of an endpoint
	refused          int // results that came too late to count, of deliveries
	recorded, called int // attempts on record, and calls that arrived
	freezes          *timings
}

func (r freezeReport) String() string {
	return fmt.Sprintf("%s; stood still %d times, for %s, with %d deliveries and %d events under way; %d stale results of deliveries refused; %d calls arrived, %d are on record",
		r.load, len(r.freezes.all), r.freezes, r.deliveries, r.events, r.refused, r.called, r.recorded)
}

// freezeRun is the story while it is told.
type freezeRun struct {
	story      freezeStory
	world      *world
	report     *freezeReport
	env        lab.Environment // of what is under way
	users      []string        // of that
	endpoint   string
	deliveries *gate
	events     *gate
	stale      map[string]bool // whose first attempt was under way when the server stopped
}

// run tells the story on s. The error says which promise was broken.
func (f freezeStory) run(ctx context.Context, s *lab.Setup) (report freezeReport, err error) {
	report = freezeReport{load: &load{seed: f.seed, every: 10 * time.Millisecond}, freezes: new(timings)}
	w, err := newWorld(ctx, s, f.users)
	if err != nil {
		return report, err
	}
	defer func() {
		err = w.withLogs(err)
		w.close()
	}()
	if w.metrics, err = lab.FreeAddr(); err != nil {
		return report, err
	}
	w.settings = append(hookSettings(f.lease, "all"), "METRICS_ADDR="+w.metrics)
	if _, err := w.start(ctx); err != nil {
		return report, err
	}
	w.settings = hookSettings(f.lease, "all")
	if s.Postgres != nil {
		if _, err := w.start(ctx); err != nil {
			return report, err
		}
	}
	r := &freezeRun{story: f, world: w, report: &report, stale: map[string]bool{}}
	if r.deliveries, err = newGate(lab.NewSink); err != nil {
		return report, err
	}
	defer r.deliveries.Close()
	if r.events, err = newGate(lab.NewEventSink); err != nil {
		return report, err
	}
	defer r.events.Close()
	if err := r.prepare(ctx); err != nil {
		return report, err
	}
	return report, r.tell(ctx)
}

// prepare makes the app whose deliveries are under way, beside that of the load.
func (r *freezeRun) prepare(ctx context.Context) (err error) {
	if r.env, err = r.world.setup.CreateApp(ctx, "held", "test"); err != nil {
		return err
	}
	c := r.client(0)
	if r.users, err = c.Identify(ctx, r.story.held); err != nil {
		return err
	}
	if err := hook(ctx, c, hookConcurrency, map[string][]string{r.deliveries.URL: r.users}); err != nil {
		return err
	}
	r.endpoint, err = c.Endpoint(ctx, r.events.URL, "notification.created")
	return err
}

// client is a back end of the app whose deliveries are under way.
func (r *freezeRun) client(server int) *lab.Client {
	return lab.NewClient(r.world.servers[server].URL, r.env.SecretKey)
}

// other is the server that goes on while the first stands still; embedded, there
// is none but itself.
func (r *freezeRun) other() int { return len(r.world.servers) - 1 }

func (r *freezeRun) tell(ctx context.Context) error {
	l := r.report.load
	l.users = r.world.users
	for _, u := range r.world.urls() {
		l.clients = append(l.clients, lab.NewPatientClient(u, r.world.env.SecretKey, time.Second))
	}
	err := l.during(ctx, r.story.senders, func() error {
		for n := range r.story.rounds {
			if err := r.round(ctx, n); err != nil {
				return fmt.Errorf("round %d: %w", n, err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	// Nothing stands still any more, and a count may take longer than a send.
	l.clients = r.world.clients()
	return errors.Join(r.judge(ctx), l.verify(ctx), r.world.verify(ctx))
}

// round has the first server stand still with deliveries under way. The other,
// which would take some of them, is not there at the beginning.
func (r *freezeRun) round(ctx context.Context, n int) error {
	first, other := r.world.servers[0], r.other()
	if other > 0 {
		r.world.servers[other].Kill()
	}
	r.deliveries.shut()
	r.events.shut()
	l := &load{clients: []*lab.Client{r.client(0)}}
	if _, _, err := l.insist(ctx, promise{key: fmt.Sprintf("held-%d", n), to: r.users}); err != nil {
		return err
	}
	enough := r.story.held
	if n > 0 {
		enough = 1 // calls have failed, so that the server tries with few
	}
	if err := lab.Poll(ctx, deliverWithin, func() error { return r.underWay(enough) }); err != nil {
		return err
	}
	began := time.Now()
	if err := first.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	r.deliveries.pass() // the other server's calls are answered
	r.events.pass()
	err := r.meanwhile(ctx, began)
	if err := errors.Join(err, first.Signal(syscall.SIGCONT)); err != nil {
		return fmt.Errorf("while it stood still: %w", err)
	}
	r.report.freezes.add(time.Since(began))
	return lab.Poll(ctx, settleWithin, func() error { return r.caughtUp(ctx) })
}

// underWay is an error until so many of both are.
func (r *freezeRun) underWay(enough int) error {
	if d, e := r.deliveries.count(), r.events.count(); d < enough || e < enough {
		return fmt.Errorf("%d deliveries and %d events are under way, want %d of both", d, e, enough)
	}
	return nil
}

// meanwhile waits until the other server has done what the first had under way
// or, where there is none, until that is leased to it no more.
func (r *freezeRun) meanwhile(ctx context.Context, began time.Time) error {
	if other := r.other(); other > 0 {
		if _, err := r.world.again(ctx, other); err != nil {
			return err
		}
		if err := r.settled(ctx, other); err != nil {
			return err
		}
	}
	if err := pause(ctx, max(r.story.still, r.story.lease+time.Second)-time.Since(began)); err != nil {
		return err
	}
	deliveries, events := r.deliveries.letGo(), r.events.letGo()
	r.report.deliveries += len(deliveries)
	r.report.events += len(events)
	for _, id := range append(deliveries, events...) {
		r.stale[id] = true
	}
	return nil
}

// settled waits until nothing that is under way is left.
func (r *freezeRun) settled(ctx context.Context, server int) error {
	c := r.client(server)
	defer c.Close()
	return errors.Join(delivered(ctx, c), arrivedAll(ctx, c, r.endpoint))
}

// caughtUp is an error until the first server has said what became of what it had
// under way when it stopped.
func (r *freezeRun) caughtUp(ctx context.Context) error {
	for _, name := range []string{"carillon_deliveries_busy", "carillon_webhook_endpoints_busy"} {
		if n, err := r.world.metric(ctx, name); err != nil || n > 0 {
			return errors.Join(err, fmt.Errorf("%s is %d", name, n))
		}
	}
	n, err := r.world.metric(ctx, "carillon_deliveries_lost_total")
	r.report.refused = n
	if least := r.report.deliveries; err == nil && r.other() > 0 && n < least {
		err = fmt.Errorf("%d stale results were refused, of %d", n, least)
	}
	return err
}

// judge compares the calls that arrived with those on record.
func (r *freezeRun) judge(ctx context.Context) error {
	if err := r.settled(ctx, 0); err != nil {
		return err
	}
	c := r.client(0)
	deliveries, err := c.RecordedDeliveries(ctx)
	if err != nil {
		return err
	}
	events, err := c.RecordedEvents(ctx, r.endpoint)
	if err != nil {
		return err
	}
	if want := r.story.rounds * r.story.held; len(deliveries) != want || len(events) != want {
		return fmt.Errorf("%d deliveries and %d events are on record, want %d of both", len(deliveries), len(events), want)
	}
	calls := map[string]int{}
	for _, call := range append(r.deliveries.Calls(), r.events.Calls()...) {
		calls[call.Delivery]++
	}
	var errs []error
	for i := range deliveries {
		deliveries[i].ID = strings.TrimPrefix(deliveries[i].ID, "dlv_") // as a provider is told it
	}
	for _, d := range append(deliveries, events...) {
		r.report.called += calls[d.ID]
		r.report.recorded += len(d.Attempts)
		errs = append(errs, r.consistent(d, calls[d.ID]))
	}
	return errors.Join(errs...)
}

// consistent holds one that was sent to having every attempt on record that
// counted, once. One that was under way when the server stopped did not count,
// where another server had it meanwhile; where none had, that is for the one
// server to say.
func (r *freezeRun) consistent(d lab.Recorded, calls int) error {
	n := len(d.Attempts)
	for i, a := range d.Attempts {
		if a.Number != i+1 {
			return fmt.Errorf("attempt %d of %s is on record as its number %d", i+1, d.ID, a.Number)
		}
	}
	switch refused := calls - n; {
	case d.State != "SENT":
		return fmt.Errorf("%s ended as %s", d.ID, d.State)
	case refused == 1, refused == 0 && (!r.stale[d.ID] || r.other() == 0):
		return nil
	default:
		return fmt.Errorf("of %s, %d calls arrived and %d are on record; under way when the server stopped: %t", d.ID, calls, n, r.stale[d.ID])
	}
}
