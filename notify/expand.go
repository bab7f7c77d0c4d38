package notify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"carillon/model"
)

const (
	// chunkTime bounds what is done for one chunk.
	chunkTime = 30 * time.Second
	// maxYield is how long an expander stands back at most, after a chunk, for
	// sends that wait.
	maxYield = 250 * time.Millisecond
	// shrink is by how much the next chunk of a send is smaller when one
	// failed: so, step by step, the recipient is found who makes it fail.
	shrink = 8
	// chunkTries is how often a chunk is tried at once: a user may be deleted
	// between being read and being written to.
	chunkTries = 3
	// fresh is how long an environment's settings are not read anew.
	fresh = time.Second
)

// ExpandAll works on large sends until nothing is left to be done for any,
// other than those whose chunks fail and those that other workers are at.
func (s *Service) ExpandAll(ctx context.Context) error {
	e := expander{Service: s}
	for {
		if worked, err := e.step(ctx); err != nil || !worked {
			return err
		}
	}
}

// runExpander expands large sends, chunk after chunk, until ctx is done.
func (s *Service) runExpander(ctx context.Context) {
	e := expander{Service: s}
	for ctx.Err() == nil {
		began := time.Now()
		switch worked, err := e.step(ctx); {
		case err != nil && ctx.Err() == nil:
			s.log().WarnContext(ctx, "looking for large sends", "error", err, "again_in", tick)
			wait(ctx, tick, nil)
		case worked:
			wait(ctx, s.yield(time.Since(began)), nil)
		default:
			wait(ctx, tick, s.large.rung())
		}
	}
}

// yield is how long to stand back after a chunk that took so long. Sends that
// wait go first, but leave a large one half of the time.
func (s *Service) yield(took time.Duration) time.Duration {
	if s.Waiting() == 0 {
		return 0
	}
	return min(took, maxYield)
}

// wait returns after d, when the bell is rung, or when ctx is done.
func wait(ctx context.Context, d time.Duration, bell <-chan struct{}) {
	if d == 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-bell:
	case <-timer.C:
	}
}

// expander is a worker that expands large sends: environments take turns, a
// chunk each. What it remembers makes it quicker or politer, but nothing is
// lost with it: the send's row says all.
type expander struct {
	*Service
	last    model.EnvID             // whose turn it was
	ids     []int64                 // taken and not used yet
	busy    []model.SendID          // at which another worker was
	trouble map[model.SendID]ailing // whose chunks fail
	env     model.Environment       // of the last chunk
	envAt   time.Time               // when it was read
}

// ailing is a send whose last chunk failed.
type ailing struct {
	until time.Time // when to try again
	size  int       // of the next chunk
	alone bool      // one recipient's chunk failed: they are given up the next time
}

// step works on one chunk and reports whether there may be another one.
func (e *expander) step(ctx context.Context) (worked bool, err error) {
	look, cancel := context.WithTimeout(ctx, lookTime)
	m, found, err := e.Store.NextExpansion(look, e.last, e.passedOver())
	cancel()
	if err != nil || !found {
		e.busy = nil
		return false, err
	}
	out, err := e.expand(ctx, m)
	switch {
	case ctx.Err() != nil:
		return false, ctx.Err()
	case err != nil:
		e.fail(ctx, m, err)
	case out.Lost:
		e.busy = append(e.busy, m.ID)
		delete(e.trouble, m.ID)
	default:
		e.last, e.busy = m.EnvID, nil
		e.healthy(m.ID)
		e.tell(ctx, out)
	}
	return true, nil
}

// passedOver lists the sends that are left alone for now.
func (e *expander) passedOver() []model.SendID {
	out := append([]model.SendID(nil), e.busy...)
	for id, t := range e.trouble {
		if time.Now().Before(t.until) {
			out = append(out, id)
		}
	}
	return out
}

// expand serves the next chunk of a send.
func (e *expander) expand(ctx context.Context, m model.Send) (out model.ChunkResult, err error) {
	ctx, cancel := context.WithTimeout(ctx, chunkTime)
	defer cancel()
	env, category, err := e.surroundings(ctx, m)
	if err != nil {
		return out, err
	}
	plan := newPlanner(env, m.Channels, category)
	c := model.Chunk{Env: m.EnvID, Send: m.ID, Addresses: plan.weighsAddresses(), Now: e.now()}
	if category != nil {
		c.Categories = []model.CategoryID{category.ID}
	}
	size := e.chunk()
	if t, ok := e.trouble[m.ID]; ok {
		size, c.GiveUp = t.size, t.alone
	}
	for try := 1; ; try++ {
		if c.IDs, err = e.take(ctx, size); err != nil {
			return out, err
		}
		out, err = e.Store.ExpandChunk(ctx, c, plan.decide)
		if err == nil {
			e.ids = e.ids[out.Used:]
			return out, nil
		}
		e.ids = nil // they may have been used
		if try == chunkTries || !certain(err) {
			return out, err
		}
	}
}

// certain reports whether an error says for sure that the same again would not
// harm: nothing was saved, and it was not for want of a database.
func certain(err error) bool {
	return errors.Is(err, model.ErrNotSaved) && model.KindOf(err) != model.KindUnavailable
}

// surroundings reads what a decision depends on besides the recipient, as it is
// now.
func (e *expander) surroundings(ctx context.Context, m model.Send) (env model.Environment, category *model.Category, err error) {
	if e.env.ID != m.EnvID || time.Since(e.envAt) > fresh {
		if e.env, err = e.Store.Environment(ctx, m.EnvID); err != nil {
			e.env = model.Environment{}
			return env, nil, fmt.Errorf("reading environment: %w", err)
		}
		e.envAt = time.Now()
	}
	env = e.env
	if m.CategoryID == 0 {
		return env, nil, nil
	}
	found, err := e.Catalog.CategoriesByID(ctx, m.EnvID, []model.CategoryID{m.CategoryID})
	if err != nil {
		return env, nil, fmt.Errorf("reading category: %w", err)
	}
	if c, ok := found[m.CategoryID]; ok {
		category = &c
	}
	return env, category, nil
}

func (e *expander) chunk() int {
	if e.Chunk == 0 {
		return DefaultChunk
	}
	return e.Chunk
}

// take returns n ids that are still to be taken off e.ids.
func (e *expander) take(ctx context.Context, n int) ([]int64, error) {
	if missing := n - len(e.ids); missing > 0 {
		more, err := e.Store.NewIDs(ctx, missing)
		if err != nil {
			return nil, err
		}
		e.ids = append(e.ids, more...)
	}
	return e.ids[:n], nil
}

// fail notes that a chunk of a send failed, and has it try again in a moment
// with fewer recipients.
func (e *expander) fail(ctx context.Context, m model.Send, err error) {
	t, known := e.trouble[m.ID]
	if !known {
		t.size = e.chunk()
	}
	if certain(err) {
		t.alone = t.size == 1
		t.size = max(1, t.size/shrink)
	}
	t.until = time.Now().Add(tick)
	if e.trouble == nil {
		e.trouble = make(map[model.SendID]ailing)
	}
	e.trouble[m.ID] = t
	e.log().ErrorContext(ctx, "expanding a send", "env", m.EnvID, "send", m.ID, "error", err, "again_in", tick)
}

// healthy notes that a chunk of a send succeeded.
func (e *expander) healthy(id model.SendID) {
	t, known := e.trouble[id]
	if !known {
		return
	}
	if t.size *= shrink; t.size >= e.chunk() {
		delete(e.trouble, id)
		return
	}
	t.alone, t.until = false, time.Time{}
	e.trouble[id] = t
}

// tell publishes what a chunk changed.
func (e *expander) tell(ctx context.Context, out model.ChunkResult) {
	hints := make([]model.Hint, 0, len(out.Changes)+1)
	for _, c := range out.Changes {
		hints = append(hints, c.Hint())
	}
	e.Live.Publish(ctx, append(hints, progressHint(out.Send))...)
}
