package webhook

import (
	"context"
	"sync"
	"time"

	"carillon/delivery"
	"carillon/model"
)

const (
	// endpointsAtOnce is how many endpoints this process calls at the same time.
	// Each is called on its own, so that one that hangs holds up no other.
	endpointsAtOnce = 64
	// claimAtOnce is how many events of an endpoint are claimed together, and
	// callsAtOnce how many calls to it are made at the same time.
	claimAtOnce = 16
	callsAtOnce = 8

	// An endpoint that has failed so many calls in a row is left alone for a while
	// that doubles, and then called once: what waits for it loses no tries.
	failuresBefore = 5
	firstPause     = 5 * time.Second
	longestPause   = 5 * time.Minute

	queueTime   = 10 * time.Second // bounds one look into the queue
	forgetEvery = time.Minute
	forgetBatch = 500
)

// worker is what a process that tells endpoints remembers. Nothing is lost with
// it: the queue says all.
type worker struct {
	once sync.Once
	bell chan struct{}

	mu   sync.Mutex
	busy map[model.WebhookEndpointRef]bool

	stats stats
}

func (s *Service) prepare() *worker {
	w := &s.worker
	w.once.Do(func() {
		w.bell = make(chan struct{}, 1)
		w.busy = map[model.WebhookEndpointRef]bool{}
	})
	return w
}

// wake has Run look for what is due at once.
func (s *Service) wake() {
	select {
	case s.prepare().bell <- struct{}{}:
	default:
	}
}

// Run tells endpoints until ctx is done, then finishes the calls that it has
// begun and returns. It also drops events that are older than Keep.
func (s *Service) Run(ctx context.Context) {
	w := s.prepare()
	var working sync.WaitGroup
	defer working.Wait()
	working.Go(func() { s.runForgetting(ctx) })
	for ctx.Err() == nil {
		if err := s.begin(ctx, &working); err != nil && ctx.Err() == nil {
			s.log().WarnContext(ctx, "looking for due webhook events", "error", err)
		}
		timer := time.NewTimer(orDefault(s.Tick, DefaultTick))
		select {
		case <-ctx.Done():
		case <-w.bell:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// runForgetting forgets now and then, however long it takes: nobody waits for it.
func (s *Service) runForgetting(ctx context.Context) {
	tick := time.NewTicker(forgetEvery)
	defer tick.Stop()
	for {
		s.forget(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// forget drops what deleted endpoints have left, and events that are too old.
func (s *Service) forget(ctx context.Context) {
	for found := true; found && ctx.Err() == nil; {
		var err error
		if found, err = s.Store.ForgetDeletedEndpoint(ctx, forgetBatch); err != nil && ctx.Err() == nil {
			s.log().WarnContext(ctx, "forgetting what deleted webhook endpoints were told", "error", err)
		}
	}
	for n := forgetBatch; n == forgetBatch && ctx.Err() == nil; {
		var err error
		if n, err = s.Store.ForgetWebhookEvents(ctx, s.now().Add(-orDefault(s.Keep, DefaultKeep)), forgetBatch); err != nil && ctx.Err() == nil {
			s.log().WarnContext(ctx, "forgetting old webhook events", "error", err)
		}
	}
}

// begin starts to work on every endpoint that has something due and that nobody
// in this process works on.
func (s *Service) begin(ctx context.Context, working *sync.WaitGroup) error {
	within, cancel := context.WithTimeout(ctx, queueTime)
	defer cancel()
	due, err := s.Store.DueWebhookEndpoints(within)
	if err != nil {
		return err
	}
	w := s.prepare()
	for _, e := range due {
		ref := model.WebhookEndpointRef{Env: e.EnvID, ID: e.ID}
		w.mu.Lock()
		free := !w.busy[ref] && len(w.busy) < endpointsAtOnce
		if free {
			w.busy[ref] = true
		}
		w.mu.Unlock()
		if !free {
			continue
		}
		working.Go(func() {
			more := s.work(ctx, e)
			w.mu.Lock()
			delete(w.busy, ref)
			w.mu.Unlock()
			if more {
				s.wake()
			}
		})
	}
	return nil
}

// work tells an endpoint of one batch of events. more says that there may be
// more of them, and that the endpoint takes them.
func (s *Service) work(ctx context.Context, e model.WebhookEndpoint) (more bool) {
	ref := model.WebhookEndpointRef{Env: e.EnvID, ID: e.ID}
	limit := claimAtOnce
	if e.Failures >= failuresBefore {
		limit = 1
	}
	within, cancel := context.WithTimeout(ctx, queueTime)
	lease := orDefault(s.Lease, DefaultLease)
	until := time.Now().Add(lease * 3 / 4)
	claimed, err := s.Store.ClaimWebhookEvents(within, ref, limit, lease)
	cancel()
	if err != nil || len(claimed) == 0 {
		if err != nil && ctx.Err() == nil {
			s.log().WarnContext(ctx, "claiming webhook events", "error", err)
		}
		return false
	}
	ctx = context.WithoutCancel(ctx) // what was claimed is finished
	done, health := s.tellAll(ctx, e, claimed, until)
	s.record(ctx, done, health)
	return health.Answered && len(claimed) == limit
}

// tellAll makes the calls about a batch, all of which end by until. What there is
// no time left for to begin goes back to the queue as it was.
func (s *Service) tellAll(ctx context.Context, e model.WebhookEndpoint, claimed []model.ClaimedWebhookEvent, until time.Time) ([]model.FinishedWebhookEvent, model.WebhookHealth) {
	health := model.WebhookHealth{WebhookEndpointRef: model.WebhookEndpointRef{Env: e.EnvID, ID: e.ID}}
	done := make([]model.FinishedWebhookEvent, len(claimed))
	results := make([]result, len(claimed))
	events := make([]model.WebhookEvent, len(claimed))
	for i, c := range claimed {
		events[i] = c.WebhookEvent
	}
	names, err := s.Identifiers(ctx, e.EnvID, events...)
	if err != nil {
		s.log().WarnContext(ctx, "reading whom webhook events are about", "error", err)
		for i, c := range claimed {
			done[i] = putBack(c, time.Second)
		}
		return done, health
	}
	begin := until.Add(-orDefault(s.Lease, DefaultLease) / 8)
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	var calls sync.WaitGroup
	places := make(chan struct{}, callsAtOnce)
	for i, c := range claimed {
		places <- struct{}{}
		if time.Now().After(begin) {
			done[i] = putBack(c, 0)
			<-places
			continue
		}
		calls.Go(func() {
			results[i] = s.call(ctx, e, c.WebhookEvent, names[c.UserID])
			<-places
		})
	}
	calls.Wait()
	s.judgeAll(claimed, results, done, &health)
	if !health.Answered {
		health.Wait = max(health.Wait, pause(e.Failures+health.Failures))
	}
	return done, health
}

// judgeAll says what becomes of the events that were called about, and notes how
// the endpoint is doing.
func (s *Service) judgeAll(claimed []model.ClaimedWebhookEvent, results []result, done []model.FinishedWebhookEvent, health *model.WebhookHealth) {
	for i, c := range claimed {
		r := results[i]
		if r.attempt.N == 0 {
			continue // not begun
		}
		done[i] = s.judge(c, r)
		s.count(c, done[i], r)
		if r.attempt.Class == 0 {
			health.Answered = true
			continue
		}
		health.Failures++
		health.Gone = health.Gone || r.gone
		health.Wait = max(health.Wait, min(r.retryAfter, delivery.MaxRetryAfter))
	}
}

// putBack gives an event back to the queue as if it had not been claimed.
func putBack(c model.ClaimedWebhookEvent, delay time.Duration) model.FinishedWebhookEvent {
	c.State = model.WebhookQueued
	return model.FinishedWebhookEvent{ClaimedWebhookEvent: c, Delay: delay}
}

// pause is how long an endpoint is left alone after so many failures in a row.
func pause(failures int) time.Duration {
	if failures < failuresBefore {
		return 0
	}
	return min(firstPause<<min(failures-failuresBefore, 10), longestPause)
}

// judge says what becomes of an event after a call.
func (s *Service) judge(c model.ClaimedWebhookEvent, r result) model.FinishedWebhookEvent {
	f := model.FinishedWebhookEvent{ClaimedWebhookEvent: c, Called: &r.attempt}
	f.Attempt, f.Tries, f.State = c.Attempt+1, c.Tries+1, model.WebhookSent
	if r.attempt.Class != 0 {
		delay, more := delivery.Next(model.ChannelWebhook, f.Tries, c.Elapsed, r.retryAfter, s.random())
		f.State = model.WebhookFailed
		if more && !r.gone && r.attempt.Class != model.ClassConfig {
			f.State, f.Delay = model.WebhookQueued, delay
			r.attempt.NextAt = r.attempt.StartedAt.Add(r.attempt.Took + delay)
		}
	}
	if f.State != model.WebhookQueued {
		f.Data.Identifier = "" // the user is gone: nothing keeps the identifier from now on
	}
	return f
}

// record writes down what came of a batch, again and again until it is written
// or the leases have ended, and others have the events.
func (s *Service) record(ctx context.Context, done []model.FinishedWebhookEvent, health model.WebhookHealth) {
	giveUp := time.Now().Add(orDefault(s.Lease, DefaultLease))
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		within, cancel := context.WithTimeout(ctx, queueTime)
		disabled, err := s.Store.FinishWebhookEvents(within, done, health, orDefault(s.GiveUp, DefaultGiveUp))
		cancel()
		if err == nil {
			if disabled {
				s.prepare().stats.disabled.Add(1)
				s.log().WarnContext(ctx, "webhook endpoint disabled", "environment", int64(health.Env), "endpoint", string(health.ID))
			}
			return
		}
		s.log().WarnContext(ctx, "recording webhook events", "error", err, "events", len(done))
		if time.Now().After(giveUp) {
			return
		}
		timer := time.NewTimer(wait)
		<-timer.C
	}
}
