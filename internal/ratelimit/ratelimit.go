// Package ratelimit holds token buckets by key. It knows neither what a key
// stands for nor what a token buys.
package ratelimit

import (
	"hash/maphash"
	"sync"
	"time"
)

// Rate is how many tokens come back a second, and how many a bucket holds.
// The zero Rate does not limit.
type Rate struct {
	PerSecond float64
	Burst     float64
}

// Limiter keeps one bucket a key, in this process. A bucket that is full again
// is forgotten, so that memory is bounded by the keys that were busy in the last
// Burst/PerSecond seconds; beyond maxKeys a shard, the fullest go first.
type Limiter[K comparable] struct {
	rate   Rate
	seed   maphash.Seed
	shards [shards]shard[K]
}

const (
	shards  = 16
	maxKeys = 4096 // of one shard
	sweep   = 64   // buckets looked at when one is added
)

type shard[K comparable] struct {
	mu      sync.Mutex
	buckets map[K]bucket
}

// bucket is how many tokens there were at a moment.
type bucket struct {
	tokens float64
	at     time.Time
}

// New makes a limiter whose buckets begin full.
func New[K comparable](rate Rate) *Limiter[K] {
	l := &Limiter[K]{rate: rate, seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].buckets = map[K]bucket{}
	}
	return l
}

// Take takes n tokens of the key's bucket. When there are too few it takes none
// and says how long until there are enough; more than the bucket holds counts
// as all it holds.
func (l *Limiter[K]) Take(key K, n float64, now time.Time) (wait time.Duration) {
	if l == nil || l.rate.PerSecond <= 0 {
		return 0
	}
	n = min(n, l.rate.Burst)
	s := &l.shards[maphash.Comparable(l.seed, key)%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	b, known := s.buckets[key]
	if !known {
		l.makeRoom(s, now)
		b = bucket{l.rate.Burst, now}
	}
	b = bucket{l.refilled(b, now), now}
	if b.tokens < n {
		s.buckets[key] = b
		return l.until(b.tokens, n)
	}
	b.tokens -= n
	s.buckets[key] = b
	return 0
}

// Lacks says how long until there are n tokens in the key's bucket, of which it takes
// none; zero when there are.
func (l *Limiter[K]) Lacks(key K, n float64, now time.Time) (wait time.Duration) {
	if l == nil || l.rate.PerSecond <= 0 {
		return 0
	}
	s := &l.shards[maphash.Comparable(l.seed, key)%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	b, known := s.buckets[key]
	if !known {
		return 0
	}
	return l.until(l.refilled(b, now), min(n, l.rate.Burst))
}

// until is how long until there are n tokens where there are some: a millisecond at
// least where there are too few, for no time at all would say that there are enough.
func (l *Limiter[K]) until(tokens, n float64) time.Duration {
	if tokens >= n {
		return 0
	}
	return max(time.Millisecond, time.Duration((n-tokens)/l.rate.PerSecond*float64(time.Second)).Round(time.Millisecond))
}

func (l *Limiter[K]) refilled(b bucket, now time.Time) float64 {
	elapsed := max(0, now.Sub(b.at).Seconds()) // a clock that jumped back gives nothing
	return min(l.rate.Burst, b.tokens+elapsed*l.rate.PerSecond)
}

// makeRoom forgets some buckets that are full again and, when the shard is at
// its bound, the fullest of those it looked at.
func (l *Limiter[K]) makeRoom(s *shard[K], now time.Time) {
	var fullest K
	most, looked := -1.0, 0
	for k, b := range s.buckets {
		t := l.refilled(b, now)
		if t >= l.rate.Burst {
			delete(s.buckets, k)
		} else if t > most {
			fullest, most = k, t
		}
		if looked++; looked == sweep {
			break
		}
	}
	if len(s.buckets) >= maxKeys && most >= 0 {
		delete(s.buckets, fullest)
	}
}

// Len is how many buckets are kept.
func (l *Limiter[K]) Len() int {
	n := 0
	for i := range l.shards {
		l.shards[i].mu.Lock()
		n += len(l.shards[i].buckets)
		l.shards[i].mu.Unlock()
	}
	return n
}
