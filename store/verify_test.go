package store_test

import (
	"fmt"
	"testing"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

func TestVerifyCountersFindsDrift(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, ours, theirs := t.Context(), newEnvironmentOf(t, s, "ours"), newEnvironmentOf(t, s, "theirs")
		var users []model.UserID
		for i := range 1100 { // more than one batch
			users = append(users, storetest.User(t, s, ours, fmt.Sprint("user", i)))
		}
		storetest.Send(t, s, ours, storetest.Sent{}, users...)
		eve := storetest.User(t, s, theirs, "eve")
		storetest.Send(t, s, theirs, storetest.Sent{}, eve)
		if _, _, err := s.MarkAll(ctx, ours, model.Once{}, users[0], model.MarkRead, nil, nil); err != nil {
			t.Fatal(err)
		}

		got, err := s.VerifyCounters(ctx, 10)
		if err != nil || got.Inboxes != 1101 || got.Drifted != 0 || len(got.Drifts) != 0 {
			t.Fatalf("VerifyCounters = %+v, %v; want no drift", got, err)
		}
		if err := store.Exec(ctx, s, "update inboxes set unread = unread + 1 where user_id in (?, ?, ?)", users[0], users[1099], eve); err != nil {
			t.Fatal(err)
		}
		got, err = s.VerifyCounters(ctx, 2)
		if err != nil || got.Drifted != 3 || len(got.Drifts) != 2 {
			t.Fatalf("VerifyCounters = %+v, %v; want three that drifted, two of them listed", got, err)
		}
		want := model.Drift{Env: ours, User: users[0], Want: model.Counters{Total: 1}, Have: model.Counters{Total: 1, Unread: 1}}
		if got.Drifts[0] != want || got.Drifts[1].User != users[1099] {
			t.Errorf("the drifts are %+v, want the first to be %+v", got.Drifts, want)
		}
	})
}
