package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"carillon/internal/lab"
)

// marked is an item that one marker alone marks, and what it must be by what
// the marker was told.
type marked struct {
	user, id       string
	of             string // the key of its send
	read, archived bool
}

// marker marks what its sender has sent, with idempotency keys, and sends some
// of the marks again.
type marker struct {
	load   *load
	random *rand.Rand
	items  []*marked
	n      int
	before []markPromise
}

// markPromise is a mark that was acknowledged.
type markPromise struct {
	user, as, key, position string
	ids                     []string
}

// mark marks what a user got of a send, together with some of what the same
// user got before, or sends a mark of before once more.
func (m *marker) mark(ctx context.Context, p promise) error {
	l := m.load
	if len(m.before) > 0 && m.random.IntN(10) == 0 {
		return m.replay(ctx, m.before[m.random.IntN(len(m.before))])
	}
	user := p.to[m.random.IntN(len(p.to))]
	item := &marked{user: user, of: p.key}
	err := l.again(ctx, func(c *lab.Client) (err error) {
		item.id, err = c.NotificationOf(ctx, p.id, user)
		return err
	})
	if err != nil {
		return err
	}
	m.items = append(m.items, item)
	some := []*marked{item}
	for range 3 {
		if other := m.items[m.random.IntN(len(m.items))]; other.user == user && !slices.Contains(some, other) {
			some = append(some, other)
		}
	}
	m.n++
	done := markPromise{user: user, as: markStates[m.random.IntN(len(markStates))], key: fmt.Sprintf("m-%s-%d", p.key, m.n)}
	for _, i := range some {
		done.ids = append(done.ids, i.id)
	}
	if done.position, _, err = m.insist(ctx, done); err != nil {
		return err
	}
	for _, i := range some {
		i.become(done.as)
	}
	m.before = append(m.before, done)
	l.marks.Add(1)
	return nil
}

var markStates = []string{"SEEN", "READ", "UNREAD", "ARCHIVED", "UNARCHIVED", "UNSEEN", "INTERACTED"}

// become is what a mark makes of an item.
func (i *marked) become(as string) {
	switch as {
	case "READ", "INTERACTED":
		i.read = true
	case "UNREAD", "UNSEEN":
		i.read = false
	case "ARCHIVED", "UNARCHIVED":
		i.archived = as == "ARCHIVED"
	}
}

func (m *marker) insist(ctx context.Context, p markPromise) (position string, replayed bool, err error) {
	err = m.load.again(ctx, func(c *lab.Client) error {
		position, replayed, err = c.Mark(ctx, p.user, p.ids, p.as, p.key)
		return err
	})
	return position, replayed, err
}

// replay sends what was acknowledged once more: the answer must be the same.
func (m *marker) replay(ctx context.Context, p markPromise) error {
	position, replayed, err := m.insist(ctx, p)
	if err != nil {
		return err
	}
	if position != p.position || !replayed {
		return fmt.Errorf("the mark %s was acknowledged at %s, and answered at %s (replayed %t) when sent again", p.key, p.position, position, replayed)
	}
	m.load.replays.Add(1)
	return nil
}

// verifyMarks compares what markers were told with the inboxes.
func (l *load) verifyMarks(ctx context.Context, perhaps map[string]bool) error {
	have := map[string]lab.Item{}
	for _, u := range l.users {
		inbox, err := l.client().Inbox(ctx, u, true)
		if err != nil {
			return err
		}
		for _, n := range inbox.Items {
			have[n.ID] = n
		}
	}
	var errs []error
	for _, i := range l.marked {
		if perhaps[i.of] {
			continue
		}
		if n, ok := have[i.id]; !ok || (n.ReadAt != "") != i.read || (n.ArchivedAt != "") != i.archived {
			errs = append(errs, fmt.Errorf("%s was acknowledged as %+v, and is %+v", i.id, *i, n))
		}
	}
	return errors.Join(errs...)
}
