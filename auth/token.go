package auth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"carillon/model"
)

const (
	maxKeyID = 64               // bytes of a kid
	leeway   = 60 * time.Second // how far another clock may differ

	// ownAudience names this server in a token's aud, unless the environment
	// lists others.
	ownAudience = "carillon"
	// legacyPrefix begins the sub of a token in the legacy form, which also
	// has the claim apiKey.
	legacyPrefix = "user:"
)

// algorithms are what a key can be for.
var algorithms = []model.Algorithm{model.HS256, model.RS256, model.ES256, model.EdDSA}

// newParsers makes one parser for each algorithm, which takes tokens of that
// algorithm only. What claims say is checked by checkClaims, each time.
func newParsers() map[model.Algorithm]*jwt.Parser {
	out := map[model.Algorithm]*jwt.Parser{}
	for _, a := range algorithms {
		out[a] = jwt.NewParser(jwt.WithValidMethods([]string{string(a)}), jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation())
	}
	return out
}

// newValidator makes what holds exp, nbf and iat against the clock. That exp
// is there is checked by checkClaims, since the legacy form may lack it.
func newValidator(now func() time.Time) *jwt.Validator {
	return jwt.NewValidator(jwt.WithLeeway(leeway), jwt.WithIssuedAt(), jwt.WithTimeFunc(now))
}

// token checks a user token: find the keys it may be signed with, verify, and
// only then believe what it says.
func (s *Service) token(ctx context.Context, raw string, p Presented) (Caller, error) {
	now := s.now()
	proven, err := s.prove(ctx, now, raw, p)
	if err != nil {
		return Caller{}, err
	}
	c, k := proven.claims, proven.key
	env, err := s.environment(ctx, now, k.EnvID)
	if err != nil {
		return Caller{}, lookupFailed("environment of the token", err)
	}
	if err := agree(env, p); err != nil {
		return Caller{}, err
	}
	identifier, err := s.checkClaims(c, env, now)
	if err != nil {
		return Caller{}, refuse("token: %w", err)
	}
	if p.Legacy && (k.algorithm != model.RS256 || c.apiKey == "" || !strings.HasPrefix(c.subject, legacyPrefix)) {
		return Caller{}, refuse("token: is not in the legacy form, which needs RS256, apiKey and a sub that begins with %q", legacyPrefix)
	}
	switch {
	case p.User != "" && p.User != identifier:
		return Caller{}, refuse("token and %s are of two users", HeaderUser)
	case p.Signature != "":
		return Caller{}, refuse("token and %s together", HeaderSignature)
	}
	return s.userCaller(ctx, env, identifier, k.ID, earlier(c.exp, k.ExpiresAt))
}

// proof is that key signed claims.
type proof struct {
	claims claims
	key    *key
}

const (
	maxCachedProofs = 16384 // at about 500 bytes each
	proofFor        = time.Hour
)

// prove returns the claims of a token and the key that signed it. That a key
// signed a token stays true, so it is remembered (a signature costs up to a
// hundred times the rest) for tokens that name their key; whether the key may
// still be used, and what the claims are worth now, is asked anew each time.
func (s *Service) prove(ctx context.Context, now time.Time, raw string, p Presented) (proof, error) {
	sum := sha256.Sum256([]byte(raw))
	if e, ok := s.proofs.peek(now, sum); ok {
		k, err := s.byID(ctx, now, e.value.key.ID)
		if err == nil && k.usable(now) == nil && k.verifiesAs(e.value.key) {
			return proof{e.value.claims, k}, nil
		}
	}
	h, err := parseHeader(raw)
	if err != nil {
		return proof{}, refuse("token: %w", err)
	}
	keys, err := s.tokenKeys(ctx, now, raw, h, p)
	if err != nil {
		return proof{}, err
	}
	proven, err := s.verify(raw, keys)
	if err != nil {
		return proof{}, refuse("token: %w", err)
	}
	if h.kid != "" {
		s.proofs.put(now, sum, &entry[proof]{value: proven, until: now.Add(proofFor)}, s.proofs.current())
	}
	return proven, nil
}

// tokenKeys finds the keys that may have signed a token: by kid that key
// alone, else those for its algorithm of the environment that its claim apiKey
// or the header names.
func (s *Service) tokenKeys(ctx context.Context, now time.Time, raw string, h header, p Presented) ([]*key, error) {
	if h.kid != "" {
		return s.keyOf(ctx, now, h)
	}
	apiKey := unverifiedAPIKey(raw)
	if apiKey == "" {
		apiKey = p.Key
	}
	if apiKey == "" {
		return nil, refuse("token names no environment: it has no kid and no apiKey, and there is no %s", HeaderKey)
	}
	env, err := s.public(ctx, now, apiKey)
	if err != nil {
		return nil, lookupFailed("environment of the token", err)
	}
	all, err := s.keys(ctx, now, env.ID)
	if err != nil {
		return nil, fmt.Errorf("reading credentials: %w", err)
	}
	var unusable []error
	keys := candidates(all, func(k *key) bool { return k.algorithm == h.algorithm }, now, &unusable)
	if len(keys) == 0 {
		return nil, refuse("token: no live key of the environment is for its algorithm %w", errors.Join(unusable...))
	}
	return keys, nil
}

func (s *Service) keyOf(ctx context.Context, now time.Time, h header) ([]*key, error) {
	k, err := s.byID(ctx, now, h.kid)
	if err != nil {
		return nil, lookupFailed("key of the token", err)
	}
	if k.algorithm == "" || k.algorithm != h.algorithm {
		return nil, refuse("token: credential %s is not for its algorithm", k.ID)
	}
	if err := k.usable(now); err != nil {
		return nil, refuse("token: %w", err)
	}
	return []*key{k}, nil
}

// verify finds the key that signed a token.
func (s *Service) verify(raw string, keys []*key) (proof, error) {
	var wrong []error
	for _, k := range keys {
		var c claims
		_, err := s.parsers[k.algorithm].ParseWithClaims(raw, &c, func(*jwt.Token) (any, error) { return k.verifier(), nil })
		if err == nil {
			return proof{c, k}, nil
		}
		wrong = append(wrong, err)
	}
	return proof{}, errors.Join(wrong...)
}

// checkClaims holds verified claims against the clock and the rules of the
// environment, and returns the identifier of the user.
func (s *Service) checkClaims(c claims, env model.Environment, now time.Time) (string, error) {
	if err := s.validator.Validate(&c); err != nil {
		return "", err
	}
	if c.apiKey != "" && c.apiKey != env.APIKey {
		return "", errors.New("apiKey names another environment")
	}
	identifier, legacy := c.subject, false
	if c.apiKey != "" {
		identifier, legacy = strings.CutPrefix(c.subject, legacyPrefix)
	}
	if wrong := model.CheckIdentifier(identifier); wrong != "" {
		return "", fmt.Errorf("sub %s", wrong)
	}
	if !legacy || !env.Settings.LegacyTokens {
		if c.exp.IsZero() {
			return "", errors.New("exp is missing")
		}
		if c.exp.After(now.Add(s.maxTokenAge + leeway)) {
			return "", fmt.Errorf("exp is more than %s ahead", s.maxTokenAge)
		}
	}
	return identifier, checkParties(c, env)
}

// checkParties holds aud and iss: a token made for somebody else is no proof
// here, whoever signed it.
func checkParties(c claims, env model.Environment) error {
	wanted := env.Settings.Audiences
	if len(wanted) == 0 {
		wanted = []string{ownAudience, env.APIKey}
	}
	ours := func(aud string) bool { return slices.Contains(wanted, aud) }
	if c.hasAudience && !slices.ContainsFunc(c.audience, ours) {
		return errors.New("aud names others")
	}
	if len(env.Settings.Issuers) > 0 && !slices.Contains(env.Settings.Issuers, c.issuer) {
		return errors.New("iss is not one of the environment's issuers")
	}
	return nil
}

// header is what of a token's header is used, to find keys.
type header struct {
	algorithm model.Algorithm
	kid       model.CredentialID // empty: none
}

// forbidden are header members that would change how the token is to be read
// or where its key comes from. None is ever obeyed, so none may be there.
var forbidden = []string{"crit", "jwk", "jku", "x5u", "x5c", "b64", "zip"}

// parseHeader reads the header of a token, verifying nothing.
func parseHeader(token string) (header, error) {
	first, _, err := split(token)
	if err != nil {
		return header{}, err
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(first)
	if err != nil {
		return header{}, fmt.Errorf("header: %w", err)
	}
	all, err := members(data)
	if err != nil {
		return header{}, fmt.Errorf("header: %w", err)
	}
	for _, name := range forbidden {
		if _, ok := all[name]; ok {
			return header{}, fmt.Errorf("header has the member %s", name)
		}
	}
	alg, ok := text(all["alg"])
	if !ok || !slices.Contains(algorithms, model.Algorithm(alg)) {
		return header{}, errors.New("alg is none of ours") // nor "", which is that of keys for no token
	}
	h := header{algorithm: model.Algorithm(alg)}
	if raw, ok := all["kid"]; ok {
		kid, ok := text(raw)
		if !ok || !isKeyID(kid) {
			return header{}, errors.New("kid is no credential id")
		}
		h.kid = model.CredentialID(kid)
	}
	return h, nil
}

// split cuts a token into header and claims. Its characters are checked first,
// so that nothing odd reaches a decoder.
func split(token string) (head, body string, err error) {
	for i := range len(token) {
		if c := token[i]; c != '.' && !isURLSafe(c) {
			return "", "", errors.New("has a character that no token has")
		}
	}
	if strings.Count(token, ".") != 2 {
		return "", "", errors.New("has not three parts")
	}
	head, rest, _ := strings.Cut(token, ".")
	body, _, _ = strings.Cut(rest, ".")
	return head, body, nil
}

func isURLSafe(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

// isKeyID reports whether text could be the id of a credential; no other text
// is looked up.
func isKeyID(text string) bool {
	if text == "" || len(text) > maxKeyID {
		return false
	}
	for i := range len(text) {
		if !isURLSafe(text[i]) {
			return false
		}
	}
	return true
}

// unverifiedAPIKey is the environment that a token names before anybody
// verified it: good for choosing keys, and checked again afterwards.
func unverifiedAPIKey(token string) string {
	_, body, err := split(token)
	if err != nil {
		return ""
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(body)
	if err != nil {
		return ""
	}
	var c claims
	if c.UnmarshalJSON(data) != nil {
		return ""
	}
	return c.apiKey
}

// earlier returns the earlier of two times of which zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
