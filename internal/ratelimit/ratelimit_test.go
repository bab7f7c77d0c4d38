package ratelimit

import (
	"testing"
	"time"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestTake(t *testing.T) {
	t.Parallel()
	l := New[string](Rate{PerSecond: 10, Burst: 3})
	now := start
	for i := range 3 {
		if wait := l.Take("ada", 1, now); wait != 0 {
			t.Fatalf("token %d of a full bucket: wait %s", i, wait)
		}
	}
	if wait := l.Take("ada", 1, now); wait != 100*time.Millisecond {
		t.Errorf("an empty bucket: wait %s, want 100ms", wait)
	}
	if wait := l.Take("bob", 3, now); wait != 0 {
		t.Errorf("another key: wait %s, want none", wait)
	}
	now = now.Add(100 * time.Millisecond)
	if wait := l.Take("ada", 1, now); wait != 0 {
		t.Errorf("after the wait it was told: wait %s more", wait)
	}
	if wait := l.Take("ada", 1, now.Add(-time.Hour)); wait == 0 {
		t.Error("a clock that jumped back filled the bucket")
	}
	if wait := l.Take("cyd", 100, now); wait != 0 {
		t.Errorf("more than a full bucket holds: wait %s, want all it holds to do", wait)
	}
}

func TestHighRatesLimitToo(t *testing.T) {
	t.Parallel()
	l := New[string](Rate{PerSecond: 5000, Burst: 10})
	given, lacked := 0, 0
	for us := range 100_000 { // a tenth of a second
		now := start.Add(time.Duration(us) * time.Microsecond)
		if l.Lacks("ada", 1, now) > 0 {
			lacked++
		}
		if l.Take("ada", 1, now) == 0 {
			given++
		}
	}
	if given < 508 || given > 510 || given+lacked != 100_000 {
		t.Errorf("%d tokens were taken, and %d times there was none; want 510, and none whenever none is given", given, lacked)
	}
}

func TestZeroRateDoesNotLimit(t *testing.T) {
	t.Parallel()
	l := New[string](Rate{})
	var none *Limiter[string]
	for range 1000 {
		if l.Take("ada", 1, start) != 0 || l.Lacks("ada", 1, start) != 0 || none.Take("ada", 1, start) != 0 {
			t.Fatal("a limiter without a rate made somebody wait")
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	l := New[int](Rate{PerSecond: 1, Burst: 10})
	for i := range shards * maxKeys * 5 / 4 {
		l.Take(i, 1, start)
	}
	if n := l.Len(); n > shards*maxKeys {
		t.Errorf("%d buckets are kept, want at most %d", n, shards*maxKeys)
	}
	for i := range shards * sweep * 4 {
		l.Take(-i-1, 1, start.Add(time.Hour))
	}
	if n := l.Len(); n > shards*maxKeys/2 {
		t.Errorf("%d buckets are kept although nearly all are full again", n)
	}
}

func BenchmarkTake(b *testing.B) {
	l := New[int](Rate{PerSecond: 1e9, Burst: 1e9})
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		l.Take(i%1000, 1, start)
	}
}
