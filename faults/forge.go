package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"carillon/auth/authtest"
	"carillon/internal/lab"
)

// forgery is a credential that must not be taken. Its headers go as they are,
// doubled ones too.
type forgery struct {
	name    string
	headers http.Header
}

// forger makes forgeries of a user's token.
type forger struct {
	good           string // a token that is taken
	header, claims authtest.Object
	env, other     *tenant
	pem            []byte // of a public key that is registered, as keyID
	keyID          string
	list           []forgery
}

// forge presents credentials that look nearly right, in every way that there is
// to ask. All must be refused, with one and the same answer. It says how many
// there were.
func (all *tenants) forge(ctx context.Context) (int, error) {
	f, err := newForger(ctx, all)
	if err != nil {
		return 0, err
	}
	f.algorithms()
	f.members()
	f.keys()
	f.pairs()
	url := all.world.servers[0].URL + "/graphql"
	client := &http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	if status, body, err := present(ctx, client, url, "application/json", bearer(f.good)); err != nil || status != http.StatusOK {
		return 0, fmt.Errorf("the token that is forged is no good itself: %d %s: %w", status, body, err)
	}
	want := ""
	for _, attack := range f.list {
		for _, accept := range []string{"application/json", "application/graphql-response+json", "text/event-stream"} {
			status, body, err := present(ctx, client, url, accept, attack.headers)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", attack.name, err)
			}
			if want == "" {
				want = body
			}
			if status != http.StatusUnauthorized || body != want {
				return 0, fmt.Errorf("%s, %s: answered %d %s, want 401 %s", attack.name, accept, status, body, want)
			}
		}
		token, isToken := strings.CutPrefix(attack.headers.Get("Authorization"), "Bearer ")
		if len(attack.headers) == 1 && len(attack.headers["Authorization"]) == 1 && isToken {
			_, err := lab.NewClient(strings.TrimSuffix(url, "/graphql"), token).Dial(ctx)
			if ended, ok := errors.AsType[*lab.Ended](err); !ok || ended.Code != 4401 {
				return 0, fmt.Errorf("%s over a WebSocket: %w, want it closed with 4401", attack.name, err)
			}
		}
	}
	return len(f.list), nil
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// present asks with headers, and returns the answer without the id of the
// request, which each has its own of.
func present(ctx context.Context, client *http.Client, url, accept string, headers http.Header) (int, string, error) {
	operation := `{"query":"{ viewer { user { identifier } } }"}`
	if accept == "text/event-stream" {
		operation = `{"query":"subscription { inbox { position } }"}`
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(operation))
	if err != nil {
		return 0, "", err
	}
	for name, values := range headers {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", accept)
	status, body, err := fetch(client, req)
	var answer any
	if json.Unmarshal(body, &answer) == nil {
		body, _ = json.Marshal(withoutRequestID(answer)) // it was just read
	}
	return status, string(body), err
}

func withoutRequestID(v any) any {
	switch v := v.(type) {
	case map[string]any:
		delete(v, "requestId")
		for name, member := range v {
			v[name] = withoutRequestID(member)
		}
	case []any:
		for i, item := range v {
			v[i] = withoutRequestID(item)
		}
	}
	return v
}

const registerKey = `mutation ($key: String!) { createCredential(input: {kind: TOKEN_KEY, publicKey: $key}) { credential { keyId } userErrors { message } } }`

func newForger(ctx context.Context, all *tenants) (*forger, error) {
	f := &forger{env: all.envs[1], other: all.envs[3]}
	var err error
	if f.good, err = all.world.setup.Token(ctx, "one", "live", "u0"); err != nil {
		return nil, err
	}
	parts := strings.Split(f.good, ".")
	for i, into := range []*authtest.Object{&f.header, &f.claims} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err == nil {
			err = json.Unmarshal(raw, into)
		}
		if err != nil {
			return nil, err
		}
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	f.pem = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	var out struct {
		CreateCredential struct{ Credential struct{ KeyID string } }
	}
	c := lab.NewClient(all.world.servers[0].URL, f.env.keys.SecretKey)
	defer c.Close()
	err = c.Do(ctx, registerKey, map[string]any{"key": string(f.pem)}, &out)
	f.keyID = out.CreateCredential.Credential.KeyID
	return f, err
}

func (f *forger) token(name, token string) { f.list = append(f.list, forgery{name, bearer(token)}) }

func (f *forger) headers(name string, h http.Header) { f.list = append(f.list, forgery{name, h}) }

// signed has the right signature.
func (f *forger) signed(name string, header, claims any) {
	f.token(name, authtest.Forge(header, claims, authtest.HS256(f.env.keys.SigningSecret)))
}

func (f *forger) algorithms() {
	nothing := func([]byte) []byte { return nil }
	for _, alg := range []any{"none", "None", "NONE", "nOnE", "", nil, 1, "HS512", "RS256", "ES256", "EdDSA", "hs256"} {
		f.token(fmt.Sprintf("alg %v without a signature", alg), authtest.Forge(f.header.With("alg", alg), f.claims, nothing))
		f.signed(fmt.Sprintf("alg %v with the secret's signature", alg), f.header.With("alg", alg), f.claims)
	}
	confused := f.header.With("kid", f.keyID)
	f.token("HS256 with the public key for a secret", authtest.Forge(confused, f.claims, authtest.HS256(string(f.pem))))
	f.token("HS256 with the public key, without a line's end", authtest.Forge(confused, f.claims, authtest.HS256(strings.TrimSpace(string(f.pem)))))
	f.token("HS256 with an empty secret", authtest.Forge(f.header, f.claims, authtest.HS256("")))
}

func (f *forger) members() {
	now := time.Now().Unix()
	for _, m := range []struct {
		name  string
		value any
	}{
		{"crit", []string{"exp"}},
		{"crit", []string{}},
		{"crit", "exp"},
		{"b64", false},
		{"zip", "DEF"},
		{"jku", "https://example.com/keys"},
		{"x5u", "https://example.com/cert"},
		{"jwk", authtest.Object{"kty": "oct", "k": "AA"}},
	} {
		f.signed(fmt.Sprintf("header %s %v", m.name, m.value), f.header.With(m.name, m.value), f.claims)
	}
	for _, value := range []any{now - 3600, 0, -1, "tomorrow", nil, 1e300, []int{1}} {
		f.signed(fmt.Sprintf("exp %v", value), f.header, f.claims.With("exp", value))
	}
	f.signed("exp a year ahead", f.header, f.claims.With("exp", now+365*24*3600))
	f.signed("no exp", f.header, f.claims.Without("exp"))
	f.signed("nbf ahead", f.header, f.claims.With("nbf", now+3600))
	for _, value := range []any{"", nil, 1, []string{"u0"}, "u\x000", "u0\n"} {
		f.signed(fmt.Sprintf("sub %q", fmt.Sprint(value)), f.header, f.claims.With("sub", value))
	}
	f.signed("no sub", f.header, f.claims.Without("sub"))
	f.signed("claims that are a list", f.header, []any{f.claims})
}

func (f *forger) keys() {
	others := authtest.HS256(f.other.keys.SigningSecret)
	f.token("another environment's secret", authtest.Forge(f.header, f.claims, others))
	f.token("another environment's public key in the claims", authtest.Forge(f.header.Without("kid"), f.claims.With("apiKey", f.env.keys.APIKey), others))
	for _, kid := range []any{"", "none", "../../etc/passwd", "' or 1=1 --", "a\x00b", 1, nil, []string{"a"}, f.keyID, strings.Repeat("k", 3000)} {
		f.signed(fmt.Sprintf("kid %.20v", kid), f.header.With("kid", kid), f.claims)
	}
	parts := strings.Split(f.good, ".")
	f.token("cut short", f.good[:len(f.good)-4])
	f.token("one bit off", f.good[:len(f.good)-2]+flipped(f.good[len(f.good)-2])+f.good[len(f.good)-1:])
	f.token("without a signature", parts[0]+"."+parts[1]+".")
	f.token("two parts", parts[0]+"."+parts[1])
	f.token("four parts", f.good+"."+parts[2])
	f.token("dots", strings.Repeat(".", 5000))
	f.token("the signing secret itself", f.env.keys.SigningSecret)
	f.token("the API secret", f.env.keys.APISecret)
	f.token("the public key", f.env.keys.APIKey)
	key := f.env.keys.SecretKey
	f.token("a secret key cut short", key[:len(key)-1])
	f.token("a secret key one off", key[:len(key)-1]+flipped(key[len(key)-1]))
	f.token("a secret key in capitals", strings.ToUpper(key))
}

// flipped is another letter or digit than c.
func flipped(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}

func (f *forger) pairs() {
	good := "Bearer " + f.good
	f.headers("the token twice", http.Header{"Authorization": {good, good}})
	f.headers("the token and a secret key", http.Header{"Authorization": {good, "Bearer " + f.env.keys.SecretKey}})
	f.headers("the token in a list", http.Header{"Authorization": {good + ", " + good}})
	f.headers("the token for another user", http.Header{"Authorization": {good}, "X-Carillon-User": {"u1"}})
	f.headers("the token with another environment's key", http.Header{"Authorization": {good}, "X-Carillon-Key": {f.other.keys.APIKey}})
	f.headers("a key twice", http.Header{"X-Carillon-Key": {f.env.keys.APIKey, f.env.keys.APIKey}, "X-Carillon-User": {"u0"}})
	f.headers("a user twice", http.Header{"X-Carillon-Key": {f.env.keys.APIKey}, "X-Carillon-User": {"u0", "u1"}})
	f.headers("a user's name alone, where a token is wanted", http.Header{"X-Carillon-Key": {f.env.keys.APIKey}, "X-Carillon-User": {"u0"}})
	f.headers("another scheme", http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(f.env.keys.APIKey+":"+f.env.keys.SecretKey))}})
	f.headers("no scheme", http.Header{"Authorization": {f.good}})
	f.headers("an empty credential", http.Header{"Authorization": {""}})
	f.headers("a bearer of nothing", http.Header{"Authorization": {"Bearer "}})
}
