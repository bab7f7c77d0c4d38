package auth

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"carillon/internal/seal"
	"carillon/model"
)

const (
	maxPEM     = 16 << 10 // bytes
	minRSABits = 2048
	maxRSABits = 8192 // a bigger one costs each request too much
)

// key is a credential made ready for checking what is presented.
type key struct {
	model.Credential
	algorithm model.Algorithm  // of tokens; empty: verifies none
	secret    []byte           // of API and signing secrets
	public    crypto.PublicKey // of token keys
	broken    error            // why it verifies nothing
}

func newKey(c model.Credential, box *seal.Box) *key {
	k := &key{Credential: c}
	switch c.Kind {
	case model.CredentialSigningSecret:
		k.algorithm = model.HS256
		k.secret, k.broken = box.Open(c.Sealed, SealContext(c.EnvID, c.ID))
	case model.CredentialAPISecret:
		k.secret, k.broken = box.Open(c.Sealed, SealContext(c.EnvID, c.ID))
	case model.CredentialTokenKey:
		k.algorithm, k.public, k.broken = ParsePublicKey(c.PublicKey)
		if k.broken == nil && k.algorithm != c.Algorithm {
			k.broken = fmt.Errorf("is registered for %s, but is a key for %s", c.Algorithm, k.algorithm)
		}
	case model.CredentialSecretKey, model.CredentialEngage: // looked up by its hash, verifies nothing
	}
	if k.broken == nil && k.algorithm == model.HS256 && len(k.secret) == 0 {
		k.broken = errors.New("is empty")
	}
	return k
}

// usable says why the key must not be used at now, or returns nil.
func (k *key) usable(now time.Time) error {
	if k.broken != nil {
		return fmt.Errorf("credential %s %w", k.ID, k.broken)
	}
	if !k.Live(now) {
		return fmt.Errorf("credential %s is revoked or expired", k.ID)
	}
	return nil
}

// verifier is what golang-jwt verifies a signature of the key's algorithm with.
func (k *key) verifier() any {
	if k.algorithm == model.HS256 {
		return k.secret
	}
	return k.public
}

// verifiesAs reports whether whatever other verified, k verifies too.
func (k *key) verifiesAs(other *key) bool {
	return k.algorithm == other.algorithm && k.EnvID == other.EnvID &&
		bytes.Equal(k.secret, other.secret) && k.PublicKey == other.PublicKey
}

// ParsePublicKey reads one PEM block with a public key for tokens and says
// which algorithm it verifies: RSA of 2,048 to 8,192 bits RS256, ECDSA on P-256
// ES256, Ed25519 EdDSA. The error completes a sentence about the text ("must
// …") and does not repeat it.
func ParsePublicKey(text string) (model.Algorithm, crypto.PublicKey, error) {
	der, err := publicBlock(text)
	if err != nil {
		return "", nil, err
	}
	public, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		public, err = x509.ParsePKCS1PublicKey(der)
	}
	if err != nil {
		return "", nil, errors.New("must hold an RSA, P-256 or Ed25519 public key; what is in the PEM block is damaged or of another kind")
	}
	switch public := public.(type) {
	case *rsa.PublicKey:
		if n := public.N.BitLen(); n < minRSABits || n > maxRSABits {
			return "", nil, fmt.Errorf("must have %d to %d bits when it is RSA, has %d", minRSABits, maxRSABits, n)
		}
		return model.RS256, public, nil
	case *ecdsa.PublicKey:
		if public.Curve != elliptic.P256() {
			return "", nil, fmt.Errorf("must be on the curve P-256 when it is ECDSA, is on %s", public.Curve.Params().Name)
		}
		return model.ES256, public, nil
	case ed25519.PublicKey:
		return model.EdDSA, public, nil
	default:
		return "", nil, errors.New("must be an RSA, P-256 or Ed25519 key")
	}
}

func publicBlock(text string) ([]byte, error) {
	if len(text) > maxPEM {
		return nil, fmt.Errorf("must have at most %d bytes, has %d", maxPEM, len(text))
	}
	block, rest := pem.Decode([]byte(text))
	switch {
	case block == nil:
		return nil, errors.New("must be a PEM block: -----BEGIN PUBLIC KEY-----, lines of base64, -----END PUBLIC KEY-----")
	case strings.Contains(block.Type, "PRIVATE KEY"):
		return nil, errors.New("must be the public key, and this is a private one: keep it to yourself, and make a new pair if it was shown to anyone")
	case block.Type == "CERTIFICATE":
		return nil, errors.New("must be a public key, and this is a certificate: openssl x509 -pubkey -noout gives its key")
	case block.Type != "PUBLIC KEY" && block.Type != "RSA PUBLIC KEY":
		return nil, errors.New("must be a PEM block of the type PUBLIC KEY")
	case strings.TrimSpace(string(rest)) != "":
		return nil, errors.New("must be one PEM block with nothing after it")
	}
	return block.Bytes, nil
}
