package auth_test

import (
	"testing"
	"time"

	"carillon/auth"
	"carillon/auth/authtest"
	"carillon/model"
)

func BenchmarkAuthenticate(b *testing.B) {
	w := authtest.NewWorld(b)
	open, token := w.NewEnv(b, model.AuthOpen), w.NewEnv(b, model.AuthHMAC)
	claims := authtest.Object{"sub": "ada", "exp": time.Now().Add(time.Hour).Unix()}
	for _, bb := range []struct {
		name string
		p    auth.Presented
	}{
		{"SecretKey", open.Secret()},
		{"Open", open.User("ada")},
		{"HMAC", token.Signed("ada")},
		{"HS256", token.Token(b, "ada")},
		{"RS256", authtest.Bearer(authtest.Forge(authtest.Object{"alg": "RS256", "kid": token.RSA.ID}, claims, authtest.RS256(token.RSAKey)))},
		{"ES256", authtest.Bearer(authtest.Forge(authtest.Object{"alg": "ES256", "kid": token.ECDSA.ID}, claims, authtest.ES256(token.ECDSAKey)))},
		{"EdDSA", authtest.Bearer(authtest.Forge(authtest.Object{"alg": "EdDSA", "kid": token.Ed25519.ID}, claims, authtest.EdDSA(token.Ed25519Key)))},
	} {
		b.Run(bb.name, func(b *testing.B) {
			s := w.Service()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Authenticate(b.Context(), bb.p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
