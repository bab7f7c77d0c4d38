package store_test

import (
	"encoding/json"
	"testing"
	"time"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

// steady holds that the counters of every inbox are what its rows say.
func steady(t *testing.T, s *store.Store) {
	t.Helper()
	if r, err := s.VerifyCounters(t.Context(), 10); err != nil || r.Drifted != 0 {
		t.Errorf("counters drifted: %+v, %v", r, err)
	}
}

func TestInteractionsLiveAsLongAsTheirItem(t *testing.T) {
	t.Parallel()
	withClock(t, func(t *testing.T, s *store.Store, c *movingClock) {
		ctx, env := t.Context(), newEnvironment(t, s)
		ada := storetest.User(t, s, env, "ada")
		list, _ := storetest.Send(t, s, env, storetest.Sent{}, ada)
		id := list[0].ID
		change := func(state, data string, gone bool) model.MarkResult {
			t.Helper()
			in := model.StateChange{State: state, Delete: gone}
			if data != "" {
				in.Data = json.RawMessage(data)
			}
			out, hint, err := s.SetNotificationState(ctx, env, model.Once{}, ada, id, in)
			if err != nil || hint == nil || hint.Seq != out.Value.Seq || len(out.Value.Notifications) != 1 || out.Value.Notifications[0].State != state {
				t.Fatalf("%s: %+v, %+v, %v", state, out.Value, hint, err)
			}
			return out.Value
		}
		for range model.MaxInteractions + 5 {
			change("again", "", false)
		}
		last := change("last", `{"a":"b"}`, false)
		if n := last.Notifications[0]; n.InteractedAt.IsZero() || !n.SeenAt.IsZero() || !n.ReadAt.IsZero() || last.Counters.Unseen != 1 {
			t.Errorf("%+v", last)
		}
		done, err := s.Interactions(ctx, env, []model.NotificationID{id})
		if l := done[id]; err != nil || len(l) != model.MaxInteractions || l[len(l)-1].State != "last" || string(l[len(l)-1].Data) != `{"a":"b"}` {
			t.Errorf("%d interactions, %v", len(done[id]), err)
		}
		if r := change("gone", "", true); len(r.Deleted) != 1 || r.Counters != (model.Counters{}) {
			t.Errorf("%+v", r)
		}
		steady(t, s)
		if out, _, err := s.SetNotificationState(ctx, env, model.Once{}, ada, id, model.StateChange{State: "x"}); err != nil || len(out.Value.NotFound) != 1 {
			t.Errorf("a deleted one: %+v, %v", out.Value, err)
		}
		if owner, err := s.NotificationOwner(ctx, env, id); err != nil || owner != ada {
			t.Errorf("owner %d, %v", owner, err)
		}
		c.day(60)
		if _, err := s.TrimTombstones(ctx, day(59), 10); err != nil {
			t.Fatal(err)
		}
		if done, err = s.Interactions(ctx, env, []model.NotificationID{id}); err != nil || len(done) != 0 {
			t.Errorf("after trimming: %v, %v", done, err)
		}
	})
}

// What was read without having been seen stays so when its user becomes
// another, and what was done to it goes along.
func TestReadOnlyItemsAndInteractionsAreMerged(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, env := t.Context(), newEnvironment(t, s)
		anon, ada := storetest.User(t, s, env, "anon"), storetest.User(t, s, env, "ada")
		storetest.Send(t, s, env, storetest.Sent{}, ada)
		storetest.Send(t, s, env, storetest.Sent{}, anon)
		if _, _, err := s.MarkAll(ctx, env, model.Once{}, anon, model.MarkSeen, nil, nil); err != nil {
			t.Fatal(err)
		}
		list, _ := storetest.Send(t, s, env, storetest.Sent{}, anon)
		id := list[0].ID
		if _, _, err := s.MarkNotifications(ctx, env, model.Once{}, anon, []model.NotificationID{id}, model.MarkReadOnly); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.SetNotificationState(ctx, env, model.Once{}, anon, id, model.StateChange{State: "s"}); err != nil {
			t.Fatal(err)
		}
		join := func(_, _ json.RawMessage) (json.RawMessage, model.MergeDecision, error) {
			return json.RawMessage("{}"), model.MergeDecision{}, nil
		}
		if _, err := s.MergeUsers(ctx, env, model.Once{}, "merge-1", "anon", "ada", join, false); err != nil {
			t.Fatal(err)
		}
		got, err := s.Notifications(ctx, env, []model.NotificationID{id})
		if err != nil || len(got) != 1 || got[0].UserID != ada || got[0].ReadAt.IsZero() || !got[0].SeenAt.IsZero() {
			t.Errorf("%+v, %v", got, err)
		}
		if c, _, err := s.InboxCounters(ctx, env, ada); err != nil || c != (model.Counters{Total: 3, Unseen: 1, Unread: 2}) {
			t.Errorf("counters %+v, %v", c, err)
		}
		steady(t, s)
		if _, _, err := s.SetNotificationState(ctx, env, model.Once{}, ada, id, model.StateChange{State: "t"}); err != nil {
			t.Fatal(err)
		}
		if done, err := s.Interactions(ctx, env, []model.NotificationID{id}); err != nil || len(done[id]) != 2 {
			t.Errorf("interactions %+v, %v", done, err)
		}
	})
}

// A mark-all that an item has its seenAt from is kept for one that was read
// before it was seen, too.
func TestMarksOfReadOnlyItemsAreKept(t *testing.T) {
	t.Parallel()
	withClock(t, func(t *testing.T, s *store.Store, c *movingClock) {
		ctx, env := t.Context(), newEnvironment(t, s)
		ada := storetest.User(t, s, env, "ada")
		seeAll := func() {
			t.Helper()
			storetest.Send(t, s, env, storetest.Sent{}, ada)
			if _, _, err := s.MarkAll(ctx, env, model.Once{}, ada, model.MarkSeen, nil, nil); err != nil {
				t.Fatal(err)
			}
		}
		seeAll()
		list, _ := storetest.Send(t, s, env, storetest.Sent{}, ada)
		if _, _, err := s.MarkNotifications(ctx, env, model.Once{}, ada, idsOf(list), model.MarkReadOnly); err != nil {
			t.Fatal(err)
		}
		for n := 1; n < 4; n++ {
			c.day(n)
			seeAll()
		}
		all, err := s.Inbox(ctx, env, ada, model.InboxFilter{}, model.PageRequest{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range all.Items {
			if n.ID != list[0].ID {
				if _, _, err := s.DeleteNotifications(ctx, env, model.Once{}, ada, []model.NotificationID{n.ID}); err != nil {
					t.Fatal(err)
				}
			}
		}
		var at model.InboxCursor
		if _, _, err := s.TrimMarks(ctx, day(60), at, 100); err != nil {
			t.Fatal(err)
		}
		got, err := s.Notifications(ctx, env, idsOf(list))
		if err != nil || len(got) != 1 || !got[0].SeenAt.Equal(day(1)) || !got[0].ReadAt.Equal(day(0)) {
			t.Errorf("%+v, %v; want it seen on day 1 and read on day 0", got, err)
		}
	})
}

func TestSkipsAndAttachmentsOfASend(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, env := t.Context(), newEnvironment(t, s)
		storetest.User(t, s, env, "bob")
		ids, err := s.NewIDs(ctx, 1)
		if err != nil {
			t.Fatal(err)
		}
		send := model.Send{ID: model.SendID(ids[0]), EnvID: env, RequestID: "r-1", Status: model.SendSent, Content: model.Content{Title: "T"}, CreatedAt: time.Now()}
		_, _, err = s.SaveSends(ctx, []model.PendingSend{{
			Send: send, Attachments: []model.Attachment{{Name: "b.pdf", ContentType: "application/pdf", Content: []byte("b")}, {Name: "a.txt", Key: "k", Content: []byte{0, 1}}},
			Result: model.SendResult{Skipped: []model.Skipped{{Identifier: "nobody", Reason: model.ReasonUserUnknown}, {Identifier: "bob", Reason: model.ReasonUserDisabled}}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		files, err := s.Attachments(ctx, env, send.ID)
		if err != nil || len(files) != 2 || files[0].Name != "b.pdf" || files[0].ContentType != "application/pdf" || files[1].Key != "k" || string(files[1].Content) != "\x00\x01" {
			t.Errorf("attachments %+v, %v", files, err)
		}
		left := func() []model.Skipped {
			t.Helper()
			out, err := s.Skipped(ctx, env, []model.SendID{send.ID})
			if err != nil {
				t.Fatal(err)
			}
			return out[send.ID]
		}
		if l := left(); len(l) != 2 || l[0].Identifier != "bob" || l[0].Reason != model.ReasonUserDisabled || l[1].Identifier != "nobody" {
			t.Errorf("skipped %+v", l)
		}
		if err := storetest.Erase(ctx, s, env, model.Once{}, "bob"); err != nil {
			t.Fatal(err)
		}
		if l := left(); len(l) != 0 { // the send was for bob alone, and went with him
			t.Errorf("after bob was deleted: skipped %+v", l)
		}
	})
}
