package auth_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
	"time"
	"unicode"

	"carillon/auth"
	"carillon/auth/authtest"
	"carillon/model"
)

type attack struct {
	name string
	with auth.Presented
}

// run presents each attack to a service that remembers nothing and to one that
// has just seen the good forms, and holds that each gives the same error and
// creates nobody.
func run(t *testing.T, f *fixture, attacks []attack) {
	t.Helper()
	want := wrong(t)
	warm := f.Service()
	for _, p := range goodForms(t, f) {
		if _, err := warm.Authenticate(t.Context(), p.with); err != nil {
			t.Fatalf("good form %s: %v", p.name, err)
		}
	}
	before := f.Users()
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			for _, s := range []*auth.Service{f.auth, warm} {
				c, err := s.Authenticate(t.Context(), a.with)
				if err == nil {
					t.Fatalf("admitted as %s %q of environment %d", c.Kind, c.User, c.Env.ID)
				}
				assertRefused(t, err, want)
			}
		})
	}
	if after := f.Users(); after != before {
		t.Errorf("%d users exist, %d before: a wrong credential created one", after, before)
	}
}

func swapCase(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsUpper(r) {
			return unicode.ToLower(r)
		}
		return unicode.ToUpper(r)
	}, s)
}

func TestWrongSecretKeys(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := f.token.SecretKey
	revoked := f.AddSecret(f.token.ID, model.CredentialSecretKey, "sk_test_revoked")
	f.Revoke(revoked.ID)
	expired := f.AddSecret(f.token.ID, model.CredentialSecretKey, "sk_test_expired")
	f.ChangeCredential(expired.ID, func(c *model.Credential) { c.ExpiresAt = time.Now().Add(-time.Second) })
	f.AddSecret(f.token.ID, model.CredentialAPISecret, "sk_test_is_an_api_secret")
	f.AddSecret(f.token.ID+999_999, model.CredentialSecretKey, "sk_test_orphan")
	with := func(change func(*auth.Presented)) auth.Presented {
		p := f.token.Secret()
		change(&p)
		return p
	}

	run(t, f, []attack{
		{"Empty", auth.Presented{Authorization: "Bearer "}},
		{"NoValue", auth.Presented{Authorization: "Bearer"}},
		{"PrefixOnly", authtest.Bearer("sk_")},
		{"Cut", authtest.Bearer(key[:len(key)-1])},
		{"CutInFront", authtest.Bearer(key[1:])},
		{"Longer", authtest.Bearer(key + "x")},
		{"TrailingBlank", authtest.Bearer(key + " ")},
		{"LeadingBlank", authtest.Bearer(" " + key)},
		{"NUL", authtest.Bearer(key + "\x00")},
		{"HighBytes", authtest.Bearer(key + "\xff\xfe")},
		{"SwappedCase", authtest.Bearer("sk_test_" + swapCase(strings.TrimPrefix(key, "sk_test_")))},
		{"LowerCase", authtest.Bearer(strings.ToLower(key))},
		{"SwappedCharacters", authtest.Bearer(key[:10] + key[11:12] + key[10:11] + key[12:])},
		{"OtherKind", authtest.Bearer(strings.Replace(key, "sk_test_", "sk_live_", 1))},
		{"List", authtest.Bearer(key + ", " + key)},
		{"Big", authtest.Bearer("sk_" + strings.Repeat("A", 60_000))},
		{"Revoked", authtest.Bearer("sk_test_revoked")},
		{"Expired", authtest.Bearer("sk_test_expired")},
		{"EnvironmentGone", authtest.Bearer("sk_test_orphan")},
		{"ItsHash", authtest.Bearer(hex.EncodeToString(auth.Hash(key)))},
		{"ItsID", authtest.Bearer(string(f.token.SecretKeyID))},
		{"APISecretAsBearer", authtest.Bearer(f.token.APISecret)},
		{"APISecretThatLooksLikeOne", authtest.Bearer("sk_test_is_an_api_secret")},
		{"SigningSecretAsBearer", authtest.Bearer(f.token.SigningSecret)},
		{"PublicKeyAsBearer", authtest.Bearer(f.token.APIKey)},
		{"Basic", auth.Presented{Authorization: "Basic " + base64.StdEncoding.EncodeToString([]byte(key+":"))}},
		{"NoScheme", auth.Presented{Authorization: key}},
		{"OtherScheme", auth.Presented{Authorization: "Token " + key}},
		{"WithOtherEnvironmentsPublicKey", with(func(p *auth.Presented) { p.Key = f.other.APIKey })},
		{"WithUnknownPublicKey", with(func(p *auth.Presented) { p.Key = "pk_test_unknown" })},
		{"WithUser", with(func(p *auth.Presented) { p.User = "ada" })},
		{"WithKeyAndUser", with(func(p *auth.Presented) { p.Key, p.User = f.token.APIKey, "ada" })},
		{"WithSignature", with(func(p *auth.Presented) { p.Signature = f.token.Signed("ada").Signature })},
		{"AsPublicKey", auth.Presented{Key: f.open.SecretKey, User: "ada"}},
	})
}

func TestWrongSignatures(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	good := f.hmac.Signed("ada")
	raw := auth.Sign(f.hmac.APISecret, "ada")
	b64 := base64.StdEncoding.EncodeToString
	sign := func(s string) auth.Presented { return auth.Presented{Key: f.hmac.APIKey, User: "ada", Signature: s} }
	user := func(u string) auth.Presented {
		return auth.Presented{Key: f.hmac.APIKey, User: u, Signature: good.Signature}
	}
	revoked := f.AddSecret(f.hmac.ID, model.CredentialAPISecret, "revoked API secret of 32 characters")
	f.Revoke(revoked.ID)
	copied := f.AddSecret(f.hmac.ID, model.CredentialAPISecret, "copied")
	elsewhere := f.AddSecret(f.other.ID, model.CredentialAPISecret, "from another row")
	f.ChangeCredential(copied.ID, func(c *model.Credential) { c.Sealed = elsewhere.Sealed })
	plain := sha256.Sum256([]byte("ada"))
	concat := sha256.Sum256([]byte(f.hmac.APISecret + "ada"))
	bit := append([]byte{}, raw...)
	bit[31] ^= 1

	attacks := []attack{
		{"None", f.hmac.User("ada")},
		{"OtherUsers", sign(b64(auth.Sign(f.hmac.APISecret, "bob")))},
		{"OtherEnvironments", sign(b64(auth.Sign(f.other.APISecret, "ada")))},
		{"OfSigningSecret", sign(b64(auth.Sign(f.hmac.SigningSecret, "ada")))},
		{"OfSecretKey", sign(b64(auth.Sign(f.hmac.SecretKey, "ada")))},
		{"OfPublicKey", sign(b64(auth.Sign(f.hmac.APIKey, "ada")))},
		{"OfEmptySecret", sign(b64(auth.Sign("", "ada")))},
		{"OfRevokedSecret", sign(b64(auth.Sign("revoked API secret of 32 characters", "ada")))},
		{"OfSecretCopiedFromAnotherRow", sign(b64(auth.Sign("from another row", "ada")))},
		{"PlainHash", sign(b64(plain[:]))},
		{"HashOfBoth", sign(b64(concat[:]))},
		{"OneBitOff", sign(b64(bit))},
		{"Cut", sign(good.Signature[:43])},
		{"CutBytes", sign(b64(raw[:16]))},
		{"Longer", sign(b64(append(raw[:32:32], 0)))},
		{"Hex", sign(hex.EncodeToString(raw))},
		{"Unpadded", sign(strings.TrimRight(good.Signature, "="))},
		{"LineBreak", sign(good.Signature[:43] + "\n")},
		{"LineBreakAfter", sign(good.Signature + "\n")},
		{"LineBreakInside", sign(good.Signature[:20] + "\r\n" + good.Signature[20:])},
		{"SwappedCase", sign(swapCase(good.Signature))},
		{"NotBase64", sign(strings.Repeat("!", 44))},
		{"Zeros", sign(b64(make([]byte, 32)))},
		{"Undefined", sign("undefined")},
		{"Big", sign(strings.Repeat("A", 60_000))},
		{"OtherUser", user("bob")},
		{"UserInOtherCase", user("ADA")},
		{"UserWithBlank", user("ada ")},
		{"UserWithNUL", user("ada\x00")},
		{"UserInvalidUTF8", user("ada\xff")},
		{"NoUser", auth.Presented{Key: f.hmac.APIKey, Signature: good.Signature}},
		{"NoKey", auth.Presented{User: "ada", Signature: good.Signature}},
		{"KeyOnly", auth.Presented{Key: f.hmac.APIKey}},
		{"UserOnly", auth.Presented{User: "ada"}},
		{"SignatureOnly", auth.Presented{Signature: good.Signature}},
		{"UnknownKey", auth.Presented{Key: "pk_test_unknown", User: "ada", Signature: good.Signature}},
		{"KeyCut", auth.Presented{Key: f.hmac.APIKey[1:], User: "ada", Signature: good.Signature}},
		{"KeyInOtherCase", auth.Presented{Key: swapCase(f.hmac.APIKey), User: "ada", Signature: good.Signature}},
		{"KeyNUL", auth.Presented{Key: f.hmac.APIKey + "\x00", User: "ada", Signature: good.Signature}},
		{"KeyHighBytes", auth.Presented{Key: "\xff", User: "ada", Signature: good.Signature}},
		{"KeyBig", auth.Presented{Key: strings.Repeat("k", 60_000), User: "ada", Signature: good.Signature}},
		{"OpenOtherUsers", auth.Presented{Key: f.open.APIKey, User: "bob", Signature: f.open.Signed("ada").Signature}},
		{"OpenNotBase64", auth.Presented{Key: f.open.APIKey, User: "ada", Signature: "undefined"}},
		{"TokenEnvironmentWithoutSignature", f.token.User("ada")},
		{"TokenEnvironmentWithSignature", f.token.Signed("ada")},
	}
	for name, u := range badIdentifiers {
		attacks = append(attacks, attack{"Open" + name, f.open.User(u)}, attack{"Signed" + name, f.hmac.Signed(u)})
	}
	run(t, f, attacks)
}

// badIdentifiers are not identifiers, whoever signs them.
var badIdentifiers = map[string]string{
	"Empty": "", "Blank": " ", "LeadingBlank": " ada", "NUL": "a\x00da", "Newline": "ada\n", "Control": "a\x1bda",
	"InvalidUTF8": "ad\xff", "ReplacementCharacter": "ad\ufffd", "Noncharacter": "ad\uffff", "TooLong": strings.Repeat("a", 256),
}

func TestOddTextIsNotLookedUp(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	e := f.token
	before := f.Calls()
	for _, odd := range []string{"\x00", "a\x00", "\xff", "a b", " ", "ключ", "a\nb", "\x7f", strings.Repeat("a", 256)} {
		for _, p := range []auth.Presented{
			{Key: odd, User: "ada"},
			{Key: e.APIKey + odd, User: "ada"},
			{Key: e.APIKey, User: "ada", Authorization: "Bearer " + authtest.Forge(hs256Header(e).With("kid", odd), userClaims("ada"), authtest.HS256(""))},
			authtest.Bearer(authtest.Forge(authtest.Object{"alg": "HS256"}, userClaims("ada").With("apiKey", e.APIKey+odd), authtest.HS256(""))),
		} {
			if _, err := f.auth.Authenticate(t.Context(), p); err == nil {
				t.Errorf("%+v was admitted", p)
			}
		}
	}
	if n := f.Calls() - before; n != 0 {
		t.Errorf("%d look-ups of text that a database may choke on, want none", n)
	}
}
