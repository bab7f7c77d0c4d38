package store_test

import (
	"testing"
	"time"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

func TestDedupeKeys(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	storetest.EachWith(t, store.Config{Now: func() time.Time { return now }}, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		f := newSends(t, s, 2)
		ada, eve := f.users[0], f.users[1]
		with := func(within time.Duration, users ...model.User) model.PendingSend {
			p := f.pending(t, users...)
			p.Options.DedupeKey, p.Options.DedupeWithin = "daily", within
			return p
		}
		first, same := with(time.Hour, ada), with(time.Hour, ada)
		saved, _, err := s.SaveSends(ctx, []model.PendingSend{first, same})
		if err != nil || len(saved[0].Twice) != 0 || saved[1].Twice[ada.ID] != ada.Identifier {
			t.Fatalf("of two in one commit: %+v, %v", saved, err)
		}
		later := with(time.Hour, ada, eve)
		saved, changes, err := s.SaveSends(ctx, []model.PendingSend{later})
		if err != nil || len(saved[0].Twice) != 1 || len(changes) != 1 || changes[0].User != eve.ID {
			t.Fatalf("of two recipients: %+v, %v", saved, err)
		}
		m, err := s.Send(ctx, f.env, later.Send.ID)
		if err != nil || m.Progress.Done != 1 || m.Progress.Skipped != 1 {
			t.Errorf("the send says %+v, %v", m.Progress, err)
		}
		skipped, err := s.Skipped(ctx, f.env, []model.SendID{later.Send.ID})
		if list := skipped[later.Send.ID]; err != nil || len(list) != 1 || list[0].Reason != model.ReasonDuplicate || list[0].Identifier != ada.Identifier {
			t.Errorf("skipped %+v, %v", skipped, err)
		}
		// Another environment's users have keys of their own.
		other := newEnvironmentOf(t, s, "other")
		zoe, _, err := s.EnsureUser(ctx, other, "zoe")
		if err != nil {
			t.Fatal(err)
		}
		elsewhere := with(time.Hour, zoe)
		elsewhere.Send.EnvID, elsewhere.Notifications[0].EnvID = other, other
		if saved, _, err := s.SaveSends(ctx, []model.PendingSend{elsewhere}); err != nil || len(saved[0].Twice) != 0 {
			t.Errorf("elsewhere: %+v, %v", saved, err)
		}
		if got := shown(t, s, f.env, ada.ID); len(got) != 1 {
			t.Errorf("ada's inbox shows %v", got)
		}
	})
}

func TestDedupeKeysEnd(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		f := newSends(t, s, 1)
		with := func(within time.Duration) model.PendingSend {
			p := f.pending(t, f.users...)
			p.Options.DedupeKey, p.Options.DedupeWithin = "daily", within
			return p
		}
		for i, p := range []model.PendingSend{with(-time.Second), with(-time.Second)} { // over as soon as they are taken
			if saved, _, err := s.SaveSends(t.Context(), []model.PendingSend{p}); err != nil || len(saved[0].Twice) != 0 {
				t.Errorf("send %d: %+v, %v", i, saved, err)
			}
		}
		if _, err := s.ForgetAnswers(t.Context(), 10); err != nil {
			t.Error(err)
		}
	})
}
