package inbox_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"carillon/inbox"
	"carillon/live"
)

// TestNoWakeUpIsLost has writers and owners run against each other: every
// owner must come to the end, being told everything once, though it only ever
// looks when it is woken.
func TestNoWakeUpIsLost(t *testing.T) {
	t.Parallel()
	const writers, each, owners = 3, 400, 4
	store := &fakeStore{}
	hub := live.NewHub(live.Config{})
	s := &inbox.Service{Store: store, Live: hub}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()

	var wg sync.WaitGroup
	for i := range owners {
		wg.Go(func() {
			wake := make(chan struct{}, 1)
			stream, err := s.Watch(ctx, theEnv, theUser, inbox.WatchOptions{After: at(0)}, func() {
				select {
				case wake <- struct{}{}:
				default:
					t.Error("woken twice without a look in between")
				}
			})
			if err != nil {
				t.Error(err)
				return
			}
			defer stream.Close()
			c := beginning()
			for c.seq < writers*each {
				e, ok, err := stream.Next(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				if ok {
					if err := c.apply(e); err != nil {
						t.Error(err)
					}
					continue
				}
				select {
				case <-wake:
				case <-ctx.Done():
					t.Errorf("owner %d sleeps at %d of %d", i, c.seq, writers*each)
					return
				}
			}
			if len(c.items) != writers*each {
				t.Errorf("owner %d holds %d items, want %d", i, len(c.items), writers*each)
			}
		})
	}
	for i := range writers {
		wg.Go(func() {
			for n := range each {
				h := store.change()
				if (n+i)%7 == 0 {
					h.Change = nil
				}
				hub.Publish(ctx, h)
			}
		})
	}
	wg.Wait()
}
