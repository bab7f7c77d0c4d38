package auth

import (
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"carillon/model"
)

// MintToken makes a user token, signed with HS256 and the secret of a signing
// credential, which its kid names. It counts from now for ttl; the server
// takes no token that counts for longer than its MaxTokenAge.
func MintToken(signing model.Credential, secret, user string, now time.Time, ttl time.Duration) (string, error) {
	switch wrong := model.CheckIdentifier(user); {
	case signing.Kind != model.CredentialSigningSecret:
		return "", fmt.Errorf("minting token: credential %s is no signing secret", signing.ID)
	case secret == "":
		return "", errors.New("minting token: the signing secret is empty")
	case wrong != "":
		return "", fmt.Errorf("minting token: the user identifier %s", wrong)
	case ttl <= 0:
		return "", fmt.Errorf("minting token: a lifetime of %s is none", ttl)
	}
	t := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": user, "iat": now.Unix(), "exp": now.Add(ttl).Unix()})
	t.Header["kid"] = string(signing.ID)
	signed, err := t.SignedString([]byte(secret))
	if err != nil {
		return "", fmt.Errorf("minting token: %w", err)
	}
	return signed, nil
}
