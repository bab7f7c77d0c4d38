package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"carillon/model"
)

// maxCandidates is how many keys one credential is checked against, the newest
// first.
const maxCandidates = 8

// signed checks a public key with a user, and the signature where there is one
// or must be.
func (s *Service) signed(ctx context.Context, p Presented) (Caller, error) {
	if p.Key == "" || p.User == "" {
		return Caller{}, refuse("%s and %s go together", HeaderKey, HeaderUser)
	}
	now := s.now()
	env, err := s.public(ctx, now, p.Key)
	if err != nil {
		return Caller{}, lookupFailed("environment of the public key", err)
	}
	if wrong := model.CheckIdentifier(p.User); wrong != "" {
		return Caller{}, refuse("the user identifier %s", wrong)
	}
	switch {
	case env.UserAuth == model.AuthOpen && p.Signature == "":
		return s.userCaller(ctx, env, p.User, "", time.Time{})
	case env.UserAuth == model.AuthOpen, env.UserAuth == model.AuthHMAC:
		k, err := s.signer(ctx, now, env, p)
		if err != nil {
			return Caller{}, err
		}
		return s.userCaller(ctx, env, p.User, k.ID, k.ExpiresAt)
	default:
		return Caller{}, refuse("the environment wants user tokens")
	}
}

// signer finds the API secret that signed the user. Every candidate is tried,
// the right one or not, so that the time does not tell how many there are.
func (s *Service) signer(ctx context.Context, now time.Time, env model.Environment, p Presented) (*key, error) {
	signature, err := parseSignature(p.Signature)
	if err != nil {
		return nil, refuse("signature: %w", err)
	}
	all, err := s.keys(ctx, now, env.ID)
	if err != nil {
		return nil, fmt.Errorf("reading credentials: %w", err)
	}
	var found *key
	var unusable []error
	for _, k := range candidates(all, func(k *key) bool { return k.Kind == model.CredentialAPISecret }, now, &unusable) {
		if hmac.Equal(Sign(string(k.secret), p.User), signature) {
			found = k
		}
	}
	if found == nil {
		return nil, refuse("no live API secret made the signature %w", errors.Join(unusable...))
	}
	return found, nil
}

// candidates returns the usable keys that match, at most maxCandidates, and
// adds to unusable why others are not.
func candidates(all []*key, match func(*key) bool, now time.Time, unusable *[]error) []*key {
	var out []*key
	for _, k := range all {
		if !match(k) {
			continue
		}
		if err := k.usable(now); err != nil {
			*unusable = append(*unusable, err)
			continue
		}
		if out = append(out, k); len(out) == maxCandidates {
			break
		}
	}
	return out
}

// Sign is HMAC-SHA256 with an API secret over the exact bytes of a user
// identifier; base64 of it (with padding) is the signature that is presented.
func Sign(apiSecret, user string) []byte {
	mac := hmac.New(sha256.New, []byte(apiSecret))
	mac.Write([]byte(user))
	return mac.Sum(nil)
}

// parseSignature reads base64 of 32 bytes, in the one way of writing it.
func parseSignature(text string) ([]byte, error) {
	if len(text) != base64.StdEncoding.EncodedLen(sha256.Size) {
		return nil, errors.New("is not base64 of 32 bytes")
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("is not base64: %w", err)
	}
	if len(raw) != sha256.Size {
		return nil, fmt.Errorf("has %d bytes", len(raw))
	}
	return raw, nil
}
