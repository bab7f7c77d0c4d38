package auth_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"carillon/auth"
	"carillon/auth/authtest"
	"carillon/model"
)

func TestNewSecrets(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		make   func() string
		prefix string
		random int // characters
	}{
		"SecretKeyTest": {func() string { return auth.NewSecretKey(model.EnvTest) }, "sk_test_", 43},
		"SecretKeyLive": {func() string { return auth.NewSecretKey(model.EnvLive) }, "sk_live_", 43},
		"Secret":        {auth.NewSecret, "", 43},
		"PublicKey":     {func() string { return auth.NewPublicKey(model.EnvLive) }, "pk_live_", 22},
	} {
		a, b := tt.make(), tt.make()
		if a == b {
			t.Errorf("%s: %q twice", name, a)
		}
		rest, ok := strings.CutPrefix(a, tt.prefix)
		if !ok || len(rest) != tt.random {
			t.Errorf("%s: %q, want %q and %d characters", name, a, tt.prefix, tt.random)
		}
		if strings.ToLower(a) == a {
			t.Errorf("%s: %q does not change in lower case, so a folded copy would pass", name, a)
		}
	}
}

func TestHashAndHint(t *testing.T) {
	t.Parallel()
	if got := auth.Hash("a"); len(got) != 32 || bytes.Equal(got, auth.Hash("b")) {
		t.Errorf("Hash = %x, want 32 bytes of its own for each secret", got)
	}
	for secret, want := range map[string]string{"sk_test_abcd1234": "1234", "abc": "abc", "": ""} {
		if got := auth.Hint(secret); got != want {
			t.Errorf("Hint(%q) = %q, want %q", secret, got, want)
		}
	}
	if a, b := auth.SealContext(1, "23"), auth.SealContext(12, "3"); bytes.Equal(a, b) {
		t.Errorf("two rows have one context, %q", a)
	}
}

func TestMintToken(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	now := time.Now()
	mint := func(c model.Credential, secret, user string, ttl time.Duration) error {
		_, err := auth.MintToken(c, secret, user, now, ttl)
		return err
	}
	if err := mint(f.token.Signing, f.token.SigningSecret, "ada", time.Hour); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"KeyOfAnotherKind": mint(f.token.RSA, f.token.SigningSecret, "ada", time.Hour),
		"NoSecret":         mint(f.token.Signing, "", "ada", time.Hour),
		"NoUser":           mint(f.token.Signing, f.token.SigningSecret, "", time.Hour),
		"BadUser":          mint(f.token.Signing, f.token.SigningSecret, "a\x00", time.Hour),
		"NoTime":           mint(f.token.Signing, f.token.SigningSecret, "ada", 0),
	} {
		if err == nil {
			t.Errorf("%s: a token was made", name)
		}
	}
}

func TestMaxTokenAgeIsASetting(t *testing.T) {
	t.Parallel()
	w := authtest.NewWorld(t)
	e := w.NewEnv(t, model.AuthHMAC)
	s := auth.NewService(auth.Config{Lookup: w, Box: w.Box, MaxTokenAge: time.Hour})
	if _, err := s.Authenticate(t.Context(), authtest.Bearer(e.TokenFor(t, "ada", time.Hour))); err != nil {
		t.Errorf("an hour: %v", err)
	}
	_, err := s.Authenticate(t.Context(), authtest.Bearer(e.TokenFor(t, "ada", 2*time.Hour)))
	assertRefused(t, err, wrong(t))
}
