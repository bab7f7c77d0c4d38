package store_test

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

func TestUsersAreSampledFromAll(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		env, other := storetest.Env(t, s, "shop"), storetest.Env(t, s, "other")
		var all []model.UserID
		for i := range 25 {
			all = append(all, storetest.User(t, s, env, "u"+strconv.Itoa(i)))
			storetest.User(t, s, other, "u"+strconv.Itoa(i))
		}
		slices.Sort(all)
		for most, least := range map[int]int{100: 25, 25: 25, 10: 6} {
			got, of, done, err := s.SampleUsers(ctx, env, most, time.Minute)
			if err != nil || !done || of != 25 || len(got) < least || len(got) > most {
				t.Errorf("%d at most: %d of %d, %v, %v", most, len(got), of, done, err)
			}
			if !slices.IsSorted(got) || slices.ContainsFunc(got, func(u model.UserID) bool { return !slices.Contains(all, u) }) {
				t.Errorf("%d at most: %v of %v", most, got, all)
			}
		}
		prefix := "u1"
		got, done, err := s.PreviewRule(ctx, env, model.SegmentRule{IdentifierPrefix: &prefix}, all[:12], 2, time.Minute)
		if want := []model.UserID{all[11], all[10]}; err != nil || !done || got.Count != 3 || !slices.Equal(got.Users, want) {
			t.Errorf("among the first twelve: %+v, %v, %v; want 3, the newest %v", got, done, err, want)
		}
		if _, done, err := s.PreviewRule(ctx, env, model.SegmentRule{IdentifierPrefix: &prefix}, nil, 2, 0); err != nil || done {
			t.Errorf("in no time: %v, %v", done, err)
		}
	})
}

// TestPreviewEndsInTime has a table locked, so that a rule never comes to an end.
func TestPreviewEndsInTime(t *testing.T) {
	t.Parallel()
	storetest.OnPostgres(t, func(t *testing.T, url string) {
		ctx := t.Context()
		s := storetest.Open(t, store.Config{URL: url, MaxConns: 4})
		env := storetest.Env(t, s, "shop")
		db, err := pgx.Connect(ctx, url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close(ctx) })
		if _, err := db.Exec(ctx, "begin; lock table users"); err != nil {
			t.Fatal(err)
		}
		yes := true
		if got, done, err := s.PreviewRule(ctx, env, model.SegmentRule{Enabled: &yes}, nil, 2, 50*time.Millisecond); err != nil || done {
			t.Errorf("while the users are locked: %+v, %v, %v", got, done, err)
		}
		if _, err := db.Exec(ctx, "rollback"); err != nil {
			t.Fatal(err)
		}
		if got, done, err := s.PreviewRule(ctx, env, model.SegmentRule{Enabled: &yes}, nil, 2, time.Minute); err != nil || !done {
			t.Errorf("afterwards: %+v, %v, %v", got, done, err)
		}
	})
}
