package auth

import (
	"context"
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
	generation uint64 // grows when something is forgotten
}

type entry[V any] struct {
	value V
	err   error // a KindNotFound; else nil
	until time.Time
	used  bool // since inUse was last called
}

func newCache[K comparable, V any](max int, missFor time.Duration) *cache[K, V] {
	return &cache[K, V]{max: max, missFor: missFor, entries: map[K]*entry[V]{}}
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

// get returns what is remembered of key, or what load finds within
// lookUpWithin. Of errors only KindNotFound is remembered.
func (c *cache[K, V]) get(ctx context.Context, now time.Time, key K, load func(context.Context) (V, error)) (V, error) {
	if e, ok := c.peek(now, key); ok {
		return e.value, e.err
	}
	generation := c.current()
	ctx, cancel := context.WithTimeout(ctx, lookUpWithin)
	defer cancel()
	value, err := load(ctx)
	keep := cacheFor
	switch {
	case model.KindOf(err) == model.KindNotFound:
		keep = c.missFor
	case err != nil:
		keep = 0
	}
	if keep > 0 {
		c.put(now, key, &entry[V]{value: value, err: err, until: now.Add(keep), used: true}, generation)
	}
	return value, err
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
