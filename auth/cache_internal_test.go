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

func TestThoseWhoAskAtOnceShareALookUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, looks, release := newCache[int, int](1, 0), 0, make(chan int)
		ask := func(ctx context.Context) chan int {
			got := make(chan int, 1)
			go func() {
				n, err := c.get(ctx, time.Now(), 1, func(context.Context) (int, error) {
					looks++
					return <-release, nil
				})
				if err != nil {
					n = -1
				}
				got <- n
			}()
			synctest.Wait()
			return got
		}
		impatient, cancel := context.WithCancel(t.Context())
		first, second, gone := ask(t.Context()), ask(t.Context()), ask(impatient)
		cancel()
		if n := <-gone; n != -1 {
			t.Errorf("who went away was told %d", n)
		}
		c.forget(func(int, int) bool { return true })
		late := ask(t.Context()) // must not be told what was found before
		release <- 7
		if a, b := <-first, <-second; a != 7 || b != 7 {
			t.Errorf("who shared a look-up got %d and %d, want 7", a, b)
		}
		release <- 8
		if n := <-late; n != 8 {
			t.Errorf("who asked after something was forgotten got %d, want 8", n)
		}
		if looks != 2 || len(c.loading) != 0 {
			t.Errorf("%d look-ups, %d of them under way, want 2 and none", looks, len(c.loading))
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
