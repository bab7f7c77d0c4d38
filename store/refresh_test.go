package store_test

import (
	"testing"
	"time"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

// segmentOf makes a segment of a rule.
func segmentOf(t *testing.T, s *store.Store, env model.EnvID, identifier string, r model.SegmentRule) model.Segment {
	t.Helper()
	out, err := s.CreateSegment(t.Context(), model.Once{}, model.Segment{EnvID: env, Identifier: identifier, Name: identifier, Rule: r})
	if err != nil {
		t.Fatal(err)
	}
	return out.Value
}

// TestSegmentsTakeTurns has one rule that nobody can read be due before another.
func TestSegmentsTakeTurns(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		rule := model.SegmentRule{Created: &model.TimeCondition{WithinDays: new(int32(9))}}
		bad := segmentOf(t, s, storetest.Env(t, s, "a"), "bad", rule)
		good := segmentOf(t, s, storetest.Env(t, s, "b"), "good", rule)
		if err := store.Exec(ctx, s, "update segments set rule = '[', due_at = due_at - 1, followed_at = 0 where id = ?", bad.ID); err != nil {
			t.Fatal(err)
		}
		if _, id, found, err := s.DueSegment(ctx); id != bad.ID || !found || err != nil {
			t.Fatalf("segment %d is due, %t, %v; want %d", id, found, err, bad.ID)
		}
		if err := s.PostponeSegment(ctx, bad.EnvID, bad.ID, time.Hour); err != nil {
			t.Fatal(err)
		}
		if _, id, found, err := s.DueSegment(ctx); id != good.ID || !found || err != nil {
			t.Errorf("segment %d is due, %t, %v; want %d", id, found, err, good.ID)
		}
		if _, id, found, err := s.UnfollowedSegment(ctx, -time.Hour, []model.SegmentID{bad.ID}); id != good.ID || !found || err != nil {
			t.Errorf("segment %d is to be followed, %t, %v; want %d", id, found, err, good.ID)
		}
	})
}

// TestEvaluatedAMomentAgo settles a rule that only a look at everyone can settle.
func TestEvaluatedAMomentAgo(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		now := time.Date(2026, 1, 20, 12, 0, 0, 0, time.UTC)
		s := storetest.Open(t, store.Config{URL: url, Now: func() time.Time { return now }})
		ctx, began := t.Context(), now
		env := storetest.Env(t, s, "a")
		m := segmentOf(t, s, env, "dates", model.SegmentRule{Attribute: &model.AttributeCondition{Name: "birthday", WithinDays: new(int32(9))}})
		for _, step := range []struct {
			after, want time.Duration
		}{{0, 0}, {4 * time.Minute, 0}, {6 * time.Minute, 6 * time.Minute}, {7 * time.Minute, 6 * time.Minute}} {
			now = began.Add(step.after)
			if done, err := s.RefreshSegment(ctx, env, m.ID, time.Hour, 5*time.Minute, true); err != nil || !done {
				t.Fatalf("settled: %t, %v", done, err)
			}
			got, err := s.SegmentByID(ctx, env, m.ID)
			if err != nil || !got.RefreshedAt.Equal(began.Add(step.want)) {
				t.Errorf("after %s it was evaluated at %s, %v; want after %s", step.after, got.RefreshedAt, err, step.want)
			}
		}
		// Members are refreshed for somebody who changed, not for everyone.
		storetest.User(t, s, env, "ada")
		now = began.Add(10 * time.Minute)
		if _, err := s.RefreshChanged(ctx, env, 10); err != nil {
			t.Fatal(err)
		}
		now = began.Add(12 * time.Minute)
		if _, err := s.RefreshSegment(ctx, env, m.ID, time.Hour, 5*time.Minute, true); err != nil {
			t.Fatal(err)
		}
		if got, err := s.SegmentByID(ctx, env, m.ID); err != nil || !got.RefreshedAt.Equal(now) {
			t.Errorf("evaluated at %s, %v; want %s", got.RefreshedAt, err, now)
		}
	})
}

// TestBeingSeenIsNoChange wants segments to look at users for what rules ask for
// alone.
func TestBeingSeenIsNoChange(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		env := storetest.Env(t, s, "a")
		user := storetest.User(t, s, env, "ada")
		segmentOf(t, s, env, "all", model.SegmentRule{Enabled: new(true)})
		if err := s.SaveSeen(ctx, map[model.UserRef]time.Time{{Env: env, ID: user}: time.Now()}); err != nil {
			t.Fatal(err)
		}
		if first, _, err := s.SegmentChanges(ctx, env); first != 0 || err != nil {
			t.Errorf("being seen is change %d, %v", first, err)
		}
		if _, err := s.SetUserEnabled(ctx, env, model.Once{}, "ada", false); err != nil {
			t.Fatal(err)
		}
		if first, last, err := s.SegmentChanges(ctx, env); first == 0 || last < first || err != nil {
			t.Errorf("being disabled is changes %d to %d, %v", first, last, err)
		}
	})
}
