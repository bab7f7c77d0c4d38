package store_test

import (
	"slices"
	"testing"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

// shown lists what an inbox shows, whose total must say how much that is.
func shown(t *testing.T, s *store.Store, env model.EnvID, user model.UserID) []model.NotificationID {
	t.Helper()
	page, err := s.Inbox(t.Context(), env, user, model.InboxFilter{}, model.PageRequest{Limit: 50})
	if err != nil {
		t.Fatal(err)
	}
	var ids []model.NotificationID
	for _, n := range page.Items {
		ids = append(ids, n.ID)
	}
	if int(page.Counters.Total) != len(ids) {
		t.Errorf("the inbox of %d counts %+v and shows %d", user, page.Counters, len(ids))
	}
	return ids
}

func TestRecall(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		f := newSends(t, s, 3)
		other := newEnvironmentOf(t, s, "other")
		hook := endpoint(t, s, f.env, "hook", "notification.deleted", "delivery.skipped")
		p, kept := f.pending(t, f.users...), f.pending(t, f.users...)
		p.Deliveries = []model.PlannedDelivery{{Delivery: model.Delivery{
			ID: "d1", EnvID: f.env, NotificationID: p.Notifications[0].ID, UserID: f.users[0].ID, SendID: p.Send.ID, Channel: model.ChannelEmail,
			State: model.DeliveryQueued, Reason: model.ReasonEnvDefault, Address: "a@example.com", CreatedAt: f.now,
		}}}
		f.mustSave(t, p, kept)
		if _, err := s.RecallSend(ctx, other, model.Once{}, p.Send.ID); model.KindOf(err) != model.KindNotFound {
			t.Errorf("recalled by another environment: %v", err)
		}
		out, err := s.RecallSend(ctx, f.env, model.Once{}, p.Send.ID)
		if err != nil || out.Value.RecalledAt.IsZero() || out.Value.Status != model.SendSent {
			t.Fatalf("recalled %+v, %v", out.Value, err)
		}
		told, watched := 0, 0
		for found := true; found; {
			var hints []model.Hint
			if found, hints, err = s.RecallNext(ctx, f.env, p.Send.ID, 2); err != nil {
				t.Fatal(err)
			}
			for _, h := range hints {
				if h.Key == model.DeliveriesKey(f.env) {
					watched++
				} else {
					told++
				}
			}
		}
		if told != len(f.users) || watched != 1 {
			t.Errorf("%d inboxes are told, want %d; watchers of deliveries %d times, want once", told, len(f.users), watched)
		}
		for i, u := range f.users {
			if got := shown(t, s, f.env, u.ID); !slices.Equal(got, []model.NotificationID{kept.Notifications[i].ID}) {
				t.Errorf("the inbox of user %d shows %v", i, got)
			}
		}
		if d, err := s.Delivery(ctx, f.env, "d1"); err != nil || d.State != model.DeliveryCanceled || d.Detail == "" {
			t.Errorf("the delivery is %+v, %v", d, err)
		}
		again, err := s.RecallSend(ctx, f.env, model.Once{}, p.Send.ID)
		if err != nil || !again.Value.RecalledAt.Equal(out.Value.RecalledAt) {
			t.Errorf("recalled again: %+v, %v", again.Value, err)
		}

		id := kept.Notifications[1].ID
		if out, hints, err := s.RecallNotifications(ctx, other, model.Once{}, []model.NotificationID{id}); err != nil || len(out.Value.Recalled) > 0 || len(hints) > 0 {
			t.Errorf("another environment recalled %+v, %v", out.Value, err)
		}
		one, hints, err := s.RecallNotifications(ctx, f.env, model.Once{}, []model.NotificationID{id, p.Notifications[0].ID})
		if err != nil || !slices.Equal(one.Value.Recalled, []model.NotificationID{id}) || len(one.Value.NotFound) != 1 || len(hints) != 1 {
			t.Errorf("recalled %+v, %v", one.Value, err)
		}
		types, events := toldOf(t, s, hook)
		if len(types) != 5 || events[0].Data.Cause != model.CauseRecalled {
			t.Errorf("told of %q", types)
		}
	})
}

// TestRecallsTakeTurns has two tenants recall at once: the later one's call does
// its own work, and neither waits for the other to end, or for one that fails.
func TestRecallsTakeTurns(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		first, second := newSends(t, s, 3), newSendsIn(t, s, newEnvironmentOf(t, s, "other"), 3)
		var ids []model.SendID
		for _, f := range []*sends{first, second} {
			p := f.pending(t, f.users...)
			f.mustSave(t, p)
			if _, err := s.RecallSend(ctx, f.env, model.Once{}, p.Send.ID); err != nil {
				t.Fatal(err)
			}
			ids = append(ids, p.Send.ID)
		}
		if more, _, err := s.RecallNext(ctx, second.env, ids[0], 10); err != nil || more {
			t.Errorf("another environment goes on with a recall: %t, %v", more, err)
		}
		for _, want := range []model.SendID{ids[0], ids[1]} {
			env, id, found, err := s.RecallingSend(ctx, nil)
			if err != nil || !found || id != want {
				t.Fatalf("the turn is %d's, %t, %v; want %d", id, found, err, want)
			}
			if more, _, err := s.RecallNext(ctx, env, id, 2); err != nil || !more {
				t.Fatalf("recalling: %t, %v", more, err)
			}
		}
		if _, id, _, err := s.RecallingSend(ctx, []model.SendID{ids[0]}); err != nil || id != ids[1] {
			t.Errorf("past one that fails the turn is %d's, %v", id, err)
		}
	})
}

func TestRecallOfAnExpandingSendEndsIt(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		f := newSends(t, s, 2)
		p := f.pending(t)
		p.Send.Status, p.Audience = model.SendExpanding, &model.Audience{Everyone: true}
		f.mustSave(t, p)
		if out, err := s.RecallSend(t.Context(), f.env, model.Once{}, p.Send.ID); err != nil || out.Value.Status != model.SendCanceled {
			t.Fatalf("recalled %+v, %v", out.Value, err)
		}
		late := f.pending(t, f.users...)
		for i := range late.Notifications {
			late.Notifications[i].SendID = p.Send.ID
		}
		saved, _, err := s.SaveChunk(t.Context(), model.Chunk{Send: p.Send, Reached: f.users[1].ID, Notifications: late.Notifications})
		if err != nil || saved {
			t.Errorf("a chunk of a recalled send was saved: %t, %v", saved, err)
		}
	})
}

func TestCollapseKeys(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		f := newSends(t, s, 2)
		ada, eve := f.users[0], f.users[1]
		with := func(key string, users ...model.User) model.PendingSend {
			p := f.pending(t, users...)
			p.Options.CollapseKey = key
			return p
		}
		plain, first, other := f.pending(t, ada), with("ride", ada, eve), with("meal", ada)
		f.mustSave(t, plain, first, other)
		if _, _, err := s.MarkNotifications(ctx, f.env, model.Once{}, ada.ID, []model.NotificationID{first.Notifications[0].ID}, model.MarkRead); err != nil {
			t.Fatal(err)
		}
		_, before, err := s.InboxCounters(ctx, f.env, ada.ID)
		if err != nil {
			t.Fatal(err)
		}
		// Two of one commit: the later one stays.
		lost, second := with("ride", ada), with("ride", ada)
		_, changes, err := s.SaveSends(ctx, []model.PendingSend{lost, second})
		if err != nil || len(changes) != 1 {
			t.Fatalf("%d changes, %v", len(changes), err)
		}
		c := changes[0]
		if len(c.Added) != 1 || c.Added[0].ID != second.Notifications[0].ID || !slices.Equal(c.Removed, []model.NotificationID{first.Notifications[0].ID}) {
			t.Errorf("the change adds %d and removes %v", len(c.Added), c.Removed)
		}
		if want := (model.Counters{Total: 3, Unseen: 3, Unread: 3}); c.Counters != want {
			t.Errorf("the change counts %+v, want %+v", c.Counters, want)
		}
		missed, err := s.Changes(ctx, f.env, ada.ID, before)
		if err != nil || len(missed.Added) != 1 || !slices.Equal(missed.Removed, c.Removed) || missed.Counters != c.Counters || missed.Head != c.Seq {
			t.Errorf("a catch-up has %+v, %v", missed, err)
		}
		if got := shown(t, s, f.env, ada.ID); len(got) != 3 || slices.Contains(got, first.Notifications[0].ID) {
			t.Errorf("ada's inbox shows %v", got)
		}
		if got := shown(t, s, f.env, eve.ID); !slices.Equal(got, []model.NotificationID{first.Notifications[1].ID}) {
			t.Errorf("eve's inbox shows %v", got)
		}

		// And what is expanded in chunks.
		large := with("ride")
		large.Send.Status, large.Audience = model.SendExpanding, &model.Audience{Everyone: true}
		f.mustSave(t, large)
		members := f.pending(t, ada, eve)
		for i := range members.Notifications {
			members.Notifications[i].SendID = large.Send.ID
		}
		large.Send.Status = model.SendSent
		saved, changes, err := s.SaveChunk(ctx, model.Chunk{Send: large.Send, Reached: eve.ID, Notifications: members.Notifications})
		if err != nil || !saved || len(changes) != 2 || len(changes[0].Removed) != 1 || len(changes[1].Removed) != 1 {
			t.Fatalf("the chunk changes %+v, %v", changes, err)
		}
		if got := shown(t, s, f.env, eve.ID); !slices.Equal(got, []model.NotificationID{members.Notifications[1].ID}) {
			t.Errorf("after the chunk eve's inbox shows %v", got)
		}
	})
}
