package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"carillon/internal/lab"
)

// signer makes the credentials of an environment's users.
type signer struct{ kid, secret string }

// newSigner has the server make a signing secret.
func newSigner(ctx context.Context, client *lab.Client) (signer, error) {
	var out struct {
		CreateCredential struct {
			Credential *struct{ KeyID string }
			Secret     string
			UserErrors []struct{ Message string }
		}
	}
	err := client.Do(ctx, `mutation { createCredential(input: {kind: SIGNING_SECRET}) { credential { keyId } secret userErrors { message } } }`, nil, &out)
	if err != nil || out.CreateCredential.Credential == nil {
		return signer{}, fmt.Errorf("making a signing secret: %+v, %w", out.CreateCredential.UserErrors, err)
	}
	return signer{out.CreateCredential.Credential.KeyID, out.CreateCredential.Secret}, nil
}

// token is a user's credential: HS256, for an hour.
func (s signer) token(user string) string {
	now := time.Now()
	part := func(v any) string {
		b, _ := json.Marshal(v) // of text and numbers
		return base64.RawURLEncoding.EncodeToString(b)
	}
	text := part(map[string]string{"alg": "HS256", "typ": "JWT", "kid": s.kid}) + "." +
		part(map[string]any{"sub": user, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()})
	mac := hmac.New(sha256.New, []byte(s.secret))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// tokens are those of everyone in a crowd.
func (s signer) tokens() []string {
	list := make([]string, people)
	for i := range list {
		list[i] = s.token(userName(i))
	}
	return list
}
