package authtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
)

// Object is a JSON object of a token.
type Object map[string]any

// With returns the object with one member more, or changed.
func (o Object) With(name string, value any) Object {
	out := Object{name: value}
	for k, v := range o {
		if k != name {
			out[k] = v
		}
	}
	return out
}

// Without returns the object without a member.
func (o Object) Without(name string) Object {
	out := o.With(name, nil)
	delete(out, name)
	return out
}

// Signer makes the signature of the text before it.
type Signer func(text []byte) []byte

// Forge makes a token of any header and claims, each an [Object] or anything
// else that encodes as JSON, and a json.RawMessage goes in as it is.
func Forge(header, claims any, sign Signer) string {
	text := segment(encode(header)) + "." + segment(encode(claims))
	return text + "." + segment(sign([]byte(text)))
}

func encode(v any) []byte {
	if raw, ok := v.(json.RawMessage); ok {
		return raw
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

func segment(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// HS256 signs with a shared secret.
func HS256(secret string) Signer {
	return func(text []byte) []byte {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(text)
		return mac.Sum(nil)
	}
}

// RS256 signs with an RSA key.
func RS256(k *rsa.PrivateKey) Signer {
	return func(text []byte) []byte {
		sum := sha256.Sum256(text)
		s, err := rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, sum[:])
		if err != nil {
			panic(err)
		}
		return s
	}
}

// ES256 signs with a key on P-256: r and s, 32 bytes each.
func ES256(k *ecdsa.PrivateKey) Signer {
	return func(text []byte) []byte {
		sum := sha256.Sum256(text)
		r, s, err := ecdsa.Sign(rand.Reader, k, sum[:])
		if err != nil {
			panic(err)
		}
		out := make([]byte, 64)
		r.FillBytes(out[:32])
		s.FillBytes(out[32:])
		return out
	}
}

// EdDSA signs with an Ed25519 key.
func EdDSA(k ed25519.PrivateKey) Signer {
	return func(text []byte) []byte { return ed25519.Sign(k, text) }
}

// Bytes is a signature that signs nothing.
func Bytes(b ...byte) Signer { return func([]byte) []byte { return b } }
