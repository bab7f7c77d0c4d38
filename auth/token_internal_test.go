package auth

import (
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"carillon/model"
)

func TestAParserTakesOneAlgorithm(t *testing.T) {
	t.Parallel()
	secret := []byte("a secret that would verify it, if it were asked")
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "ada"}).SignedString(secret)
	if err != nil {
		t.Fatal(err)
	}
	for algorithm, p := range newParsers() {
		_, err := p.ParseWithClaims(token, &claims{}, func(*jwt.Token) (any, error) { return secret, nil })
		if got, want := err == nil, algorithm == model.HS256; got != want {
			t.Errorf("the parser for %s takes HS256: %t (%v), want %t", algorithm, got, err, want)
		}
	}
}
