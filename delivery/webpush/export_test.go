package webpush

import "crypto/ecdh"

// Decode decodes base64url.
var Decode = decode

// Encrypt encrypts with given keys, in base64url.
func Encrypt(plain []byte, p256dh, auth, private, salt string) ([]byte, error) {
	b, err := newBrowser(p256dh, auth)
	if err != nil {
		return nil, err
	}
	scalar, err := decode(private)
	if err != nil {
		return nil, err
	}
	ours, err := ecdh.P256().NewPrivateKey(scalar)
	if err != nil {
		return nil, err
	}
	bytes, err := decode(salt)
	if err != nil {
		return nil, err
	}
	return b.encrypt(plain, ours, bytes)
}
