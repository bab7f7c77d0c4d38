package auth

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"fmt"

	"carillon/model"
)

// pushContext binds the sealed private key of an environment to its row.
func pushContext(env model.EnvID) []byte { return fmt.Appendf(nil, "push/%d", env) }

// NewPushKey makes the key pair of an environment for web pushes: a random one
// on P-256, as VAPID wants it.
func (k Keys) NewPushKey(env model.EnvID) (model.PushKey, error) {
	pair, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return model.PushKey{}, fmt.Errorf("making a push key: %w", err)
	}
	return model.PushKey{
		EnvID:  env,
		Public: base64.RawURLEncoding.EncodeToString(pair.PublicKey().Bytes()),
		Sealed: k.Box.Seal(pair.Bytes(), pushContext(env)),
	}, nil
}

// OpenPushKey is the private key that NewPushKey sealed: a scalar of 32 bytes.
func (k Keys) OpenPushKey(key model.PushKey) ([]byte, error) {
	private, err := k.Box.Open(key.Sealed, pushContext(key.EnvID))
	if err != nil {
		return nil, fmt.Errorf("opening the push key of environment %d: %w", key.EnvID, err)
	}
	return private, nil
}
