package store_test

import (
	"sync/atomic"
	"testing"
	"time"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

// movingClock is a clock that is moved by hand.
type movingClock struct{ micros atomic.Int64 }

func (c *movingClock) now() time.Time { return time.UnixMicro(c.micros.Load()).UTC() }

func (c *movingClock) day(n int) {
	c.micros.Store(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).AddDate(0, 0, n).UnixMicro())
}

func day(n int) time.Time {
	return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).AddDate(0, 0, n)
}

// withClock runs a test on both databases, each with a clock of its own that
// begins at day 0.
func withClock(t *testing.T, test func(t *testing.T, s *store.Store, c *movingClock)) {
	t.Helper()
	storetest.EachURL(t, func(t *testing.T, url string) {
		c := new(movingClock)
		c.day(0)
		test(t, storetest.Open(t, store.Config{URL: url, MaxConns: 4, Now: c.now}), c)
	})
}

func TestTombstonesAreTrimmed(t *testing.T) {
	t.Parallel()
	withClock(t, func(t *testing.T, s *store.Store, c *movingClock) {
		ctx, env := t.Context(), newEnvironment(t, s)
		ada := storetest.User(t, s, env, "ada")
		first, _ := storetest.Send(t, s, env, storetest.Sent{}, ada) // seq 1
		open, _ := storetest.Send(t, s, env, storetest.Sent{}, ada)  // seq 2
		last, _ := storetest.Send(t, s, env, storetest.Sent{}, ada)  // seq 3
		storetest.Send(t, s, env, storetest.Sent{}, ada)             // seq 4
		if err := store.Exec(ctx, s, "update sends set status = 'EXPANDING' where id = ?", open[0].SendID); err != nil {
			t.Fatal(err)
		}
		remove := func(list []model.Notification) {
			if _, _, err := s.DeleteNotifications(ctx, env, model.Once{}, ada, idsOf(list)); err != nil {
				t.Fatal(err)
			}
		}
		remove(first) // seq 5
		remove(open)  // seq 6
		c.day(10)
		remove(last) // seq 7

		trim := func(want int) {
			t.Helper()
			if n, err := s.TrimTombstones(ctx, day(5), 10); err != nil || n != want {
				t.Errorf("TrimTombstones = %d, %v; want %d", n, err, want)
			}
		}
		changes := func(after int64, tooMany bool, removed int) {
			t.Helper()
			got, err := s.Changes(ctx, env, ada, after)
			if err != nil || got.TooMany != tooMany || len(got.Removed) != removed {
				t.Errorf("Changes after %d = %+v, %v; want too many: %t, %d removed", after, got, err, tooMany, removed)
			}
		}
		changes(4, false, 3)
		trim(1)
		trim(0)
		changes(4, true, 0) // who holds the first item would never hear that it is gone
		changes(5, false, 2)
		if err := store.Exec(ctx, s, "update sends set status = 'SENT' where id = ?", open[0].SendID); err != nil {
			t.Fatal(err)
		}
		trim(1)
		changes(5, true, 0)
		changes(6, false, 1)
		if n, err := store.RowsOf(ctx, s, "notifications", env, ada); err != nil || n != 2 {
			t.Errorf("%d rows are left, %v; want the item and one tombstone", n, err)
		}
		page, err := s.Inbox(ctx, env, ada, listed, model.PageRequest{Limit: 10})
		if want := (model.Counters{Total: 1, Unseen: 1, Unread: 1}); err != nil || page.Counters != want || page.Seq != 7 {
			t.Errorf("the inbox has %+v at %d, %v; want %+v at 7", page.Counters, page.Seq, err, want)
		}
	})
}

func TestMarksAreTrimmedWhenNoItemNeedsThem(t *testing.T) {
	t.Parallel()
	withClock(t, func(t *testing.T, s *store.Store, c *movingClock) {
		ctx, env := t.Context(), newEnvironment(t, s)
		ada := storetest.User(t, s, env, "ada")
		var sent [][]model.Notification
		for n := range 3 { // a mark-all each day, of one more item
			c.day(n)
			list, _ := storetest.Send(t, s, env, storetest.Sent{}, ada)
			sent = append(sent, list)
			if _, _, err := s.MarkAll(ctx, env, model.Once{}, ada, model.MarkRead, nil, nil); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := s.DeleteNotifications(ctx, env, model.Once{}, ada, idsOf(sent[0])); err != nil { // seq 7
			t.Fatal(err)
		}
		walk := func(before time.Time) (n int) {
			t.Helper()
			var at model.InboxCursor
			for range 100 {
				next, some, err := s.TrimMarks(ctx, before, at, 1)
				if err != nil {
					t.Fatal(err)
				}
				if n, at = n+some, next; at == (model.InboxCursor{}) {
					return n
				}
			}
			t.Fatal("the walk has no end")
			return 0
		}
		if n := walk(day(0)); n != 0 {
			t.Errorf("%d marks went before their time", n)
		}
		if n := walk(day(30)); n != 2 { // seen and read of the first day
			t.Errorf("%d marks went, want the 2 that no item has its time from", n)
		}
		for n := 1; n < 3; n++ {
			got, err := s.Notifications(ctx, env, idsOf(sent[n]))
			if err != nil || len(got) != 1 || !got[0].ReadAt.Equal(day(n)) || !got[0].SeenAt.Equal(day(n)) {
				t.Errorf("item %d is %+v, %v; want it read on its day", n, got, err)
			}
		}
		if got, err := s.Changes(ctx, env, ada, 1); err != nil || !got.TooMany {
			t.Errorf("Changes from before the mark = %+v, %v; want too many", got, err)
		}
		if got, err := s.Changes(ctx, env, ada, 2); err != nil || got.TooMany {
			t.Errorf("Changes from after the mark = %+v, %v; want them", got, err)
		}
	})
}

func TestRetireAndForget(t *testing.T) {
	t.Parallel()
	withClock(t, func(t *testing.T, s *store.Store, c *movingClock) {
		ctx, env, other := t.Context(), newEnvironment(t, s), storetest.Env(t, s, "other")
		ada, eve := storetest.User(t, s, env, "ada"), storetest.User(t, s, other, "ada")
		old := storetest.Sent{At: day(-100)}
		gone, _ := storetest.Send(t, s, env, old, ada)
		storetest.Send(t, s, env, storetest.Sent{At: day(-100), Outside: true}, ada)
		storetest.Send(t, s, env, storetest.Sent{At: day(-1)}, ada)
		theirs, _ := storetest.Send(t, s, other, old, eve)

		var after model.NotificationID
		var removed []model.NotificationID
		total := 0
		for range 10 {
			next, n, hints, err := s.RetireNotifications(ctx, env, after, day(-90), 1)
			if err != nil {
				t.Fatal(err)
			}
			for _, h := range hints {
				removed = append(removed, h.Change.Removed...)
			}
			if total, after = total+n, next; after == 0 {
				break
			}
		}
		if total != 2 || len(removed) != 1 || removed[0] != gone[0].ID {
			t.Errorf("%d retired, %v removed from the inbox; want 2, one of them outside of it", total, removed)
		}
		if got, err := s.Notifications(ctx, other, idsOf(theirs)); err != nil || len(got) != 1 {
			t.Errorf("another environment's notification = %v, %v; want it to stay", got, err)
		}
		if n, err := s.ForgetSends(ctx, env, day(-90), 10); err != nil || n != 0 {
			t.Errorf("ForgetSends = %d, %v while there are tombstones; want none", n, err)
		}
		if n, err := s.TrimTombstones(ctx, day(1), 10); err != nil || n != 2 {
			t.Errorf("TrimTombstones = %d, %v; want 2", n, err)
		}
		if left, err := s.ListSends(ctx, env, model.SendFilter{}, model.PageRequest{Limit: 10}); err != nil || len(left.Items) != 1 {
			t.Errorf("%d sends are left, %v; want the one that somebody has: the others went with their last tombstone", len(left.Items), err)
		}
		nobody := storetest.Sent{At: day(-100)}
		storetest.Send(t, s, env, nobody)
		if n, err := s.ForgetSends(ctx, env, day(-90), 10); err != nil || n != 1 {
			t.Errorf("ForgetSends = %d, %v; want the one that nobody ever had", n, err)
		}
		if report, err := s.VerifyCounters(ctx, 10); err != nil || report.Drifted != 0 {
			t.Errorf("VerifyCounters = %+v, %v", report, err)
		}
	})
}

func TestCapInboxes(t *testing.T) {
	t.Parallel()
	withClock(t, func(t *testing.T, s *store.Store, _ *movingClock) {
		ctx, env := t.Context(), newEnvironment(t, s)
		ada, bob := storetest.User(t, s, env, "ada"), storetest.User(t, s, env, "bob")
		var all []model.Notification
		for n := range 6 {
			list, _ := storetest.Send(t, s, env, storetest.Sent{At: day(n)}, ada, bob)
			all = append(all, list[0])
		}
		if _, _, err := s.MarkNotifications(ctx, env, model.Once{}, ada, idsOf(all[3:4]), model.MarkRead); err != nil {
			t.Fatal(err)
		}
		var after model.UserID
		total := 0
		for range 10 {
			next, n, _, err := s.CapInboxes(ctx, env, after, 4, 3)
			if err != nil {
				t.Fatal(err)
			}
			if total, after = total+n, next; after == 0 {
				break
			}
		}
		if total != 4 {
			t.Errorf("%d taken away, want 2 of each", total)
		}
		page, err := s.Inbox(ctx, env, ada, listed, model.PageRequest{Limit: 10})
		if want := (model.Counters{Total: 4, Unseen: 4, Unread: 4}); err != nil || page.Counters != want {
			t.Fatalf("the inbox has %+v, %v; want %+v", page.Counters, err, want)
		}
		for i, want := range []model.NotificationID{all[5].ID, all[4].ID, all[2].ID, all[1].ID} { // the read one went, and the oldest
			if page.Items[i].ID != want {
				t.Errorf("item %d is %d, want %d", i, page.Items[i].ID, want)
			}
		}
	})
}
