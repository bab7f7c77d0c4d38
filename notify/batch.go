package notify

import (
	"context"
	"errors"
	"time"

	"carillon/model"
)

const (
	// batchTime bounds one transaction, with all that is read for it.
	batchTime = 30 * time.Second
	// retryTime bounds the retries of a batch that failed, one by one.
	retryTime = 10 * time.Second
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
	if len(q.Keys) == 0 {
		return nil
	}
	found, err := s.Store.Recipients(ctx, q)
	if err != nil {
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
			ids = j.number(ids, s.requestIDs.UUID)
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
		j.missing, j.err = nil, nil
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
	if err == nil {
		return
	}
	if !errors.Is(err, model.ErrNotSaved) {
		fail(jobs, err)
		return
	}
	if len(jobs) > 1 {
		s.log().InfoContext(ctx, "saving sends together failed; saving them one by one", "sends", len(jobs), "error", err)
	}
	budget, stop := context.WithTimeout(ctx, retryTime)
	defer stop()
	for _, j := range unsettled(jobs) {
		if budget.Err() != nil {
			fail([]*job{j}, err)
			continue
		}
		s.runAlone(ctx, j)
	}
}

// runAlone carries one job to its end.
func (s *Service) runAlone(ctx context.Context, j *job) {
	for try := 1; ; try++ {
		err := s.attempt(ctx, []*job{j})
		if err == nil {
			return
		}
		if try == jobTries || !errors.Is(err, model.ErrNotSaved) || model.KindOf(err) == model.KindUnavailable {
			fail([]*job{j}, err)
			return
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
		if j.due != nil && !j.lost {
			hints = append(hints, progressHint(j.pending.Send))
		}
	}
	if len(hints) > 0 {
		s.Live.Publish(ctx, hints...)
	}
	return nil
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

func fail(jobs []*job, err error) {
	for _, j := range unsettled(jobs) {
		j.err = err
	}
}
