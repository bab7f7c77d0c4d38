package auth

import (
	"context"
	"errors"
	"sync"
	"time"

	"carillon/model"
)

const (
	// cacheFor is how long a look-up is believed, and so how late another
	// process notices a revocation or a deletion at worst.
	cacheFor = 2 * time.Second
	// missFor is the same for what was not found.
	missFor = 500 * time.Millisecond
	// lookUpWithin is how long the database may take for one look-up: a
	// database that hangs must not hold a request for as long as it does.
	lookUpWithin = 5 * time.Second
	// evictTries bounds the work of making room.
	evictTries = 16
)

// cache remembers what was found for a short time. It is bounded: when full, an
// old or any entry goes. It is safe for concurrent use.
type cache[K comparable, V any] struct {
	max     int
	missFor time.Duration // zero: misses are not remembered

	mu         sync.Mutex
	entries    map[K]*entry[V]
	loading    map[K]*load[V]
	generation uint64 // grows when something is forgotten
}

// load is a look-up under way, for all who ask meanwhile.
type load[V any] struct {
	done  chan struct{} // closed when the rest is there
	value V
	err   error
}

type entry[V any] struct {
	value V
	err   error // a KindNotFound; else nil
	until time.Time
	used  bool // since inUse was last called
}

func newCache[K comparable, V any](max int, missFor time.Duration) *cache[K, V] {
	return &cache[K, V]{max: max, missFor: missFor, entries: map[K]*entry[V]{}, loading: map[K]*load[V]{}}
}

// peek returns what is remembered of key.
func (c *cache[K, V]) peek(now time.Time, key K) (entry[V], bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[key]
	if !ok || !now.Before(e.until) {
		return entry[V]{}, false
	}
	e.used = true
	return *e, true
}

// get returns what is remembered of key, or what find finds within lookUpWithin.
// Those who ask for the same at once share one look-up: else a server that has
// just started, or a credential that everybody uses, would ask the database as
// often as it is asked. Of errors only KindNotFound is remembered.
func (c *cache[K, V]) get(ctx context.Context, now time.Time, key K, find func(context.Context) (V, error)) (V, error) {
	if e, ok := c.peek(now, key); ok {
		return e.value, e.err
	}
	c.mu.Lock()
	l, shared := c.loading[key]
	if !shared {
		l = &load[V]{done: make(chan struct{})}
		c.loading[key] = l
	}
	generation := c.generation
	c.mu.Unlock()
	if !shared {
		c.load(context.WithoutCancel(ctx), now, key, l, generation, find)
	}
	select {
	case <-l.done:
		return l.value, l.err
	case <-ctx.Done():
		var none V
		return none, ctx.Err()
	}
}

// errCutShort is what those get who share a look-up that panics.
var errCutShort = errors.New("the look-up was cut short")

// load looks key up, and remembers what it finds. It goes on when the one who
// asked first has gone: others wait for it.
func (c *cache[K, V]) load(ctx context.Context, now time.Time, key K, l *load[V], generation uint64, find func(context.Context) (V, error)) {
	ctx, cancel := context.WithTimeout(ctx, lookUpWithin)
	defer cancel()
	defer c.loaded(key, l)
	l.err = errCutShort
	l.value, l.err = find(ctx)
	keep := cacheFor
	switch {
	case model.KindOf(l.err) == model.KindNotFound:
		keep = c.missFor
	case l.err != nil:
		keep = 0
	}
	if keep > 0 {
		c.put(now, key, &entry[V]{value: l.value, err: l.err, until: now.Add(keep), used: true}, generation)
	}
}

// loaded tells those who share a look-up that it has ended.
func (c *cache[K, V]) loaded(key K, l *load[V]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loading[key] == l {
		delete(c.loading, key)
	}
	close(l.done)
}

func (c *cache[K, V]) current() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.generation
}

// put remembers e, unless something was forgotten since generation: what was
// read before may be what was to be forgotten.
func (c *cache[K, V]) put(now time.Time, key K, e *entry[V], generation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if generation != c.generation {
		return
	}
	if _, ok := c.entries[key]; !ok && len(c.entries) >= c.max {
		c.makeRoom(now)
	}
	c.entries[key] = e
}

func (c *cache[K, V]) makeRoom(now time.Time) {
	var tried int
	for k, e := range c.entries { // in no order, which is what is wanted
		if tried == 0 || !now.Before(e.until) {
			delete(c.entries, k)
		}
		if tried++; tried == evictTries {
			return
		}
	}
}

// forget drops what match selects, and every miss.
func (c *cache[K, V]) forget(match func(K, V) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	clear(c.loading) // whoever asks from now on must not be told what was found before
	for k, e := range c.entries {
		if e.err != nil || match(k, e.value) {
			delete(c.entries, k)
		}
	}
}

// inUse returns what was found and asked for since the last call.
func (c *cache[K, V]) inUse() map[K]V {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[K]V{}
	for k, e := range c.entries {
		if e.used && e.err == nil {
			out[k] = e.value
		}
		e.used = false
	}
	return out
}

// confirm believes for longer, until a later time, what match selects.
func (c *cache[K, V]) confirm(match func(K, V) bool, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, e := range c.entries {
		if e.err == nil && until.After(e.until) && match(k, e.value) {
			e.until = until
		}
	}
}
