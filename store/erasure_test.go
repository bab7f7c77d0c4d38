package store_test

import (
	"fmt"
	"testing"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

// TestErasureGoesOnAfterACrash: the user is gone with the first transaction, and
// each later one leaves the rest for whoever comes next.
func TestErasureGoesOnAfterACrash(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		const sends = 600
		ctx, env, other := t.Context(), storetest.Env(t, s, "shop"), storetest.Env(t, s, "other")
		ada, bob, theirs := storetest.User(t, s, env, "ada"), storetest.User(t, s, env, "bob"), storetest.User(t, s, other, "ada")
		for range sends {
			storetest.Send(t, s, env, storetest.Sent{Title: "for ada"}, ada)
		}
		both, _ := storetest.Send(t, s, env, storetest.Sent{Title: "for both"}, ada, bob)
		storetest.Send(t, s, other, storetest.Sent{Title: "elsewhere"}, theirs)

		out, err := s.EraseUser(ctx, env, model.Once{Operation: "eraseUser", Key: "k"}, "e1", "ada")
		if err != nil || out.Value.Status != model.ErasureRunning || out.Value.Hash != model.ErasureHash(out.Value.Salt, "ada") {
			t.Fatalf("EraseUser = %+v, %v; want a running erasure with the hash of ada", out.Value, err)
		}
		if _, err := s.User(ctx, env, "ada"); model.KindOf(err) != model.KindNotFound {
			t.Errorf("the user is there yet: %v", err)
		}
		if _, err := s.AdvanceErasure(ctx, other, "e1"); model.KindOf(err) != model.KindNotFound {
			t.Errorf("another environment goes on with it: %v", err)
		}
		if _, err := s.Erasure(ctx, other, "e1"); model.KindOf(err) != model.KindNotFound {
			t.Errorf("another environment reads it: %v", err)
		}
		again := storetest.User(t, s, env, "ada") // somebody new
		storetest.Send(t, s, env, storetest.Sent{Title: "for the new one"}, again)
		parts := 0
		for e := out.Value; e.Status != model.ErasureDone; parts++ {
			running, err := s.RunningErasures(ctx, 10) // as a process does that has just started
			if err != nil || len(running) != 1 {
				t.Fatalf("RunningErasures = %v, %v; want the one", running, err)
			}
			if e, err = s.AdvanceErasure(ctx, running[0].EnvID, running[0].ID); err != nil {
				t.Fatal(err)
			}
		}
		if parts < 5 {
			t.Errorf("it took %d parts; want small ones", parts)
		}
		e, err := s.Erasure(ctx, env, "e1")
		counts := map[string]int64{}
		for _, c := range e.Counts {
			counts[c.What] = c.Rows
		}
		if err != nil || counts["notifications"] != sends+1 || counts["sends"] != sends || counts["users"] != 1 || e.FinishedAt.IsZero() {
			t.Errorf("the receipt is %+v, %v; want %d notifications, %d sends", e, err, sends+1, sends)
		}
		for id, want := range map[model.UserID]int{ada: 0, bob: 1, again: 1} {
			if n, err := store.RowsOf(ctx, s, "notifications", env, id); err != nil || n != want {
				t.Errorf("user %d has %d notifications, %v; want %d", id, n, err, want)
			}
		}
		if n, err := store.RowsOf(ctx, s, "notifications", other, theirs); err != nil || n != 1 {
			t.Errorf("another environment's ada has %d notifications, %v", n, err)
		}
		if m, err := s.Send(ctx, env, both[0].SendID); err != nil || m.Content.Title != "for both" {
			t.Errorf("the send that bob has = %+v, %v", m.Content, err)
		}
		if replay, err := s.EraseUser(ctx, env, model.Once{Operation: "eraseUser", Key: "k"}, "e2", "ada"); err != nil || !replay.Replayed || replay.Value.ID != "e1" {
			t.Errorf("with the same key: %+v, %v; want the first receipt", replay, err)
		}
	})
}

// TestErasureKeepsTheAnswersOfOthers: an identifier that is part of other texts
// is no reason to forget them.
func TestErasureKeepsTheAnswersOfOthers(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, env := t.Context(), storetest.Env(t, s, "shop")
		storetest.User(t, s, env, "7")
		for key, gone := range map[string]bool{"order 17": false, "x7": false, "7": true, "welcome-7": true, "welcome:7:a": true, "77": false} {
			if _, err := s.CreateTopic(ctx, env, model.Once{Operation: "createTopic", Key: key}, "topic of "+fmt.Sprint(gone)+key, "T", model.TopicDetails{}); err != nil {
				t.Fatal(err)
			}
		}
		if err := storetest.Erase(ctx, s, env, model.Once{}, "7"); err != nil {
			t.Fatal(err)
		}
		for key, gone := range map[string]bool{"order 17": false, "x7": false, "7": true, "welcome-7": true, "welcome:7:a": true, "77": false} {
			var topic model.Topic
			found, err := store.Replay(ctx, s, env, model.Once{Operation: "createTopic", Key: key}, &topic)
			if err != nil || found == gone {
				t.Errorf("the answer under %q is kept: %v, %v; want %v", key, found, err, !gone)
			}
		}
	})
}
