package auth

import (
	"time"

	"carillon/internal/seal"
	"carillon/model"
)

// Keys makes secrets, and what is kept of them, for package app. Box seals them
// with the master key.
type Keys struct{ Box *seal.Box }

// NewSecretKey is the function NewSecretKey.
func (Keys) NewSecretKey(kind model.EnvKind) string { return NewSecretKey(kind) }

// NewPublicKey is the function NewPublicKey.
func (Keys) NewPublicKey(kind model.EnvKind) string { return NewPublicKey(kind) }

// NewSecret is the function NewSecret.
func (Keys) NewSecret() string { return NewSecret() }

// Hash is the function Hash.
func (Keys) Hash(secret string) []byte { return Hash(secret) }

// Hint is the function Hint.
func (Keys) Hint(secret string) string { return Hint(secret) }

// Seal encrypts the secret of a credential for its row and no other.
func (k Keys) Seal(env model.EnvID, id model.CredentialID, secret string) []byte {
	return k.Box.Seal([]byte(secret), SealContext(env, id))
}

// Algorithm says which signatures a public key in PEM verifies. See
// ParsePublicKey.
func (Keys) Algorithm(publicKey string) (model.Algorithm, error) {
	a, _, err := ParsePublicKey(publicKey)
	return a, err
}

// MintToken is the function MintToken with the secret that signing seals.
func (k Keys) MintToken(signing model.Credential, user string, now time.Time, ttl time.Duration) (string, error) {
	secret, err := k.Box.Open(signing.Sealed, SealContext(signing.EnvID, signing.ID))
	if err != nil {
		return "", err
	}
	return MintToken(signing, string(secret), user, now, ttl)
}
