package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"carillon/model"
)

// secretPrefix begins every secret key and nothing else that is presented as a
// bearer: tokens begin with "ey".
const secretPrefix = "sk_"

// NewSecretKey makes a secret key with 256 random bits: "sk_test_…" or
// "sk_live_…".
func NewSecretKey(kind model.EnvKind) string {
	return fmt.Sprintf("%s%s_%s", secretPrefix, kind, random(32))
}

// NewSecret makes an API or signing secret: 43 characters with 256 random bits.
func NewSecret() string { return random(32) }

// NewPublicKey makes the public key that names an environment: "pk_test_…" or
// "pk_live_…".
func NewPublicKey(kind model.EnvKind) string { return fmt.Sprintf("pk_%s_%s", kind, random(16)) }

// Hash is the SHA-256 under which a secret is looked up. No salt and no
// stretching: secrets are random and long.
func Hash(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// Hint is the last four characters of a secret, for recognising it.
func Hint(secret string) string { return secret[max(0, len(secret)-4):] }

// SealContext binds the sealed secret of a credential to its row: copied to
// another row it does not open.
func SealContext(env model.EnvID, id model.CredentialID) []byte {
	return fmt.Appendf(nil, "credential/%d/%s", env, id)
}

func random(bytes int) string {
	b := make([]byte, bytes)
	if _, err := rand.Read(b); err != nil {
		panic("reading random bytes: " + err.Error()) // crypto/rand promises not to fail
	}
	return base64.RawURLEncoding.EncodeToString(b)
}
