package live

import (
	"context"
	"slices"
	"sync"

	"carillon/model"
)

// Memory is a bus within one process. Each [Memory.Bus] is one party on it; a
// server alone has just one, and nobody to tell. Hints are handed over as they
// are, with the pointers in them, by the goroutine that publishes.
//
// The zero Memory is ready to use.
type Memory struct {
	mu      sync.RWMutex
	members []*member // replaced, never changed in place
}

// Bus adds a party.
func (m *Memory) Bus() Bus { return &member{medium: m} }

type member struct {
	medium *Memory
	to     Listener // set before the member joins
}

func (b *member) Publish(_ context.Context, hints []model.Hint) error {
	b.medium.mu.RLock()
	members := b.medium.members
	b.medium.mu.RUnlock()
	for _, other := range members {
		if other == b {
			continue
		}
		for _, h := range hints {
			if other.to.Watches(h.Key) {
				other.to.Deliver(h)
			}
		}
	}
	return nil
}

func (b *member) Listen(ctx context.Context, to Listener) {
	b.to = to
	b.medium.change(func(all []*member) []*member { return append(all, b) })
	to.Resync()
	<-ctx.Done()
	b.medium.change(func(all []*member) []*member {
		return slices.DeleteFunc(all, func(other *member) bool { return other == b })
	})
}

func (m *Memory) change(edit func([]*member) []*member) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.members = edit(slices.Clone(m.members))
}

// Watch has nothing to do: who watches what is asked at each hint.
func (*member) Watch(model.LiveKey) {}

// Unwatch has nothing to do either.
func (*member) Unwatch(model.LiveKey) {}

// Healthy is always true: there is no link that could break.
func (*member) Healthy() bool { return true }
