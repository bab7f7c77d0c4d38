package webpush_test

import (
	"crypto/ecdh"
	"testing"

	"carillon/delivery/deliverytest"
	"carillon/delivery/webpush"
)

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
	if plain, err := deliverytest.DecryptPush(got, key, secret); err != nil || string(plain) != text {
		t.Errorf("decrypted %q, %v", plain, err)
	}
}
