// Package signature signs what is posted to webhooks, and checks what others post
// to ours, as Standard Webhooks 1.0 says: an id, a time and an HMAC-SHA256 over both
// and the body. It sends nothing.
package signature

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The headers.
const (
	HeaderID        = "Webhook-Id"
	HeaderTime      = "Webhook-Timestamp"
	HeaderSignature = "Webhook-Signature"
)

// Tolerance is how far the time of a call may be off.
const Tolerance = 5 * time.Minute

const (
	prefix  = "whsec_"
	scheme  = "v1"
	minSize = 24 // bytes of a secret
	maxSize = 64
)

// Secret is what a call is signed with.
type Secret []byte

// ErrSecret completes a sentence that begins with the field's name.
var ErrSecret = errors.New("must be whsec_ followed by 24 to 64 bytes as base64")

// NewSecret makes a secret of 32 random bytes.
func NewSecret() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return prefix + base64.StdEncoding.EncodeToString(b)
}

// ParseSecret reads a secret, or returns [ErrSecret].
func ParseSecret(s string) (Secret, error) {
	b, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s, prefix))
	if err != nil || !strings.HasPrefix(s, prefix) || len(b) < minSize || len(b) > maxSize {
		return nil, ErrSecret
	}
	return b, nil
}

func (s Secret) sign(id, timestamp string, body []byte) []byte {
	mac := hmac.New(sha256.New, s)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	return mac.Sum(nil)
}

// Sign sets the three headers. With several secrets there is a signature by each,
// so that a receiver may change from one to the next in its own time.
func Sign(h http.Header, id string, at time.Time, body []byte, secrets ...Secret) {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	var signatures []string
	for _, s := range secrets {
		signatures = append(signatures, scheme+","+base64.StdEncoding.EncodeToString(s.sign(id, timestamp, body)))
	}
	h.Set(HeaderID, id)
	h.Set(HeaderTime, timestamp)
	h.Set(HeaderSignature, strings.Join(signatures, " "))
}

// What is wrong with a call.
var (
	ErrHeaders = errors.New("must have one header each of webhook-id, webhook-timestamp and webhook-signature")
	ErrTime    = errors.New("the time of the call is more than five minutes off")
	ErrNoMatch = errors.New("no signature matches")
)

// Verify returns nil when one of the secrets signed the call.
func Verify(h http.Header, body []byte, now time.Time, secrets ...Secret) error {
	id, timestamp, signatures := one(h, HeaderID), one(h, HeaderTime), one(h, HeaderSignature)
	if id == "" || timestamp == "" || signatures == "" {
		return ErrHeaders
	}
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return ErrHeaders
	}
	if now.Sub(time.Unix(seconds, 0)).Abs() > Tolerance {
		return ErrTime
	}
	for _, s := range secrets {
		want := s.sign(id, timestamp, body)
		for signature := range strings.SplitSeq(signatures, " ") {
			encoded, ok := strings.CutPrefix(signature, scheme+",")
			given, err := base64.StdEncoding.DecodeString(encoded)
			if ok && err == nil && hmac.Equal(given, want) {
				return nil
			}
		}
	}
	return ErrNoMatch
}

func one(h http.Header, name string) string {
	if values := h[name]; len(values) == 1 {
		return values[0]
	}
	return ""
}
