package store_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

func TestExpire(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	storetest.EachWith(t, store.Config{Now: func() time.Time { return now }}, func(t *testing.T, s *store.Store) {
		ctx, env := t.Context(), newEnvironment(t, s)
		ada, bob := storetest.User(t, s, env, "ada"), storetest.User(t, s, env, "bob")
		due := storetest.Sent{ExpiresAt: now}
		dead, _ := storetest.Send(t, s, env, due, ada, bob)
		read, _ := storetest.Send(t, s, env, due, ada)
		archived, _ := storetest.Send(t, s, env, due, ada)
		storetest.Send(t, s, env, storetest.Sent{ExpiresAt: now.Add(time.Microsecond)}, ada)
		storetest.Send(t, s, env, storetest.Sent{}, ada)
		outside, _ := storetest.Send(t, s, env, storetest.Sent{ExpiresAt: now, Outside: true}, ada)
		if _, _, err := s.MarkNotifications(ctx, env, model.Once{}, ada, idsOf(read), model.MarkRead); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.MarkNotifications(ctx, env, model.Once{}, ada, idsOf(archived), model.MarkArchived); err != nil {
			t.Fatal(err)
		}

		n, hints, err := s.ExpireNotifications(ctx, 100)
		if err != nil || n != 4 || len(hints) != 2 {
			t.Fatalf("ExpireNotifications = %d, %d hints, %v; want 4 items of two inboxes", n, len(hints), err)
		}
		slices.SortFunc(hints, func(a, b model.Hint) int { return int(a.Key.ID - b.Key.ID) })
		first := hints[0].Change
		slices.Sort(first.Removed)
		if want := []model.NotificationID{dead[0].ID, read[0].ID, archived[0].ID}; first.User != ada || !slices.Equal(first.Removed, want) {
			t.Errorf("the first hint is %+v, want %v removed", first, want)
		}
		page, err := s.Inbox(ctx, env, ada, listed, model.PageRequest{Limit: 10})
		if want := (model.Counters{Total: 2, Unseen: 2, Unread: 2}); err != nil || page.Counters != want || first.Counters != want || page.Seq != first.Seq || len(page.Items) != 2 {
			t.Errorf("the inbox is %+v at %d with %d items, the hint says %+v at %d; want %+v", page.Counters, page.Seq, len(page.Items), first.Counters, first.Seq, want)
		}
		if got, err := s.Notifications(ctx, env, idsOf(outside)); err != nil || len(got) != 1 {
			t.Errorf("what lies outside the inbox = %v, %v; want it to stay", got, err)
		}
		if n, hints, err := s.ExpireNotifications(ctx, 100); err != nil || n != 0 || len(hints) != 0 {
			t.Errorf("a second time = %d, %v, %v; want nothing", n, hints, err)
		}
	})
}

func TestItemsExpireOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		env := newEnvironment(t, s)
		var users []model.UserID
		for i := range 20 {
			users = append(users, storetest.User(t, s, env, fmt.Sprint("user", i)))
		}
		for range 5 {
			storetest.Send(t, s, env, storetest.Sent{ExpiresAt: time.Now().Add(-time.Second)}, users...)
		}
		var (
			mu    sync.Mutex
			total int
			seqs  = map[model.LiveKey][]int64{}
			wg    sync.WaitGroup
		)
		for range 4 {
			wg.Go(func() {
				for range 10 {
					n, hints, err := s.ExpireNotifications(t.Context(), 17)
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					total += n
					for _, h := range hints {
						seqs[h.Key] = append(seqs[h.Key], h.Seq)
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if total != 100 {
			t.Errorf("%d items expired, want each of 100 once", total)
		}
		for k, l := range seqs {
			slices.Sort(l)
			if l[0] != 6 || l[len(l)-1] != 5+int64(len(l)) {
				t.Errorf("inbox %d moved to %v, want every seq after 5 once", k.ID, l)
			}
		}
	})
}

func TestRowsOfADeletedUserDoNotHoldTheSweeperUp(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, env := t.Context(), newEnvironment(t, s)
		user := storetest.User(t, s, env, "ada")
		storetest.Send(t, s, env, storetest.Sent{ExpiresAt: time.Now().Add(-time.Second)}, user)
		if err := store.Exec(ctx, s, "delete from users where env_id = ? and id = ?", env, user); err != nil {
			t.Fatal(err)
		}
		if n, hints, err := s.ExpireNotifications(ctx, 10); err != nil || n != 1 || len(hints) != 0 {
			t.Errorf("ExpireNotifications = %d, %v, %v; want it gone without a hint", n, hints, err)
		}
		if n, _, err := s.ExpireNotifications(ctx, 10); err != nil || n != 0 {
			t.Errorf("ExpireNotifications again = %d, %v; want nothing", n, err)
		}
	})
}

// TestExpiryBesideAMerge has a merge move an item between its being found and its
// inbox being locked: the counters of the other inbox follow it.
func TestExpiryBesideAMerge(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	storetest.EachWith(t, store.Config{Now: func() time.Time { return now }}, func(t *testing.T, s *store.Store) {
		ctx, env := t.Context(), newEnvironment(t, s)
		ada, bob := storetest.User(t, s, env, "ada"), storetest.User(t, s, env, "bob")
		storetest.Send(t, s, env, storetest.Sent{ExpiresAt: now}, ada)
		stays, _ := storetest.Send(t, s, env, storetest.Sent{}, bob)
		_, err := store.ExpireAfter(ctx, s, func() error {
			_, err := s.MergeUsers(ctx, env, model.Once{}, "m", "ada", "bob", func(_, into json.RawMessage) (json.RawMessage, model.MergeDecision, error) {
				return into, model.MergeDecision{}, nil
			}, false)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if shown(t, s, env, bob); t.Failed() {
			return
		}
		if _, _, err := s.ExpireNotifications(ctx, 100); err != nil {
			t.Fatal(err)
		}
		if got := shown(t, s, env, bob); !slices.Equal(got, idsOf(stays)) {
			t.Errorf("after the next round the inbox shows %v, want %v", got, idsOf(stays))
		}
	})
}
