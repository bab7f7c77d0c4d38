package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"carillon/auth"
	"carillon/auth/authtest"
	"carillon/model"
)

func TestWrongTokenAlgorithms(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	e, legacy := f.token, f.legacy(t)
	claims := userClaims("ada")
	legacyClaims := authtest.Object{"sub": "user:ada", "apiKey": legacy.APIKey}
	head := func(alg string, kid any) authtest.Object { return authtest.Object{"alg": alg, "kid": kid} }
	forge := func(h, c any, s authtest.Signer) auth.Presented { return authtest.Bearer(authtest.Forge(h, c, s)) }
	good := authtest.Forge(hs256Header(e), claims, authtest.HS256(e.SigningSecret))
	parts := strings.Split(good, ".")

	var attacks []attack
	for _, alg := range []string{"none", "None", "NONE", "nOnE", "none ", "", "null", "HS256\x00", "hs256"} {
		for kind, kid := range map[string]any{"Signing": e.Signing.ID, "RSA": e.RSA.ID, "ECDSA": e.ECDSA.ID} {
			attacks = append(attacks,
				attack{"Alg=" + alg + "/" + kind + "/Unsigned", forge(head(alg, kid), claims, authtest.Bytes())},
				attack{"Alg=" + alg + "/" + kind + "/Signed", forge(head(alg, kid), claims, authtest.HS256(e.SigningSecret))})
		}
		attacks = append(attacks,
			attack{"Alg=" + alg + "/NoKid", forge(authtest.Object{"alg": alg}, claims.With("apiKey", e.APIKey), authtest.Bytes())},
			attack{"Alg=" + alg + "/Legacy", forge(authtest.Object{"alg": alg}, legacyClaims, authtest.Bytes())})
	}
	for name, alg := range map[string]any{"Number": 1, "Null": nil, "List": []string{"HS256"}, "Object": authtest.Object{"a": 1}} {
		attacks = append(attacks, attack{"Alg" + name, forge(hs256Header(e).With("alg", alg), claims, authtest.HS256(e.SigningSecret))})
	}
	for name, secret := range map[string]string{
		"PEM": e.RSA.PublicKey, "TrimmedPEM": strings.TrimSpace(e.RSA.PublicKey), "DER": string(derOf(t, e.RSA.PublicKey)),
		"Modulus": string(e.RSAKey.N.Bytes()), "Empty": "",
	} {
		attacks = append(attacks,
			attack{"HSWithPublicKey/" + name + "/Kid", forge(head("HS256", e.RSA.ID), claims, authtest.HS256(secret))},
			attack{"HSWithPublicKey/" + name + "/SigningKid", forge(hs256Header(e), claims, authtest.HS256(secret))},
			attack{"HSWithPublicKey/" + name + "/NoKid", forge(authtest.Object{"alg": "HS256"}, claims.With("apiKey", e.APIKey), authtest.HS256(secret))},
			attack{"HSWithPublicKey/" + name + "/Legacy", forge(authtest.Object{"alg": "HS256"}, legacyClaims, authtest.HS256(secret))})
	}
	for _, alg := range []string{"HS384", "HS512", "RS384", "RS512", "PS256", "ES384", "ES512", "RS256", "ES256", "EdDSA"} {
		attacks = append(attacks, attack{"HSLabelled" + alg, forge(hs256Header(e).With("alg", alg), claims, authtest.HS256(e.SigningSecret))})
	}
	rs, es, ed := authtest.RS256(e.RSAKey), authtest.ES256(e.ECDSAKey), authtest.EdDSA(e.Ed25519Key)
	strangerKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	attacks = append(attacks,
		attack{"RSLabelledPS256", forge(head("PS256", e.RSA.ID), claims, rs)},
		attack{"RSLabelledRS512", forge(head("RS512", e.RSA.ID), claims, rs)},
		attack{"RSLabelledHS256", forge(head("HS256", e.RSA.ID), claims, rs)},
		attack{"ESLabelledRS256", forge(head("RS256", e.ECDSA.ID), claims, es)},
		attack{"ESLabelledEdDSA", forge(head("EdDSA", e.ECDSA.ID), claims, es)},
		attack{"EdLabelledES256", forge(head("ES256", e.Ed25519.ID), claims, ed)},
		attack{"RSWithKidOfES", forge(head("RS256", e.ECDSA.ID), claims, rs)},
		attack{"ESWithKidOfRS", forge(head("ES256", e.RSA.ID), claims, es)},
		attack{"ESZeroSignature", forge(head("ES256", e.ECDSA.ID), claims, authtest.Bytes(make([]byte, 64)...))},
		attack{"ESOneOneSignature", forge(head("ES256", e.ECDSA.ID), claims, authtest.Bytes(append(append(make([]byte, 31), 1), append(make([]byte, 31), 1)...)...))},
		attack{"ESEmptySignature", forge(head("ES256", e.ECDSA.ID), claims, authtest.Bytes())},
		attack{"ESASN1Signature", forge(head("ES256", e.ECDSA.ID), claims, asn1(t, e.ECDSAKey))},
		attack{"ESStrangersKey", forge(head("ES256", e.ECDSA.ID), claims, authtest.ES256(strangerKey))},
		attack{"EdZeroSignature", forge(head("EdDSA", e.Ed25519.ID), claims, authtest.Bytes(make([]byte, 64)...))},
		attack{"RSEmptySignature", forge(head("RS256", e.RSA.ID), claims, authtest.Bytes())},
		attack{"HSEmptySignature", authtest.Bearer(parts[0] + "." + parts[1] + ".")},
		attack{"HSCutSignature", authtest.Bearer(good[:len(good)-1])},
		attack{"HSPaddedSignature", authtest.Bearer(good + "=")},
		attack{"HSOfOtherEnvironment", forge(hs256Header(e), claims, authtest.HS256(f.other.SigningSecret))},
		attack{"HSOfAPISecret", forge(hs256Header(e), claims, authtest.HS256(e.APISecret))},
		attack{"HSOfSecretKey", forge(hs256Header(e), claims, authtest.HS256(e.SecretKey))},
		attack{"ChangedClaims", authtest.Bearer(parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"bob","exp":9999999999}`)) + "." + parts[2])},
		attack{"ChangedHeader", authtest.Bearer(base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","kid":"`+string(e.Signing.ID)+`"}`)) + "." + parts[1] + "." + parts[2])},
		attack{"SwappedCase", authtest.Bearer(swapCase(good))},
		attack{"Twice", authtest.Bearer(good + "." + good)},
		attack{"FourParts", authtest.Bearer(good + ".")},
		attack{"TwoParts", authtest.Bearer(parts[0] + "." + parts[1])},
		attack{"OnePart", authtest.Bearer(parts[0])},
		attack{"FiveParts", authtest.Bearer("eyJhbGciOiJkaXIifQ....")},
		attack{"OnlyDots", authtest.Bearer("..")},
		attack{"Dots", authtest.Bearer(strings.Repeat(".", 60_000))},
		attack{"FewDots", authtest.Bearer(strings.Repeat(".", 8000))},
		attack{"BigAndWellSigned", forge(hs256Header(e), claims.With("x", strings.Repeat("A", 8000)), authtest.HS256(e.SigningSecret))},
		attack{"Big", authtest.Bearer(parts[0] + "." + strings.Repeat("A", 60_000) + "." + parts[2])},
		attack{"SameBytesOtherSpelling", authtest.Bearer(good[:len(good)-1] + string(sibling(good[len(good)-1])))},
		attack{"NewlineAfter", authtest.Bearer(good + "\n")},
		attack{"NUL", authtest.Bearer(good + "\x00")},
		attack{"HighBytes", authtest.Bearer(good + "\xff")},
		attack{"Blank", authtest.Bearer(good + " ")},
		attack{"NewlineInside", authtest.Bearer(parts[0] + "." + parts[1] + "\n." + parts[2])},
		attack{"JWSJSON", authtest.Bearer(`{"payload":"` + parts[1] + `"}`)},
		attack{"StdBase64", authtest.Bearer(base64.StdEncoding.EncodeToString([]byte(`{"alg":"HS256"}>>>`)) + ".e30.AAAA")},
	)
	run(t, f, attacks)
}

func TestWrongTokenHeaders(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	e := f.token
	var hits atomic.Int64
	canary := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	t.Cleanup(canary.Close)

	claims := userClaims("ada")
	attackerKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	jwk := authtest.Object{"kty": "RSA", "n": base64.RawURLEncoding.EncodeToString(attackerKey.N.Bytes()), "e": "AQAB", "kid": "mine"}
	var attacks []attack
	// Each member is refused next to a good signature, and does not help a bad one.
	for name, value := range map[string]any{
		"crit": []string{"exp"}, "b64": false, "zip": "DEF", "jwk": jwk,
		"jku": canary.URL + "/jwks", "x5u": canary.URL + "/cert", "x5c": []string{"MIIB"},
	} {
		h := hs256Header(e).With(name, value)
		attacks = append(attacks,
			attack{name + "/WellSigned", authtest.Bearer(authtest.Forge(h, claims, authtest.HS256(e.SigningSecret)))},
			attack{name + "/Empty", authtest.Bearer(authtest.Forge(hs256Header(e).With(name, []string{}), claims, authtest.HS256(e.SigningSecret)))},
			attack{name + "/Null", authtest.Bearer(authtest.Forge(hs256Header(e).With(name, nil), claims, authtest.HS256(e.SigningSecret)))},
			attack{name + "/AttackersKey", authtest.Bearer(authtest.Forge(h.With("alg", "RS256"), claims, authtest.RS256(attackerKey)))},
			attack{name + "/AttackersKeyNoKid", authtest.Bearer(authtest.Forge(h.With("alg", "RS256").Without("kid"), claims.With("apiKey", e.APIKey), authtest.RS256(attackerKey)))})
	}
	for name, kid := range map[string]any{
		"Path": "../../../../dev/null", "DevNull": "/dev/null", "URL": canary.URL + "/key", "SQL": "x' or '1'='1", "SQLUnion": "x' UNION SELECT 'secret",
		"NUL": string(e.Signing.ID) + "\x00", "Blank": " " + string(e.Signing.ID), "Number": 1001, "Null": nil, "List": []any{e.Signing.ID},
		"Object": authtest.Object{"a": e.Signing.ID}, "Bool": true, "Empty": "", "Unknown": "c-999999", "Long": strings.Repeat("a", 5000),
		"Glob": "*", "Percent": "%", "HighText": "ключ", "UpperCase": strings.ToUpper(string(e.Signing.ID)),
		"APISecretsID": e.APISecretID, "SecretKeysID": e.SecretKeyID, "OtherEnvironmentsKey": f.other.Signing.ID,
	} {
		h := hs256Header(e).With("kid", kid)
		attacks = append(attacks,
			attack{"Kid" + name, authtest.Bearer(authtest.Forge(h, claims, authtest.HS256(e.SigningSecret)))},
			attack{"Kid" + name + "/WithAPIKey", authtest.Bearer(authtest.Forge(h, claims.With("apiKey", e.APIKey), authtest.HS256(e.SigningSecret)))},
			attack{"Kid" + name + "/EmptySecret", authtest.Bearer(authtest.Forge(h, claims, authtest.HS256("")))})
	}
	for name, raw := range map[string]string{
		"Twice":      `{"alg":"HS256","kid":"` + string(f.other.Signing.ID) + `","kid":"` + string(e.Signing.ID) + `"}`,
		"AlgTwice":   `{"alg":"none","alg":"HS256","kid":"` + string(e.Signing.ID) + `"}`,
		"List":       `[{"alg":"HS256","kid":"` + string(e.Signing.ID) + `"}]`,
		"Null":       `null`,
		"Empty":      ``,
		"Text":       `"HS256"`,
		"Trailing":   `{"alg":"HS256","kid":"` + string(e.Signing.ID) + `"} {}`,
		"Unclosed":   `{"alg":"HS256","kid":"` + string(e.Signing.ID) + `"`,
		"UpperNames": `{"ALG":"HS256","KID":"` + string(e.Signing.ID) + `"}`,
		"Deep":       `{"alg":"HS256","kid":"` + string(e.Signing.ID) + `","a":` + strings.Repeat("[", 2000) + `}`,
	} {
		attacks = append(attacks, attack{"Header" + name, authtest.Bearer(authtest.Forge(json.RawMessage(raw), claims, authtest.HS256(e.SigningSecret)))})
	}
	run(t, f, attacks)
	if n := hits.Load(); n != 0 {
		t.Errorf("the canary was asked %d times for a key, want never", n)
	}
}

func TestWrongTokenClaims(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	e := f.token
	now := time.Now()
	good := userClaims("ada")
	attacks := []attack{
		{"ExpMissing", signed(e, good.Without("exp"))},
		{"ExpPast", signed(e, good.With("exp", now.Add(-2*time.Minute).Unix()))},
		{"ExpLongPast", signed(e, good.With("exp", 1))},
		{"ExpText", signed(e, good.With("exp", "9999999999"))},
		{"ExpDateText", signed(e, good.With("exp", now.Add(time.Hour).Format(time.RFC3339)))},
		{"ExpZero", signed(e, good.With("exp", 0))},
		{"ExpNegative", signed(e, good.With("exp", -1))},
		{"ExpNull", signed(e, good.With("exp", nil))},
		{"ExpBool", signed(e, good.With("exp", true))},
		{"ExpList", signed(e, good.With("exp", []int64{now.Add(time.Hour).Unix()}))},
		{"ExpInUpperCase", signed(e, good.Without("exp").With("EXP", now.Add(time.Hour).Unix()))},
		{"ExpFar", signed(e, good.With("exp", now.Add(25*time.Hour).Unix()))},
		{"ExpIn10Years", signed(e, good.With("exp", now.AddDate(10, 0, 0).Unix()))},
		{"ExpMilliseconds", signed(e, good.With("exp", now.Add(time.Hour).UnixMilli()))},
		{"ExpHuge", signed(e, good.With("exp", json.RawMessage("1e300")))},
		{"ExpInfinite", signed(e, good.With("exp", json.RawMessage("1e400")))},
		{"NbfFuture", signed(e, good.With("nbf", now.Add(5*time.Minute).Unix()))},
		{"NbfText", signed(e, good.With("nbf", "1"))},
		{"NbfNull", signed(e, good.With("nbf", nil))},
		{"IatFuture", signed(e, good.With("iat", now.Add(5*time.Minute).Unix()))},
		{"IatText", signed(e, good.With("iat", "1"))},
		{"AudForeign", signed(e, good.With("aud", "https://api.example.com"))},
		{"AudForeignList", signed(e, good.With("aud", []string{"a", "b"}))},
		{"AudEmptyList", signed(e, good.With("aud", []string{}))},
		{"AudNull", signed(e, good.With("aud", nil))},
		{"AudNumber", signed(e, good.With("aud", 1))},
		{"AudOtherEnvironments", signed(e, good.With("aud", f.other.APIKey))},
		{"IssNumber", signed(e, good.With("iss", 1))},
		{"SubMissing", signed(e, good.Without("sub"))},
		{"SubNumber", signed(e, good.With("sub", 7))},
		{"SubNull", signed(e, good.With("sub", nil))},
		{"SubList", signed(e, good.With("sub", []string{"ada"}))},
		{"SubObject", signed(e, good.With("sub", authtest.Object{"id": "ada"}))},
		{"SubBool", signed(e, good.With("sub", true))},
		{"SubInUpperCase", signed(e, good.Without("sub").With("SUB", "ada"))},
		{"SubLoneSurrogate", signed(e, good.With("sub", json.RawMessage(`"ad\ud800"`)))},
		{"SubTwice", signed(e, json.RawMessage(`{"sub":"ada","sub":"bob","exp":`+number(now.Add(time.Hour))+`}`))},
		{"APIKeyOfOtherEnvironment", signed(e, good.With("apiKey", f.other.APIKey))},
		{"APIKeyUnknown", signed(e, good.With("apiKey", "pk_test_unknown"))},
		{"APIKeyNumber", signed(e, good.With("apiKey", 1))},
		{"APIKeyNull", signed(e, good.With("apiKey", nil))},
		{"APIKeyEmpty", signed(e, good.With("apiKey", ""))},
		{"ClaimsNull", signed(e, json.RawMessage("null"))},
		{"ClaimsList", signed(e, json.RawMessage("[]"))},
		{"ClaimsText", signed(e, json.RawMessage(`"ada"`))},
		{"ClaimsEmpty", signed(e, json.RawMessage(``))},
		{"ClaimsTrailing", signed(e, json.RawMessage(`{"sub":"ada","exp":`+number(now.Add(time.Hour))+`}{}`))},
	}
	for name, sub := range badIdentifiers {
		attacks = append(attacks, attack{"Sub" + name, signed(e, good.With("sub", sub))})
	}
	run(t, f, attacks)
}

func TestTokensOfOthers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	e, legacy := f.token, f.legacy(t)
	noKid := authtest.Object{"alg": "HS256"}
	good := userClaims("ada")
	with := func(p auth.Presented, change func(*auth.Presented)) auth.Presented {
		change(&p)
		return p
	}
	unkeyed := func(by *authtest.Env, claims any) auth.Presented {
		return authtest.Bearer(authtest.Forge(noKid, claims, authtest.HS256(by.SigningSecret)))
	}
	expired, revoked := f.AddSecret(e.ID, model.CredentialSigningSecret, "expired"), f.AddSecret(e.ID, model.CredentialSigningSecret, "revoked")
	f.ChangeCredential(expired.ID, func(c *model.Credential) { c.ExpiresAt = time.Now().Add(-time.Second) })
	f.Revoke(revoked.ID)
	copied := f.AddSecret(e.ID, model.CredentialSigningSecret, "copied")
	f.ChangeCredential(copied.ID, func(c *model.Credential) { c.Sealed = f.other.Signing.Sealed })
	mislabelled := f.AddSecret(e.ID, model.CredentialSigningSecret, "mislabelled")
	f.ChangeCredential(mislabelled.ID, func(c *model.Credential) {
		c.Kind, c.Algorithm, c.PublicKey = model.CredentialTokenKey, model.ES256, e.RSA.PublicKey
	})
	byCredential := func(id model.CredentialID, secret string) auth.Presented {
		return authtest.Bearer(authtest.Forge(authtest.Object{"alg": "HS256", "kid": id}, good, authtest.HS256(secret)))
	}

	run(t, f, []attack{
		{"NamesNoEnvironment", unkeyed(e, good)},
		{"NamesAnotherByClaim", unkeyed(e, good.With("apiKey", f.other.APIKey))},
		{"NamesUnknownByClaim", unkeyed(e, good.With("apiKey", "pk_test_unknown"))},
		{"NamesAnotherByHeader", with(unkeyed(e, good), func(p *auth.Presented) { p.Key = f.other.APIKey })},
		{"ClaimAndHeaderDisagree", with(unkeyed(e, good.With("apiKey", e.APIKey)), func(p *auth.Presented) { p.Key = f.other.APIKey })},
		{"KidAndHeaderDisagree", with(signed(e, good), func(p *auth.Presented) { p.Key = f.other.APIKey })},
		{"KidAndUnknownHeader", with(signed(e, good), func(p *auth.Presented) { p.Key = "pk_test_unknown" })},
		{"OtherEnvironmentsToken", with(f.other.Token(t, "ada"), func(p *auth.Presented) { p.Key = e.APIKey })},
		{"OtherUserInHeader", with(signed(e, good), func(p *auth.Presented) { p.User = "bob" })},
		{"OtherCaseInHeader", with(signed(e, good), func(p *auth.Presented) { p.User = "Ada" })},
		{"OtherUserWithKey", with(signed(e, good), func(p *auth.Presented) { p.Key, p.User = e.APIKey, "bob" })},
		{"WithSignature", with(signed(e, good), func(p *auth.Presented) { p.Signature = e.Signed("ada").Signature })},
		{"WithSignatureOfAnother", with(signed(f.open, good), func(p *auth.Presented) {
			p.Key, p.User, p.Signature = f.open.APIKey, "bob", f.open.Signed("bob").Signature
		})},
		{"ExpiredKey", byCredential(expired.ID, "expired")},
		{"RevokedKey", byCredential(revoked.ID, "revoked")},
		{"RevokedKeyWithoutKid", authtest.Bearer(authtest.Forge(noKid, good.With("apiKey", e.APIKey), authtest.HS256("revoked")))},
		{"KeyCopiedFromAnotherRow", byCredential(copied.ID, f.other.SigningSecret)},
		{"KeyRegisteredForAnotherAlgorithm", authtest.Bearer(authtest.Forge(authtest.Object{"alg": "RS256", "kid": mislabelled.ID}, good, authtest.RS256(e.RSAKey)))},
		{"SameLabelOtherAlgorithm", authtest.Bearer(authtest.Forge(authtest.Object{"alg": "ES256", "kid": mislabelled.ID}, good, authtest.RS256(e.RSAKey)))},
		{"LegacyWhereNotAdmitted", unkeyed(e, authtest.Object{"sub": "user:ada", "apiKey": e.APIKey})},
		{"LegacyExpFarWhereNotAdmitted", unkeyed(e, authtest.Object{"sub": "user:ada", "apiKey": e.APIKey, "exp": time.Now().AddDate(1, 0, 0).Unix()})},
		{"LegacyWithoutAPIKey", with(unkeyed(legacy, authtest.Object{"sub": "user:ada"}), func(p *auth.Presented) { p.Key = legacy.APIKey })},
		{"LegacyWithoutAPIKeyByKid", signed(legacy, authtest.Object{"sub": "user:ada"})},
		{"LegacyWithoutPrefix", unkeyed(legacy, authtest.Object{"sub": "ada", "apiKey": legacy.APIKey})},
		{"LegacyEmptyUser", unkeyed(legacy, authtest.Object{"sub": "user:", "apiKey": legacy.APIKey})},
		{"LegacyOtherEnvironmentsKey", unkeyed(legacy, authtest.Object{"sub": "user:ada", "apiKey": e.APIKey})},
		{"LegacySignedByAnother", unkeyed(e, authtest.Object{"sub": "user:ada", "apiKey": legacy.APIKey})},
		{"LegacyExpPast", unkeyed(legacy, authtest.Object{"sub": "user:ada", "apiKey": legacy.APIKey, "exp": time.Now().Add(-time.Hour).Unix()})},
		{"LegacyExpZero", unkeyed(legacy, authtest.Object{"sub": "user:ada", "apiKey": legacy.APIKey, "exp": 0})},
		{"LegacyExpNull", unkeyed(legacy, authtest.Object{"sub": "user:ada", "apiKey": legacy.APIKey, "exp": nil})},
		{"LegacyExpText", unkeyed(legacy, authtest.Object{"sub": "user:ada", "apiKey": legacy.APIKey, "exp": "never"})},
		{"LegacyExpOfNoTime", unkeyed(legacy, authtest.Object{"sub": "user:ada", "apiKey": legacy.APIKey, "exp": -62135596800})},
		{"LegacyExpNoDate", unkeyed(legacy, authtest.Object{"sub": "user:ada", "apiKey": legacy.APIKey, "exp": json.RawMessage("1e12")})},
		{"LegacyExpHuge", unkeyed(legacy, authtest.Object{"sub": "user:ada", "apiKey": legacy.APIKey, "exp": json.RawMessage("1e300")})},
		{"LegacyExpNegative", unkeyed(legacy, authtest.Object{"sub": "user:ada", "apiKey": legacy.APIKey, "exp": -5})},
	})
}

// sibling is a base64 digit that differs in the lowest bit only, which the last
// digit of 32 bytes does not use.
func sibling(digit byte) byte {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return digits[strings.IndexByte(digits, digit)^1]
}

func number(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

func derOf(t *testing.T, text string) []byte {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		t.Fatal("no PEM block")
	}
	if _, err := x509.ParsePKIXPublicKey(block.Bytes); err != nil {
		t.Fatal(err)
	}
	return block.Bytes
}

// asn1 signs as OpenSSL does, which is not how tokens are signed.
func asn1(t *testing.T, k *ecdsa.PrivateKey) authtest.Signer {
	return func(text []byte) []byte {
		sum := sha256.Sum256(text)
		s, err := ecdsa.SignASN1(rand.Reader, k, sum[:])
		if err != nil {
			t.Error(err)
		}
		return s
	}
}
