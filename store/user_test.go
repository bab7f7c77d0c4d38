package store_test

import (
	"sync"
	"testing"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

func TestEnsureUser(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		env, other := newEnvironment(t, s), newEnvironmentOf(t, s, "other")

		u, created, err := s.EnsureUser(ctx, env, "ada")
		if err != nil || !created || u.ID == 0 || !u.Enabled || u.Profile.Version != 1 || string(u.Profile.Attributes) != "{}" {
			t.Fatalf("first time: %+v, %t, %v", u, created, err)
		}
		again, created, err := s.EnsureUser(ctx, env, "ada")
		if err != nil || created || again.ID != u.ID || !again.CreatedAt.Equal(u.CreatedAt) {
			t.Errorf("second time: %+v, %t, %v; want %+v", again, created, err, u)
		}
		elsewhere, created, err := s.EnsureUser(ctx, other, "ada")
		if err != nil || !created || elsewhere.ID == u.ID {
			t.Errorf("in another environment: %+v, %t, %v; want another user", elsewhere, created, err)
		}
		if u, _, err = s.EnsureUser(ctx, env, "eve@example.com"); err != nil || u.Profile.Attribute(model.AttrEmail) != "eve@example.com" {
			t.Errorf("an identifier that is an e-mail address: %s, %v", u.Profile.Attributes, err)
		}
	})
}

func TestEnsureUserAtTheSameMoment(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		env := newEnvironment(t, s)
		var (
			mu    sync.Mutex
			ids   = map[model.UserID]bool{}
			fresh int
			wg    sync.WaitGroup
		)
		for range 8 {
			wg.Go(func() {
				u, created, err := s.EnsureUser(t.Context(), env, "ada")
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				ids[u.ID] = true
				if created {
					fresh++
				}
			})
		}
		wg.Wait()
		if len(ids) != 1 || fresh != 1 {
			t.Errorf("got ids %v, %d of them new; want one user, made once", ids, fresh)
		}
	})
}

func TestUser(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		env, other := newEnvironment(t, s), newEnvironmentOf(t, s, "other")
		ada := ensureUser(t, s, env, "ada")
		eve := ensureUser(t, s, other, "eve")

		if u, err := s.User(ctx, env, "ada"); err != nil || u.ID != ada.ID {
			t.Errorf("User(ada) = %+v, %v", u, err)
		}
		for _, name := range []string{"eve", "Ada", "ada ", "nobody"} {
			if u, err := s.User(ctx, env, name); model.KindOf(err) != model.KindNotFound {
				t.Errorf("User(%q) = %+v, %v; want it not found", name, u, err)
			}
		}
		if l, err := s.UsersByID(ctx, env, []model.UserID{ada.ID, eve.ID, 5}); err != nil || len(l) != 1 || l[0].ID != ada.ID {
			t.Errorf("UsersByID = %+v, %v; want ada alone", l, err)
		}
		refs := []model.UserRef{{Env: env, ID: ada.ID}, {Env: other, ID: ada.ID}, {Env: other, ID: eve.ID}, {Env: env, ID: 5}}
		missing, err := s.MissingUsers(ctx, refs)
		if err != nil || len(missing) != 2 || missing[0] != refs[1] || missing[1] != refs[3] {
			t.Errorf("MissingUsers = %v, %v; want %v and %v", missing, err, refs[1], refs[3])
		}
	})
}

func newEnvironmentOf(t *testing.T, s *store.Store, app string) model.EnvID {
	t.Helper()
	env, err := s.CreateEnvironment(t.Context(), app, model.Environment{Kind: model.EnvTest, UserAuth: model.AuthOpen, APIKey: "pk_test_" + app}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return env.ID
}

func ensureUser(t *testing.T, s *store.Store, env model.EnvID, identifier string) model.User {
	t.Helper()
	u, _, err := s.EnsureUser(t.Context(), env, identifier)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
