package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

var (
	yes, no = true, false
	// listed is the filter that everybody sees first.
	listed = model.InboxFilter{Archived: &no}
)

func TestInboxOfNobodyAndOfSomebodyNew(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, env := t.Context(), newEnvironment(t, s)
		user := storetest.User(t, s, env, "ada")

		got, err := s.Inbox(ctx, env, user, listed, model.PageRequest{Limit: 20})
		if err != nil || got.Seq != 0 || got.Counters != (model.Counters{}) || len(got.Items) != 0 || got.HasMore {
			t.Errorf("a new user's inbox is %+v, %v; want an empty one", got, err)
		}
		if c, seq, err := s.InboxCounters(ctx, env, user); err != nil || seq != 0 || c != (model.Counters{}) {
			t.Errorf("a new user's counters are %+v at %d, %v", c, seq, err)
		}
		if got, err := s.Changes(ctx, env, user, 0); err != nil || got.Head != 0 {
			t.Errorf("a new user's changes are %+v, %v", got, err)
		}
		const nobody = 999
		if _, err := s.Inbox(ctx, env, nobody, listed, model.PageRequest{Limit: 20}); model.KindOf(err) != model.KindNotFound {
			t.Errorf("the inbox of nobody gave %v", err)
		}
		if _, _, err := s.InboxCounters(ctx, env, nobody); model.KindOf(err) != model.KindNotFound {
			t.Errorf("the counters of nobody gave %v", err)
		}
		if _, err := s.Changes(ctx, env, nobody, 0); model.KindOf(err) != model.KindNotFound {
			t.Errorf("the changes of nobody gave %v", err)
		}
	})
}

// TestRareAndFrequentAreListedAlike reads what is unread in the two ways there
// are: from its own index, and by walking the inbox.
func TestRareAndFrequentAreListedAlike(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, env := t.Context(), newEnvironment(t, s)
		user := storetest.User(t, s, env, "ada")
		all := sendMany(t, s, env, user, 620)
		for _, count := range []int{620, 510, 490, 30} {
			// The newest stay unread, with a hole in the middle.
			read := append(slices.Clone(all[:len(all)-count]), all[len(all)-10])
			if _, _, err := s.MarkNotifications(ctx, env, model.Once{}, user, read, model.MarkRead); err != nil {
				t.Fatal(err)
			}
			want := slices.Clone(all[len(all)-count:])
			want = slices.Delete(want, len(want)-10, len(want)-9)
			slices.Reverse(want)
			for _, f := range []model.InboxFilter{{Archived: &no, Unread: &yes}, {Archived: &no, Unseen: &yes}} {
				for _, backward := range []bool{false, true} {
					if got := walk(t, s, env, user, f, backward); !slices.Equal(got, want) {
						t.Errorf("%d unread, backward %t: got %v, want %v", count, backward, got, want)
					}
				}
			}
		}
	})
}

// sendMany sends n times to a user, a second apart, and returns the ids.
func sendMany(t testing.TB, s *store.Store, env model.EnvID, user model.UserID, n int) []model.NotificationID {
	t.Helper()
	ids, err := s.NewIDs(t.Context(), 2*n)
	if err != nil {
		t.Fatal(err)
	}
	var sends []model.PendingSend
	var out []model.NotificationID
	for i := range n {
		at := time.Date(2026, 1, 2, 3, 4, 5+i, 0, time.UTC)
		p := model.PendingSend{Send: model.Send{
			ID: model.SendID(ids[2*i]), EnvID: env, RequestID: fmt.Sprint(ids[2*i]), Status: model.SendSent, FiredAt: at, CreatedAt: at,
			Content: model.Content{Title: fmt.Sprint("number ", i)},
		}}
		p.Notifications = []model.Notification{{
			ID: model.NotificationID(ids[2*i+1]), EnvID: env, UserID: user, SendID: p.Send.ID, Content: &p.Send.Content,
			InInbox: true, Reason: model.ReasonEnvDefault, SortAt: at, CreatedAt: at,
		}}
		sends, out = append(sends, p), append(out, p.Notifications[0].ID)
	}
	for chunk := range slices.Chunk(sends, 1000) {
		if _, _, err := s.SaveSends(t.Context(), chunk); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// walk reads all pages of 100.
func walk(t *testing.T, s *store.Store, env model.EnvID, user model.UserID, f model.InboxFilter, backward bool) []model.NotificationID {
	t.Helper()
	var out []model.NotificationID
	page := model.PageRequest{Limit: 100, Backward: backward}
	for {
		got, err := s.Inbox(t.Context(), env, user, f, page)
		if err != nil {
			t.Fatal(err)
		}
		ids := idsOf(got.Items)
		if backward {
			out = append(ids, out...)
		} else {
			out = append(out, ids...)
		}
		if !got.HasMore {
			return out
		}
		first, last := got.Items[0], got.Items[len(got.Items)-1]
		page.After, page.Before = &model.PageKey{At: last.SortAt, ID: int64(last.ID)}, nil
		if backward {
			page.After, page.Before = nil, &model.PageKey{At: first.SortAt, ID: int64(first.ID)}
		}
	}
}

func idsOf(list []model.Notification) []model.NotificationID {
	var ids []model.NotificationID
	for _, n := range list {
		ids = append(ids, n.ID)
	}
	return ids
}

// TestInboxesOfOtherEnvironmentsDoNotExist tries every method on the user and
// the notifications of another environment.
func TestInboxesOfOtherEnvironmentsDoNotExist(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, ours, theirs := t.Context(), newEnvironmentOf(t, s, "ours"), newEnvironmentOf(t, s, "theirs")
		ada, eve := storetest.User(t, s, ours, "ada"), storetest.User(t, s, theirs, "eve")
		bob := storetest.User(t, s, ours, "bob")
		list, _ := storetest.Send(t, s, theirs, storetest.Sent{Title: "secret", Category: 5}, eve)
		storetest.Send(t, s, ours, storetest.Sent{Title: "ours"}, ada, bob)
		ids := idsOf(list)
		page := model.PageRequest{Limit: 20}

		notFound := func(what string, err error) {
			t.Helper()
			if model.KindOf(err) != model.KindNotFound {
				t.Errorf("%s of another environment's user gave %v, want %s", what, err, model.KindNotFound)
			}
		}
		_, err := s.Inbox(ctx, ours, eve, listed, page)
		notFound("Inbox", err)
		_, _, err = s.InboxCounters(ctx, ours, eve)
		notFound("InboxCounters", err)
		_, err = s.Changes(ctx, ours, eve, 0)
		notFound("Changes", err)
		_, _, err = s.MarkNotifications(ctx, ours, model.Once{}, eve, ids, model.MarkRead)
		notFound("MarkNotifications", err)
		_, _, err = s.MarkAll(ctx, ours, model.Once{}, eve, model.MarkRead, nil, nil)
		notFound("MarkAll", err)
		_, _, err = s.MarkAll(ctx, ours, model.Once{}, eve, model.MarkArchived, nil, nil)
		notFound("MarkAll", err)
		_, _, err = s.DeleteNotifications(ctx, ours, model.Once{}, eve, ids)
		notFound("DeleteNotifications", err)

		for _, user := range []model.UserID{ada, bob} {
			marked, hint, err := s.MarkNotifications(ctx, ours, model.Once{}, user, ids, model.MarkRead)
			if err != nil || hint != nil || len(marked.Value.Notifications) != 0 || !slices.Equal(marked.Value.NotFound, ids) {
				t.Errorf("marking another environment's notification gave %+v, %v, %v", marked.Value, hint, err)
			}
			deleted, hint, err := s.DeleteNotifications(ctx, ours, model.Once{}, user, ids)
			if err != nil || hint != nil || len(deleted.Value.Deleted) != 0 || !slices.Equal(deleted.Value.NotFound, ids) {
				t.Errorf("deleting another environment's notification gave %+v, %v, %v", deleted.Value, hint, err)
			}
		}
		if got, err := s.Notifications(ctx, ours, ids); err != nil || len(got) != 0 {
			t.Errorf("Notifications = %+v, %v; want none", got, err)
		}
		for _, f := range []model.NotificationFilter{{User: eve}, {Send: list[0].SendID}, {Categories: []model.CategoryID{5}}} {
			if got, err := s.NotificationLog(ctx, ours, f, page); err != nil || len(got.Items) != 0 {
				t.Errorf("NotificationLog(%+v) = %+v, %v; want none", f, got, err)
			}
		}
		heads, err := s.Heads(ctx, []model.LiveKey{model.InboxKey(ours, eve), model.SendKey(ours, list[0].SendID)})
		if err != nil || len(heads) != 0 {
			t.Errorf("Heads = %v, %v; want none", heads, err)
		}
		if got, err := s.Inbox(ctx, theirs, eve, listed, page); err != nil || got.Seq != 1 || got.Counters != (model.Counters{Total: 1, Unseen: 1, Unread: 1}) {
			t.Errorf("their inbox was changed: %+v, %v", got, err)
		}
	})
}

// TestItemsOfOtherUsersDoNotExist is the same within an environment.
func TestItemsOfOtherUsersDoNotExist(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, env := t.Context(), newEnvironment(t, s)
		ada, eve := storetest.User(t, s, env, "ada"), storetest.User(t, s, env, "eve")
		list, _ := storetest.Send(t, s, env, storetest.Sent{}, ada, eve)
		outside, _ := storetest.Send(t, s, env, storetest.Sent{Outside: true}, eve)
		ids := []model.NotificationID{list[0].ID, list[1].ID, outside[0].ID}

		marked, _, err := s.MarkNotifications(ctx, env, model.Once{}, eve, ids, model.MarkArchived)
		if err != nil || !slices.Equal(idsOf(marked.Value.Notifications), ids[1:2]) || !slices.Equal(marked.Value.NotFound, []model.NotificationID{ids[0], ids[2]}) {
			t.Errorf("marked %+v, %v; want only what is in one's own inbox", marked.Value, err)
		}
		deleted, _, err := s.DeleteNotifications(ctx, env, model.Once{}, eve, ids)
		if err != nil || !slices.Equal(deleted.Value.Deleted, ids[1:2]) || !slices.Equal(deleted.Value.NotFound, []model.NotificationID{ids[0], ids[2]}) {
			t.Errorf("deleted %+v, %v; want only what is in one's own inbox", deleted.Value, err)
		}
		if got, err := s.Inbox(ctx, env, ada, listed, model.PageRequest{Limit: 20}); err != nil || got.Seq != 1 || got.Counters.Unread != 1 {
			t.Errorf("the other inbox was changed: %+v, %v", got, err)
		}
	})
}
