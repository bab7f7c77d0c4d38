package store_test

import (
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

var allStates = []model.MarkState{
	model.MarkSeen, model.MarkUnseen, model.MarkRead, model.MarkUnread, model.MarkInteracted, model.MarkArchived, model.MarkUnarchived,
	model.MarkReadOnly, model.MarkUnseenOnly,
}

// ticking is a clock that moves by a second whenever it is read.
func ticking() func() time.Time {
	var n atomic.Int64
	return func() time.Time { return time.Date(2026, 2, 3, 0, 0, int(n.Add(1)), 0, time.UTC) }
}

// TestMark is what each mark makes of an item in each state: its bits, and by
// how much the counters move.
func TestMark(t *testing.T) {
	t.Parallel()
	tests := []struct {
		before []model.MarkState
		as     model.MarkState
		bits   string // of seen, read, interacted, archived
		want   model.Counters
	}{
		{nil, model.MarkSeen, "S...", model.Counters{Total: 1, Unread: 1}},
		{nil, model.MarkRead, "SR..", model.Counters{Total: 1}},
		{nil, model.MarkInteracted, "SRI.", model.Counters{Total: 1}},
		{nil, model.MarkArchived, "...A", model.Counters{}},
		{nil, model.MarkReadOnly, ".R..", model.Counters{Total: 1}},
		{[]model.MarkState{model.MarkReadOnly}, model.MarkSeen, "SR..", model.Counters{Total: 1}},
		{[]model.MarkState{model.MarkReadOnly}, model.MarkUnread, "....", model.Counters{Total: 1, Unseen: 1, Unread: 1}},
		{[]model.MarkState{model.MarkSeen}, model.MarkReadOnly, "SR..", model.Counters{Total: 1}},
		{[]model.MarkState{model.MarkSeen}, model.MarkUnseenOnly, "....", model.Counters{Total: 1, Unseen: 1, Unread: 1}},
		{[]model.MarkState{model.MarkRead}, model.MarkUnseenOnly, ".R..", model.Counters{Total: 1}},
		{[]model.MarkState{model.MarkRead}, model.MarkUnread, "S...", model.Counters{Total: 1, Unread: 1}},
		{[]model.MarkState{model.MarkRead}, model.MarkUnseen, "....", model.Counters{Total: 1, Unseen: 1, Unread: 1}},
		{[]model.MarkState{model.MarkSeen}, model.MarkUnseen, "....", model.Counters{Total: 1, Unseen: 1, Unread: 1}},
		{[]model.MarkState{model.MarkInteracted}, model.MarkUnread, "S.I.", model.Counters{Total: 1, Unread: 1}},
		{[]model.MarkState{model.MarkInteracted}, model.MarkUnseen, "..I.", model.Counters{Total: 1, Unseen: 1, Unread: 1}},
		{[]model.MarkState{model.MarkInteracted, model.MarkUnseen}, model.MarkInteracted, "SRI.", model.Counters{Total: 1}},
		{[]model.MarkState{model.MarkSeen}, model.MarkArchived, "S..A", model.Counters{}},
		{[]model.MarkState{model.MarkArchived}, model.MarkRead, "SR.A", model.Counters{}},
		{[]model.MarkState{model.MarkArchived, model.MarkSeen}, model.MarkUnarchived, "S...", model.Counters{Total: 1, Unread: 1}},
		{[]model.MarkState{model.MarkArchived}, model.MarkUnarchived, "....", model.Counters{Total: 1, Unseen: 1, Unread: 1}},
	}
	storetest.EachWith(t, store.Config{Now: ticking()}, func(t *testing.T, s *store.Store) {
		ctx, env := t.Context(), newEnvironment(t, s)
		for _, tt := range tests {
			user := storetest.User(t, s, env, string(tt.as)+reflect.ValueOf(tt.before).String()+tt.bits+time.Now().String())
			list, _ := storetest.Send(t, s, env, storetest.Sent{}, user)
			ids := idsOf(list)
			for _, as := range tt.before {
				if _, _, err := s.MarkNotifications(ctx, env, model.Once{}, user, ids, as); err != nil {
					t.Fatal(err)
				}
			}
			out, hint, err := s.MarkNotifications(ctx, env, model.Once{}, user, ids, tt.as)
			if err != nil {
				t.Fatal(err)
			}
			n := out.Value.Notifications[0]
			if got := bits(n); got != tt.bits || out.Value.Counters != tt.want || out.Value.Affected != 1 || out.Value.Seq != int64(len(tt.before)+2) {
				t.Errorf("%v, then %s: %s, %+v at seq %d; want %s, %+v", tt.before, tt.as, got, out.Value.Counters, out.Value.Seq, tt.bits, tt.want)
			}
			if hint == nil || hint.Seq != out.Value.Seq || len(hint.Change.Changed) != 1 || bits(hint.Change.Changed[0]) != tt.bits || hint.Change.Counters != tt.want {
				t.Errorf("%v, then %s: the hint is %+v", tt.before, tt.as, hint)
			}

			again, hint, err := s.MarkNotifications(ctx, env, model.Once{}, user, ids, tt.as)
			if err != nil || hint != nil || again.Value.Affected != 0 || again.Value.Seq != out.Value.Seq || !reflect.DeepEqual(again.Value.Notifications, out.Value.Notifications) {
				t.Errorf("%s twice changed something: %+v, %v, %v", tt.as, again.Value, hint, err)
			}
		}
	})
}

func bits(n model.Notification) string {
	b := []byte("....")
	for i, at := range []time.Time{n.SeenAt, n.ReadAt, n.InteractedAt, n.ArchivedAt} {
		if !at.IsZero() {
			b[i] = "SRIA"[i]
		}
	}
	return string(b)
}

func TestFirstTimeWins(t *testing.T) {
	t.Parallel()
	storetest.EachWith(t, store.Config{Now: ticking()}, func(t *testing.T, s *store.Store) {
		ctx, env := t.Context(), newEnvironment(t, s)
		user := storetest.User(t, s, env, "ada")
		list, _ := storetest.Send(t, s, env, storetest.Sent{}, user)
		ids := idsOf(list)
		item := func(as model.MarkState) model.Notification {
			t.Helper()
			out, _, err := s.MarkNotifications(ctx, env, model.Once{}, user, ids, as)
			if err != nil {
				t.Fatal(err)
			}
			return out.Value.Notifications[0]
		}
		all := func(as model.MarkState) {
			t.Helper()
			if _, _, err := s.MarkAll(ctx, env, model.Once{}, user, as, nil, nil); err != nil {
				t.Fatal(err)
			}
		}

		all(model.MarkSeen)
		seen := item(model.MarkSeen).SeenAt
		all(model.MarkRead)
		all(model.MarkRead)
		first := item(model.MarkRead)
		if first.SeenAt != seen || !first.ReadAt.After(seen) {
			t.Errorf("seen at %v, then all read: seen at %v, read at %v", seen, first.SeenAt, first.ReadAt)
		}
		pressed := item(model.MarkInteracted)
		if pressed.SeenAt != first.SeenAt || pressed.ReadAt != first.ReadAt || pressed.InteractedAt.IsZero() {
			t.Errorf("pressing what was read made it %+v, want the times of %+v", pressed, first)
		}
		item(model.MarkUnread)
		later := item(model.MarkInteracted)
		if later.SeenAt != first.SeenAt || !later.ReadAt.After(first.ReadAt) || later.InteractedAt != pressed.InteractedAt {
			t.Errorf("read again it is %+v, want a new time for read only, after %+v", later, pressed)
		}
	})
}

func TestMarkAnswersInTheOrderAsked(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, env := t.Context(), newEnvironment(t, s)
		user := storetest.User(t, s, env, "ada")
		all := sendMany(t, s, env, user, 4)
		if _, _, err := s.MarkNotifications(ctx, env, model.Once{}, user, all[1:2], model.MarkRead); err != nil {
			t.Fatal(err)
		}
		ids := []model.NotificationID{all[1], 7, all[0], all[3], all[0], 7, 5}
		o := model.Once{Operation: "test", Key: "k"}
		out, hint, err := s.MarkNotifications(ctx, env, o, user, ids, model.MarkRead)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := idsOf(out.Value.Notifications), []model.NotificationID{all[1], all[0], all[3]}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if want := []model.NotificationID{7, 5}; !slices.Equal(out.Value.NotFound, want) || out.Value.Affected != 2 {
			t.Errorf("not found %v, %d affected; want %v, 2", out.Value.NotFound, out.Value.Affected, want)
		}
		if got, want := idsOf(hint.Change.Changed), []model.NotificationID{all[3], all[0]}; !slices.Equal(got, want) {
			t.Errorf("the hint tells of %v, want what changed, newest first: %v", got, want)
		}

		again, hint, err := s.MarkNotifications(ctx, env, o, user, ids, model.MarkRead)
		if err != nil || hint != nil || !again.Replayed || !reflect.DeepEqual(again.Value, out.Value) {
			t.Errorf("the same key gave %+v, %v, %v; want the stored result and nothing to publish", again, hint, err)
		}
	})
}

func TestMarkAllTouchesNoItem(t *testing.T) {
	t.Parallel()
	for _, as := range []model.MarkState{model.MarkSeen, model.MarkRead} {
		t.Run(string(as), func(t *testing.T) {
			t.Parallel()
			storetest.EachWith(t, store.Config{Now: ticking()}, func(t *testing.T, s *store.Store) {
				ctx, env := t.Context(), newEnvironment(t, s)
				user := storetest.User(t, s, env, "ada")
				sendMany(t, s, env, user, 600)
				out, hint, err := s.MarkAll(ctx, env, model.Once{}, user, as, nil, &listed)
				if err != nil || out.Value.Affected != 600 || out.Value.Seq != 2 {
					t.Fatalf("MarkAll = %+v, %v; want 600 affected", out.Value, err)
				}
				changes, err := s.Changes(ctx, env, user, 1)
				if err != nil || changes.TooMany || len(changes.Changed) != 0 || len(changes.Marked) != 1 {
					t.Fatalf("Changes = %+v, %v; want the mark alone", changes, err)
				}
				if m := changes.Marked[0]; m.As != as || m.UpTo != 1 || hint.Change == nil || !reflect.DeepEqual(hint.Change.Marked, changes.Marked) || len(hint.Change.Changed) != 0 {
					t.Errorf("the mark is %+v, the hint's change %+v", m, hint.Change)
				}
				page, err := s.Inbox(ctx, env, user, listed, model.PageRequest{Limit: 1})
				if n := page.Items[0]; err != nil || n.SeenAt != changes.Marked[0].At || (as == model.MarkRead) != (n.ReadAt == n.SeenAt) {
					t.Errorf("an item is seen at %v and read at %v, want the time of the mark, %v", n.SeenAt, n.ReadAt, changes.Marked[0].At)
				}
				if again, hint, err := s.MarkAll(ctx, env, model.Once{}, user, as, nil, nil); err != nil || hint != nil || again.Value.Affected != 0 || again.Value.Seq != 2 {
					t.Errorf("twice gave %+v, %v, %v; want no change", again.Value, hint, err)
				}
			})
		})
	}
}

func TestMarkAllUpToPutsRightWhatCameLater(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, env := t.Context(), newEnvironment(t, s)
		user := storetest.User(t, s, env, "ada")
		for range 3 {
			storetest.Send(t, s, env, storetest.Sent{}, user)
		}
		upTo := int64(1)
		out, hint, err := s.MarkAll(ctx, env, model.Once{}, user, model.MarkRead, &upTo, nil)
		if err != nil || out.Value.Affected != 1 || out.Value.Counters != (model.Counters{Total: 3, Unseen: 2, Unread: 2}) {
			t.Fatalf("MarkAll = %+v, %v; want one affected and two left", out.Value, err)
		}
		if got := hint.Change.Changed; len(got) != 2 || bits(got[0]) != "...." || bits(got[1]) != "...." {
			t.Errorf("the hint puts %+v right, want the two that came later", got)
		}

		sendMany(t, s, env, user, model.MaxCatchUp)
		out, hint, err = s.MarkAll(ctx, env, model.Once{}, user, model.MarkSeen, ptr(int64(2)), nil)
		if err != nil || out.Value.Affected != 1 || hint == nil || hint.Change != nil || hint.Seq != out.Value.Seq {
			t.Errorf("with too many later ones: %+v, hint %+v, %v; want a hint without its change", out.Value, hint, err)
		}

		ahead := out.Value.Seq + 1
		for _, as := range allStates {
			_, hint, err := s.MarkAll(ctx, env, model.Once{}, user, as, &ahead, nil)
			if model.KindOf(err) != model.KindInvalid || hint != nil {
				t.Errorf("%s up to what is ahead gave %v, want it refused", as, err)
			}
		}
	})
}

func ptr[T any](v T) *T { return &v }

func TestMarkAllOfManyTellsOnlyThatThereIsAChange(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, env := t.Context(), newEnvironment(t, s)
		user := storetest.User(t, s, env, "ada")
		all := sendMany(t, s, env, user, model.MaxCatchUp+1)
		out, hint, err := s.MarkAll(ctx, env, model.Once{}, user, model.MarkArchived, nil, nil)
		if err != nil || out.Value.Affected != int64(len(all)) || out.Value.Counters != (model.Counters{}) || hint == nil || hint.Seq != 2 || hint.Change != nil {
			t.Errorf("MarkAll = %+v, hint %+v, %v; want %d affected", out.Value, hint, err, len(all))
		}
		if _, hint, err := s.MarkNotifications(ctx, env, model.Once{}, user, all[1:], model.MarkUnarchived); err != nil || len(hint.Change.Changed) != model.MaxCatchUp {
			t.Errorf("marking %d gave %v, want a hint with all of them", model.MaxCatchUp, err)
		}
	})
}

func TestDelete(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, env := t.Context(), newEnvironment(t, s)
		user := storetest.User(t, s, env, "ada")
		all := sendMany(t, s, env, user, 5)
		if _, _, err := s.MarkNotifications(ctx, env, model.Once{}, user, all[:1], model.MarkArchived); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.MarkNotifications(ctx, env, model.Once{}, user, all[1:2], model.MarkSeen); err != nil {
			t.Fatal(err)
		}
		o := model.Once{Operation: "test", Key: "k"}
		ids := []model.NotificationID{all[2], 5, all[1], all[0], all[1]}
		out, hint, err := s.DeleteNotifications(ctx, env, o, user, ids)
		deleted := []model.NotificationID{all[2], all[1], all[0]}
		if err != nil || !slices.Equal(out.Value.Deleted, deleted) || !slices.Equal(out.Value.NotFound, []model.NotificationID{5}) ||
			out.Value.Counters != (model.Counters{Total: 2, Unseen: 2, Unread: 2}) || out.Value.Affected != 3 {
			t.Errorf("DeleteNotifications = %+v, %v", out.Value, err)
		}
		if hint == nil || !slices.Equal(hint.Change.Removed, deleted) || hint.Change.Seq != 4 {
			t.Errorf("the hint is %+v", hint)
		}
		if again, hint, err := s.DeleteNotifications(ctx, env, o, user, ids); err != nil || hint != nil || !reflect.DeepEqual(again.Value, out.Value) {
			t.Errorf("the same key gave %+v, %v, %v", again.Value, hint, err)
		}
		if again, hint, err := s.DeleteNotifications(ctx, env, model.Once{}, user, ids); err != nil || hint != nil || len(again.Value.Deleted) != 0 || len(again.Value.NotFound) != 4 || again.Value.Seq != 4 {
			t.Errorf("deleting twice gave %+v, %v, %v; want nothing found", again.Value, hint, err)
		}
		if got := walk(t, s, env, user, model.InboxFilter{}, false); !slices.Equal(got, []model.NotificationID{all[4], all[3]}) {
			t.Errorf("left are %v", got)
		}
		if got, err := s.Notifications(ctx, env, all); err != nil || len(got) != 2 {
			t.Errorf("Notifications = %+v, %v; want the two that are left", got, err)
		}
	})
}
