package auth

import (
	"context"
	"crypto/subtle"
	"fmt"

	"carillon/model"
)

// Engage says who presented an Engage credential: its id, and its secret or
// nothing. Without the secret the caller is Public. A wrong secret is refused
// whatever the route.
func (s *Service) Engage(ctx context.Context, id, secret string) (Caller, error) {
	if id == "" {
		return Caller{}, ErrNone
	}
	if model.CheckIdentifier(id) != "" || len(secret) > maxBearer {
		return Caller{}, refuse("an id or secret that is none")
	}
	now := s.now()
	k, err := s.byID(ctx, now, model.CredentialID(id))
	missed := notFound(err)
	if err != nil && !missed {
		return Caller{}, fmt.Errorf("reading credential: %w", err)
	}
	same := subtle.ConstantTimeCompare(pad(k.LookupHash), Hash(secret)) == 1
	switch {
	case missed || k.Kind != model.CredentialEngage:
		return Caller{}, refuse("no Engage credential has this id")
	case secret != "" && !same:
		return Caller{}, refuse("the secret of Engage credential %s is another", k.ID)
	}
	if err := k.usable(now); err != nil {
		return Caller{}, refuse("Engage credential: %w", err)
	}
	env, err := s.environment(ctx, now, k.EnvID)
	if err != nil {
		return Caller{}, lookupFailed("environment of the Engage credential", err)
	}
	return Caller{Env: env, Kind: Secret, Credential: k.ID, Public: secret == "", Expires: k.ExpiresAt}, nil
}

// AdmitEngage is [Gate.Admit] for an Engage credential.
func (g *Gate) AdmitEngage(ctx context.Context, from Source, id, secret string) (Caller, error) {
	c, err := g.Service.Engage(ctx, id, secret)
	if err != nil {
		return Caller{}, g.counted(from, err)
	}
	return c, nil
}
