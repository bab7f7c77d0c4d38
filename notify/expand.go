package notify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"carillon/model"
)

const (
	// chunkTime bounds what is done for one chunk.
	chunkTime = 30 * time.Second
	// settleTime bounds what brings the segments of a send up to date before
	// its first chunk.
	settleTime = 10 * time.Minute
	// maxYield is how long an expander stands back at most, after a chunk, for
	// sends that wait.
	maxYield = 250 * time.Millisecond
	// shrink is by how much the next chunk of a send is smaller when one
	// failed: so, step by step, the recipient is found who makes it fail, or the
	// size that the database can do in time.
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
	last    model.SendID            // whose chunk was the last one
	lastEnv model.EnvID             // whose turn it was
	ids     []int64                 // taken and not used yet
	busy    []model.SendID          // at which another worker was
	trouble map[model.SendID]ailing // whose chunks fail
	env     model.Environment       // of the last chunk
	envAt   time.Time               // when it was read
	ahead   *ahead                  // what is read already; nil: nothing
}

// ailing is a send whose last chunk failed.
type ailing struct {
	until time.Time // when to try again
	size  int       // of the next chunk
	alone bool      // one recipient's chunk failed: they are given up the next time
}

// step works on one chunk and reports whether there may be another one. The
// workers of a process keep away from each other's sends: two at one would read
// everything twice, and each chunk of one of them would be for nothing.
func (e *expander) step(ctx context.Context) (worked bool, err error) {
	next, found, err := e.Store.NextExpansion(ctx, e.lastEnv, e.passedOver())
	if err != nil || !found {
		e.busy = nil
		return false, err
	}
	id, began := next.Send.ID, time.Now()
	if !e.expanding.enter(id, next.Reached) {
		return true, nil // somebody was there a moment ago: it is read anew, or passed over
	}
	defer e.expanding.leave(id)
	saved, err := e.expand(ctx, next)
	switch {
	case ctx.Err() != nil:
		return false, ctx.Err()
	case err != nil:
		e.fail(ctx, next.Send, err)
	case !saved:
		e.busy = append(e.busy, id)
		delete(e.trouble, id)
	default:
		e.last, e.lastEnv, e.busy = id, next.Send.EnvID, nil
		e.healthy(id, time.Since(began))
	}
	return true, nil
}

// passedOver lists the sends that are left alone for now.
func (e *expander) passedOver() []model.SendID {
	out := slices.Concat(e.expanding.list(), e.busy)
	for id, t := range e.trouble {
		if time.Now().Before(t.until) {
			out = append(out, id)
		}
	}
	return out
}

// expand serves the next chunk of a send, and publishes what it changed.
func (e *expander) expand(ctx context.Context, x model.Expansion) (saved bool, err error) {
	if x.Send.Progress.Total < 0 {
		if err := e.settleFirst(ctx, x); err != nil {
			return false, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, chunkTime)
	defer cancel()
	for try := 1; ; try++ {
		c, err := e.chunk(ctx, x)
		if err != nil {
			return false, err
		}
		since := e.now()
		saved, changes, err := e.Store.SaveChunk(ctx, c)
		if err == nil {
			if saved {
				e.ids = e.ids[len(c.Notifications):]
				e.expanding.came(c.Send.ID, c.Reached, c.Send.Status != model.SendExpanding)
				e.tell(ctx, c.Send, changes)
				if len(c.Deliveries) > 0 {
					e.Live.Publish(ctx, model.DeliveriesHint(c.Send.EnvID, since))
					e.wakeDelivery()
				}
			}
			return saved, nil
		}
		e.ids, e.ahead = nil, nil // the ids may have been used
		if try == chunkTries || !certain(err) {
			return false, err
		}
	}
}

// settleFirst has the segments of a send be as users are now. It has a time of
// its own: a rule that is evaluated over everyone may need longer than a chunk.
func (e *expander) settleFirst(ctx context.Context, x model.Expansion) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	return e.settle(ctx, x.Send.EnvID, x.Audience.Segments)
}

// certain reports whether an error says for sure that trying again cannot do
// harm: nothing was saved, and not for want of a database.
func certain(err error) bool {
	return errors.Is(err, model.ErrNotSaved) && model.KindOf(err) != model.KindUnavailable
}

// chunk reads who is next and decides for them.
func (e *expander) chunk(ctx context.Context, x model.Expansion) (c model.Chunk, err error) {
	c = model.Chunk{Send: x.Send, After: x.Reached, Reached: x.Reached, Named: x.Audience.Users}
	env, category, err := e.surroundings(ctx, x.Send)
	if err != nil {
		return c, err
	}
	plan := newPlanner(env, x.Send.Channels, category, model.SendOptions{})
	if len(plan.carries) > 0 || x.Send.Content.Personal != 0 {
		options, err := e.Store.SendOptions(ctx, x.Send.EnvID, []model.SendID{x.Send.ID})
		if err != nil {
			return c, err
		}
		plan.options = options[x.Send.ID]
	}
	q := model.AudienceQuery{
		Env: x.Send.EnvID, Audience: x.Audience, MadeUntil: madeUntil(x), Addresses: plan.weighsAddresses() && len(plan.carries) == 0,
		After: x.Reached, Limit: e.size(x.Send),
	}
	if category != nil {
		q.Categories = []model.CategoryID{category.ID}
	}
	m := &c.Send
	if m.Progress.Total < 0 {
		n, err := e.Store.AudienceSize(ctx, q)
		if err != nil {
			return c, err
		}
		m.Progress.Total = n + m.Progress.Skipped
	}
	if expires := m.ExpiresAt; !expires.IsZero() && !expires.After(e.now()) {
		m.Progress.Skipped = max(m.Progress.Skipped, m.Progress.Total-m.Progress.Done-m.Progress.Failed)
		finish(m)
		return c, nil
	}
	part, texts, err := e.readPersonal(ctx, x.Send, plan.options, q)
	if err != nil {
		return c, err
	}
	if err := e.decide(ctx, &c, part, plan, texts); err != nil {
		return c, err
	}
	if part.More {
		e.readAhead(ctx, x.Send.ID, q, part.Last)
	} else {
		finish(m)
	}
	return c, nil
}

// madeUntil is when the last user was made who is part of everyone.
func madeUntil(x model.Expansion) time.Time {
	if until := x.Audience.Until; until != nil {
		return *until
	}
	return x.Send.CreatedAt // accepted by a release that did not note it
}

// decide makes the notifications of a part, and counts.
func (e *expander) decide(ctx context.Context, c *model.Chunk, part model.AudiencePart, plan planner, texts map[model.UserID]model.TemplateText) (err error) {
	if part.Last != 0 {
		c.Reached = part.Last
	}
	m := &c.Send
	p := &m.Progress
	p.Skipped += part.Absent
	if e.trouble[m.ID].alone {
		p.Failed += int64(len(part.Recipients))
		return nil
	}
	if len(plan.carries) > 0 {
		wanted := make([]reaching, len(part.Recipients))
		for i := range wanted {
			wanted[i] = reaching{recipient: &part.Recipients[i], env: m.EnvID, to: plan.options.Destinations}
		}
		if err := e.reach(ctx, wanted); err != nil {
			return err
		}
	}
	ids, err := e.take(ctx, len(part.Recipients))
	if err != nil {
		return err
	}
	content := m.Content // on its own, so that streams keep it and not the chunk
	c.Notifications = make([]model.Notification, len(part.Recipients))
	for i, r := range part.Recipients {
		inInbox, reason, reached := plan.decide(r)
		if reached {
			p.Done++
		} else {
			p.Skipped++
		}
		says := &content
		if own, rendered := texts[r.ID]; rendered {
			says = content.For(own)
		}
		c.Notifications[i] = model.Notification{
			ID: model.NotificationID(ids[i]), EnvID: m.EnvID, UserID: r.ID, SendID: m.ID, CategoryID: m.CategoryID, Content: says,
			InInbox: inInbox, Reason: reason, SortAt: m.FiredAt, CreatedAt: m.FiredAt, ExpiresAt: m.ExpiresAt,
		}
		for _, d := range plan.deliveries(r, &c.Notifications[i]) {
			d.ID, d.NotificationID, d.SendID = model.DeliveryID(e.requestIDs.New()), c.Notifications[i].ID, m.ID
			c.Deliveries = append(c.Deliveries, d)
		}
	}
	p.Total = max(p.Total, p.Done+p.Skipped+p.Failed)
	return nil
}

// finish ends a send: who was counted and has left since is not missed.
func finish(m *model.Send) {
	m.Status = model.SendSent
	m.Progress.Total = m.Progress.Done + m.Progress.Skipped + m.Progress.Failed
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

// take returns n ids, which stay in e.ids until they are used.
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

// tell publishes what a chunk changed.
func (e *expander) tell(ctx context.Context, m model.Send, changes []*model.InboxChange) {
	hints := make([]model.Hint, 0, len(changes)+1)
	for _, c := range changes {
		hints = append(hints, c.Hint())
	}
	e.Live.Publish(ctx, append(hints, progressHint(m))...)
}
