package store

import (
	"context"

	"carillon/model"

	"github.com/uptrace/bun"
)

// NoteMigration writes that a migration has run, whether it exists or not.
func NoteMigration(ctx context.Context, s *Store, version int64) error {
	_, err := s.w.NewRaw("insert into schema_migrations (version, name, applied_at) values (?, 'future', 0)", version).Exec(ctx)
	return err
}

// Once runs a change that leaves a fact, under an idempotency key.
func Once(ctx context.Context, s *Store, env model.EnvID, o model.Once, fact string, during func() error) (model.Outcome[string], error) {
	return once(ctx, s, env, o, "testing", func(ctx context.Context, tx bun.Tx) (string, error) {
		if _, err := tx.NewRaw("insert into facts (name, value) values (?, 'x')", fact).Exec(ctx); err != nil {
			return "", err
		}
		return "made " + fact, during()
	})
}

// Demote makes one connection of a pool one that only reads, as a failover does.
func Demote(ctx context.Context, s *Store) error {
	_, err := s.w.ExecContext(ctx, "set session characteristics as transaction read only")
	return err
}

// SaveUpperHalf writes the upper half of a chunk and nothing else, as a crash
// before the end of the chunk leaves it.
func SaveUpperHalf(ctx context.Context, s *Store, c model.Chunk) error {
	_, err := insertChunkAtOnce(ctx, s.w.DB, &model.PendingSend{Send: c.Send, Notifications: c.Notifications[len(c.Notifications)/2:]}, upperStatement)
	return err
}

// HalfLeast is how many notifications a half has at least.
const HalfLeast = halfLeast
