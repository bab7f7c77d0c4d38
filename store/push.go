package store

import (
	"context"

	"github.com/uptrace/bun"

	"carillon/model"
)

// PushKey reads the key pair of an environment for web pushes. One that was
// never made is a KindNotFound error.
func (s *Store) PushKey(ctx context.Context, env model.EnvID) (model.PushKey, error) {
	k, found, err := readPushKey(ctx, s.r, env)
	switch {
	case err != nil:
		return k, s.fail("reading push key", err)
	case !found:
		return k, model.NotFound("has no push key yet", "environment")
	}
	return k, nil
}

// KeepPushKey keeps a key pair that was just made and returns the one that the
// environment has: of several made at the same time, the first.
func (s *Store) KeepPushKey(ctx context.Context, k model.PushKey) (model.PushKey, error) {
	now := micros(s.now())
	err := s.write(ctx, "keeping push key", func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewRaw("insert into push_keys (env_id, public_key, sealed, created_at) values (?, ?, ?, ?) on conflict (env_id) do nothing",
			k.EnvID, k.Public, k.Sealed, now).Exec(ctx)
		if err != nil {
			return err
		}
		k, _, err = readPushKey(ctx, tx, k.EnvID)
		return err
	})
	return k, err
}

func readPushKey(ctx context.Context, db bun.IDB, env model.EnvID) (k model.PushKey, found bool, err error) {
	k.EnvID = env
	rows, err := db.QueryContext(ctx, "select public_key, sealed from push_keys where env_id = ?", env)
	err = scanEach(rows, err, []any{&k.Public, &k.Sealed}, func() error {
		found = true
		return nil
	})
	return k, found, err
}
