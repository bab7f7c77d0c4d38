package notify

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"carillon/model"
)

const (
	// batchTime bounds one transaction, with all that is read for it.
	batchTime = 30 * time.Second
	// retryLanes is how many sends of a batch that failed are saved at the same
	// time, each in its own transaction.
	retryLanes = 4
	// jobTries is how often one send is tried: a user may be deleted, or a key
	// be taken by another process, between reading and writing. Once is the
	// rule; users who come and go in a loop take more.
	jobTries = 8
)

// prepare reads what the jobs need, set-wise, and plans. Jobs that an earlier
// call or a refusal settles are settled then; the others are ready to be
// saved. The error, if any, is about all of them.
func (s *Service) prepare(ctx context.Context, jobs []*job) error {
	if err := s.recall(ctx, jobs); err != nil {
		return err
	}
	open := unsettled(jobs)
	q := model.RecipientQuery{}
	categories := make(map[model.CategoryID]bool)
	for _, j := range open {
		q.Keys = append(q.Keys, j.keys()...)
		q.Addresses = q.Addresses || j.wantPlan && j.plan.needsAddresses()
		if c := j.category; c != nil && !categories[c.ID] {
			categories[c.ID] = true
			q.Categories = append(q.Categories, c.ID)
		}
	}
	if len(open) == 0 {
		return nil
	}
	found, err := s.Store.Recipients(ctx, q)
	if err != nil {
		return err
	}
	if err := s.reach(ctx, reachOf(open, found)); err != nil {
		return err
	}
	now, n := s.now(), 0
	for _, j := range open {
		j.work(found[:j.weight()], now)
		found = found[j.weight():]
		if !j.settled() && !j.req.DryRun {
			n += j.idsNeeded()
		}
	}
	if n == 0 {
		return nil
	}
	ids, err := s.Store.NewIDs(ctx, n)
	if err != nil {
		return err
	}
	for _, j := range open {
		if !j.settled() && !j.req.DryRun {
			ids = j.number(ids, &s.requestIDs)
		}
	}
	return nil
}

// recall settles the jobs whose idempotency key has been used.
func (s *Service) recall(ctx context.Context, jobs []*job) error {
	var (
		keyed []*job
		keys  []model.ScopedOnce
	)
	for _, j := range jobs {
		j.missing, j.strangers, j.err = nil, false, nil
		if o := j.once(); o.Set() {
			keyed, keys = append(keyed, j), append(keys, model.ScopedOnce{Env: j.env.ID, Once: o})
		}
	}
	if len(keys) == 0 {
		return nil
	}
	replays, err := s.Store.SendReplays(ctx, keys)
	if err != nil {
		return err
	}
	for i, r := range replays {
		keyed[i].err = r.Err
		if r.Result != nil {
			keyed[i].replayed, keyed[i].pending.Result = true, *r.Result
		}
	}
	return nil
}

// run carries jobs to their end in one transaction or, when that fails and
// certainly left nothing behind, each in its own: then a bad send fails alone.
func (s *Service) run(jobs []*job) {
	ctx, cancel := context.WithTimeout(context.Background(), batchTime)
	defer cancel()
	err := s.attempt(ctx, jobs)
	waited := len(jobs) == 1 && model.KindOf(err) == model.KindKeyInProgress // long enough
	if errors.Is(err, model.ErrNotSaved) && !waited {
		s.runApart(ctx, jobs, err)
		return
	}
	for _, j := range jobs {
		j.end(err)
	}
}

// runApart carries the jobs of a batch that failed with err to their end one
// by one, a few at a time: one that waits for a lock does not hold up the
// others. Due sends keep their order.
func (s *Service) runApart(ctx context.Context, jobs []*job, err error) {
	lanes := retryLanes
	if jobs[0].due != nil {
		lanes = 1
	}
	if len(jobs) > 1 {
		s.log().InfoContext(ctx, "saving sends together failed; saving them one by one", "sends", len(jobs), "error", err)
	}
	left := make(chan *job, len(jobs))
	for _, j := range jobs {
		left <- j
	}
	close(left)
	var wg sync.WaitGroup
	for range min(lanes, len(jobs)) {
		wg.Go(func() {
			for j := range left {
				j.end(s.runAlone(ctx, j))
			}
		})
	}
	wg.Wait()
}

// runAlone carries one job to its end, unless it returns an error.
func (s *Service) runAlone(ctx context.Context, j *job) error {
	for try := 1; ; try++ {
		if j.settled() {
			return nil
		}
		err := s.attempt(ctx, []*job{j})
		if k := model.KindOf(err); try == jobTries || !errors.Is(err, model.ErrNotSaved) || k == model.KindUnavailable || k == model.KindKeyInProgress {
			return err
		}
	}
}

// attempt prepares the jobs, saves them in one transaction and publishes what
// it changed.
func (s *Service) attempt(ctx context.Context, jobs []*job) error {
	if err := s.prepare(ctx, jobs); err != nil {
		return err
	}
	open := unsettled(jobs)
	if len(open) == 0 {
		return nil
	}
	pending := make([]model.PendingSend, len(open))
	for i, j := range open {
		pending[i] = j.pending
	}
	since := s.now()
	saved, changes, err := s.Store.SaveSends(ctx, pending)
	if err != nil {
		return err
	}
	hints := make([]model.Hint, 0, len(changes))
	for _, c := range changes {
		hints = append(hints, c.Hint())
	}
	for i, j := range open {
		j.lost = saved[i].Lost
		j.pending = j.pending.Without(saved[i].Twice)
		if j.pending.Send.Status == model.SendExpanding {
			s.large.ring()
		}
		if j.due != nil && !j.lost {
			hints = append(hints, progressHint(j.pending.Send))
		}
	}
	delivered := deliveryHints(pending, since)
	if hints = append(hints, delivered...); len(hints) > 0 {
		s.Live.Publish(ctx, hints...)
	}
	if len(delivered) > 0 {
		s.wakeDelivery()
	}
	return nil
}

// deliveryHints tell of the environments in which sends made deliveries.
func deliveryHints(sends []model.PendingSend, since time.Time) (hints []model.Hint) {
	for i := range sends {
		hint := model.DeliveriesHint(sends[i].Send.EnvID, since)
		if len(sends[i].Deliveries) > 0 && !slices.Contains(hints, hint) {
			hints = append(hints, hint)
		}
	}
	return hints
}

func unsettled(jobs []*job) []*job {
	out := make([]*job, 0, len(jobs))
	for _, j := range jobs {
		if !j.settled() {
			out = append(out, j)
		}
	}
	return out
}

// end lets go of a job: it is settled, or failed with err. Nobody but its
// caller touches it afterwards.
func (j *job) end(err error) {
	if err != nil && !j.settled() {
		j.err = err
	}
	if j.done != nil {
		close(j.done)
	}
}
