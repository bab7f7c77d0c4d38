package authtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"sync"
	"testing"
	"time"

	"carillon/auth"
	"carillon/model"
)

// Env is an environment with a credential of every kind, and their secrets.
type Env struct {
	model.Environment
	SecretKey     string
	APISecret     string
	SigningSecret string

	SecretKeyID model.CredentialID
	APISecretID model.CredentialID
	Signing     model.Credential // kid of HS256 tokens
	RSA         model.Credential // kid of RS256 tokens, signed with RSAKey
	ECDSA       model.Credential // kid of ES256 tokens, signed with ECDSAKey
	Ed25519     model.Credential // kid of EdDSA tokens, signed with Ed25519Key

	RSAKey     *rsa.PrivateKey // one for all environments: it takes long to make
	ECDSAKey   *ecdsa.PrivateKey
	Ed25519Key ed25519.PrivateKey
}

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

// NewEnv makes an environment in the World.
func (w *World) NewEnv(tb testing.TB, userAuth model.UserAuth, edit ...func(*model.Environment)) *Env {
	tb.Helper()
	ecdsaKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	edPublic, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	e := &Env{
		SecretKey: auth.NewSecretKey(model.EnvTest), APISecret: auth.NewSecret(), SigningSecret: auth.NewSecret(),
		RSAKey: rsaKey(), ECDSAKey: ecdsaKey, Ed25519Key: edKey,
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	e.Environment = model.Environment{
		ID: model.EnvID(w.next()), AppID: model.AppID(w.next()), AppName: "test", Kind: model.EnvTest,
		UserAuth: userAuth, APIKey: auth.NewPublicKey(model.EnvTest), CreatedAt: time.Now().UTC(),
	}
	for _, f := range edit {
		f(&e.Environment)
	}
	w.environments[e.ID] = e.Environment
	e.SecretKeyID = w.addSecret(e.ID, model.CredentialSecretKey, e.SecretKey).ID
	e.APISecretID = w.addSecret(e.ID, model.CredentialAPISecret, e.APISecret).ID
	e.Signing = w.addSecret(e.ID, model.CredentialSigningSecret, e.SigningSecret)
	e.RSA = w.addKey(tb, e.ID, model.RS256, &e.RSAKey.PublicKey)
	e.ECDSA = w.addKey(tb, e.ID, model.ES256, &ecdsaKey.PublicKey)
	e.Ed25519 = w.addKey(tb, e.ID, model.EdDSA, edPublic)
	return e
}

// AddSecret gives an environment one more secret of a kind.
func (w *World) AddSecret(env model.EnvID, kind model.CredentialKind, secret string) model.Credential {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.addSecret(env, kind, secret)
}

func (w *World) addSecret(env model.EnvID, kind model.CredentialKind, secret string) model.Credential {
	c := model.Credential{
		ID: w.newID("c"), EnvID: env, Kind: kind, Hint: auth.Hint(secret),
		LookupHash: auth.Hash(secret), CreatedAt: time.Now().UTC(),
	}
	if kind == model.CredentialSigningSecret {
		c.Algorithm = model.HS256
	}
	if kind != model.CredentialSecretKey {
		c.Sealed = w.Box.Seal([]byte(secret), auth.SealContext(env, c.ID))
	}
	w.credentials[c.ID] = c
	return c
}

func (w *World) addKey(tb testing.TB, env model.EnvID, algorithm model.Algorithm, public crypto.PublicKey) model.Credential {
	tb.Helper()
	c := model.Credential{
		ID: w.newID("k"), EnvID: env, Kind: model.CredentialTokenKey, Algorithm: algorithm,
		PublicKey: PEM(tb, public), CreatedAt: time.Now().UTC(),
	}
	w.credentials[c.ID] = c
	return c
}

// PEM writes a public key as customers do.
func PEM(tb testing.TB, public crypto.PublicKey) string {
	tb.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		tb.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// Secret presents the secret key.
func (e *Env) Secret() auth.Presented { return Bearer(e.SecretKey) }

// User presents the public key and a user, without a signature.
func (e *Env) User(identifier string) auth.Presented {
	return auth.Presented{Key: e.APIKey, User: identifier}
}

// Signed presents the public key and a user, with a signature.
func (e *Env) Signed(identifier string) auth.Presented {
	p := e.User(identifier)
	p.Signature = base64.StdEncoding.EncodeToString(auth.Sign(e.APISecret, identifier))
	return p
}

// Token presents an HS256 token of a user, good for an hour.
func (e *Env) Token(tb testing.TB, identifier string) auth.Presented {
	tb.Helper()
	return Bearer(e.TokenFor(tb, identifier, time.Hour))
}

// TokenFor is an HS256 token of a user, good for ttl from now.
func (e *Env) TokenFor(tb testing.TB, identifier string, ttl time.Duration) string {
	tb.Helper()
	t, err := auth.MintToken(e.Signing, e.SigningSecret, identifier, time.Now(), ttl)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

// Bearer presents a secret key or token.
func Bearer(secretOrToken string) auth.Presented {
	return auth.Presented{Authorization: "Bearer " + secretOrToken}
}

// SetHeaders writes what is presented into request headers.
func SetHeaders(h http.Header, p auth.Presented) {
	for name, v := range map[string]string{
		auth.HeaderAuthorization: p.Authorization, auth.HeaderKey: p.Key,
		auth.HeaderUser: p.User, auth.HeaderSignature: p.Signature,
	} {
		if v != "" {
			h.Set(name, v)
		}
	}
}
