package webpush_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"testing"

	"carillon/delivery/webpush"
)

// decrypt is the browser's side, written from RFC 8188 and RFC 8291 with nothing of
// the code under test.
func decrypt(body []byte, key *ecdh.PrivateKey, auth []byte) ([]byte, error) {
	if len(body) < 21 || len(body) < 21+int(body[20]) {
		return nil, errors.New("too short for its header")
	}
	salt, size, theirs, record := body[:16], binary.BigEndian.Uint32(body[16:20]), body[21:21+int(body[20])], body[21+int(body[20]):]
	if len(record) > int(size) {
		return nil, errors.New("more than one record")
	}
	public, err := ecdh.P256().NewPublicKey(theirs)
	if err != nil {
		return nil, err
	}
	shared, err := key.ECDH(public)
	if err != nil {
		return nil, err
	}
	sum := func(key []byte, parts ...string) []byte {
		h := hmac.New(sha256.New, key)
		for _, p := range parts {
			h.Write([]byte(p))
		}
		return h.Sum(nil)
	}
	ikm := sum(sum(auth, string(shared)), "WebPush: info\x00", string(key.PublicKey().Bytes()), string(theirs), "\x01")
	prk := sum(salt, string(ikm))
	block, err := aes.NewCipher(sum(prk, "Content-Encoding: aes128gcm\x00\x01")[:16])
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	plain, err := gcm.Open(nil, sum(prk, "Content-Encoding: nonce\x00\x01")[:12], record, nil)
	if err != nil {
		return nil, err
	}
	for i := len(plain) - 1; i >= 0; i-- {
		switch plain[i] {
		case 0:
		case 2:
			return plain[:i], nil
		default:
			return nil, errors.New("not the last record")
		}
	}
	return nil, errors.New("only padding")
}

// TestExample is the example of RFC 8291, appendix A.
func TestExample(t *testing.T) {
	t.Parallel()
	const (
		text     = "When I grow up, I want to be a watermelon"
		private  = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw" // the application server's
		p256dh   = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
		receiver = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"
		auth     = "BTBZMqHH6r4Tts7J_aSIgg"
		salt     = "DGv6ra1nlYgDCS1FRnbzlw"
		want     = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
	)
	got, err := webpush.Encrypt([]byte(text), p256dh, auth, private, salt)
	if err != nil || encode(got) != want {
		t.Errorf("encrypted %s, %v, want %s", encode(got), err, want)
	}
	scalar, _ := webpush.Decode(receiver)
	key, err := ecdh.P256().NewPrivateKey(scalar)
	if err != nil {
		t.Fatal(err)
	}
	secret, _ := webpush.Decode(auth)
	if plain, err := decrypt(got, key, secret); err != nil || string(plain) != text {
		t.Errorf("decrypted %q, %v", plain, err)
	}
}
