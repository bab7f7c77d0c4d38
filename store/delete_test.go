package store_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

// tablesOfUsers are all tables with rows about users.
var tablesOfUsers = []string{
	"users", "profiles", "devices", "preferences", "topic_members", "inboxes", "inbox_marks", "notifications", "deliveries", "idempotency",
	"segment_members", "segment_suppressions",
}

// furnish gives a user a row in every table.
func furnish(t *testing.T, f *sends, u model.User, topic string) {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	inside, outside := f.pending(t, u), f.pending(t, u)
	outside.Notifications[0].InInbox = false
	f.mustSave(t, inside, outside)
	for _, n := range []model.Notification{inside.Notifications[0], outside.Notifications[0]} {
		must(store.Exec(ctx, f.s, `insert into deliveries (env_id, id, notification_id, user_id, send_id, channel, lane, state, reason, attempt, run_at, created_at, updated_at)
			values (?, ?, ?, ?, ?, 2, 0, 1, 1, 0, 0, 0, 0)`, u.EnvID, fmt.Sprintf("delivery %d", n.ID), n.ID, u.ID, n.SendID))
	}
	must(store.Exec(ctx, f.s, `insert into inbox_marks (env_id, user_id, kind, up_to_seq, seq, at) values (?, ?, 1, 1, 2, 0)`, u.EnvID, u.ID))
	_, err := f.s.RegisterDevice(ctx, u.EnvID, model.Once{Actor: u.ID, Operation: "registerDevice", Key: "k"}, model.Device{ID: "d", UserID: u.ID, Key: "phone"},
		func(d model.Device) model.Device { d.Platform = model.PlatformIOS; return d })
	must(err)
	_, err = f.s.SetPreferences(ctx, u.EnvID, model.Once{}, u.ID,
		func([]model.Category) ([]model.ChoiceChange, error) {
			return []model.ChoiceChange{{Channel: model.ChannelEmail, Enabled: new(bool)}}, nil
		},
		func([]model.Category, []model.Choice) []model.CategoryPreference { return nil })
	must(err)
	must(store.Exec(ctx, f.s, `insert into topic_members (env_id, topic_id, user_id, created_at) select env_id, id, ?, 0 from topics where identifier = ?`, u.ID, topic))
	must(store.Exec(ctx, f.s, `insert into segment_members (env_id, segment_id, user_id) select env_id, id, ? from segments`, u.ID))
	_, err = f.s.SuppressInSegment(ctx, u.EnvID, model.Once{}, "segment", u.Identifier, true)
	must(err)
}

func TestDeleteUserLeavesNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		f := newSends(t, s, 2)
		ada, eve := f.users[0], f.users[1]
		if _, err := s.CreateTopic(ctx, f.env, model.Once{}, "topic", "topic", model.TopicDetails{}); err != nil {
			t.Fatal(err)
		}
		everyone := model.SegmentRule{Reachable: new(model.ChannelInApp)}
		if _, err := s.CreateSegment(ctx, model.Once{}, model.Segment{EnvID: f.env, Identifier: "segment", Rule: everyone}); err != nil {
			t.Fatal(err)
		}
		furnish(t, f, ada, "topic")
		furnish(t, f, eve, "topic")
		counts := func(u model.User) map[string]int {
			out := map[string]int{}
			for _, table := range tablesOfUsers {
				n, err := store.RowsOf(ctx, s, table, u.EnvID, u.ID)
				if err != nil {
					t.Fatal(err)
				}
				out[table] = n
			}
			return out
		}
		for table, n := range counts(ada) {
			if n == 0 {
				t.Errorf("the test put nothing into %s", table)
			}
		}
		before := counts(eve)
		if err := storetest.Erase(ctx, s, f.env, model.Once{Operation: "deleteUser", Key: "k"}, ada.Identifier); err != nil {
			t.Fatal(err)
		}
		for table, n := range counts(ada) {
			if n != 0 {
				t.Errorf("%d rows are left in %s", n, table)
			}
		}
		for table, n := range counts(eve) {
			if n != before[table] {
				t.Errorf("another user has %d rows in %s, had %d", n, table, before[table])
			}
		}
		f.noDrift(t)
	})
}

// TestDeleteUserWhileSending: a send either comes before the deletion and goes
// with it, or after it and fails whole.
func TestDeleteUserWhileSending(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		f := newSends(t, s, 12)
		f.mustSave(t, f.pending(t, f.users[0], f.users[1], f.users[2], f.users[3])) // some have an inbox already
		stay := f.users[11]
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				for range 8 {
					for _, p := range []model.PendingSend{f.pending(t, f.users...), f.pending(t, stay)} {
						if _, _, err := s.SaveSends(t.Context(), []model.PendingSend{p}); err != nil && !errors.Is(err, model.ErrNotSaved) {
							t.Errorf("sending: %v", err)
						}
					}
				}
			})
		}
		wg.Go(func() {
			for _, u := range f.users[:11] {
				if err := storetest.Erase(t.Context(), s, f.env, model.Once{}, u.Identifier); err != nil {
					t.Errorf("deleting %s: %v", u.Identifier, err)
				}
			}
		})
		wg.Wait()
		for _, u := range f.users[:11] {
			for _, table := range tablesOfUsers {
				if n, err := store.RowsOf(t.Context(), s, table, u.EnvID, u.ID); err != nil || n != 0 {
					t.Errorf("%d rows about %s are left in %s, %v", n, u.Identifier, table, err)
				}
			}
		}
		if n, err := store.RowsOf(t.Context(), s, "notifications", stay.EnvID, stay.ID); err != nil || n < 24 {
			t.Errorf("who stayed has %d notifications, %v; want at least those of 24 sends to them alone", n, err)
		}
		f.noDrift(t)
	})
}

// TestDeleteUserDuringTheFirstSend: a user without an inbox yet, so that there
// is no row of it to wait for.
func TestDeleteUserDuringTheFirstSend(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		f := newSends(t, s, 60)
		for _, u := range f.users {
			p := f.pending(t, u)
			var wg sync.WaitGroup
			wg.Go(func() {
				if _, _, err := s.SaveSends(t.Context(), []model.PendingSend{p}); err != nil && !errors.Is(err, model.ErrNotSaved) {
					t.Errorf("sending: %v", err)
				}
			})
			wg.Go(func() {
				if err := storetest.Erase(t.Context(), s, f.env, model.Once{}, u.Identifier); err != nil {
					t.Errorf("deleting: %v", err)
				}
			})
			wg.Wait()
			for _, table := range []string{"notifications", "inboxes"} {
				if n, err := store.RowsOf(t.Context(), s, table, u.EnvID, u.ID); err != nil || n != 0 {
					t.Fatalf("%d rows about %s are left in %s, %v", n, u.Identifier, table, err)
				}
			}
		}
	})
}
