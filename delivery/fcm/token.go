package fcm

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"carillon/delivery"
	"carillon/model"
)

// scope is what a token is asked for.
const scope = "https://www.googleapis.com/auth/firebase.messaging"

// serviceAccount is the file that the Firebase console gives out.
type serviceAccount struct {
	ProjectID   string `json:"project_id"`
	KeyID       string `json:"private_key_id"`
	PrivateKey  string `json:"private_key"`
	ClientEmail string `json:"client_email"`
	TokenURI    string `json:"token_uri"`

	key *rsa.PrivateKey
}

func readServiceAccount(text string, out delivery.Outside) (*serviceAccount, error) {
	var a serviceAccount
	if json.Unmarshal([]byte(text), &a) != nil || a.ProjectID == "" || a.ClientEmail == "" || a.PrivateKey == "" {
		return nil, errors.New("must be the JSON of a service account, with project_id, client_email and private_key")
	}
	if strings.Trim(a.ProjectID, "abcdefghijklmnopqrstuvwxyz0123456789-:.") != "" {
		return nil, errors.New("must have a project_id of lower-case letters, digits and hyphens")
	}
	if a.TokenURI == "" {
		a.TokenURI = "https://oauth2.googleapis.com/token"
	}
	if _, err := out.Guard.CheckURL(a.TokenURI, "https", "http"); err != nil {
		return nil, errors.New("has a token_uri that " + err.Error())
	}
	var err error
	if a.key, err = jwt.ParseRSAPrivateKeyFromPEM([]byte(a.PrivateKey)); err != nil {
		return nil, errors.New("must have an RSA key in PEM as its private_key")
	}
	return &a, nil
}

// tokens keeps the access token of an account, and fetches one at a time.
type tokens struct {
	*serviceAccount
	out delivery.Outside

	fetching chan struct{} // has an element while somebody fetches
	mu       sync.Mutex
	token    string
	until    time.Time
}

// early is how long before its end a token is not used any more.
const early = time.Minute

// get returns a token, and whether it was fetched for this call.
func (t *tokens) get(ctx context.Context) (token string, fresh bool, err error) {
	if token := t.kept(); token != "" {
		return token, false, nil
	}
	select {
	case t.fetching <- struct{}{}:
		defer func() { <-t.fetching }()
	case <-ctx.Done():
		return "", false, delivery.Unreached(ctx.Err())
	}
	if token := t.kept(); token != "" {
		return token, false, nil
	}
	token, life, err := t.fetch(ctx)
	if err != nil {
		return "", false, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.token, t.until = token, t.out.Now().Add(life-early)
	return token, true, nil
}

func (t *tokens) kept() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.out.Now().Before(t.until) {
		return t.token
	}
	return ""
}

// forget drops a token that was refused.
func (t *tokens) forget(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token == token {
		t.token, t.until = "", time.Time{}
	}
}

// fetch swaps a signed assertion for a token (RFC 7523). No message is sent with
// it, so that whatever has no answer may be tried again.
func (t *tokens) fetch(ctx context.Context) (token string, life time.Duration, err error) {
	now := t.out.Now()
	assertion := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss": t.ClientEmail, "scope": scope, "aud": t.TokenURI, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	})
	assertion.Header["kid"] = t.KeyID
	signed, err := assertion.SignedString(t.key)
	if err != nil {
		return "", 0, delivery.Errorf(model.ClassConfig, "the private key of the service account cannot sign")
	}
	form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {signed}}
	answer, err := t.out.Post(ctx, t.TokenURI, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, []byte(form.Encode()))
	if err != nil {
		e := delivery.Classify(err)
		if e.Class == model.ClassUnknown {
			e.Class = model.ClassTransient
		}
		e.Message = "no access token: " + e.Message
		return "", 0, e
	}
	var said struct {
		Token string  `json:"access_token"`
		Life  float64 `json:"expires_in"`
		Error string  `json:"error"`
	}
	_ = json.Unmarshal(answer.Body, &said) // what is not there is empty
	switch e := delivery.StatusError(answer.Status, answer.Header, nil, now); {
	case e != nil && answer.Status >= 400 && answer.Status < 500 && e.Class != model.ClassRateLimited && e.Class != model.ClassTransient:
		e.Class, e.Message = model.ClassAuth, "Google refused the service account: "+delivery.OneLine(delivery.Cut(said.Error, 100))
		return "", 0, e
	case e != nil:
		e.Message = "no access token: " + e.Message
		return "", 0, e
	case said.Token == "" || said.Life <= 0:
		return "", 0, delivery.Errorf(model.ClassTransient, "no access token: the answer has none")
	}
	return said.Token, time.Duration(min(said.Life, 24*3600)) * time.Second, nil
}
