package auth_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"carillon/auth"
	"carillon/auth/authtest"
)

// FuzzToken holds Authenticate to three promises about bearers: it never
// panics on what a client sends, what nobody signed is never admitted, and
// what is refused gives the one error.
func FuzzToken(f *testing.F) {
	x := newFixture(f)
	e := x.token
	want := wrong(f)
	now := time.Now()
	s := auth.NewService(auth.Config{Lookup: x.World, Box: x.Box, Now: func() time.Time { return now }})
	claims := userClaims("ada")
	signed := map[string]bool{e.SecretKey: true}
	for _, token := range []string{
		authtest.Forge(hs256Header(e), claims, authtest.HS256(e.SigningSecret)),
		authtest.Forge(authtest.Object{"alg": "EdDSA", "kid": e.Ed25519.ID}, claims, authtest.EdDSA(e.Ed25519Key)),
		authtest.Forge(authtest.Object{"alg": "RS256", "kid": e.RSA.ID}, claims, authtest.RS256(e.RSAKey)),
		authtest.Forge(authtest.Object{"alg": "HS256"}, claims.With("apiKey", e.APIKey), authtest.HS256(e.SigningSecret)),
	} {
		if _, err := s.Authenticate(f.Context(), authtest.Bearer(token)); err != nil {
			f.Fatal(err)
		}
		signed[token] = true
		f.Add(token)
	}
	for _, kid := range []any{e.RSA.ID, e.ECDSA.ID, e.APISecretID, 7, nil} {
		for _, alg := range []string{"none", "HS256", "ES256", ""} {
			f.Add(authtest.Forge(authtest.Object{"alg": alg, "kid": kid}, claims, authtest.Bytes(make([]byte, 64)...)))
		}
	}
	f.Add(e.SecretKey)
	f.Add("sk_")
	f.Add("")
	f.Add("..")
	f.Add("e30.e30.e30")
	f.Add(strings.Repeat(".", 9000))
	f.Fuzz(func(t *testing.T, bearer string) {
		c, err := s.Authenticate(t.Context(), authtest.Bearer(bearer))
		switch {
		case err != nil:
			assertRefused(t, err, want)
		case !signed[bearer]:
			t.Errorf("%q was admitted as %q", bearer, c.User)
		}
	})
}

// FuzzSignature holds the signed form to the same promises.
func FuzzSignature(f *testing.F) {
	x := newFixture(f)
	want := wrong(f)
	e := x.hmac
	f.Add("ada", e.Signed("ada").Signature)
	f.Add("bob", e.Signed("ada").Signature)
	f.Add("ada", "")
	f.Add("ada", strings.Repeat("A", 44))
	f.Add("a\x00", e.Signed("a\x00").Signature)
	f.Add("", "====")
	f.Fuzz(func(t *testing.T, user, signature string) {
		_, err := x.auth.Authenticate(t.Context(), auth.Presented{Key: e.APIKey, User: user, Signature: signature})
		if err != nil {
			assertRefused(t, err, want)
			return
		}
		if right := base64.StdEncoding.EncodeToString(auth.Sign(e.APISecret, user)); signature != right {
			t.Errorf("%q was admitted with %q, want %q", user, signature, right)
		}
	})
}

// FuzzFromInit holds FromInit to two promises: it never panics, and it takes a
// credential from the payload or from the upgrade request, never some of both.
func FuzzFromInit(f *testing.F) {
	upgrade := auth.Presented{Authorization: "Bearer upgrade", User: "upgrade"}
	for _, payload := range []string{
		``, `null`, `{}`, `[]`, `{"authorization":"Bearer t"}`, `{"key":"pk","user":"ada","signature":"s"}`, `{"user":"a","USER":"b"}`,
		`{"authorization":null,"a":{"b":[1]}}`, `{"authorization":`, `{"ſignature":"x"}`,
	} {
		f.Add([]byte(payload))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		got, err := auth.FromInit(payload, upgrade)
		if err != nil {
			if got != (auth.Presented{}) {
				t.Errorf("%q gave %+v together with an error", payload, got)
			}
			return
		}
		if got == upgrade {
			return
		}
		for _, v := range []string{got.Authorization, got.Key, got.User, got.Signature} {
			if strings.Contains(v, "upgrade") && !strings.Contains(string(payload), "upgrade") && !strings.Contains(string(payload), `\u`) {
				t.Errorf("%q gave %+v, with a part of the upgrade's", payload, got)
			}
		}
	})
}

// FuzzParsePublicKey holds ParsePublicKey to two promises: it never panics on
// what somebody pastes, and a key it takes is for one of the algorithms.
func FuzzParsePublicKey(f *testing.F) {
	e := newFixture(f).token
	f.Add(e.RSA.PublicKey)
	f.Add(e.ECDSA.PublicKey)
	f.Add(e.Ed25519.PublicKey)
	f.Add("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		algorithm, public, err := auth.ParsePublicKey(text)
		if (err == nil) != (public != nil) || (err == nil) != (algorithm != "") {
			t.Errorf("ParsePublicKey(%q) = %q, %v, %v", text, algorithm, public, err)
		}
	})
}
