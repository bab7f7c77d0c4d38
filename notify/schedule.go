package notify

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"carillon/model"
)

const (
	// tick is how often a worker looks for due sends at the least. Within one
	// process a send that is scheduled for sooner is not late; one that another
	// process accepted may be, by this much.
	tick = 500 * time.Millisecond
	// lookTime bounds one look for work: over a connection that leads nowhere a
	// worker would wait for ever.
	lookTime = 10 * time.Second
	// maxPause is how long a worker waits at most after the database failed.
	maxPause = 5 * time.Second
)

// Cancel cancels a send that has not gone out, or not to all: nobody is served
// after it returns, and those who were are counted by the send's progress. A
// send that has gone out, or was cancelled before, is a KindConflict error that
// names its state.
func (s *Service) Cancel(ctx context.Context, env model.EnvID, once model.Once, id model.SendID) (model.Outcome[model.Send], error) {
	out, err := s.Store.CancelSend(ctx, env, once, id)
	if err == nil && !out.Replayed {
		s.Live.Publish(ctx, progressHint(out.Value))
	}
	return out, err
}

// Run fires scheduled sends when their time comes and expands large ones, until
// ctx is done. Any number of processes may run it on one database: each send
// fires once, and each recipient is served once.
func (s *Service) Run(ctx context.Context) {
	n := s.Expanders
	if n == 0 {
		n = DefaultExpanders
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	for range n {
		wg.Go(func() { s.runExpander(ctx) })
	}
	s.runSchedule(ctx)
}

func (s *Service) runSchedule(ctx context.Context) {
	pause := tick
	for {
		next, err := s.FireDue(ctx)
		again := tick
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.log().WarnContext(ctx, "firing due sends", "error", err, "again_in", pause)
			again, pause = pause, min(2*pause, maxPause)
		case !next.IsZero():
			again, pause = max(0, min(tick, next.Sub(s.now()))), tick
		default:
			pause = tick
		}
		wait(ctx, again, s.soon.rung())
	}
}

// FireDue fires every scheduled send whose time has come, in the order of
// (sendAt, id), and returns when the next one is due; zero: it does not know.
// A send that cannot be fired is logged, does not hold up those behind it, and
// is tried again by the next call.
func (s *Service) FireDue(ctx context.Context) (next time.Time, err error) {
	var after *model.PageKey
	envs := make(map[model.EnvID]model.Environment)
	for {
		jobs, next, err := s.dueBatch(ctx, after, envs)
		if err != nil || len(jobs) == 0 {
			return next, err
		}
		last := jobs[len(jobs)-1].due.Send
		for len(jobs) > 0 {
			if err := ctx.Err(); err != nil {
				return time.Time{}, err
			}
			n := batchSize(jobs)
			s.personalizeDue(ctx, jobs[:n])
			s.run(jobs[:n])
			s.logFailures(ctx, jobs[:n])
			jobs = jobs[n:]
		}
		if !next.IsZero() {
			return next, nil
		}
		after = &model.PageKey{At: last.SendAt, ID: int64(last.ID)}
	}
}

// dueBatch reads the next due sends, those behind after, as jobs. With none, or
// with fewer than fit, next is when another one is due.
func (s *Service) dueBatch(ctx context.Context, after *model.PageKey, envs map[model.EnvID]model.Environment) (jobs []*job, next time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	due, next, err := s.Store.DueSends(ctx, s.now(), after, maxBatch)
	if err != nil || len(due) == 0 {
		return nil, next, err
	}
	if jobs, err = s.dueJobs(ctx, due, envs); err != nil {
		return nil, time.Time{}, err
	}
	return jobs, next, nil
}

// dueJobs makes jobs of due sends. envs remembers environments for the calls
// after this one.
func (s *Service) dueJobs(ctx context.Context, due []model.DueSend, envs map[model.EnvID]model.Environment) ([]*job, error) {
	wanted := make(map[model.EnvID][]model.CategoryID)
	for _, d := range due {
		env := d.Send.EnvID
		if c := d.Send.CategoryID; c != 0 && !slices.Contains(wanted[env], c) {
			wanted[env] = append(wanted[env], c)
		}
		if _, known := envs[env]; known {
			continue
		}
		e, err := s.Store.Environment(ctx, env)
		if err != nil {
			return nil, fmt.Errorf("reading environment: %w", err)
		}
		envs[env] = e
	}
	categories := make(map[model.CategoryID]model.Category)
	for env, ids := range wanted {
		found, err := s.Catalog.CategoriesByID(ctx, env, ids)
		if err != nil {
			return nil, fmt.Errorf("reading categories: %w", err)
		}
		for id, c := range found {
			categories[id] = c
		}
	}
	jobs := make([]*job, len(due))
	for i := range due {
		var category *model.Category
		if c, ok := categories[due[i].Send.CategoryID]; ok {
			category = &c
		}
		jobs[i] = newDueJob(envs[due[i].Send.EnvID], &due[i], category)
	}
	return jobs, nil
}

// batchSize is how many of the jobs, from the first, share a transaction.
func batchSize(jobs []*job) int {
	weight := 0
	for i, j := range jobs {
		if weight += j.weight(); i > 0 && (i == maxBatch || weight > maxBatchRecipients) {
			return i
		}
	}
	return len(jobs)
}

func (s *Service) logFailures(ctx context.Context, jobs []*job) {
	for _, j := range jobs {
		if j.err != nil {
			s.log().ErrorContext(ctx, "firing a scheduled send", "env", j.env.ID, "send", j.due.Send.ID, "error", j.err)
		}
	}
}

// expect has Run look again when a send was accepted that is due before its
// next look.
func (s *Service) expect(at time.Time) {
	if at.Sub(s.now()) < tick {
		s.soon.ring()
	}
}

// bell wakes one waiting goroutine; a ring that nobody waits for is kept. The
// zero bell is ready to use.
type bell struct {
	once sync.Once
	c    chan struct{}
}

func (b *bell) rung() chan struct{} {
	b.once.Do(func() { b.c = make(chan struct{}, 1) })
	return b.c
}

func (b *bell) ring() {
	select {
	case b.rung() <- struct{}{}:
	default:
	}
}
