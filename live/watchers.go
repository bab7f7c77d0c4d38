package live

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"carillon/model"
)

// Watcher is told of changes. Offer is called for every hint of its key, one
// after the other: never twice at the same time for one key, though hints of
// different keys come from several goroutines at once.
//
// Offer is called by whoever published and keeps them, and the key's other
// watchers, waiting: it must note the hint and return, and neither wait nor
// publish. It may cancel its own watch and any other. The Change in the hint is
// shared with all other watchers and must not be written to.
type Watcher interface {
	Offer(h model.Hint)
}

// partitions is how many locks the keys are spread over. With 10,000 watchers
// and two cores a lock is then almost never taken when it is wanted.
const partitions = 64

// watchers says who watches which key.
type watchers struct {
	seed  maphash.Seed
	parts [partitions]partition
}

type partition struct {
	mu   sync.Mutex
	keys map[model.LiveKey]*watched
}

// watched is one key and those who watch it.
type watched struct {
	// turn is held while the watchers are called, so that they hear one hint
	// after the other. It is taken after the partition's lock was given back:
	// a slow watcher delays its own key only.
	turn sync.Mutex

	seq int64 // the highest that was handed on; under the partition's lock

	// all grows in place and is otherwise replaced, so whoever copied the slice
	// under the partition's lock may read it without. It holds ended watches
	// until they are more than half; ended counts them. Both under the
	// partition's lock.
	all   []*watch
	ended int
}

// watch is one watcher of one key. Its method end is what Watch returns.
type watch struct {
	hub     *Hub
	watcher Watcher
	key     model.LiveKey
	over    atomic.Bool // set under the partition's lock, read without
}

func (ws *watchers) part(key model.LiveKey) *partition {
	return &ws.parts[maphash.Comparable(ws.seed, key)%partitions]
}

// add registers w and reports whether it is the first of its key.
func (ws *watchers) add(w *watch) (first bool) {
	p := ws.part(w.key)
	p.mu.Lock()
	defer p.mu.Unlock()
	k := p.keys[w.key]
	if k == nil {
		if p.keys == nil {
			p.keys = make(map[model.LiveKey]*watched)
		}
		k, first = new(watched), true
		p.keys[w.key] = k
	}
	k.all = append(k.all, w)
	return first
}

// remove ends a watch. It reports whether the watch was not over before, and
// whether it was the last of its key.
func (ws *watchers) remove(w *watch) (ended, last bool) {
	p := ws.part(w.key)
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.over.Swap(true) {
		return false, false
	}
	k := p.keys[w.key]
	k.ended++
	if k.ended == len(k.all) {
		delete(p.keys, w.key)
		return true, true
	}
	if 2*k.ended > len(k.all) { // seldom enough that thousands may end at once
		k.compact()
	}
	return true, false
}

func (k *watched) compact() {
	left := make([]*watch, 0, len(k.all)-k.ended)
	for _, w := range k.all {
		if !w.over.Load() {
			left = append(left, w)
		}
	}
	k.all, k.ended = left, 0
}

func (ws *watchers) has(key model.LiveKey) bool {
	p := ws.part(key)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keys[key] != nil
}

// reach notes the hint's seq and returns who watches its key; k is nil when
// nobody does. The caller calls k.offer.
func (ws *watchers) reach(h model.Hint) (k *watched, all []*watch) {
	p := ws.part(h.Key)
	p.mu.Lock()
	defer p.mu.Unlock()
	if k = p.keys[h.Key]; k == nil {
		return nil, nil
	}
	k.seq = max(k.seq, h.Seq)
	return k, k.all
}

// offer calls the watchers and returns how many it called.
func (k *watched) offer(h model.Hint, all []*watch) (n int) {
	k.turn.Lock()
	defer k.turn.Unlock()
	for _, w := range all {
		if !w.over.Load() {
			w.watcher.Offer(h)
			n++
		}
	}
	return n
}
