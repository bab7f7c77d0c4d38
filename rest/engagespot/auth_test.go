package engagespot_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"carillon/auth/authtest"
)

// without leaves out a header, with adds one.
func without(headers []header, name string) []header {
	var out []header
	for _, h := range headers {
		if !strings.EqualFold(h.name, name) {
			out = append(out, h)
		}
	}
	return out
}

func with(headers []header, name, value string) []header {
	return append(without(headers, name), header{name, value})
}

func TestModes(t *testing.T) {
	w := onSQLite(t)
	w.user(w.shop, "ada")
	w.user(w.sealed, "ada")
	w.user(w.vault, "ada")
	w.user(w.vault, "a:b")
	rs := func(claims authtest.Object) []header {
		return []header{{"Authorization", "Bearer " + authtest.Forge(authtest.Object{"alg": "RS256", "typ": "JWT"}, claims, authtest.RS256(signingKey()))}}
	}
	claims := authtest.Object{"sub": "user:ada", "apiKey": "key_vault"}
	unsigned := without(as(w.sealed, "ada"), "X-ENGAGESPOT-USER-SIGNATURE")
	for _, tt := range []struct {
		name      string
		headers   []header
		user, app int // statuses of a route of a user, and of an application
	}{
		{"Nothing", nil, 401, 401},
		{"Open", as(w.shop, "ada"), 200, 403},
		{"OpenWithGoodSignature", with(as(w.shop, "ada"), "X-ENGAGESPOT-USER-SIGNATURE", sign(w.shop, "ada")), 200, 403},
		{"OpenWithWrongSignature", with(as(w.shop, "ada"), "X-ENGAGESPOT-USER-SIGNATURE", sign(w.other, "ada")), 401, 401},
		{"OpenSignatureUndefined", with(as(w.shop, "ada"), "X-ENGAGESPOT-USER-SIGNATURE", "undefined"), 200, 403},
		{"KeyAlone", as(w.shop, "ada")[:1], 401, 401},
		{"UnknownKey", with(as(w.shop, "ada"), "X-ENGAGESPOT-API-KEY", "key_none"), 401, 401},
		{"App", asApp(w.shop), 401, 200},
		{"AppWithTheOtherSpelling", []header{{"X-ENGAGESPOT-API-KEY", "key_shop"}, {"X-ENGAGESPOT-SECRET-KEY", w.shop.APISecret}}, 401, 200},
		{"AppInLowerCase", []header{{"x-engagespot-api-key", "key_shop"}, {"x-engagespot-api-secret", w.shop.APISecret}}, 401, 200},
		{"BothSpellingsAlike", append(asApp(w.shop), header{"X-ENGAGESPOT-SECRET-KEY", w.shop.APISecret}), 401, 200},
		{"BothSpellingsUnlike", append(asApp(w.shop), header{"X-ENGAGESPOT-SECRET-KEY", "x"}), 401, 401},
		{"WrongSecret", with(asApp(w.shop), "X-ENGAGESPOT-API-SECRET", "wrong"), 401, 401},
		{"SecretOfAnotherApp", with(asApp(w.shop), "X-ENGAGESPOT-API-SECRET", w.other.APISecret), 401, 401},
		{"SecretKeyForASecret", with(asApp(w.shop), "X-ENGAGESPOT-API-SECRET", w.shop.SecretKey), 401, 401},
		{"SecretTwice", append(asApp(w.shop), asApp(w.shop)...), 401, 401},
		{"SecretWithoutKey", asApp(w.shop)[1:], 401, 401},
		{"Trusted", append(asApp(w.shop), header{"X-ENGAGESPOT-USER-ID", "ada"}), 200, 403},
		{"TrustedWhereTokensAreWanted", append(asApp(w.vault), header{"X-ENGAGESPOT-USER-ID", "ada"}), 200, 403},
		{"HMAC", as(w.sealed, "ada"), 200, 403},
		{"HMACWithout", unsigned, 401, 401},
		{"HMACNull", with(unsigned, "X-ENGAGESPOT-USER-SIGNATURE", "null"), 401, 401},
		{"HMACOfAnother", with(unsigned, "X-ENGAGESPOT-USER-SIGNATURE", sign(w.sealed, "bob")), 401, 401},
		{"HMACNotBase64", with(unsigned, "X-ENGAGESPOT-USER-SIGNATURE", "ä"), 401, 401},
		{"SecureWithoutToken", []header{{"X-ENGAGESPOT-API-KEY", "key_vault"}, {"X-ENGAGESPOT-USER-ID", "ada"}}, 401, 401},
		{"SecureWithSignature", []header{{"X-ENGAGESPOT-API-KEY", "key_vault"}, {"X-ENGAGESPOT-USER-ID", "ada"}, {"X-ENGAGESPOT-USER-SIGNATURE", sign(w.vault, "ada")}}, 401, 401},
		{"Token", as(w.vault, "ada"), 200, 403},
		{"TokenOfAUserWithColon", rs(claims.With("sub", "user:a:b")), 200, 403},
		{"TokenWithKeyAndUser", append(as(w.vault, "ada"), header{"X-ENGAGESPOT-API-KEY", "key_vault"}, header{"X-ENGAGESPOT-USER-ID", "ada"}), 200, 403},
		{"TokenDecidesOverASecret", append(as(w.vault, "ada"), asApp(w.vault)...), 200, 403},
		{"TokenAndAnotherUser", append(as(w.vault, "ada"), header{"X-ENGAGESPOT-USER-ID", "bob"}), 401, 401},
		{"TokenAndAnotherApp", append(as(w.vault, "ada"), header{"X-ENGAGESPOT-API-KEY", "key_shop"}), 401, 401},
		{"TokenExpired", rs(claims.With("exp", start.Add(-time.Hour).Unix())), 401, 401},
		{"TokenOfAnotherApp", rs(claims.With("apiKey", "key_shop")), 401, 401},
		{"TokenWithoutApp", rs(claims.Without("apiKey")), 401, 401},
		{"TokenWithoutPrefix", rs(claims.With("sub", "ada").With("exp", start.Add(time.Hour).Unix())), 401, 401},
		{"TokenAlgNone", []header{{"Authorization", "Bearer " + authtest.Forge(authtest.Object{"alg": "none"}, claims, authtest.Bytes())}}, 401, 401},
		{"TokenHS256WithThePublicKey", []header{{"Authorization", "Bearer " + authtest.Forge(authtest.Object{"alg": "HS256"}, claims, authtest.HS256(authtest.PEM(t, signingKey().Public())))}}, 401, 401},
		{"TokenHS256WithTheSigningSecret", []header{{"Authorization", "Bearer " + authtest.Forge(authtest.Object{"alg": "HS256"}, claims, authtest.HS256(w.vault.SigningSecret))}}, 401, 401},
		{"SecretKeyForAToken", []header{{"Authorization", "Bearer " + w.shop.SecretKey}}, 401, 401},
		{"Basic", []header{{"Authorization", "Basic " + w.shop.APISecret}}, 401, 401},
	} {
		user := w.call("GET", "/v3/profile", nil, tt.headers...)
		app := w.call("POST", "/v3/categories", map[string]any{"identifier": "c", "name": "C"}, tt.headers...)
		if user.status != tt.user || app.status != tt.app {
			t.Errorf("%s: user route %d %s, app route %d %s; want %d, %d", tt.name, user.status, user.body, app.status, app.body, tt.user, tt.app)
		}
	}
}

// What is wrong with a credential does not show in the answer.
func TestWrongCredentialsAreAnsweredAlike(t *testing.T) {
	w := onSQLite(t)
	bodies := map[string]bool{}
	for _, headers := range [][]header{
		with(asApp(w.shop), "X-ENGAGESPOT-API-SECRET", "wrong"),
		with(asApp(w.shop), "X-ENGAGESPOT-API-KEY", "key_none"),
		with(as(w.sealed, "ada"), "X-ENGAGESPOT-USER-SIGNATURE", sign(w.sealed, "bob")),
		{{"Authorization", "Bearer x.y.z"}},
		with(as(w.shop, "ada"), "X-ENGAGESPOT-API-KEY", "key_none"),
	} {
		a := w.call("POST", "/v3/notifications", "{broken", headers...)
		bodies[fmt.Sprint(a.status, " ", a.body)] = true
	}
	if len(bodies) != 1 {
		t.Errorf("%d different answers: %v", len(bodies), bodies)
	}
}

// A user whom a secure environment does not know is not created by asking.
func TestSecureEnvironmentsCreateNobody(t *testing.T) {
	each(t, func(w *world) {
		n := w.notify(w.shop, w.user(w.shop, "ada").Identifier, "Hello")
		for _, call := range [][2]string{{"POST", "/v3/sdk/connect"}, {"GET", "/v3/notifications"}, {"GET", "/v3/profile"}, {"POST", fmt.Sprintf("/v3/notifications/%d/click", n)}} {
			if a := w.call(call[0], call[1], nil, as(w.vault, "new")...); a.status != 404 {
				t.Errorf("%s: %d %s", call, a.status, a.body)
			}
		}
		if a := w.call("PUT", "/v3/users/new", nil, asApp(w.vault)...); a.status != 200 {
			t.Fatalf("PUT: %d %s", a.status, a.body)
		}
		w.ok(200, "POST", "/v3/sdk/connect", nil, as(w.vault, "new")...)
	})
}
