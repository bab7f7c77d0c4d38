package notify

import (
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
	// maxInFlight is how many batches are worked on at the same time.
	maxInFlight = 1
)

// committer holds the sends that wait for a transaction. It has no goroutine
// while nothing waits.
type committer struct {
	mu       sync.Mutex
	queue    []*job
	keys     map[scopedKey]bool // idempotency keys that are being worked on
	inFlight int
	closed   bool
	idle     chan struct{} // made by Close; closed when nothing is in flight
}

// submit has a job saved with others that wait, and returns when it is
// settled. A job whose context ends while it still waits is withdrawn.
func (s *Service) submit(ctx context.Context, j *job) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j.done = make(chan struct{})
	if err := s.enqueue(j); err != nil {
		return err
	}
	select {
	case <-j.done:
	case <-ctx.Done():
		if s.committer.withdraw(j) {
			return ctx.Err()
		}
		<-j.done // it has begun: only the database can say how it ends
	}
	return j.err
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
	if c.inFlight < maxInFlight {
		c.inFlight++
		go s.commit()
	}
	return nil
}

// commit works through the queue until nothing is left of it for this
// goroutine.
func (s *Service) commit() {
	var batch []*job
	for {
		batch = s.committer.next(batch)
		if len(batch) == 0 {
			return
		}
		s.run(batch)
		for _, j := range batch {
			close(j.done)
		}
	}
}

// next gives back the keys of the last batch and takes the next one from the
// front of the queue. A job whose idempotency key is being worked on stays
// where it is: the batch after will find its result. With nothing to take,
// one less is in flight.
func (c *committer) next(last []*job) []*job {
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
	if len(batch) == 0 {
		c.inFlight--
		c.signalIdle()
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

func (c *committer) signalIdle() {
	if c.idle != nil && c.inFlight == 0 {
		close(c.idle)
		c.idle = nil
	}
}

// Close refuses further sends and returns when those that wait have been
// saved.
func (s *Service) Close() {
	c := &s.committer
	c.mu.Lock()
	c.closed = true
	idle := make(chan struct{})
	if c.inFlight == 0 {
		close(idle)
	} else if c.idle == nil {
		c.idle = idle
	} else {
		idle = c.idle
	}
	c.mu.Unlock()
	<-idle
}

// Waiting is how many sends wait for their transaction.
func (s *Service) Waiting() int {
	s.committer.mu.Lock()
	defer s.committer.mu.Unlock()
	return len(s.committer.queue)
}
