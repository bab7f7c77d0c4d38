package livetest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"carillon/model"
)

// patience is how long something may take that is promised to take no time. It
// is only ever waited for by a test that fails.
const patience = 15 * time.Second

// Eventually waits until ok says so, and fails the test when it does not within
// 15 s. what completes the sentence "waited in vain for …".
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		<-tick.C
	}
}

// Recorder is a watcher that keeps what it is offered. The zero Recorder is
// ready to use.
type Recorder struct {
	mu    sync.Mutex
	hints []model.Hint
}

// Offer notes the hint.
func (r *Recorder) Offer(h model.Hint) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hints = append(r.hints, h)
}

// Hints returns what was offered so far, in order.
func (r *Recorder) Hints() []model.Hint {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.hints)
}

// Seqs returns the seqs of what was offered so far, in order.
func (r *Recorder) Seqs() []int64 {
	var seqs []int64
	for _, h := range r.Hints() {
		seqs = append(seqs, h.Seq)
	}
	return seqs
}

// Has reports whether a hint with the seq was offered.
func (r *Recorder) Has(seq int64) bool { return slices.Contains(r.Seqs(), seq) }

// Reset forgets what was offered.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hints = nil
}

// Database is a live.Heads that is told where keys stand. A key that it was not
// told of is at 0. The zero Database is ready to use.
type Database struct {
	mu    sync.Mutex
	heads map[model.LiveKey]int64
	gone  map[model.LiveKey]bool
	away  bool
	asked [][]model.LiveKey
}

// Set says that the key is at seq.
func (d *Database) Set(key model.LiveKey, seq int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.heads == nil {
		d.heads = make(map[model.LiveKey]int64)
	}
	d.heads[key] = seq
}

// Delete says that the key no longer exists.
func (d *Database) Delete(key model.LiveKey) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.gone == nil {
		d.gone = make(map[model.LiveKey]bool)
	}
	d.gone[key] = true
}

// SetAway says whether the database fails to answer.
func (d *Database) SetAway(away bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.away = away
}

// Asked returns the keys of each query so far.
func (d *Database) Asked() [][]model.LiveKey {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.asked)
}

// Heads answers as live.Heads says.
func (d *Database) Heads(_ context.Context, keys []model.LiveKey) (map[model.LiveKey]int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, slices.Clone(keys))
	if d.away {
		return nil, errors.New("the database is away")
	}
	heads := make(map[model.LiveKey]int64, len(keys))
	for _, k := range keys {
		heads[k] = d.heads[k]
	}
	maps.DeleteFunc(heads, func(k model.LiveKey, _ int64) bool { return d.gone[k] })
	return heads, nil
}
