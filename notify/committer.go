package notify

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"carillon/model"
)

const (
	// maxBatch is how many sends share a transaction.
	maxBatch = 64
	// maxBatchRecipients is how many recipients they may have together, unless
	// one send alone has more.
	maxBatchRecipients = 2000
	// maxLanes is how many batches are worked on at the same time when all of
	// them are slow, such as when they wait for an inbox that is locked.
	maxLanes = 4
	// outcomeGrace is how long a caller whose time is up still waits for a
	// transaction that has begun, so as to learn how it ends.
	outcomeGrace = 500 * time.Millisecond
)

// committer holds the sends that wait for a transaction. It has no goroutine
// while nothing waits.
type committer struct {
	mu     sync.Mutex
	queue  []*job
	keys   map[scopedKey]bool // idempotency keys that are being worked on
	lanes  []*lane
	closed bool
	idle   chan struct{} // made by Close; closed when the last lane ends
}

// lane is a goroutine that works through the queue, batch after batch.
type lane struct {
	since time.Time // when its batch began
}

// submit has a job saved with others that wait, and returns when it is
// settled. A job whose context ends while it still waits is withdrawn. With an
// error nothing of the job may be read.
func (s *Service) submit(ctx context.Context, j *job) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j.done = make(chan struct{})
	if err := s.enqueue(j); err != nil {
		return err
	}
	patience := time.NewTimer(s.patience())
	defer patience.Stop()
	var inProgress <-chan time.Time // never, without a key
	if _, keyed := j.key(); keyed {
		timer := time.NewTimer(cmp.Or(s.KeyPatience, DefaultKeyPatience))
		defer timer.Stop()
		inProgress = timer.C
	}
	for {
		select {
		case <-j.done:
			return j.err
		case <-patience.C:
			s.open()
			patience.Reset(s.patience())
		case <-inProgress:
			if s.committer.giveWay(j) {
				return model.ErrKeyInProgress()
			}
		case <-ctx.Done():
			if s.committer.withdraw(j) {
				return ctx.Err()
			}
			return j.outcome(ctx)
		}
	}
}

// outcome is how a job ends whose transaction had begun when its context ended:
// what the database says or, when it does not say so soon, that it is not
// known. The job then belongs to its lane; nothing of it may be read.
func (j *job) outcome(ctx context.Context) error {
	grace := time.NewTimer(outcomeGrace)
	defer grace.Stop()
	select {
	case <-j.done:
		return j.err
	case <-grace.C:
		return &model.Error{
			Kind: model.KindUnavailable, RetryAfter: time.Second, Err: ctx.Err(),
			Message: "the database did not answer in time; whether the send was saved is not known: try again, with the same idempotency key",
		}
	}
}

func (s *Service) enqueue(j *job) error {
	c := &s.committer
	limit := s.MaxQueue
	if limit == 0 {
		limit = DefaultQueue
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return &model.Error{Kind: model.KindUnavailable, Message: "the server is shutting down; try again, with the same idempotency key", RetryAfter: time.Second}
	case len(c.queue) >= limit:
		return &model.Error{Kind: model.KindUnavailable, Message: "too many sends are waiting; try again in a moment", RetryAfter: time.Second}
	}
	c.queue = append(c.queue, j)
	s.openLocked()
	return nil
}

func (s *Service) patience() time.Duration {
	if s.Patience == 0 {
		return DefaultPatience
	}
	return s.Patience
}

// open opens a lane when what waits should not wait for those there are.
func (s *Service) open() {
	s.committer.mu.Lock()
	defer s.committer.mu.Unlock()
	s.openLocked()
}

func (s *Service) openLocked() {
	c := &s.committer
	now := time.Now()
	quick := func(l *lane) bool { return now.Sub(l.since) < s.patience() }
	if len(c.queue) == 0 || len(c.lanes) == maxLanes || slices.ContainsFunc(c.lanes, quick) {
		return
	}
	l := &lane{since: now}
	c.lanes = append(c.lanes, l)
	go s.commit(l)
}

// commit works through the queue until nothing is left of it for this lane.
func (s *Service) commit(l *lane) {
	var batch []*job
	for {
		batch = s.committer.next(l, batch)
		if len(batch) == 0 {
			return
		}
		s.run(batch)
	}
}

// next gives back the keys of the lane's last batch and takes the next one
// from the front of the queue. A job whose idempotency key is being worked on
// stays where it is: the batch after will find its result. With nothing to
// take the lane is closed.
func (c *committer) next(l *lane, last []*job) []*job {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, j := range last {
		if k, keyed := j.key(); keyed {
			delete(c.keys, k)
		}
	}
	var batch, rest []*job
	weight := 0
	for i, j := range c.queue {
		if len(batch) == maxBatch || len(batch) > 0 && weight+j.weight() > maxBatchRecipients {
			rest = append(rest, c.queue[i:]...)
			break
		}
		if k, keyed := j.key(); keyed {
			if c.keys[k] {
				rest = append(rest, j)
				continue
			}
			if c.keys == nil {
				c.keys = make(map[scopedKey]bool)
			}
			c.keys[k] = true
		}
		batch = append(batch, j)
		weight += j.weight()
	}
	c.queue = rest
	l.since = time.Now()
	if len(batch) == 0 {
		c.lanes = slices.DeleteFunc(c.lanes, func(o *lane) bool { return o == l })
		if c.idle != nil && len(c.lanes) == 0 {
			close(c.idle)
			c.idle = nil
		}
	}
	return batch
}

// withdraw takes a job out of the queue and reports whether it still was
// there.
func (c *committer) withdraw(j *job) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.queue, j)
	if i < 0 {
		return false
	}
	c.queue = slices.Delete(c.queue, i, i+1)
	return true
}

// giveWay takes a job out of the queue whose idempotency key is being worked
// on, and reports whether that was so.
func (c *committer) giveWay(j *job) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, _ := j.key()
	i := slices.Index(c.queue, j)
	if i < 0 || !c.keys[k] {
		return false
	}
	c.queue = slices.Delete(c.queue, i, i+1)
	return true
}

// Close refuses further sends and returns when those that wait have been
// saved.
func (s *Service) Close() {
	c := &s.committer
	c.mu.Lock()
	c.closed = true
	if c.idle == nil && len(c.lanes) > 0 {
		c.idle = make(chan struct{})
	}
	idle := c.idle
	c.mu.Unlock()
	if idle != nil {
		<-idle
	}
}

// Waiting is how many sends wait for their transaction.
func (s *Service) Waiting() int {
	s.committer.mu.Lock()
	defer s.committer.mu.Unlock()
	return len(s.committer.queue)
}
