package main

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// timings are how long things took.
type timings struct {
	mu  sync.Mutex
	all []time.Duration
}

func (t *timings) add(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, d)
}

// at is the time within which a share of them was done, such as 0.99; zero
// when there were none.
func (t *timings) at(share float64) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(t.all))
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}

func (t *timings) String() string {
	return fmt.Sprintf("p50 %s p99 %s max %s", round(t.at(0.5)), round(t.at(0.99)), round(t.at(1)))
}

// round leaves about three digits.
func round(d time.Duration) time.Duration {
	switch {
	case d > time.Second:
		return d.Round(10 * time.Millisecond)
	case d > 10*time.Millisecond:
		return d.Round(time.Millisecond)
	default:
		return d.Round(10 * time.Microsecond)
	}
}
