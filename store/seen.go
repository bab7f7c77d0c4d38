package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"carillon/model"
)

// SaveSeen notes when users, of any environments, showed up, unless they were
// seen later. One whose row somebody has locked is passed over: nobody waits
// for this.
func (s *Store) SaveSeen(ctx context.Context, seen map[model.UserRef]time.Time) error {
	var rows values
	for u, at := range seen {
		rows.row(u.Env, u.ID, micros(at))
	}
	if rows.empty() {
		return nil
	}
	return s.write(ctx, "noting who was seen", func(ctx context.Context, tx bun.Tx) error {
		lock := ""
		if s.dialect.skipLocked != "" {
			lock = " for no key update of u skip locked"
		}
		_, err := tx.NewRaw(`with k (env_id, id, at) as (values `+rows.String()+`),
			free as (select u.env_id, u.id, k.at from k join users u on u.env_id = k.env_id and u.id = k.id where u.last_seen_at < k.at`+lock+`)
			update users set last_seen_at = free.at from free where users.env_id = free.env_id and users.id = free.id`, rows.args...).Exec(ctx)
		return err
	})
}
