package live

import (
	"context"
	"hash/maphash"
	"log/slog"
	"sync"
	"time"

	"carillon/model"
)

// Config says what a Hub works with.
type Config struct {
	Bus   Bus           // how other processes are told; nil: there are none
	Heads Heads         // what watched keys are compared with; nil: never
	Heal  time.Duration // time between comparisons; zero: DefaultHeal
	Log   *slog.Logger  // nil: slog.Default()
}

// Hub is where changes meet those who watch. One serves the whole process.
type Hub struct {
	bus      Bus
	heads    Heads
	interval time.Duration
	log      *slog.Logger

	watchers watchers
	outbox   outbox
	resync   chan struct{}
	count    counts
}

// NewHub makes a hub. It watches and delivers within this process at once;
// other processes are part of it while [Hub.Run] runs.
func NewHub(c Config) *Hub {
	h := &Hub{bus: c.Bus, heads: c.Heads, interval: c.Heal, log: c.Log}
	if h.bus == nil {
		h.bus = new(Memory).Bus()
	}
	if h.interval == 0 {
		h.interval = DefaultHeal
	}
	if h.log == nil {
		h.log = slog.Default()
	}
	h.watchers.seed = maphash.MakeSeed()
	h.outbox.wake = make(chan struct{}, 1)
	h.resync = make(chan struct{}, 1)
	return h
}

// Run connects the hub with other processes and heals, until ctx is done; what
// was published by then still goes out, unless the bus is slow. It is called
// once.
func (h *Hub) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { h.bus.Listen(ctx, (*incoming)(h)) })
	wg.Go(func() { h.send(ctx) })
	wg.Go(func() { h.healEvery(ctx) })
	wg.Wait()
}

// Publish offers the hints to the watchers in this process, before it returns,
// and leaves them for the other processes to be sent in the background. Call it
// after the commit that they tell of, never before.
//
// It never fails and never waits for a network. When the bus is away, or slower
// than hints are made, the other processes find out by comparing.
func (h *Hub) Publish(_ context.Context, hints ...model.Hint) {
	h.count.published.Add(int64(len(hints)))
	for _, hint := range hints {
		h.deliver(hint)
	}
	if left := h.outbox.put(hints); left > 0 {
		h.count.dropped.Add(int64(left))
	}
}

// Watch has w told of every hint of the key from now on. Read the database
// after calling it, not before: what is committed in between is then in the
// read, or in a hint, or in both.
//
// The returned function ends it, and may be called more than once, from
// anywhere, also from within Offer. Hints published after it has returned are
// not offered; one that another goroutine was just handing over may still be.
func (h *Hub) Watch(key model.LiveKey, w Watcher) (cancel func()) {
	r := &watch{hub: h, watcher: w, key: key}
	h.count.watchers.Add(1)
	if h.watchers.add(r) {
		h.count.keys.Add(1)
		h.bus.Watch(key)
	}
	return r.end
}

func (r *watch) end() {
	h := r.hub
	ended, last := h.watchers.remove(r)
	if ended {
		h.count.watchers.Add(-1)
	}
	if last {
		h.count.keys.Add(-1)
		h.bus.Unwatch(r.key)
	}
}

// Healthy reports whether hints of other processes are thought to arrive. While
// they do not, changes made elsewhere arrive within the healing interval.
func (h *Hub) Healthy() bool { return h.bus.Healthy() }

func (h *Hub) deliver(hint model.Hint) {
	if k, all := h.watchers.reach(hint); k != nil {
		h.count.offered.Add(int64(k.offer(hint, all)))
	}
}

// incoming is the hub as its bus sees it.
type incoming Hub

func (in *incoming) Watches(key model.LiveKey) bool { return in.watchers.has(key) }

func (in *incoming) Deliver(hint model.Hint) {
	in.count.received.Add(1)
	(*Hub)(in).deliver(hint)
}

func (in *incoming) Resync() {
	select {
	case in.resync <- struct{}{}:
	default: // one is due already
	}
}
