package auth_test

import (
	"log/slog"
	"testing"
	"time"

	"carillon/auth"
	"carillon/auth/authtest"
	"carillon/model"
)

// BenchmarkAuthenticate measures a credential that was seen before. The budget
// is 2 µs: a request must not notice that it was authenticated.
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

// BenchmarkFirstToken measures a token that was never seen before, with its
// key in memory. The budget is 20 µs for HS256.
func BenchmarkFirstToken(b *testing.B) {
	w := authtest.NewWorld(b)
	e := w.NewEnv(b, model.AuthHMAC)
	s := w.Service()
	tokens := make([]auth.Presented, 1<<15) // more than are remembered
	for i := range tokens {
		tokens[i] = authtest.Bearer(e.TokenFor(b, "ada", time.Hour+time.Duration(i)*time.Second))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := s.Authenticate(b.Context(), tokens[i%len(tokens)]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSessions measures opening and closing one stream among 10,000. The
// budget is 2 µs.
func BenchmarkSessions(b *testing.B) {
	w := authtest.NewWorld(b)
	s := auth.NewSessions(w, slog.New(slog.DiscardHandler))
	c := auth.Caller{Kind: auth.User, Credential: "c", Expires: time.Now().Add(time.Hour)}
	end := func(auth.Reason) {}
	for i := range 10_000 {
		c.UserID = model.UserID(i)
		s.Open(c, end)
	}
	b.ReportAllocs()
	for b.Loop() {
		s.Open(c, end).Close()
	}
}
