package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// maxDate is the last second of the year 9999: beyond, a number is no date.
const maxDate = 253402300799

// claims is what of a token's claims is used. Member names are exact, none may
// repeat, and each that is there must be of its type: null is no date.
type claims struct {
	subject       string
	apiKey        string
	issuer        string
	audience      []string
	hasAudience   bool
	exp, nbf, iat time.Time // zero: not there
}

// UnmarshalJSON reads the claims strictly.
func (c *claims) UnmarshalJSON(data []byte) error {
	all, err := members(data)
	if err != nil {
		return fmt.Errorf("claims: %w", err)
	}
	*c = claims{}
	for name, to := range map[string]*string{"sub": &c.subject, "apiKey": &c.apiKey, "iss": &c.issuer} {
		raw, ok := all[name]
		if !ok {
			continue
		}
		if *to, ok = text(raw); !ok || *to == "" {
			return fmt.Errorf("%s is no text, or empty", name)
		}
	}
	for name, to := range map[string]*time.Time{"exp": &c.exp, "nbf": &c.nbf, "iat": &c.iat} {
		raw, ok := all[name]
		if !ok {
			continue
		}
		if *to, err = date(raw); err != nil {
			return fmt.Errorf("%s %w", name, err)
		}
	}
	if raw, ok := all["aud"]; ok {
		c.hasAudience = true
		return c.readAudience(raw)
	}
	return nil
}

func (c *claims) readAudience(raw json.RawMessage) error {
	if one, ok := text(raw); ok {
		c.audience = []string{one}
		return nil
	}
	if err := json.Unmarshal(raw, &c.audience); err != nil || c.audience == nil {
		return errors.New("aud is neither text nor a list of texts")
	}
	return nil
}

// date reads seconds since 1970, whole or not. Zero and below are no dates
// that a token could mean: among them is the time.Time that stands for none.
func date(raw json.RawMessage) (time.Time, error) {
	seconds, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || seconds <= 0 || seconds > maxDate {
		return time.Time{}, errors.New("is no date")
	}
	return time.UnixMicro(int64(seconds * 1e6)).UTC(), nil
}

func numericDate(t time.Time) (*jwt.NumericDate, error) {
	if t.IsZero() {
		return nil, nil
	}
	return &jwt.NumericDate{Time: t}, nil
}

// The rest makes claims a jwt.Claims.

func (c *claims) GetExpirationTime() (*jwt.NumericDate, error) { return numericDate(c.exp) }
func (c *claims) GetNotBefore() (*jwt.NumericDate, error)      { return numericDate(c.nbf) }
func (c *claims) GetIssuedAt() (*jwt.NumericDate, error)       { return numericDate(c.iat) }
func (c *claims) GetIssuer() (string, error)                   { return c.issuer, nil }
func (c *claims) GetSubject() (string, error)                  { return c.subject, nil }
func (c *claims) GetAudience() (jwt.ClaimStrings, error)       { return c.audience, nil }
