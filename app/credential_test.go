package app_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carillon/app"
	"carillon/auth"
	"carillon/model"
)

func (f *fixture) issue(t *testing.T, env model.EnvID, in model.NewCredential) model.IssuedCredential {
	t.Helper()
	f.clock.advance(time.Second)
	out, err := f.CreateCredential(t.Context(), env, model.Once{}, in)
	if err != nil {
		t.Fatal(err)
	}
	return out.Value
}

// secretKeyOf is the id of the environment's first secret key.
func (f *fixture) secretKeyOf(t *testing.T, env model.EnvID) model.CredentialID {
	t.Helper()
	cs, err := f.Credentials(t.Context(), env)
	i := slices.IndexFunc(cs, func(c model.Credential) bool { return c.Kind == model.CredentialSecretKey })
	if err != nil || i < 0 {
		t.Fatalf("the environment has no secret key: %v", err)
	}
	return cs[i].ID
}

func TestCreateCredential(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		env := f.create(t, app.NewEnvironment{App: "shop", Kind: model.EnvTest, UserAuth: model.AuthHMAC}).Environment
		sk := f.issue(t, env.ID, model.NewCredential{Kind: model.CredentialSecretKey, Name: "CI"})
		if !strings.HasPrefix(sk.Secret, "sk_test_") || sk.Credential.Name != "CI" || !strings.HasSuffix(sk.Secret, sk.Credential.Hint) || len(sk.Credential.Hint) != 4 {
			t.Errorf("made %+v with the hint %q", sk.Credential, sk.Credential.Hint)
		}
		f.works(t, env.ID, bearer(sk.Secret))
		stored, err := f.store.CredentialByID(t.Context(), sk.Credential.ID)
		if err != nil || stored.Sealed != nil || stored.LookupHash == nil {
			t.Errorf("of a secret key is kept %+v, %v; want its hash alone", stored, err)
		}

		own := f.issue(t, env.ID, model.NewCredential{Kind: model.CredentialSecretKey, Secret: "sk_test_" + strings.Repeat("x", 24)})
		f.works(t, env.ID, bearer(own.Secret))

		signing := f.issue(t, env.ID, model.NewCredential{Kind: model.CredentialSigningSecret})
		if signing.Credential.Algorithm != model.HS256 {
			t.Errorf("a signing secret is for %q", signing.Credential.Algorithm)
		}
		token, err := auth.MintToken(signing.Credential, signing.Secret, "ada", f.clock.Now(), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		f.works(t, env.ID, bearer(token))

		key := f.issue(t, env.ID, model.NewCredential{Kind: model.CredentialTokenKey, PublicKey: newTokenKey(t)})
		if key.Secret != "" || key.Credential.Algorithm != model.ES256 || key.Credential.PublicKey == "" {
			t.Errorf("a token key is %+v", key)
		}

		soon := f.issue(t, env.ID, model.NewCredential{Kind: model.CredentialSecretKey, ExpiresAt: f.clock.Now().Add(time.Minute)})
		f.works(t, env.ID, bearer(soon.Secret))
		f.clock.advance(2 * time.Minute)
		f.refused(t, bearer(soon.Secret))
		f.works(t, env.ID, bearer(sk.Secret))
	})
}

func TestCreateCredentialOnce(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		env := f.create(t, app.NewEnvironment{App: "shop", Kind: model.EnvTest}).Environment
		in := model.NewCredential{Kind: model.CredentialAPISecret, Name: "second"}
		first, err := f.CreateCredential(ctx, env.ID, key("k"), in)
		if err != nil || first.Value.Secret == "" {
			t.Fatal(first, err)
		}
		again, err := f.CreateCredential(ctx, env.ID, key("k"), in)
		if err != nil || !again.Replayed || again.Value.Secret != "" || again.Value.Credential.ID != first.Value.Credential.ID {
			t.Errorf("again: %+v, %v; want the first credential without its secret", again, err)
		}
		// What is remembered holds neither the secret nor what is kept of it.
		var kept model.Credential
		stored, err := f.store.CredentialByID(ctx, first.Value.Credential.ID)
		if err != nil {
			t.Fatal(err)
		}
		kept = again.Value.Credential
		if kept.Sealed != nil || kept.LookupHash != nil || stored.Sealed == nil || stored.LookupHash == nil {
			t.Errorf("remembered %+v; want it without hash and sealed secret", kept)
		}
	})
}

func TestCreateCredentialRefuses(t *testing.T) {
	secret := strings.Repeat("x", 32)
	each(t, func(t *testing.T, f *fixture) {
		made := f.create(t, app.NewEnvironment{App: "shop", Kind: model.EnvTest})
		other := f.create(t, app.NewEnvironment{App: "other", Kind: model.EnvTest})
		env := made.Environment.ID
		before, err := f.Credentials(t.Context(), env)
		if err != nil {
			t.Fatal(err)
		}
		tests := []struct {
			name       string
			in         model.NewCredential
			path, text string
		}{
			{"NoKind", model.NewCredential{}, "kind", "kind of credential"},
			{"LongName", model.NewCredential{Kind: model.CredentialSecretKey, Name: strings.Repeat("x", 256)}, "name", "255"},
			{"NULInName", model.NewCredential{Kind: model.CredentialSecretKey, Name: "a\x00"}, "name", "control"},
			{"ShortSecret", model.NewCredential{Kind: model.CredentialAPISecret, Secret: secret[1:]}, "secret", "32"},
			{"BlankInSecret", model.NewCredential{Kind: model.CredentialAPISecret, Secret: secret + " "}, "secret", "printable"},
			{"SecretKeyWithoutPrefix", model.NewCredential{Kind: model.CredentialSecretKey, Secret: secret}, "secret", "sk_"},
			{"PublicKeyOfASecret", model.NewCredential{Kind: model.CredentialAPISecret, PublicKey: newTokenKey(t)}, "publicKey", "only"},
			{"NoPublicKey", model.NewCredential{Kind: model.CredentialTokenKey}, "publicKey", "must be given"},
			{"WrongPublicKey", model.NewCredential{Kind: model.CredentialTokenKey, PublicKey: "x"}, "publicKey", "PEM"},
			{"SecretOfATokenKey", model.NewCredential{Kind: model.CredentialTokenKey, PublicKey: newTokenKey(t), Secret: secret}, "secret", "token key"},
			{"Past", model.NewCredential{Kind: model.CredentialSecretKey, ExpiresAt: f.clock.Now()}, "expiresAt", "future"},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				_, err := f.CreateCredential(t.Context(), env, model.Once{}, tt.in)
				wantProblem(t, err, model.KindInvalid, tt.path, tt.text)
			})
		}
		_, err = f.CreateCredential(t.Context(), env, model.Once{}, model.NewCredential{Kind: model.CredentialSigningSecret, Secret: other.APISecret})
		wantProblem(t, err, model.KindConflict, "secret", "in use")
		after, err := f.Credentials(t.Context(), env)
		if err != nil || len(after) != len(before) {
			t.Errorf("there are %d credentials, %v; want still %d", len(after), err, len(before))
		}
		for range model.MaxCredentials - len(before) {
			f.issue(t, env, model.NewCredential{Kind: model.CredentialAPISecret})
		}
		_, err = f.CreateCredential(t.Context(), env, model.Once{}, model.NewCredential{Kind: model.CredentialAPISecret})
		if model.KindOf(err) != model.KindLimit {
			t.Errorf("one too many: %v, want %s", err, model.KindLimit)
		}
	})
}

func TestRotateCredential(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		made := f.create(t, app.NewEnvironment{App: "shop", Kind: model.EnvLive})
		env := made.Environment.ID
		old := f.secretKeyOf(t, env)
		out, err := f.RotateCredential(ctx, env, key("k"), old, time.Hour)
		if err != nil || out.Replayed || out.Value.Replaced.ID != old || !out.Value.Replaced.ExpiresAt.Equal(f.clock.Now().Add(time.Hour)) {
			t.Fatalf("rotating: %+v, %v", out, err)
		}
		if !strings.HasPrefix(out.Value.Secret, "sk_live_") || out.Value.New.Kind != model.CredentialSecretKey || !out.Value.New.ExpiresAt.IsZero() {
			t.Errorf("made %+v", out.Value.New)
		}
		f.works(t, env, bearer(made.SecretKey))
		f.works(t, env, bearer(out.Value.Secret))
		again, err := f.RotateCredential(ctx, env, key("k"), old, time.Hour)
		if err != nil || !again.Replayed || again.Value.Secret != "" || again.Value.New.ID != out.Value.New.ID {
			t.Errorf("again: %+v, %v; want the first answer without the secret", again, err)
		}
		f.clock.advance(time.Hour)
		f.refused(t, bearer(made.SecretKey))
		f.works(t, env, bearer(out.Value.Secret))
		_, err = f.RotateCredential(ctx, env, model.Once{}, old, time.Hour)
		wantProblem(t, err, model.KindConflict, "id", "no longer works")

		now, err := f.RotateCredential(ctx, env, model.Once{}, out.Value.New.ID, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.refused(t, bearer(out.Value.Secret))
		f.works(t, env, bearer(now.Value.Secret))
	})
}

func TestRotateKeepsAnEarlierEnd(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		env := f.create(t, app.NewEnvironment{App: "shop", Kind: model.EnvTest}).Environment.ID
		end := f.clock.Now().Add(10 * time.Minute)
		c := f.issue(t, env, model.NewCredential{Kind: model.CredentialAPISecret, Name: "n", ExpiresAt: end}).Credential
		out, err := f.RotateCredential(t.Context(), env, model.Once{}, c.ID, time.Hour)
		if err != nil || !out.Value.Replaced.ExpiresAt.Equal(end) || out.Value.New.Name != "n" || out.Value.New.Kind != c.Kind {
			t.Errorf("rotating: %+v, %v; want the old one to end at %s still", out, err, end)
		}
	})
}

func TestRotateRefuses(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		made := f.create(t, app.NewEnvironment{App: "shop", Kind: model.EnvTest, TokenKey: newTokenKey(t)})
		other := f.create(t, app.NewEnvironment{App: "other", Kind: model.EnvTest})
		env := made.Environment.ID
		id := f.secretKeyOf(t, env)
		for _, overlap := range []time.Duration{-1, 30*24*time.Hour + 1} {
			_, err := f.RotateCredential(ctx, env, model.Once{}, id, overlap)
			wantProblem(t, err, model.KindInvalid, "overlapSeconds", "2592000")
		}
		for name, id := range map[string]model.CredentialID{"unknown": "unknown", "NUL": "a\x00", "another environment's": f.secretKeyOf(t, other.Environment.ID)} {
			if _, err := f.RotateCredential(ctx, env, model.Once{}, id, 0); model.KindOf(err) != model.KindNotFound {
				t.Errorf("%s: %v, want it not found", name, err)
			}
		}
		cs, err := f.Credentials(ctx, env)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cs {
			if c.Kind == model.CredentialTokenKey {
				_, err := f.RotateCredential(ctx, env, model.Once{}, c.ID, 0)
				wantProblem(t, err, model.KindInvalid, "id", "token key")
			}
		}
		f.works(t, env, bearer(made.SecretKey))
		f.works(t, other.Environment.ID, bearer(other.SecretKey))
	})
}

func TestRevokeCredential(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		made := f.create(t, app.NewEnvironment{App: "shop", Kind: model.EnvTest})
		other := f.create(t, app.NewEnvironment{App: "other", Kind: model.EnvTest})
		env, first := made.Environment.ID, f.secretKeyOf(t, made.Environment.ID)
		_, err := f.RevokeCredential(ctx, env, model.Once{}, first)
		wantProblem(t, err, model.KindConflict, "id", "last secret key")
		f.works(t, env, bearer(made.SecretKey))
		for name, id := range map[string]model.CredentialID{"unknown": "unknown", "NUL": "a\x00", "another environment's": f.secretKeyOf(t, other.Environment.ID)} {
			if _, err := f.RevokeCredential(ctx, env, model.Once{}, id); model.KindOf(err) != model.KindNotFound {
				t.Errorf("%s: %v, want it not found", name, err)
			}
		}
		f.works(t, other.Environment.ID, bearer(other.SecretKey))

		second := f.issue(t, env, model.NewCredential{Kind: model.CredentialSecretKey})
		out, err := f.RevokeCredential(ctx, env, key("k"), first)
		if err != nil || out.Value.RevokedAt.IsZero() || out.Value.Sealed != nil || out.Value.LookupHash != nil {
			t.Fatalf("revoking: %+v, %v", out, err)
		}
		f.refused(t, bearer(made.SecretKey))
		f.works(t, env, bearer(second.Secret))
		f.clock.advance(time.Minute)
		if again, err := f.RevokeCredential(ctx, env, model.Once{}, first); err != nil || !again.Value.RevokedAt.Equal(out.Value.RevokedAt) {
			t.Errorf("once more: %+v, %v; want the first end", again, err)
		}
		if again, err := f.RevokeCredential(ctx, env, key("k"), first); err != nil || !again.Replayed || again.Value.ID != first {
			t.Errorf("again: %+v, %v; want the first answer", again, err)
		}
		_, err = f.RevokeCredential(ctx, env, model.Once{}, second.Credential.ID)
		wantProblem(t, err, model.KindConflict, "id", "last secret key")
	})
}

// TestRevokeTogether: of calls that would together end every secret key, one
// is refused.
func TestRevokeTogether(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		env := f.create(t, app.NewEnvironment{App: "shop", Kind: model.EnvTest}).Environment.ID
		ids := []model.CredentialID{f.secretKeyOf(t, env)}
		for range 3 {
			ids = append(ids, f.issue(t, env, model.NewCredential{Kind: model.CredentialSecretKey}).Credential.ID)
		}
		var wg sync.WaitGroup
		for _, id := range ids {
			wg.Go(func() {
				if _, err := f.RevokeCredential(t.Context(), env, model.Once{}, id); err != nil && model.KindOf(err) != model.KindConflict {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		cs, err := f.Credentials(t.Context(), env)
		live := 0
		for _, c := range cs {
			if c.Kind == model.CredentialSecretKey && c.Live(f.clock.Now()) {
				live++
			}
		}
		if err != nil || live != 1 {
			t.Errorf("%d secret keys work, %v; want one", live, err)
		}
	})
}
