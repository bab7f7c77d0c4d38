package auth_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"carillon/auth"
	"carillon/auth/authtest"
	"carillon/model"
)

type good struct {
	name string
	with auth.Presented
	want auth.Caller // without Env.Settings and UserID; Expires to the second
}

// goodForms are the ways of calling, with who is calling.
func goodForms(t *testing.T, f *fixture) []good {
	t.Helper()
	now := time.Now()
	in := func(d time.Duration) time.Time { return now.Add(d).Truncate(time.Second) }
	e := f.token
	token := func(p auth.Presented, change func(*auth.Presented)) auth.Presented {
		change(&p)
		return p
	}
	forge := func(alg string, kid any, claims any, s authtest.Signer) auth.Presented {
		h := authtest.Object{"alg": alg, "typ": "JWT"}
		if kid != nil {
			h = h.With("kid", kid)
		}
		return authtest.Bearer(authtest.Forge(h, claims, s))
	}
	ada := authtest.Object{"sub": "ada", "exp": in(time.Hour).Unix()}
	hs := authtest.HS256(e.SigningSecret)
	user := func(e *authtest.Env, id string, c model.CredentialID, exp time.Time) auth.Caller {
		return auth.Caller{Env: e.Environment, Kind: auth.User, User: id, Credential: c, Expires: exp}
	}
	secret := auth.Caller{Env: e.Environment, Kind: auth.Secret, Credential: e.SecretKeyID}
	return []good{
		{"SecretKey", e.Secret(), secret},
		{"SecretKeyWithItsPublicKey", token(e.Secret(), func(p *auth.Presented) { p.Key = e.APIKey }), secret},
		{"SchemeInLowerCase", auth.Presented{Authorization: "bearer " + e.SecretKey}, secret},
		{"Open", f.open.User("ada"), user(f.open, "ada", "", time.Time{})},
		{"OpenSigned", f.open.Signed("ada"), user(f.open, "ada", f.open.APISecretID, time.Time{})},
		{"OpenToken", f.open.Token(t, "ada"), user(f.open, "ada", f.open.Signing.ID, in(time.Hour))},
		{"HMAC", f.hmac.Signed("ada"), user(f.hmac, "ada", f.hmac.APISecretID, time.Time{})},
		{"HMACUserInUnicode", f.hmac.Signed("Ада 🔔"), user(f.hmac, "Ада 🔔", f.hmac.APISecretID, time.Time{})},
		{"HMACToken", f.hmac.Token(t, "ada"), user(f.hmac, "ada", f.hmac.Signing.ID, in(time.Hour))},
		{"Minted", e.Token(t, "ada"), user(e, "ada", e.Signing.ID, in(time.Hour))},
		{"HS256", forge("HS256", e.Signing.ID, ada, hs), user(e, "ada", e.Signing.ID, in(time.Hour))},
		{"RS256", forge("RS256", e.RSA.ID, ada, authtest.RS256(e.RSAKey)), user(e, "ada", e.RSA.ID, in(time.Hour))},
		{"ES256", forge("ES256", e.ECDSA.ID, ada, authtest.ES256(e.ECDSAKey)), user(e, "ada", e.ECDSA.ID, in(time.Hour))},
		{"EdDSA", forge("EdDSA", e.Ed25519.ID, ada, authtest.EdDSA(e.Ed25519Key)), user(e, "ada", e.Ed25519.ID, in(time.Hour))},
		{"NoKidByClaim", forge("HS256", nil, ada.With("apiKey", e.APIKey), hs), user(e, "ada", e.Signing.ID, in(time.Hour))},
		{"NoKidByHeader", token(forge("ES256", nil, ada, authtest.ES256(e.ECDSAKey)), func(p *auth.Presented) { p.Key = e.APIKey }), user(e, "ada", e.ECDSA.ID, in(time.Hour))},
		{"KidAndClaimAndHeaderAgree", token(forge("HS256", e.Signing.ID, ada.With("apiKey", e.APIKey), hs), func(p *auth.Presented) { p.Key = e.APIKey }), user(e, "ada", e.Signing.ID, in(time.Hour))},
		{"SameUserInHeader", token(e.Token(t, "ada"), func(p *auth.Presented) { p.User = "ada" }), user(e, "ada", e.Signing.ID, in(time.Hour))},
		{"SubThatOnlyLooksLegacy", forge("HS256", e.Signing.ID, ada.With("sub", "user:ada"), hs), user(e, "user:ada", e.Signing.ID, in(time.Hour))},
		{"LegacyFormWithExp", forge("HS256", nil, ada.With("sub", "user:a:b").With("apiKey", e.APIKey), hs), user(e, "a:b", e.Signing.ID, in(time.Hour))},
		{"AudIsUs", forge("HS256", e.Signing.ID, ada.With("aud", "carillon"), hs), user(e, "ada", e.Signing.ID, in(time.Hour))},
		{"AudListHasOurPublicKey", forge("HS256", e.Signing.ID, ada.With("aud", []string{"x", e.APIKey}), hs), user(e, "ada", e.Signing.ID, in(time.Hour))},
		{"AnyIss", forge("HS256", e.Signing.ID, ada.With("iss", "https://id.example.com"), hs), user(e, "ada", e.Signing.ID, in(time.Hour))},
		{"ExpJustPast", forge("HS256", e.Signing.ID, ada.With("exp", in(-10*time.Second).Unix()), hs), user(e, "ada", e.Signing.ID, in(-10*time.Second))},
		{"ExpTheFarthest", forge("HS256", e.Signing.ID, ada.With("exp", in(24*time.Hour).Unix()), hs), user(e, "ada", e.Signing.ID, in(24*time.Hour))},
		{"ExpWithFraction", forge("HS256", e.Signing.ID, ada.With("exp", float64(in(time.Hour).Unix())+0.25), hs), user(e, "ada", e.Signing.ID, in(time.Hour))},
		{"ClockJustBehind", forge("HS256", e.Signing.ID, ada.With("iat", in(30*time.Second).Unix()).With("nbf", in(30*time.Second).Unix()), hs), user(e, "ada", e.Signing.ID, in(time.Hour))},
	}
}

func TestGoodForms(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, g := range goodForms(t, f) {
		t.Run(g.name, func(t *testing.T) {
			for _, again := range []string{"first", "second"} { // the second from memory
				got, err := f.auth.Authenticate(t.Context(), g.with)
				if err != nil {
					t.Fatalf("%s time: %v", again, err)
				}
				wantUser := g.want.Kind == auth.User && g.want.Env.UserAuth != model.AuthToken
				if known := got.UserID != 0; known != wantUser {
					t.Errorf("UserID %d, want one: %t", got.UserID, wantUser)
				}
				if got.Env.ID != g.want.Env.ID || got.Kind != g.want.Kind || got.User != g.want.User || got.Credential != g.want.Credential {
					t.Errorf("caller %+v, want %+v", got, g.want)
				}
				if d := got.Expires.Sub(g.want.Expires); d < 0 || d > time.Second {
					t.Errorf("expires %s, want %s", got.Expires, g.want.Expires)
				}
			}
		})
	}
}

func TestNoCredentialIsItsOwnError(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	_, err := f.auth.Authenticate(t.Context(), auth.Presented{})
	if !errors.Is(err, auth.ErrNone) || model.KindOf(err) != model.KindUnauthenticated || auth.IsRefused(err) {
		t.Errorf("error %v, want ErrNone", err)
	}
}

func TestLegacyTokensNeedNoExpWhereAdmitted(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	e := f.legacy(t)
	rs := func(claims authtest.Object) auth.Presented {
		return authtest.Bearer(authtest.Forge(authtest.Object{"alg": "RS256"}, claims, authtest.RS256(e.RSAKey)))
	}
	claims := authtest.Object{"sub": "user:ada", "apiKey": e.APIKey}
	far := time.Now().AddDate(1, 0, 0).Truncate(time.Second)
	for name, tt := range map[string]struct {
		with auth.Presented
		exp  time.Time
	}{
		"NoExp":  {rs(claims), time.Time{}},
		"ExpFar": {rs(claims.With("exp", far.Unix())), far},
	} {
		c, err := f.auth.Authenticate(t.Context(), tt.with)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if c.User != "ada" || c.Env.ID != e.ID || !c.Expires.Equal(tt.exp) {
			t.Errorf("%s: user %q of %d until %s, want ada of %d until %s", name, c.User, c.Env.ID, c.Expires, e.ID, tt.exp)
		}
	}
}

func TestAudiencesAndIssuersOfTheEnvironment(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	e := f.NewEnv(t, model.AuthToken, func(e *model.Environment) {
		e.Settings.Audiences = []string{"https://bell.example.com", "bell"}
		e.Settings.Issuers = []string{"https://id.example.com"}
	})
	claims := userClaims("ada").With("iss", "https://id.example.com").With("aud", "bell")
	for name, tt := range map[string]struct {
		claims authtest.Object
		want   bool
	}{
		"Both":           {claims, true},
		"NoAudience":     {claims.Without("aud"), true},
		"OneOfMany":      {claims.With("aud", []string{"x", "https://bell.example.com"}), true},
		"DefaultIsGone":  {claims.With("aud", "carillon"), false},
		"OtherAudience":  {claims.With("aud", "bells"), false},
		"NoIssuer":       {claims.Without("iss"), false},
		"OtherIssuer":    {claims.With("iss", "https://id.example.com/"), false},
		"IssuerInAnList": {claims.With("iss", []string{"https://id.example.com"}), false},
	} {
		_, err := f.auth.Authenticate(t.Context(), signed(e, tt.claims))
		if got := err == nil; got != tt.want {
			t.Errorf("%s: admitted %t (%v), want %t", name, got, err, tt.want)
		}
	}
}

func TestUsersAreCreatedWhereTheEnvironmentDoesSo(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	as := func(p auth.Presented) auth.Caller {
		t.Helper()
		c, err := f.auth.Authenticate(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if c := as(f.open.User("ada")); c.UserID == 0 || c.UserID != as(f.open.User("ada")).UserID {
		t.Errorf("open: user %d, then another", c.UserID)
	}
	if c := as(f.hmac.Token(t, "ada")); c.UserID == 0 {
		t.Error("hmac: the user of a token was not created")
	}
	if a, b := as(f.open.User("ada")), as(f.hmac.Signed("ada")); a.UserID == b.UserID {
		t.Errorf("the same identifier in two environments is one user, %d", a.UserID)
	}
	if c := as(f.token.Token(t, "ada")); c.UserID != 0 {
		t.Errorf("token: user %d exists, want none until identified", c.UserID)
	}
	u, _, err := f.EnsureUser(t.Context(), f.token.ID, "ada")
	if err != nil {
		t.Fatal(err)
	}
	if c := as(f.token.Token(t, "ada")); c.UserID != u.ID {
		t.Errorf("token: user %d right after it was identified, want %d", c.UserID, u.ID)
	}
}

func TestExpiresIsTheEarlierOfTokenAndKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	soon := time.Now().Add(time.Minute).UTC().Truncate(time.Second)
	for _, id := range []model.CredentialID{f.token.Signing.ID, f.token.SecretKeyID, f.hmac.APISecretID} {
		f.ChangeCredential(id, func(c *model.Credential) { c.ExpiresAt = soon })
	}
	for name, p := range map[string]auth.Presented{
		"Token": f.token.Token(t, "ada"), "SecretKey": f.token.Secret(), "Signature": f.hmac.Signed("ada"),
	} {
		c, err := f.auth.Authenticate(t.Context(), p)
		if err != nil || !c.Expires.Equal(soon) {
			t.Errorf("%s: expires %s, error %v; want %s", name, c.Expires, err, soon)
		}
	}
}

func TestTheNewestKeysAreTried(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	e := f.token
	claims := userClaims("ada").With("apiKey", e.APIKey)
	var newest model.Credential
	for i := range 12 {
		newest = f.AddSecret(e.ID, model.CredentialSigningSecret, strings.Repeat("s", 32+i))
		f.ChangeCredential(newest.ID, func(c *model.Credential) { c.CreatedAt = time.Now().Add(time.Duration(i+1) * time.Second) })
	}
	c, err := f.auth.Authenticate(t.Context(), authtest.Bearer(authtest.Forge(authtest.Object{"alg": "HS256"}, claims, authtest.HS256(strings.Repeat("s", 43)))))
	if err != nil || c.Credential != newest.ID {
		t.Errorf("newest key: credential %s, error %v; want %s", c.Credential, err, newest.ID)
	}
	// The ninth from the end is one too many: it must name itself.
	old := authtest.Forge(authtest.Object{"alg": "HS256"}, claims, authtest.HS256(strings.Repeat("s", 35)))
	if _, err := f.auth.Authenticate(t.Context(), authtest.Bearer(old)); err == nil {
		t.Error("a token was held against more than eight keys")
	}
}

func TestFailedLookupIsNotAWrongCredential(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	forms := goodForms(t, f)
	f.Fail(model.Errorf(model.KindUnavailable, "the database is away"))
	for _, g := range forms {
		_, err := f.auth.Authenticate(t.Context(), g.with)
		if model.KindOf(err) != model.KindUnavailable || auth.IsRefused(err) {
			t.Errorf("%s: error %v, want KindUnavailable", g.name, err)
		}
	}
	f.Fail(nil)
	for _, g := range forms {
		if _, err := f.auth.Authenticate(t.Context(), g.with); err != nil {
			t.Errorf("%s: still fails after the database came back: %v", g.name, err)
		}
	}
}

func TestErrorsShowNoSecret(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, secret := range []string{"sk_test_marker0123456789", "marker0123456789", "eyJtYXJrZXIwMTIzNDU2Nzg5.e30.AA"} {
		_, err := f.auth.Authenticate(t.Context(), authtest.Bearer(secret))
		if err == nil || strings.Contains(err.Error(), "marker") || strings.Contains(err.Error(), "eyJ") {
			t.Errorf("error %v repeats what was presented", err)
		}
	}
}
