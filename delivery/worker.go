package delivery

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"carillon/model"
)

const (
	// queueTime bounds one look into the queue.
	queueTime = 10 * time.Second
	// fresh is how long the providers of an environment are not read anew.
	fresh = time.Second
	// sweepEvery is how often deliveries are ended whose time is over.
	sweepEvery = 30 * time.Second
	sweepBatch = 500
	// maxBatch is how many results are recorded together, gatherTime how long one
	// waits for others.
	maxBatch   = 256
	gatherTime = 5 * time.Millisecond
)

// worker is what a process that delivers remembers. Nothing is lost with it:
// the queue says all.
type worker struct {
	once     sync.Once
	bell     chan struct{} // something may be due, or a place is free
	finished chan model.FinishedDelivery
	breakers breakers
	senders  senders
	catalog  providerCatalog
	places   places
	suspects suspects
}

func (s *Service) prepare() *worker {
	w := &s.worker
	w.once.Do(func() {
		w.bell = make(chan struct{}, 1)
		w.finished = make(chan model.FinishedDelivery, maxBatch)
		w.suspects.turn, w.suspects.lanes = make(chan struct{}, 1), map[model.Lane]bool{}
		w.breakers.now = s.now
	})
	return w
}

// Wake has Run look for what is due at once.
func (s *Service) Wake() { s.prepare().ring() }

func (w *worker) ring() {
	select {
	case w.bell <- struct{}{}:
	default:
	}
}

// Run delivers until ctx is done, then finishes what it holds and returns.
func (s *Service) Run(ctx context.Context) {
	w := s.prepare()
	var working, recording sync.WaitGroup
	recording.Go(func() { s.record(context.WithoutCancel(ctx)) })
	swept := s.now()
	for ctx.Err() == nil {
		claimed, more, err := s.claim(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			s.log().WarnContext(ctx, "looking for due deliveries", "error", err)
		case len(claimed) > 0:
			s.start(context.WithoutCancel(ctx), claimed, &working)
		}
		if now := s.now(); now.Sub(swept) >= sweepEvery || now.Before(swept) {
			swept = now
			s.sweep(ctx)
		}
		if more && len(claimed) > 0 {
			continue
		}
		timer := time.NewTimer(orDefault(s.Tick, DefaultTick))
		select {
		case <-ctx.Done():
		case <-w.bell:
		case <-timer.C:
		}
		timer.Stop()
	}
	working.Wait()
	close(w.finished)
	recording.Wait()
}

// sweep ends what nobody will try any more. Streams find that for themselves.
func (s *Service) sweep(ctx context.Context) {
	for n := sweepBatch; n == sweepBatch && ctx.Err() == nil; {
		within, cancel := context.WithTimeout(ctx, queueTime)
		var err error
		n, err = s.Store.ExpireDeliveries(within, sweepBatch)
		cancel()
		if err != nil {
			if ctx.Err() == nil {
				s.log().WarnContext(ctx, "ending deliveries whose time is over", "error", err)
			}
			return
		}
	}
}

// claimed is a delivery that this process holds until then.
type claimed struct {
	model.ClaimedDelivery
	// until is when its attempts must have ended, with room to record what came
	// of them; begin, after which none is begun. By this process's clock.
	begin, until time.Time
}

// claim takes what is due, as far as there are places. more says that there may
// be more of it now.
func (s *Service) claim(ctx context.Context) (out []claimed, more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, queueTime)
	defer cancel()
	lanes, err := s.Store.DueLanes(ctx)
	if err != nil {
		return nil, false, err
	}
	var oldest time.Duration
	for _, l := range lanes {
		oldest = max(oldest, l.Oldest)
	}
	s.stats.oldest.Store(int64(oldest))
	claims, err := s.share(ctx, lanes)
	if err != nil || len(claims) == 0 {
		return nil, false, err
	}
	lease := orDefault(s.Lease, DefaultLease)
	until := time.Now().Add(lease * 3 / 4)
	begin := until.Add(-min(minLeft, lease/8))
	list, err := s.Store.ClaimDeliveries(ctx, claims, lease)
	if err != nil {
		return nil, false, err
	}
	for _, d := range list {
		out = append(out, claimed{d, begin, until})
	}
	return out, true, nil
}

// share asks for as many of each lane as there are places for.
func (s *Service) share(ctx context.Context, lanes []model.DueLane) ([]model.LaneClaim, error) {
	w := s.prepare()
	if err := w.catalog.read(ctx, s, lanes); err != nil {
		return nil, err
	}
	wishes := make([]wish, len(lanes))
	for i, l := range lanes {
		wishes[i] = wish{l.Lane, s.room(l.Lane, w.places.busy(l.Lane))}
	}
	return w.places.share(orDefault(s.Concurrency, DefaultWorkers), wishes), nil
}

// room is how many deliveries of a lane its providers have use for. A lane
// without providers has room: what is in it ends.
func (s *Service) room(l model.Lane, busy int) int {
	providers := s.worker.catalog.of(l)
	if len(providers) == 0 {
		return maxLane
	}
	room := 0
	for _, p := range providers {
		if p.Paused() || !byAddress(l.Channel) && s.worker.breakers.wait(breakerKey(p, Target{})) > 0 {
			continue
		}
		n := orDefault(p.Concurrency, model.DefaultConcurrency)
		if p.PerSecond > 0 {
			n = min(n, 2*p.PerSecond) // what it may have in the time that one waits for its turn
		}
		room += n
	}
	return room - busy
}

// start works on what was claimed: on suspects by themselves, on the rest by
// environment.
func (s *Service) start(ctx context.Context, list []claimed, working *sync.WaitGroup) {
	w := s.prepare()
	byEnv, suspect := map[model.EnvID][]claimed{}, map[model.Lane][]claimed{}
	for _, c := range list {
		lane := model.Lane{Env: c.EnvID, Channel: c.Channel}
		w.places.take(lane)
		if c.Lost >= model.SuspectLost {
			suspect[lane] = append(suspect[lane], c)
		} else {
			byEnv[c.EnvID] = append(byEnv[c.EnvID], c)
		}
	}
	for env, list := range byEnv {
		working.Go(func() { s.work(ctx, env, list, working) })
	}
	for lane, list := range suspect {
		working.Go(func() { s.oneByOne(ctx, lane, list) })
	}
}

// work reads what the deliveries of one environment depend on, and sends each.
func (s *Service) work(ctx context.Context, env model.EnvID, list []claimed, working *sync.WaitGroup) {
	surroundings, err := s.surroundings(ctx, env, list)
	if err != nil {
		s.log().WarnContext(ctx, "reading what deliveries depend on", "error", err, "deliveries", len(list))
	}
	for _, c := range list {
		working.Go(func() {
			done := release(c, time.Second)
			if err == nil {
				done = s.try(ctx, c, surroundings)
			}
			s.prepare().finished <- done
		})
	}
}

// try is dispatch, for code that may panic: then the delivery has failed for
// now. Whatever came of it, it is not suspect of ending processes.
func (s *Service) try(ctx context.Context, c claimed, x *surroundings) (done model.FinishedDelivery) {
	defer func() {
		if r := recover(); r != nil {
			s.log().ErrorContext(ctx, "the code that delivers panicked", "delivery", c.ID, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			done = ended(c, model.DeliveryQueued, "the server's own code failed")
			done.Lost = 0
			s.again(&done, &Error{Class: model.ClassTransient})
		}
	}()
	done = s.dispatch(ctx, c, x)
	if len(done.Attempts) > 0 {
		done.Lost = 0
	}
	return done
}

// release gives a delivery back to the queue as if it had not been claimed, for
// some time.
func release(c claimed, delay time.Duration) model.FinishedDelivery {
	f := model.FinishedDelivery{ClaimedDelivery: c.ClaimedDelivery, Delay: delay}
	f.State = model.DeliveryQueued
	return f
}

// record writes down what becomes of deliveries: what has gathered, together.
func (s *Service) record(ctx context.Context) {
	w := s.prepare()
	for first := range w.finished {
		batch := w.gather(first)
		s.recordBatch(ctx, batch)
		for _, f := range batch {
			w.places.free(model.Lane{Env: f.EnvID, Channel: f.Channel})
		}
		w.ring()
	}
}

// gather adds to the first result what has come besides. While more deliveries
// are under way than have ended, it waits a little for them: each batch costs a
// commit, and what is claimed into the places that it frees another. Alone, a
// delivery waits for nobody.
func (w *worker) gather(first model.FinishedDelivery) []model.FinishedDelivery {
	batch := []model.FinishedDelivery{first}
	enough := time.NewTimer(gatherTime)
	defer enough.Stop()
	for len(batch) < maxBatch && (len(w.finished) > 0 || w.places.taken() >= 2*len(batch)) {
		select {
		case f, open := <-w.finished:
			if !open {
				return batch
			}
			batch = append(batch, f)
		case <-enough.C:
			return batch
		}
	}
	return batch
}

// recordBatch writes a batch, again and again until it is written or everything
// in it has been lost to other workers for certain. What the database refuses
// for its content is found by halves, so that the rest is written.
func (s *Service) recordBatch(ctx context.Context, batch []model.FinishedDelivery) {
	giveUp := time.Now().Add(2 * orDefault(s.Lease, DefaultLease))
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		within, cancel := context.WithTimeout(ctx, queueTime)
		since := s.now()
		counted, err := s.Store.FinishDeliveries(within, batch)
		cancel()
		if err == nil {
			s.announce(ctx, since, environmentsOf(batch, counted)...)
			s.count(ctx, batch, counted)
			return
		}
		s.log().WarnContext(ctx, "recording deliveries", "error", err, "deliveries", len(batch))
		refused := model.KindOf(err) != model.KindUnavailable
		if half := len(batch) / 2; refused && half > 0 {
			s.recordBatch(ctx, batch[:half])
			s.recordBatch(ctx, batch[half:])
			return
		}
		if refused || time.Now().After(giveUp) {
			return // their leases end: other workers have them
		}
		timer := time.NewTimer(pause)
		<-timer.C
	}
}

// count keeps the numbers, and logs what a person should know.
func (s *Service) count(ctx context.Context, batch []model.FinishedDelivery, counted map[model.Claim]bool) {
	for _, f := range batch {
		if !counted[f.Claim()] {
			s.stats.lost.Add(1)
			continue
		}
		s.stats.ended[f.Channel][f.State].Add(1)
		for _, a := range f.Attempts {
			s.stats.attempts[f.Channel][a.Class].Add(1)
		}
		if f.State == model.DeliveryFailed {
			s.log().WarnContext(ctx, "delivery failed", "delivery", f.ID, "environment", int64(f.EnvID), "channel", f.Channel.String(), "attempts", f.Attempt, "class", lastClass(f))
		}
	}
}

// lastClass is why a delivery failed, as far as a log may say it: what the
// provider answered may repeat what was sent, and to whom.
func lastClass(f model.FinishedDelivery) string {
	if len(f.Attempts) == 0 {
		return "none"
	}
	return f.Attempts[len(f.Attempts)-1].Class.String()
}

// stats are numbers of this process.
type stats struct {
	oldest   atomic.Int64
	lost     atomic.Int64
	receipts receiptStats
	attempts [model.ChannelWebhook + 1][model.ClassUnknown + 1]atomic.Int64
	ended    [model.ChannelWebhook + 1][model.DeliveryComplained + 1]atomic.Int64
}

// Numbers are read for the metrics.
type Numbers struct {
	Oldest time.Duration // how long the oldest due delivery has been due, when last looked
	Busy   int           // deliveries being worked on
	Lost   int64         // results that came too late to count
}

// Numbers reads the numbers of this process.
func (s *Service) Numbers() Numbers {
	return Numbers{Oldest: time.Duration(s.stats.oldest.Load()), Busy: s.prepare().places.taken(), Lost: s.stats.lost.Load()}
}

// Attempts is how many attempts over a channel ended in a class; zero: taken.
func (s *Service) Attempts(c model.Channel, class model.ErrorClass) int64 {
	return s.stats.attempts[c][class].Load()
}
