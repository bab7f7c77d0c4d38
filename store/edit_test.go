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

// says is an edit of the title.
func says(title string) model.ContentChange { return model.ContentChange{Title: &title} }

// titles lists what the newest page of an inbox shows, which everything else that
// reads it must show as well.
func titles(t *testing.T, s *store.Store, env model.EnvID, user model.UserID) (out []string) {
	t.Helper()
	newest, _, err := s.NewestInbox(t.Context(), env, user, model.DefaultPage, model.NoSeq)
	if err != nil {
		t.Fatal(err)
	}
	page, err := s.Inbox(t.Context(), env, user, listed, model.PageRequest{Limit: model.DefaultPage})
	if err != nil || !alike(newest, page) {
		t.Errorf("the newest page is %+v, and read otherwise %+v, %v", newest, page, err)
	}
	for _, n := range newest.Items {
		out = append(out, n.Content.Title)
	}
	return out
}

// edit edits a send of the fixture.
func (f *sends) edit(t *testing.T, id model.SendID, change model.ContentChange) model.Send {
	t.Helper()
	out, err := f.s.EditSend(t.Context(), f.env, model.Once{}, id, change)
	if err != nil {
		t.Fatal(err)
	}
	return out.Value
}

// spread tells all inboxes of an edit, so many at a time.
func (f *sends) spread(t *testing.T, id model.SendID, limit int) (hints []model.Hint) {
	t.Helper()
	for more := true; more; {
		var some []model.Hint
		var err error
		if more, some, err = f.s.SpreadEdit(t.Context(), f.env, id, limit, nil); err != nil {
			t.Fatal(err)
		}
		hints = append(hints, some...)
	}
	return hints
}

func TestEdit(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		f := newSends(t, s, 4)
		ada, eve, bob, out := f.users[0], f.users[1], f.users[2], f.users[3]
		hook := endpoint(t, s, f.env, "hook", "notification.edited")
		p, other := f.pending(t, f.users...), f.pending(t, ada)
		p.Notifications[3].InInbox = false
		f.mustSave(t, p, other)
		for _, u := range f.users { // what a process remembers
			titles(t, s, f.env, u.ID)
		}
		if _, _, err := s.MarkNotifications(ctx, f.env, model.Once{}, ada.ID, []model.NotificationID{p.Notifications[0].ID}, model.MarkRead); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.DeleteNotifications(ctx, f.env, model.Once{}, bob.ID, []model.NotificationID{p.Notifications[2].ID}); err != nil {
			t.Fatal(err)
		}
		counters, seq, err := s.InboxCounters(ctx, f.env, ada.ID)
		if err != nil {
			t.Fatal(err)
		}
		elsewhere := newEnvironmentOf(t, s, "other")
		if _, err := s.EditSend(ctx, elsewhere, model.Once{}, p.Send.ID, says("Stolen")); model.KindOf(err) != model.KindNotFound {
			t.Errorf("edited by another environment: %v", err)
		}
		body := "At nine."
		m := f.edit(t, p.Send.ID, model.ContentChange{Title: &[]string{"Correct"}[0], Body: &body})
		if c := m.Content; c.Title != "Correct" || c.Body != body || string(c.Data) != string(p.Send.Content.Data) || c.Edition != 1 || c.EditedAt.IsZero() {
			t.Fatalf("edited to %+v", c)
		}
		// A process dies after the first inbox; others go on.
		if more, hints, err := s.SpreadEdit(ctx, f.env, p.Send.ID, 1, nil); err != nil || !more || len(hints) != 1 {
			t.Fatalf("told %v, more %t, %v", hints, more, err)
		}
		if more, _, err := s.SpreadEdit(ctx, elsewhere, p.Send.ID, 1, nil); err != nil || more {
			t.Errorf("another environment goes on with it: %t, %v", more, err)
		}
		if env, id, found, err := s.EditedSend(ctx, nil); err != nil || !found || env != f.env || id != p.Send.ID {
			t.Errorf("found %d %d %t, %v", env, id, found, err)
		}
		if _, _, found, err := s.EditedSend(ctx, []model.SendID{p.Send.ID}); err != nil || found {
			t.Errorf("found one that is passed over: %t, %v", found, err)
		}
		if hints := f.spread(t, p.Send.ID, 1); len(hints) != 1 || hints[0].Key.ID != int64(eve.ID) || hints[0].Change.Changed[0].Content.Title != "Correct" {
			t.Errorf("the rest is told %+v", hints)
		}
		if _, _, found, err := s.EditedSend(ctx, nil); err != nil || found {
			t.Errorf("it is not at its end: %v", err)
		}
		missed, err := s.Changes(ctx, f.env, ada.ID, seq)
		if err != nil || missed.Head != seq+1 || missed.Counters != counters || len(missed.Changed) != 1 || len(missed.Added)+len(missed.Removed) > 0 {
			t.Fatalf("ada missed %+v, %v", missed, err)
		}
		if n := missed.Changed[0]; n.Content.Title != "Correct" || n.ReadAt.IsZero() || n.SeenAt.IsZero() || !n.Content.EditedAt.Equal(m.Content.EditedAt) {
			t.Errorf("it has become %+v", n)
		}
		if got := titles(t, s, f.env, ada.ID); !slices.Equal(got, []string{"Hello", "Correct"}) {
			t.Errorf("ada sees %q", got)
		}
		if got := titles(t, s, f.env, bob.ID); len(got) > 0 {
			t.Errorf("bob sees %q, which was deleted", got)
		}
		if got, err := s.Notifications(ctx, f.env, []model.NotificationID{p.Notifications[3].ID}); err != nil || len(got) != 1 || got[0].UserID != out.ID || got[0].Content.Title != "Correct" {
			t.Errorf("outside the inbox there is %+v, %v", got, err)
		}
		if types, _ := toldOf(t, s, hook); len(types) != 3 {
			t.Errorf("the application was told %q", types)
		}
		f.noDrift(t)

		if again := f.edit(t, p.Send.ID, says("Correct")); again.Content.Edition != 1 {
			t.Errorf("an edit that changes nothing made %+v", again.Content)
		}
		// Two edits before anybody is told of the first: all end at the second.
		f.edit(t, p.Send.ID, says("Second"))
		if _, _, err := s.SpreadEdit(ctx, f.env, p.Send.ID, 1, nil); err != nil {
			t.Fatal(err)
		}
		f.edit(t, p.Send.ID, says("Third"))
		f.spread(t, p.Send.ID, 10)
		if ada, eve := titles(t, s, f.env, ada.ID), titles(t, s, f.env, eve.ID); !slices.Contains(ada, "Third") || !slices.Equal(eve, []string{"Third"}) {
			t.Errorf("ada sees %q, eve %q", ada, eve)
		}
	})
}

func TestEditOfWhatIsRecalledOrCancelled(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		f := newSends(t, s, 2)
		p, later := f.pending(t, f.users...), f.scheduled(t, time.Hour, f.users...)
		f.mustSave(t, p, later)
		f.edit(t, p.Send.ID, says("Never mind"))
		if _, err := s.RecallSend(ctx, f.env, model.Once{}, p.Send.ID); err != nil {
			t.Fatal(err)
		}
		if hints := f.spread(t, p.Send.ID, 10); len(hints) > 0 {
			t.Errorf("what is being recalled is told as edited: %+v", hints)
		}
		for found := true; found; {
			var err error
			if found, _, err = s.RecallNext(ctx, f.env, p.Send.ID, 10); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.EditSend(ctx, f.env, model.Once{}, p.Send.ID, says("Back")); model.KindOf(err) != model.KindConflict {
			t.Errorf("edited after the recall: %v", err)
		}
		if got := titles(t, s, f.env, f.users[0].ID); len(got) > 0 {
			t.Errorf("what was recalled shows: %q", got)
		}
		if _, err := s.CancelSend(ctx, f.env, model.Once{}, later.Send.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := s.EditSend(ctx, f.env, model.Once{}, later.Send.ID, says("Back")); model.KindOf(err) != model.KindConflict {
			t.Errorf("edited after it was cancelled: %v", err)
		}
	})
}

// TestEditHoldsForWhatIsMadeLater edits sends that were read, to be expanded and to
// be fired, just before.
func TestEditHoldsForWhatIsMadeLater(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		f := newSends(t, s, 3)
		m := f.expanding(t, model.Audience{Everyone: true})
		save := func(m model.Send, after model.UserID, users ...model.User) bool {
			t.Helper()
			saved, _, err := s.SaveChunk(ctx, f.chunk(t, m, after, users...))
			if err != nil {
				t.Fatal(err)
			}
			return saved
		}
		if !save(m, 0, f.users[0]) {
			t.Fatal("the first chunk was not saved")
		}
		titles(t, s, f.env, f.users[0].ID) // remembered as it was
		f.edit(t, m.ID, says("Correct"))
		if save(m, f.users[0].ID, f.users[1]) {
			t.Error("a chunk was saved that says what the send did before")
		}
		next, found, err := s.NextExpansion(ctx, f.env-1, nil)
		if err != nil || !found || next.Send.Content.Title != "Correct" {
			t.Fatalf("next %+v, %t, %v", next, found, err)
		}
		if !save(next.Send, f.users[0].ID, f.users[1]) {
			t.Fatal("the second chunk was not saved")
		}
		if got := titles(t, s, f.env, f.users[1].ID); !slices.Equal(got, []string{"Correct"}) {
			t.Errorf("a later one sees %q", got)
		}
		if hints := f.spread(t, m.ID, 10); len(hints) != 1 || hints[0].Key.ID != int64(f.users[0].ID) {
			t.Errorf("told %+v, want the one that was there before", hints)
		}

		p := f.scheduled(t, time.Hour, f.users[2])
		f.mustSave(t, p)
		fire := func(title string) bool {
			t.Helper()
			due := f.pending(t, f.users[2])
			due.Fire, due.Send.ID, due.Send.Content = true, p.Send.ID, p.Send.Content
			due.Notifications[0].SendID = p.Send.ID
			if title != "" {
				sends, err := s.Sends(ctx, f.env, []model.SendID{p.Send.ID})
				if err != nil || sends[p.Send.ID].Content.Title != title {
					t.Fatalf("the send says %+v, %v", sends[p.Send.ID].Content, err)
				}
				due.Send.Content = sends[p.Send.ID].Content
			}
			saved, _ := f.mustSave(t, due)
			return !saved[0].Lost
		}
		f.edit(t, p.Send.ID, says("In time"))
		if fire("") {
			t.Error("it fired with what it said before")
		}
		if !fire("In time") {
			t.Error("it did not fire")
		}
		if got := titles(t, s, f.env, f.users[2].ID); !slices.Equal(got, []string{"In time"}) {
			t.Errorf("the inbox has %q", got)
		}
	})
}

// TestEditReachesWhatAMergeHasMoved merges a user whom the walk has not reached into
// one whom it has passed.
func TestEditReachesWhatAMergeHasMoved(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		f := newSends(t, s, 3)
		p := f.pending(t, f.users[1], f.users[2])
		f.mustSave(t, p)
		titles(t, s, f.env, f.users[2].ID)
		f.edit(t, p.Send.ID, says("Correct"))
		if more, hints, err := s.SpreadEdit(t.Context(), f.env, p.Send.ID, 1, nil); err != nil || !more || len(hints) != 1 {
			t.Fatalf("told %v, more %t, %v", hints, more, err)
		}
		join := func(_, into json.RawMessage) (json.RawMessage, model.MergeDecision, error) {
			return into, model.MergeDecision{}, nil
		}
		if _, err := s.MergeUsers(t.Context(), f.env, model.Once{}, "m", f.users[2].Identifier, f.users[0].Identifier, join, false); err != nil {
			t.Fatal(err)
		}
		if hints := f.spread(t, p.Send.ID, 1); len(hints) != 1 || hints[0].Key.ID != int64(f.users[0].ID) {
			t.Errorf("told %+v", hints)
		}
		if got := titles(t, s, f.env, f.users[0].ID); !slices.Equal(got, []string{"Correct"}) {
			t.Errorf("the inbox has %q", got)
		}
	})
}

func TestAttemptsKeepTheirEdition(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		f := newSends(t, s, 1)
		p := f.pending(t, f.users...)
		p.Deliveries = []model.PlannedDelivery{{Delivery: model.Delivery{
			ID: "d1", EnvID: f.env, NotificationID: p.Notifications[0].ID, UserID: f.users[0].ID, SendID: p.Send.ID, Channel: model.ChannelEmail,
			State: model.DeliveryQueued, Reason: model.ReasonEnvDefault, Address: "a@example.com", CreatedAt: f.now,
		}}}
		f.mustSave(t, p)
		claimed, err := s.ClaimDeliveries(t.Context(), []model.LaneClaim{{Lane: model.Lane{Env: f.env, Channel: model.ChannelEmail}, Limit: 1}}, time.Minute)
		if err != nil || len(claimed) != 1 {
			t.Fatalf("claimed %+v, %v", claimed, err)
		}
		done := model.FinishedDelivery{ClaimedDelivery: claimed[0], Attempts: []model.Attempt{{Delivery: "d1", N: 1, StartedAt: f.now, Edition: 2}}}
		done.State = model.DeliverySent
		if counted, err := s.FinishDeliveries(t.Context(), []model.FinishedDelivery{done}); err != nil || !counted[done.Claim()] {
			t.Fatalf("counted %v, %v", counted, err)
		}
		got, err := s.Attempts(t.Context(), f.env, []model.DeliveryID{"d1"})
		if err != nil || len(got["d1"]) != 1 || got["d1"][0].Edition != 2 {
			t.Errorf("attempts %+v, %v", got, err)
		}
	})
}

// TestEditsBesideMarks has several processes edit one send and tell of it while its
// users mark and delete: all end at the last edit, and nothing is counted twice.
func TestEditsBesideMarks(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		f := newSends(t, s, 12)
		p := f.pending(t, f.users...)
		f.mustSave(t, p)
		var wg sync.WaitGroup
		allow := func(err error) {
			if err != nil && model.KindOf(err) != model.KindUnavailable {
				t.Error(err)
			}
		}
		for i := range 3 {
			wg.Go(func() {
				for n := range 3 {
					_, err := s.EditSend(ctx, f.env, model.Once{}, p.Send.ID, says(fmt.Sprint(i, n)))
					allow(err)
					for range 3 {
						_, _, err := s.SpreadEdit(ctx, f.env, p.Send.ID, 3, nil)
						allow(err)
					}
				}
			})
		}
		for i, n := range p.Notifications {
			wg.Go(func() {
				_, _, err := s.MarkNotifications(ctx, f.env, model.Once{}, n.UserID, []model.NotificationID{n.ID}, model.MarkRead)
				allow(err)
				if i%4 == 0 {
					_, _, err := s.DeleteNotifications(ctx, f.env, model.Once{}, n.UserID, []model.NotificationID{n.ID})
					allow(err)
				}
			})
		}
		wg.Wait()
		last := f.edit(t, p.Send.ID, says("Last"))
		f.spread(t, p.Send.ID, 5)
		for i, u := range f.users {
			got := titles(t, s, f.env, u.ID)
			if len(got) > 1 || len(got) == 1 && got[0] != "Last" || len(got) == 0 && i%4 != 0 {
				t.Errorf("user %d sees %q after %d edits", i, got, last.Content.Edition)
			}
		}
		f.noDrift(t)
	})
}
