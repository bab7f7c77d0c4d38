package store_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/uptrace/bun"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

func TestWhatWasDeletedMeanwhileIsSeenTheNextTime(t *testing.T) {
	t.Parallel()
	storetest.OnPostgres(t, func(t *testing.T, url string) {
		s := storetest.Open(t, store.Config{URL: url})
		env := newEnvironment(t, s)
		join := func(user model.UserID, during func()) error {
			return store.Write(t.Context(), s, func(ctx context.Context, tx bun.Tx) error {
				n, err := tx.NewRaw("select 1 from users where env_id = ? and id = ?", env, user).Exec(ctx)
				if err != nil {
					return err
				}
				if there, err := n.RowsAffected(); err != nil || there == 0 {
					return model.NotFound("names no user", "user")
				}
				during()
				_, err = tx.NewRaw("insert into memberships (env_id, user_id, account_id, role, created_at) values (?, ?, ?, '', 0)", env, user, user).Exec(ctx)
				return err
			})
		}
		deleted := 0
		err := join(storetest.User(t, s, env, "ada"), func() {
			deleted++
			if err := storetest.Erase(t.Context(), s, env, model.Once{}, "ada"); err != nil {
				t.Error(err)
			}
		})
		if model.KindOf(err) != model.KindNotFound || deleted != 1 {
			t.Errorf("after %d tries: %v, want the second to find no user", deleted, err)
		}

		t.Run("AsWhatAHelperTellsOf", func(t *testing.T) {
			calls := 0
			err := store.Write(t.Context(), s, func(context.Context, bun.Tx) error {
				if calls++; calls == 1 {
					return store.Fail(s, &pgconn.PgError{Code: "40P01"}) // a deadlock
				}
				return nil
			})
			if err != nil || calls != 2 {
				t.Errorf("after %d tries: %v, want the second to win", calls, err)
			}
		})

		t.Run("ThatLosesEachTimeIsAConflict", func(t *testing.T) {
			err := store.Write(t.Context(), s, func(ctx context.Context, tx bun.Tx) error {
				_, err := tx.NewRaw("insert into memberships (env_id, user_id, account_id, role, created_at) values (?, 1, 1, '', 0)", env).Exec(ctx)
				return err
			})
			if model.KindOf(err) != model.KindConflict {
				t.Errorf("got %v, want %s", err, model.KindConflict)
			}
		})
	})
}

// Who is named by an identifier of before is kept from being deleted too.
func TestAUserOfAnotherNameIsPutOnATopicOrNotFound(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		env := newEnvironment(t, s)
		ctx := t.Context()
		if _, err := s.CreateTopic(ctx, env, model.Once{}, "news", "News", model.TopicDetails{}); err != nil {
			t.Fatal(err)
		}
		first := func(_, into json.RawMessage) (json.RawMessage, model.MergeDecision, error) {
			return into, model.MergeDecision{}, nil
		}
		for range 10 {
			storetest.User(t, s, env, "old")
			storetest.User(t, s, env, "new")
			if _, err := s.MergeUsers(ctx, env, model.Once{}, model.MergeID(rand.Text()), "old", "new", first, false); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- storetest.Erase(ctx, s, env, model.Once{}, "new") }()
			out, err := s.SubscribeToTopic(ctx, env, model.Once{}, "news", members("old"))
			if err != nil || out.Value.Changed+len(out.Value.NotFound) != 1 {
				t.Errorf("got %+v, %v; want one changed or unknown", out.Value, err)
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
	})
}
