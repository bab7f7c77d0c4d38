package app

import (
	"context"

	"carillon/model"
)

// PushKey is the key pair of an environment for web pushes, which is made when
// it is first asked for. It never changes, since browsers' subscriptions are
// bound to it, so it is read once.
func (s *Service) PushKey(ctx context.Context, env model.EnvID) (model.PushKey, error) {
	if known, ok := s.pushKeys.Load(env); ok {
		return known.(model.PushKey), nil
	}
	key, err := s.Store.PushKey(ctx, env)
	if model.KindOf(err) == model.KindNotFound {
		if key, err = s.Keys.NewPushKey(env); err == nil {
			key, err = s.Store.KeepPushKey(ctx, key)
		}
	}
	if err != nil {
		return model.PushKey{}, err
	}
	s.pushKeys.Store(env, key)
	return key, nil
}

// PushPrivateKey is the same pair with the private half in the open, for
// signing: a scalar of 32 bytes on P-256. It must not be kept or logged.
func (s *Service) PushPrivateKey(ctx context.Context, env model.EnvID) (key model.PushKey, private []byte, err error) {
	if key, err = s.PushKey(ctx, env); err != nil {
		return key, nil, err
	}
	private, err = s.Keys.OpenPushKey(key)
	return key, private, err
}
