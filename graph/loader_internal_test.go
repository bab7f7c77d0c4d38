package graph

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
)

func TestBatchLooksUpOnceForAll(t *testing.T) {
	t.Parallel()
	var calls [][]int64
	b := batch[int64, string]{load: func(_ context.Context, ids []int64) (map[int64]string, error) {
		slices.Sort(ids)
		calls = append(calls, ids)
		return map[int64]string{1: "one", 2: "two"}, nil
	}}
	for _, id := range []int64{1, 2, 3, 2, 0} {
		b.want(id)
	}
	b.know(4, "four")
	var wg sync.WaitGroup
	for id, want := range map[int64]string{1: "one", 2: "two", 3: "", 4: "four"} {
		for range 8 {
			wg.Go(func() {
				if got, err := b.get(t.Context(), id); got != want || err != nil {
					t.Errorf("get(%d) = %q, %v; want %q", id, got, err, want)
				}
			})
		}
	}
	wg.Wait()
	if len(calls) != 1 || !slices.Equal(calls[0], []int64{1, 2, 3}) {
		t.Errorf("looked up %v, want one look-up of 1, 2 and 3", calls)
	}
}

func TestBatchFailsOnce(t *testing.T) {
	t.Parallel()
	calls := 0
	down := errors.New("down")
	b := batch[int64, string]{load: func(context.Context, []int64) (map[int64]string, error) {
		calls++
		return nil, down
	}}
	for range 3 {
		if _, err := b.get(t.Context(), 1); !errors.Is(err, down) {
			t.Errorf("got the error %v, want %v", err, down)
		}
	}
	if calls != 1 {
		t.Errorf("a page that cannot be completed asked %d times, want once", calls)
	}
}
