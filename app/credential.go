package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"carillon/model"
)

// secretKeyPrefix begins every secret key: by it a bearer is told from a token.
const secretKeyPrefix = "sk_"

const maxPublicKey = 16 << 10 // bytes of PEM

// RotationIssued is a rotation with the new secret, which is shown this once;
// it is empty when the answer is a replayed one.
type RotationIssued struct {
	model.Rotation
	Secret string
}

// Credentials lists the credentials of an environment, revoked and expired ones
// too, newest first, without their secrets.
func (s *Service) Credentials(ctx context.Context, env model.EnvID) ([]model.Credential, error) {
	all, err := s.Store.Credentials(ctx, env)
	for i := range all {
		all[i].LookupHash, all[i].Sealed = nil, nil
	}
	return all, err
}

// CreateCredential makes a credential, with a new secret or the application's
// own. The secret is in the outcome this once: a replayed one has none.
func (s *Service) CreateCredential(ctx context.Context, env model.EnvID, once model.Once, in model.NewCredential) (model.Outcome[model.IssuedCredential], error) {
	var none model.Outcome[model.IssuedCredential]
	if err := s.checkNew(in); err != nil {
		return none, err
	}
	in, err := s.withSecret(ctx, env, in)
	if err != nil {
		return none, err
	}
	c, err := s.credential(env, in)
	if err != nil {
		return none, err
	}
	made, err := s.Store.CreateCredential(ctx, env, once, c)
	if err != nil {
		return none, err
	}
	out := model.Outcome[model.IssuedCredential]{Value: model.IssuedCredential{Credential: made.Value}, Replayed: made.Replayed}
	if !made.Replayed {
		out.Value.Secret = in.Secret
	}
	return out, nil
}

// RotateCredential makes a credential in place of another, which goes on
// working for overlap, at most model.MaxOverlap. Token keys cannot be rotated:
// their private half is not ours to make.
func (s *Service) RotateCredential(ctx context.Context, env model.EnvID, once model.Once, id model.CredentialID, overlap time.Duration) (model.Outcome[RotationIssued], error) {
	var none model.Outcome[RotationIssued]
	if overlap < 0 || overlap > model.MaxOverlap {
		return none, invalid(fmt.Sprintf("must be between 0 and %d (30 days)", model.MaxOverlap/time.Second), "overlapSeconds")
	}
	if model.CheckIdentifier(string(id)) != "" {
		return none, errUnknown
	}
	e, err := s.Store.Environment(ctx, env)
	if err != nil {
		return none, err
	}
	var secret string
	done, err := s.Store.RotateCredential(ctx, env, once, id, s.now().Add(overlap), func(old model.Credential) (model.Credential, error) {
		if old.Kind == model.CredentialTokenKey {
			return old, invalid("names a token key, which cannot be rotated: register the new one and revoke this", "id")
		}
		secret = s.newSecret(e.Kind, old.Kind)
		return s.credential(env, model.NewCredential{Kind: old.Kind, Name: old.Name, Secret: secret})
	})
	if err != nil {
		return none, err
	}
	out := model.Outcome[RotationIssued]{Value: RotationIssued{Rotation: done.Value}, Replayed: done.Replayed}
	if !done.Replayed {
		out.Value.Secret = secret
	}
	return out, nil
}

// RevokeCredential ends a credential at once. The last secret key that works is
// a KindConflict error.
func (s *Service) RevokeCredential(ctx context.Context, env model.EnvID, once model.Once, id model.CredentialID) (model.Outcome[model.Credential], error) {
	if model.CheckIdentifier(string(id)) != "" {
		return model.Outcome[model.Credential]{}, errUnknown
	}
	return s.Store.RevokeCredential(ctx, env, once, id)
}

var errUnknown = model.NotFound("names no credential", "id")

// MintToken makes a user token with the newest signing secret of the
// environment that works. It is for trying things: applications sign theirs
// themselves.
func (s *Service) MintToken(ctx context.Context, env model.EnvID, user string, ttl time.Duration) (string, error) {
	all, err := s.Store.Credentials(ctx, env)
	if err != nil {
		return "", err
	}
	now := s.now()
	i := slices.IndexFunc(all, func(c model.Credential) bool { return c.Kind == model.CredentialSigningSecret && c.Live(now) })
	if i < 0 {
		return "", model.Errorf(model.KindNotFound, "the environment has no signing secret that works: create one")
	}
	return s.Keys.MintToken(all[i], user, now, ttl)
}

func (s *Service) checkNew(in model.NewCredential) error {
	var c model.Check
	if m := model.CheckText(in.Name, model.MaxIdentifier); m != "" {
		c.Add(model.ProblemInvalid, m, "name")
	}
	switch in.Kind {
	case model.CredentialTokenKey:
		s.checkTokenKey(in, &c)
	case model.CredentialSecretKey, model.CredentialAPISecret, model.CredentialSigningSecret, model.CredentialEngage:
		c.That(in.PublicKey == "", "must only be given for a token key", "publicKey")
		if in.Secret != "" {
			checkSecret(in.Secret, &c, "secret")
			c.That(in.Kind != model.CredentialSecretKey || strings.HasPrefix(in.Secret, secretKeyPrefix),
				"must begin with "+secretKeyPrefix+" to be a secret key", "secret")
		}
	default:
		c.Add(model.ProblemInvalid, "must be a kind of credential", "kind")
	}
	c.That(in.ExpiresAt.IsZero() || in.ExpiresAt.After(s.now()), "must be in the future", "expiresAt")
	return c.Err()
}

func (s *Service) checkTokenKey(in model.NewCredential, c *model.Check) {
	c.That(in.Secret == "", "must not be given for a token key: it has none here", "secret")
	if in.PublicKey == "" {
		c.Add(model.ProblemRequired, "must be given for a token key", "publicKey")
	} else {
		s.checkPublicKey(in.PublicKey, c, "publicKey")
	}
}

func (s *Service) checkPublicKey(text string, c *model.Check, path ...string) {
	if m := model.CheckText(text, maxPublicKey); m != "" {
		c.Add(model.ProblemInvalid, m, path...)
	} else if _, err := s.Keys.Algorithm(text); err != nil {
		c.Add(model.ProblemInvalid, err.Error(), path...)
	}
}

func checkSecret(secret string, c *model.Check, path ...string) {
	c.That(len(secret) >= model.MinSecret && len(secret) <= model.MaxSecret && printable(secret),
		fmt.Sprintf("must have %d to %d printable ASCII characters without blanks", model.MinSecret, model.MaxSecret), path...)
}

// withSecret makes the secret of a credential that needs one and has none.
func (s *Service) withSecret(ctx context.Context, env model.EnvID, in model.NewCredential) (model.NewCredential, error) {
	if in.Secret != "" || in.Kind == model.CredentialTokenKey {
		return in, nil
	}
	e, err := s.Store.Environment(ctx, env)
	if err != nil {
		return in, err
	}
	in.Secret = s.newSecret(e.Kind, in.Kind)
	return in, nil
}

func (s *Service) newSecret(env model.EnvKind, kind model.CredentialKind) string {
	if kind == model.CredentialSecretKey {
		return s.Keys.NewSecretKey(env)
	}
	return s.Keys.NewSecret()
}

// credential turns what was asked for, checked and with its secret, into what
// is kept.
func (s *Service) credential(env model.EnvID, in model.NewCredential) (model.Credential, error) {
	c := model.Credential{ID: model.CredentialID(s.ids.New()), EnvID: env, Kind: in.Kind, Name: in.Name, PublicKey: in.PublicKey}
	if !in.ExpiresAt.IsZero() {
		c.ExpiresAt = in.ExpiresAt.UTC().Truncate(time.Microsecond)
	}
	switch in.Kind {
	case model.CredentialTokenKey:
		algorithm, err := s.Keys.Algorithm(in.PublicKey)
		if err != nil {
			return c, invalid(err.Error(), "publicKey")
		}
		c.Algorithm = algorithm
		return c, nil
	case model.CredentialSigningSecret:
		c.Algorithm = model.HS256
	case model.CredentialSecretKey, model.CredentialAPISecret, model.CredentialEngage:
	default:
		return c, errors.New("a credential of no kind")
	}
	c.Hint, c.LookupHash = s.Keys.Hint(in.Secret), s.Keys.Hash(in.Secret)
	if in.Kind != model.CredentialSecretKey && in.Kind != model.CredentialEngage {
		c.Sealed = s.Keys.Seal(env, c.ID, in.Secret)
	}
	return c, nil
}

func invalid(message string, path ...string) error {
	return &model.Error{Kind: model.KindInvalid, Message: "invalid input", Problems: []model.Problem{{Code: model.ProblemInvalid, Path: path, Message: message}}}
}
