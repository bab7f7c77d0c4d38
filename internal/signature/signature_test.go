package signature

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

var at = time.Unix(1614265330, 0)

// TestExample is the example of the specification.
func TestExample(t *testing.T) {
	t.Parallel()
	secret, err := ParseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	Sign(h, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, []byte(`{"test": 2432232314}`), secret)
	if got, want := h.Get("webhook-signature"), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("signed %s, want %s", got, want)
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	parse := func(s string) Secret {
		secret, err := ParseSecret(s)
		if err != nil {
			t.Fatal(err)
		}
		return secret
	}
	old, current, other := parse(NewSecret()), parse(NewSecret()), parse(NewSecret())
	body := []byte(`{"a":1}`)
	signed := func(secrets ...Secret) http.Header {
		h := http.Header{}
		Sign(h, "id", at, body, secrets...)
		return h
	}
	change := func(f func(http.Header)) http.Header {
		h := signed(current)
		f(h)
		return h
	}
	signature := signed(current).Get(HeaderSignature)
	for _, tt := range []struct {
		name    string
		header  http.Header
		body    string
		now     time.Time
		secrets []Secret
		want    error
	}{
		{"Good", signed(current), `{"a":1}`, at, []Secret{current}, nil},
		{"SenderRotates", signed(old, current), `{"a":1}`, at, []Secret{current}, nil},
		{"ReceiverRotates", signed(old), `{"a":1}`, at, []Secret{current, old}, nil},
		{"UnknownSchemeBeside", change(func(h http.Header) { h.Set(HeaderSignature, "v1a,xyz v2,abc "+signature) }), `{"a":1}`, at, []Secret{current}, nil},
		{"OtherSecret", signed(other), `{"a":1}`, at, []Secret{current, old}, ErrNoMatch},
		{"NoSecret", signed(current), `{"a":1}`, at, nil, ErrNoMatch},
		{"OtherBody", signed(current), `{"a":2}`, at, []Secret{current}, ErrNoMatch},
		{"OtherID", change(func(h http.Header) { h.Set(HeaderID, "di") }), `{"a":1}`, at, []Secret{current}, ErrNoMatch},
		{"OtherTime", change(func(h http.Header) { h.Set(HeaderTime, "1614265331") }), `{"a":1}`, at, []Secret{current}, ErrNoMatch},
		{"OtherScheme", change(func(h http.Header) { h.Set(HeaderSignature, strings.Replace(signature, "v1", "v1a", 1)) }), `{"a":1}`, at, []Secret{current}, ErrNoMatch},
		{"Cut", change(func(h http.Header) { h.Set(HeaderSignature, signature[:20]) }), `{"a":1}`, at, []Secret{current}, ErrNoMatch},
		{"Late", signed(current), `{"a":1}`, at.Add(Tolerance + time.Second), []Secret{current}, ErrTime},
		{"Early", signed(current), `{"a":1}`, at.Add(-Tolerance - time.Second), []Secret{current}, ErrTime},
		{"NoID", change(func(h http.Header) { h.Del(HeaderID) }), `{"a":1}`, at, []Secret{current}, ErrHeaders},
		{"NoTime", change(func(h http.Header) { h.Set(HeaderTime, "now") }), `{"a":1}`, at, []Secret{current}, ErrHeaders},
		{"NoSignature", change(func(h http.Header) { h.Set(HeaderSignature, "") }), `{"a":1}`, at, []Secret{current}, ErrHeaders},
		{"Twice", change(func(h http.Header) { h.Add(HeaderSignature, signature) }), `{"a":1}`, at, []Secret{current}, ErrHeaders},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := Verify(tt.header, []byte(tt.body), tt.now, tt.secrets...); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_*", "whsec_" + strings.Repeat("A", 88)} {
		if _, err := ParseSecret(bad); !errors.Is(err, ErrSecret) {
			t.Errorf("ParseSecret(%q) took it", bad)
		}
	}
	if one, two := NewSecret(), NewSecret(); one == two {
		t.Error("two new secrets are one")
	}
}

// FuzzVerify holds Verify to never panicking, and to taking nothing that it did
// not sign.
func FuzzVerify(f *testing.F) {
	f.Add("id", "1614265330", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", []byte("{}"))
	f.Add("", "-1", "v1, v1a,", []byte(nil))
	secret := Secret("0123456789abcdef0123456789abcdef")
	f.Fuzz(func(t *testing.T, id, timestamp, signature string, body []byte) {
		h := http.Header{HeaderID: {id}, HeaderTime: {timestamp}, HeaderSignature: {signature}}
		if Verify(h, body, at, secret) == nil {
			t.Errorf("took a call that nobody signed: %q", h)
		}
	})
}
