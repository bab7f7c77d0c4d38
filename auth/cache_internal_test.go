package auth

import (
	"fmt"
	"testing"
	"time"

	"carillon/model"
)

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := newCache[int, int](100, missFor)
	now := time.Now()
	for i := range 10_000 {
		_, _ = c.get(now, i, func() (int, error) {
			if i%2 == 0 {
				return 0, model.NotFound("is unknown", "x")
			}
			return i, nil
		})
		if n := len(c.entries); n > 100 {
			t.Fatalf("%d entries, want 100 at most", n)
		}
	}
}

func TestLimiterIsBounded(t *testing.T) {
	t.Parallel()
	l := NewLimiter(1)
	now := time.Now()
	for i := range 3 * maxAddresses {
		l.Failed(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), now)
	}
	if n := len(l.addresses); n > maxAddresses {
		t.Errorf("%d addresses, want %d at most", n, maxAddresses)
	}
}
