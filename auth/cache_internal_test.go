package auth

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"carillon/model"
)

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := newCache[int, int](100, missFor)
	now := time.Now()
	for i := range 10_000 {
		_, _ = c.get(t.Context(), now, i, func(context.Context) (int, error) {
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

func TestALookUpThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, err := newCache[int, int](1, missFor).get(t.Context(), began, 1, func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		})
		if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took > lookUpWithin {
			t.Errorf("%v after %s, want the deadline after %s", err, took, lookUpWithin)
		}
	})
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
