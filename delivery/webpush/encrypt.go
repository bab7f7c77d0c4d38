package webpush

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
)

// recordSize is the size of the one record that a push has, header not counted,
// and the most that push services take.
const recordSize = 4096

const (
	saltSize   = 16
	publicSize = 65 // of a point on P-256, uncompressed
	headerSize = saltSize + 4 + 1 + publicSize
	overhead   = 1 + 16 // the delimiter and the tag
	// maxPlain is how much fits into a push of recordSize bytes in all.
	maxPlain = recordSize - headerSize - overhead
)

// browser is the browser's half of the keys.
type browser struct {
	public *ecdh.PublicKey
	auth   []byte
}

func newBrowser(p256dh, auth string) (b browser, err error) {
	point, err := decode(p256dh)
	if err != nil {
		return b, err
	}
	if b.public, err = ecdh.P256().NewPublicKey(point); err != nil {
		return b, err
	}
	if b.auth, err = decode(auth); err == nil && len(b.auth) != 16 {
		err = errors.New("the secret has not 16 bytes")
	}
	return b, err
}

func decode(s string) ([]byte, error) {
	return base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
}

// encrypt makes the body of a push (RFC 8291, in the encoding of RFC 8188). ours and
// salt are made for this message alone.
func (b browser) encrypt(plain []byte, ours *ecdh.PrivateKey, salt []byte) ([]byte, error) {
	shared, err := ours.ECDH(b.public)
	if err != nil {
		return nil, err
	}
	info := "WebPush: info\x00" + string(b.public.Bytes()) + string(ours.PublicKey().Bytes())
	material, err := hkdf.Key(sha256.New, shared, b.auth, info, 32)
	if err != nil {
		return nil, err
	}
	key, err := hkdf.Key(sha256.New, material, salt, "Content-Encoding: aes128gcm\x00", 16)
	if err != nil {
		return nil, err
	}
	nonce, err := hkdf.Key(sha256.New, material, salt, "Content-Encoding: nonce\x00", 12)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, headerSize+len(plain)+overhead)
	out = append(out, salt...)
	out = binary.BigEndian.AppendUint32(out, recordSize)
	out = append(out, publicSize)
	out = append(out, ours.PublicKey().Bytes()...)
	const last = 2 // the delimiter of the last record
	return gcm.Seal(out, nonce, append(append([]byte{}, plain...), last), nil), nil
}
