package auth_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"carillon/auth"
	"carillon/auth/authtest"
	"carillon/model"
)

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func ecKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func rsaKey(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestParsePublicKey(t *testing.T) {
	t.Parallel()
	rsa2048, p256 := rsaKey(t, 2048), ecKey(t, elliptic.P256())
	ed, edPrivate, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		pem  string
		want model.Algorithm
	}{
		"RSA":           {authtest.PEM(t, &rsa2048.PublicKey), model.RS256},
		"RSAPKCS1":      {block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&rsa2048.PublicKey)), model.RS256},
		"P256":          {authtest.PEM(t, &p256.PublicKey), model.ES256},
		"Ed25519":       {authtest.PEM(t, ed), model.EdDSA},
		"BlanksAround":  {"\n  \n" + authtest.PEM(t, ed) + "\n \n", model.EdDSA},
		"WindowsBreaks": {strings.ReplaceAll(authtest.PEM(t, ed), "\n", "\r\n"), model.EdDSA},
	} {
		got, public, err := auth.ParsePublicKey(tt.pem)
		if err != nil || got != tt.want || public == nil {
			t.Errorf("%s: %q, %v; want %q", name, got, err, tt.want)
		}
	}

	pkcs8, err := x509.MarshalPKCS8PrivateKey(edPrivate)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		pem  string
		want string // part of what is said
	}{
		"Empty":        {"", "PEM block"},
		"Text":         {"my key", "PEM block"},
		"Unfinished":   {strings.TrimSuffix(authtest.PEM(t, ed), "-----END PUBLIC KEY-----\n"), "PEM block"},
		"Private":      {block("PRIVATE KEY", pkcs8), "private"},
		"PrivateRSA":   {block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsa2048)), "private"},
		"Certificate":  {block("CERTIFICATE", []byte("x")), "certificate"},
		"OtherBlock":   {block("MESSAGE", []byte("x")), "PUBLIC KEY"},
		"Damaged":      {block("PUBLIC KEY", []byte("x")), "damaged"},
		"Two":          {authtest.PEM(t, ed) + authtest.PEM(t, ed), "nothing after"},
		"P384":         {authtest.PEM(t, &ecKey(t, elliptic.P384()).PublicKey), "P-384"},
		"P521":         {authtest.PEM(t, &ecKey(t, elliptic.P521()).PublicKey), "P-521"},
		"RSATooShort":  {authtest.PEM(t, &rsaKey(t, 1024).PublicKey), "1024"},
		"Big":          {strings.Repeat("A", 20_000), "bytes"},
		"PublicAsText": {block("PUBLIC KEY", ed), "damaged"},
	} {
		_, public, err := auth.ParsePublicKey(tt.pem)
		if err == nil || public != nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want an error about %q", name, err, tt.want)
		} else if !strings.HasPrefix(err.Error(), "must ") {
			t.Errorf("%s: %q does not complete a sentence about the key", name, err)
		}
	}
}
