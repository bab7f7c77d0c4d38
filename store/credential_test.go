package store_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

func TestCredentials(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	storetest.EachWith(t, store.Config{Now: func() time.Time { return now }}, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		env, other := newEnvironment(t, s), newEnvironmentOf(t, s, "other")
		add := func(env model.EnvID, id model.CredentialID, change func(*model.Credential)) model.Credential {
			t.Helper()
			c := model.Credential{ID: id, Kind: model.CredentialSecretKey, Hint: "hint", LookupHash: []byte("hash of " + id), Sealed: []byte("sealed\x00" + id)}
			if change != nil {
				change(&c)
			}
			out, err := s.CreateCredential(ctx, env, model.Once{}, c)
			if err != nil {
				t.Fatal(err)
			}
			if out.Value.LookupHash != nil || out.Value.Sealed != nil {
				t.Errorf("the answer shows %+v", out.Value)
			}
			return c
		}
		add(env, "a", nil)
		add(env, "expired", func(c *model.Credential) { c.ExpiresAt = now })
		add(env, "expires", func(c *model.Credential) { c.ExpiresAt = now.Add(time.Microsecond) })
		add(env, "revoked", nil)
		add(other, "elsewhere", nil)
		add(other, "key", func(c *model.Credential) {
			c.Kind, c.PublicKey, c.LookupHash, c.Sealed = model.CredentialTokenKey, "PEM", nil, nil
		})
		if _, err := s.RevokeCredential(ctx, env, model.Once{}, "revoked"); err != nil {
			t.Fatal(err)
		}

		c, err := s.CredentialByHash(ctx, []byte("hash of a"))
		if err != nil || c.ID != "a" || c.EnvID != env || !bytes.Equal(c.Sealed, []byte("sealed\x00a")) || !c.CreatedAt.Equal(now) || !c.Live(now) {
			t.Errorf("by hash: %+v, %v", c, err)
		}
		if c, err := s.CredentialByHash(ctx, []byte("hash of revoked")); err != nil || c.Live(now) {
			t.Errorf("a revoked one by hash: %+v, %v; want it, revoked", c, err)
		}
		if c, err := s.CredentialByID(ctx, "key"); err != nil || c.EnvID != other || c.PublicKey != "PEM" || c.LookupHash != nil || c.Sealed != nil {
			t.Errorf("by id: %+v, %v", c, err)
		}
		for _, hash := range [][]byte{nil, {}, []byte("hash of nobody")} {
			if _, err := s.CredentialByHash(ctx, hash); model.KindOf(err) != model.KindNotFound {
				t.Errorf("by the hash %q: %v, want it not found", hash, err)
			}
		}
		if _, err := s.CredentialByID(ctx, "nobody"); model.KindOf(err) != model.KindNotFound {
			t.Errorf("by an unknown id: %v, want it not found", err)
		}

		all, err := s.Credentials(ctx, env)
		var ids []model.CredentialID
		for _, c := range all {
			ids = append(ids, c.ID)
		}
		if want := []model.CredentialID{"revoked", "expires", "expired", "a"}; err != nil || !slices.Equal(ids, want) {
			t.Errorf("Credentials = %q, %v; want %q", ids, err, want)
		}
		ended, err := s.EndedCredentials(ctx, []model.CredentialID{"gone", "a", "revoked", "expired", "elsewhere", "expires"}, now)
		if want := []model.CredentialID{"gone", "revoked", "expired"}; err != nil || !slices.Equal(ended, want) {
			t.Errorf("EndedCredentials = %q, %v; want %q", ended, err, want)
		}
		if ended, err := s.EndedCredentials(ctx, nil, now); err != nil || len(ended) != 0 {
			t.Errorf("EndedCredentials of none = %q, %v", ended, err)
		}

		if _, err := s.RevokeCredential(ctx, other, model.Once{}, "a"); model.KindOf(err) != model.KindNotFound {
			t.Errorf("revoked from another environment: %v, want it not found", err)
		}
		rotate := func(model.Credential) (model.Credential, error) { return model.Credential{ID: "new"}, nil }
		if _, err := s.RotateCredential(ctx, other, model.Once{}, "a", now, rotate); model.KindOf(err) != model.KindNotFound {
			t.Errorf("rotated from another environment: %v, want it not found", err)
		}
		if c, err := s.CredentialByID(ctx, "a"); err != nil || !c.Live(now) {
			t.Errorf("afterwards: %+v, %v; want it as it was", c, err)
		}
	})
}

func TestEnvironments(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		settings := model.EnvSettings{LegacyTokens: true, Origins: []string{"https://a.example"}, ChannelsOff: []model.Channel{model.ChannelSMS}}
		ids, err := s.NewIDs(ctx, 1)
		if err != nil {
			t.Fatal(err)
		}
		env, err := s.CreateEnvironment(ctx, "shop", model.Environment{ID: model.EnvID(ids[0]), Kind: model.EnvTest, UserAuth: model.AuthHMAC, APIKey: "pk", Settings: settings}, nil)
		if err != nil || env.ID != model.EnvID(ids[0]) {
			t.Fatalf("made %+v, %v; want the id %d", env, err, ids[0])
		}
		for name, read := range map[string]func() (model.Environment, error){
			"by id":   func() (model.Environment, error) { return s.Environment(ctx, env.ID) },
			"by key":  func() (model.Environment, error) { return s.EnvironmentByAPIKey(ctx, "pk") },
			"by name": func() (model.Environment, error) { return s.EnvironmentByName(ctx, "shop", model.EnvTest) },
		} {
			got, err := read()
			if err != nil || got.ID != env.ID || got.AppName != "shop" || got.UserAuth != model.AuthHMAC || !got.Settings.LegacyTokens ||
				!slices.Equal(got.Settings.Origins, settings.Origins) || !slices.Equal(got.Settings.ChannelsOff, settings.ChannelsOff) || !got.CreatedAt.Equal(env.CreatedAt) {
				t.Errorf("%s: %+v, %v; want %+v", name, got, err, env)
			}
		}
		for name, read := range map[string]func() (model.Environment, error){
			"by id":   func() (model.Environment, error) { return s.Environment(ctx, 5) },
			"by key":  func() (model.Environment, error) { return s.EnvironmentByAPIKey(ctx, "PK") },
			"by name": func() (model.Environment, error) { return s.EnvironmentByName(ctx, "shop", model.EnvLive) },
		} {
			if got, err := read(); model.KindOf(err) != model.KindNotFound {
				t.Errorf("unknown %s: %+v, %v; want it not found", name, got, err)
			}
		}
		if _, err := s.CreateEnvironment(ctx, "shop", model.Environment{Kind: model.EnvTest, UserAuth: model.AuthOpen, APIKey: "pk2"}, nil); model.KindOf(err) != model.KindConflict {
			t.Errorf("the same environment again: %v, want a conflict", err)
		}
	})
}
