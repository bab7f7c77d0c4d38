package operation

import (
	"container/list"
	"strings"
	"sync"
)

// The cache's bounds, in bytes, when [Config] does not say.
const (
	defaultCache    = 8 << 20
	defaultCacheMax = 16 << 10 // a longer text is not remembered
)

// A document weighs its text and this much for each token: what a syntax tree
// with its definitions was measured to take.
const tokenWeight = 100 // bytes

// cacheKey names a document: the same text with another operation chosen is
// another one.
type cacheKey struct{ query, name string }

// cache remembers documents within a number of bytes and forgets the ones that
// were not asked for the longest.
type cache struct {
	max   int // bytes in all
	maxOf int // bytes of one text

	mu    sync.Mutex
	bytes int
	byKey map[cacheKey]*list.Element
	order *list.List // of *cached, the last used in front
}

type cached struct {
	key   cacheKey
	doc   *document
	bytes int
}

func newCache(maxBytes, maxOf int) *cache {
	return &cache{max: maxBytes, maxOf: maxOf, byKey: map[cacheKey]*list.Element{}, order: list.New()}
}

func (c *cache) get(query, name string) *document {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byKey[cacheKey{query, name}]
	if !ok {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(*cached).doc
}

// add remembers a document. One that was added meanwhile under the same key
// stays, and is returned, so that all share it.
func (c *cache) add(name string, d *document) *document {
	weight := len(d.query) + d.tokens*tokenWeight
	if len(d.query) > c.maxOf || weight > c.max {
		return d
	}
	// The text may be a part of a much larger one.
	key := cacheKey{strings.Clone(d.query), strings.Clone(name)}
	d.query = key.query
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.byKey[key]; ok {
		return e.Value.(*cached).doc
	}
	c.byKey[key] = c.order.PushFront(&cached{key, d, weight})
	c.bytes += weight
	c.evict()
	return d
}

// grow counts bytes that a remembered document keeps from now on. It reports
// false, and counts nothing, when the document is not remembered.
func (c *cache) grow(name string, d *document, bytes int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byKey[cacheKey{d.query, name}]
	if !ok || e.Value.(*cached).doc != d {
		return false
	}
	e.Value.(*cached).bytes += bytes
	c.bytes += bytes
	c.evict()
	return true
}

func (c *cache) evict() {
	for c.bytes > c.max {
		last := c.order.Back()
		gone := c.order.Remove(last).(*cached)
		delete(c.byKey, gone.key)
		c.bytes -= gone.bytes
	}
}

// size is what the cache holds: documents and bytes.
func (c *cache) size() (documents, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.byKey), c.bytes
}
