package store_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

// endpoint makes an endpoint that is told of types.
func endpoint(t *testing.T, s *store.Store, env model.EnvID, id string, types ...string) model.WebhookEndpointRef {
	t.Helper()
	out, err := s.CreateWebhookEndpoint(t.Context(), model.Once{}, model.WebhookEndpoint{
		ID: model.WebhookEndpointID(id), EnvID: env, URL: "https://hooks.example.com", Types: types, Enabled: true, Sealed: []byte("s"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return model.WebhookEndpointRef{Env: env, ID: out.Value.ID}
}

// toldOf lists what an endpoint is told, oldest first.
func toldOf(t *testing.T, s *store.Store, ref model.WebhookEndpointRef) (types []string, events []model.WebhookEvent) {
	t.Helper()
	page, err := s.ListWebhookEvents(t.Context(), ref, nil, model.PageRequest{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(page.Items)
	for _, e := range page.Items {
		types = append(types, string(e.Type))
	}
	return types, page.Items
}

func TestChangesAreTold(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		f := newSends(t, s, 2)
		ada := f.users[0]
		elsewhere := newEnvironmentOf(t, s, "other")
		all, theirs := endpoint(t, s, f.env, "all"), endpoint(t, s, elsewhere, "all")
		reads := endpoint(t, s, f.env, "reads", "notification.read", "user.*")

		p := f.pending(t, f.users...)
		skipped := model.PlannedDelivery{Delivery: model.Delivery{
			ID: "d1", EnvID: f.env, NotificationID: p.Notifications[0].ID, UserID: ada.ID, SendID: p.Send.ID, Channel: model.ChannelEmail,
			State: model.DeliverySkipped, Reason: model.ReasonNoAddress, CreatedAt: f.now,
		}}
		queued := skipped
		queued.ID, queued.State, queued.Address, queued.ExpiresAt = "d2", model.DeliveryQueued, "a@example.com", f.now.Add(-time.Hour)
		p.Deliveries = []model.PlannedDelivery{skipped, queued}
		f.mustSave(t, p)
		plain := f.pending(t, ada)
		f.mustSave(t, plain)
		first, second := p.Notifications[0].ID, plain.Notifications[0].ID
		must := func(_ any, err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		mark := func(as model.MarkState, ids ...model.NotificationID) {
			t.Helper()
			_, _, err := s.MarkNotifications(ctx, f.env, model.Once{}, ada.ID, ids, as)
			must(nil, err)
		}
		for _, as := range []model.MarkState{model.MarkSeen, model.MarkRead, model.MarkRead, model.MarkUnread, model.MarkInteracted, model.MarkArchived} {
			mark(as, first)
		}
		_, _, err := s.MarkAll(ctx, f.env, model.Once{}, ada.ID, model.MarkRead, nil, nil)
		must(nil, err)
		_, _, err = s.DeleteNotifications(ctx, f.env, model.Once{}, ada.ID, []model.NotificationID{second})
		must(nil, err)
		must(s.ExpireDeliveries(ctx, 10))
		must(s.IdentifyUser(ctx, f.env, model.Once{}, "new", func(int, json.RawMessage) (json.RawMessage, []model.Problem, error) {
			return json.RawMessage("{}"), nil, nil
		}))
		must(s.PatchProfile(ctx, f.env, model.Once{}, "new", nil, func(json.RawMessage) (json.RawMessage, error) { return json.RawMessage(`{"a":1}`), nil }))
		must(s.MergeUsers(ctx, f.env, model.Once{}, "m", "new", f.users[1].Identifier, func(_, into json.RawMessage) (json.RawMessage, model.MergeDecision, error) {
			return into, model.MergeDecision{}, nil
		}, false))

		types, events := toldOf(t, s, all)
		want := []string{
			"notification.created", "notification.created", "delivery.skipped", "notification.created",
			"notification.seen", "notification.read", "notification.unread", "notification.interacted", "notification.archived",
			"notification.read", "notification.deleted", "delivery.failed", "user.created", "user.updated", "user.merged",
		}
		if !slices.Equal(types, want) {
			t.Fatalf("told of %q\nwant %q", types, want)
		}
		if d := events[5].Data; events[5].UserID != ada.ID || d.Notification != first || d.Send != p.Send.ID {
			t.Errorf("read: %+v", events[5])
		}
		if d := events[9].Data; !d.All || d.Count != 1 {
			t.Errorf("mark-all: %+v", d)
		}
		if d := events[11].Data; d.Delivery != "d2" || d.State != model.DeliveryExpired {
			t.Errorf("expired delivery: %+v", d)
		}
		if d := events[14]; d.UserID != f.users[1].ID || d.Data.FromName != "new" {
			t.Errorf("merge: %+v", d)
		}
		if types, _ := toldOf(t, s, theirs); len(types) > 0 {
			t.Errorf("another environment is told %q", types)
		}
		if types, _ := toldOf(t, s, reads); !slices.Equal(types, []string{"notification.read", "notification.read", "user.created", "user.updated", "user.merged"}) {
			t.Errorf("who wants some is told of %q", types)
		}
		forgotten, err := s.ForgetWebhookEvents(ctx, time.Now().Add(time.Hour), len(want))
		if err != nil || forgotten != len(want) {
			t.Errorf("forgot %d events, %v", forgotten, err)
		}
		_, err = s.ForgetWebhookEvents(ctx, time.Now().Add(time.Hour), 100)
		must(nil, err)

		// Whoever is erased leaves nothing but the news of it.
		f.mustSave(t, f.pending(t, ada))
		if err := storetest.Erase(ctx, s, f.env, model.Once{}, ada.Identifier); err != nil {
			t.Fatal(err)
		}
		if types, events := toldOf(t, s, all); !slices.Equal(types, []string{"user.deleted"}) || events[0].Data.Identifier != ada.Identifier {
			t.Errorf("after an erasure: %q", types)
		}
	})
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		f := newSends(t, s, 1)
		ref := endpoint(t, s, f.env, "hook")
		set := func(enabled bool) {
			if _, err := s.UpdateWebhookEndpoint(t.Context(), f.env, model.Once{}, ref.ID, func(e model.WebhookEndpoint) (model.WebhookEndpoint, error) {
				e.Enabled = enabled
				return e, nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		set(false)
		f.mustSave(t, f.pending(t, f.users...))
		if types, _ := toldOf(t, s, ref); len(types) > 0 {
			t.Errorf("a disabled endpoint is told %q", types)
		}
		set(true)
		f.mustSave(t, f.pending(t, f.users...))
		if types, _ := toldOf(t, s, ref); len(types) != 1 {
			t.Errorf("an enabled endpoint is told %q", types)
		}
	})
}

// TestADeletedEndpointLeavesNothing deletes an endpoint that was told more than
// one transaction drops.
func TestADeletedEndpointLeavesNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		f := newSends(t, s, 1)
		gone, kept := endpoint(t, s, f.env, "gone"), endpoint(t, s, f.env, "kept")
		for range 3 {
			f.mustSave(t, f.pending(t, f.users...))
		}
		_, events := toldOf(t, s, gone)
		if _, err := s.DeleteWebhookEndpoint(ctx, f.env, model.Once{}, gone.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := s.ReplayWebhookEvent(ctx, gone, model.Once{}, events[0].ID); model.KindOf(err) != model.KindNotFound {
			t.Errorf("an event of a deleted endpoint is replayed: %v", err)
		}
		for found := true; found; {
			var err error
			if found, err = s.ForgetDeletedEndpoint(ctx, 2); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := store.RowsOf(ctx, s, "webhook_events", f.env, f.users[0].ID); err != nil || n != 3 {
			t.Errorf("%d events are left, %v; want the 3 of the other endpoint", n, err)
		}
		if types, _ := toldOf(t, s, kept); len(types) != 3 {
			t.Errorf("the other endpoint is told %q", types)
		}
	})
}

func TestWebhookQueue(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		f := newSends(t, s, 1)
		ref := endpoint(t, s, f.env, "hook")
		other := model.WebhookEndpointRef{Env: newEnvironmentOf(t, s, "other"), ID: ref.ID}
		f.mustSave(t, f.pending(t, f.users...))
		claim := func(ref model.WebhookEndpointRef, lease time.Duration) []model.ClaimedWebhookEvent {
			t.Helper()
			out, err := s.ClaimWebhookEvents(ctx, ref, 10, lease)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		if due, err := s.DueWebhookEndpoints(ctx); err != nil || len(due) != 1 || due[0].ID != ref.ID {
			t.Fatalf("due: %+v, %v", due, err)
		}
		if got := claim(other, time.Hour); len(got) > 0 {
			t.Errorf("claimed for another environment: %+v", got)
		}
		lost := claim(ref, 0) // its lease is over at once
		held := claim(ref, time.Hour)
		if len(lost) != 1 || len(held) != 1 || len(claim(ref, time.Hour)) != 0 {
			t.Fatalf("claimed %d, then %d, then more", len(lost), len(held))
		}
		finish := func(c model.ClaimedWebhookEvent, state model.WebhookState, h model.WebhookHealth) bool {
			t.Helper()
			c.State, c.Attempt, c.Tries = state, c.Attempt+1, c.Tries+1
			h.WebhookEndpointRef = ref
			disabled, err := s.FinishWebhookEvents(ctx, []model.FinishedWebhookEvent{{ClaimedWebhookEvent: c, Called: &model.WebhookAttempt{Event: c.ID, N: c.Attempt, StartedAt: f.now, Status: 200}}}, h, 24*time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			return disabled
		}
		finish(lost[0], model.WebhookFailed, model.WebhookHealth{})
		finish(held[0], model.WebhookSent, model.WebhookHealth{Answered: true})
		page, err := s.ListWebhookEvents(ctx, ref, []model.WebhookState{model.WebhookSent}, model.PageRequest{Limit: 10})
		if err != nil || len(page.Items) != 1 {
			t.Fatalf("what the lost claim said counts: %+v, %v", page.Items, err)
		}
		id := page.Items[0].ID
		if attempts, err := s.WebhookAttempts(ctx, ref, []model.WebhookEventID{id}); err != nil || len(attempts[id]) != 1 {
			t.Errorf("attempts: %+v, %v", attempts, err)
		}
		if attempts, err := s.WebhookAttempts(ctx, other, []model.WebhookEventID{id}); err != nil || len(attempts) != 0 {
			t.Errorf("attempts seen by another environment: %+v, %v", attempts, err)
		}
		if _, err := s.ReplayWebhookEvent(ctx, other, model.Once{}, id); model.KindOf(err) != model.KindNotFound {
			t.Errorf("replayed by another environment: %v", err)
		}
		if out, err := s.ReplayWebhookEvents(ctx, ref, model.Once{}, []model.WebhookState{model.WebhookSent}, time.Time{}); err != nil || out.Value != 1 {
			t.Errorf("replayed %+v, %v", out, err)
		}
		again := claim(ref, time.Hour)
		if len(again) != 1 || again[0].ID != id || again[0].Tries != 0 || again[0].Attempt != 1 {
			t.Fatalf("replayed: %+v", again)
		}
		if finish(again[0], model.WebhookQueued, model.WebhookHealth{Failures: 1, Wait: time.Hour}) {
			t.Error("disabled after one failure")
		}
		if due, err := s.DueWebhookEndpoints(ctx); err != nil || len(due) != 0 {
			t.Errorf("an endpoint that waits is due: %+v, %v", due, err)
		}
		if !finish(claim(ref, time.Hour)[0], model.WebhookFailed, model.WebhookHealth{Failures: 1, Gone: true}) {
			t.Error("an endpoint that is gone goes on")
		}
		list, err := s.WebhookEndpoints(ctx, f.env)
		if err != nil || list[0].Enabled || list[0].Trouble == "" || list[0].Failures != 2 || list[0].FailingSince.IsZero() {
			t.Errorf("the endpoint is %+v, %v", list, err)
		}
		if _, err := s.DeleteWebhookEndpoint(ctx, other.Env, model.Once{}, ref.ID); model.KindOf(err) != model.KindNotFound {
			t.Errorf("deleted by another environment: %v", err)
		}
		if _, err := s.DeleteWebhookEndpoint(ctx, f.env, model.Once{}, ref.ID); err != nil {
			t.Error(err)
		}
		if types, _ := toldOf(t, s, ref); len(types) > 0 {
			t.Errorf("the events of a deleted endpoint are there: %q", types)
		}
	})
}
