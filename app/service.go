// Package app keeps apps, their environments and the credentials of these. It
// owns what an operator or an application may ask for (the kinds of
// credential, how a secret must look, which one may be revoked) and sees to it
// that a secret leaves it once, when it is made, and is kept hashed or sealed.
//
// It does not check credentials that are presented, and knows neither how
// secrets are made and sealed nor how tokens are signed: [Keys] does.
package app

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"carillon/internal/id"
	"carillon/model"
)

// Store is what apps need from the database; *store.Store has it.
type Store interface {
	NewIDs(ctx context.Context, n int) ([]int64, error)
	CreateEnvironment(ctx context.Context, app string, env model.Environment, creds []model.Credential) (model.Environment, error)
	Environments(ctx context.Context) ([]model.Environment, error)
	Environment(ctx context.Context, id model.EnvID) (model.Environment, error)
	EnvironmentByName(ctx context.Context, app string, kind model.EnvKind) (model.Environment, error)
	Credentials(ctx context.Context, env model.EnvID) ([]model.Credential, error)
	CreateCredential(ctx context.Context, env model.EnvID, once model.Once, c model.Credential) (model.Outcome[model.Credential], error)
	RotateCredential(ctx context.Context, env model.EnvID, once model.Once, id model.CredentialID, until time.Time, successor func(old model.Credential) (model.Credential, error)) (model.Outcome[model.Rotation], error)
	RevokeCredential(ctx context.Context, env model.EnvID, once model.Once, id model.CredentialID) (model.Outcome[model.Credential], error)
	PushKey(ctx context.Context, env model.EnvID) (model.PushKey, error)
	KeepPushKey(ctx context.Context, key model.PushKey) (model.PushKey, error)
}

// Keys makes secrets and what is kept of them; auth.Keys does.
type Keys interface {
	NewSecretKey(kind model.EnvKind) string
	NewPublicKey(kind model.EnvKind) string
	NewSecret() string
	// Hash is what a secret is looked up by.
	Hash(secret string) []byte
	// Hint is the part of a secret that may be shown.
	Hint(secret string) string
	// Seal encrypts the secret of a credential, bound to its ids.
	Seal(env model.EnvID, id model.CredentialID, secret string) []byte
	// Algorithm reads the PEM of a public key for tokens. The error completes
	// a sentence about the text ("must …").
	Algorithm(publicKey string) (model.Algorithm, error)
	// MintToken signs a user token with a signing secret that Seal sealed.
	MintToken(signing model.Credential, user string, now time.Time, ttl time.Duration) (string, error)
	// NewPushKey makes a key pair for web pushes; OpenPushKey is its private key.
	NewPushKey(env model.EnvID) (model.PushKey, error)
	OpenPushKey(key model.PushKey) ([]byte, error)
}

// Service keeps apps. Store and Keys must be set; the methods may be called
// concurrently.
type Service struct {
	Store Store
	Keys  Keys
	Now   func() time.Time // nil: time.Now

	ids      id.Source
	pushKeys sync.Map // of model.EnvID to model.PushKey
}

// NewEnvironment asks for an environment of an app, which is made with it when
// there is none of that name. What is empty is made (the keys), left out (the
// token key), or the default (UserAuth: open for test, token for live).
type NewEnvironment struct {
	App       string
	Kind      model.EnvKind
	UserAuth  model.UserAuth
	APIKey    string // the public key that front ends have already
	APISecret string // at least model.MinSecret characters
	TokenKey  string // PEM of a public key that verifies user tokens
	Settings  model.EnvSettings
}

// Created is a new environment with its secrets, which are shown this once.
type Created struct {
	Environment   model.Environment
	APISecret     string
	SecretKey     string
	SigningSecret string
}

// CreateEnvironment makes an environment with an API secret, a secret key, a
// signing secret and, if one is given, a token key. An app has one environment
// of a kind: a second one is a KindConflict error.
func (s *Service) CreateEnvironment(ctx context.Context, in NewEnvironment) (Created, error) {
	in, err := s.checked(in)
	if err != nil {
		return Created{}, err
	}
	ids, err := s.Store.NewIDs(ctx, 1)
	if err != nil {
		return Created{}, err
	}
	env := model.Environment{ID: model.EnvID(ids[0]), Kind: in.Kind, UserAuth: in.UserAuth, APIKey: in.APIKey, Settings: in.Settings}
	out := Created{APISecret: in.APISecret, SecretKey: s.Keys.NewSecretKey(in.Kind), SigningSecret: s.Keys.NewSecret()}
	asked := []model.NewCredential{
		{Kind: model.CredentialAPISecret, Secret: out.APISecret},
		{Kind: model.CredentialSecretKey, Secret: out.SecretKey},
		{Kind: model.CredentialSigningSecret, Secret: out.SigningSecret},
	}
	if in.TokenKey != "" {
		asked = append(asked, model.NewCredential{Kind: model.CredentialTokenKey, PublicKey: in.TokenKey})
	}
	credentials := make([]model.Credential, len(asked))
	for i, a := range asked {
		if credentials[i], err = s.credential(env.ID, a); err != nil {
			return Created{}, err
		}
	}
	out.Environment, err = s.Store.CreateEnvironment(ctx, in.App, env, credentials)
	if err != nil {
		return Created{}, err
	}
	return out, nil
}

// checked fills in what was left out.
func (s *Service) checked(in NewEnvironment) (NewEnvironment, error) {
	var c model.Check
	if m := model.CheckIdentifier(in.App); m != "" {
		c.Add(model.ProblemInvalid, m, "name")
	}
	c.That(in.Kind == model.EnvTest || in.Kind == model.EnvLive, "must be test or live", "environment")
	switch in.UserAuth {
	case "":
		in.UserAuth = model.AuthOpen
		if in.Kind == model.EnvLive {
			in.UserAuth = model.AuthToken
		}
	case model.AuthOpen, model.AuthHMAC, model.AuthToken:
	default:
		c.Add(model.ProblemInvalid, "must be open, hmac or token", "userAuth")
	}
	if in.APIKey == "" {
		in.APIKey = s.Keys.NewPublicKey(in.Kind)
	} else {
		c.That(len(in.APIKey) <= model.MaxIdentifier && printable(in.APIKey), fmt.Sprintf("must be printable ASCII without blanks, at most %d characters", model.MaxIdentifier), "apiKey")
	}
	if in.APISecret == "" {
		in.APISecret = s.Keys.NewSecret()
	} else {
		checkSecret(in.APISecret, &c, "apiSecret")
	}
	if in.TokenKey != "" {
		s.checkPublicKey(in.TokenKey, &c, "tokenKey")
	}
	for _, ch := range in.Settings.ChannelsOff {
		c.That(ch.Valid(), "must hold channels only", "settings", "channelsOff")
	}
	return in, c.Err()
}

// Environments lists every environment of every app, by app name, test first.
// It is for the operator.
func (s *Service) Environments(ctx context.Context) ([]model.Environment, error) {
	return s.Store.Environments(ctx)
}

// FindByName reads an environment by its app's name and its kind.
func (s *Service) FindByName(ctx context.Context, app string, kind model.EnvKind) (model.Environment, error) {
	if model.CheckIdentifier(app) != "" || model.CheckIdentifier(string(kind)) != "" {
		return model.Environment{}, model.NotFound("names no app with such an environment", "name")
	}
	return s.Store.EnvironmentByName(ctx, app, kind)
}

// printable reports whether s is ASCII that a header can carry, without blanks.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

func (s *Service) now() time.Time {
	now := s.Now
	if now == nil {
		now = time.Now
	}
	return now().UTC().Truncate(time.Microsecond)
}
