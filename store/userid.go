package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"carillon/model"
)

// UserID finds the id of a user by an identifier that they have, or had before. Every credential of a user asks
// for it, so it is read [together].
func (s *Store) UserID(ctx context.Context, env model.EnvID, identifier string) (model.UserID, error) {
	if model.CheckIdentifier(identifier) != "" {
		return 0, errNoUser // and nothing that a database would choke on
	}
	if a := (&userIDAsk{env: env, identifier: identifier}); s.dialect.arrays && s.userIDs.make(ctx, s, a) && a.id != 0 {
		return a.id, nil
	}
	u, err := s.User(ctx, env, identifier)
	return u.ID, err
}

// userIDAsk is a look-up of an id, and what came of it.
type userIDAsk struct {
	env        model.EnvID
	identifier string

	id model.UserID // zero: nobody has it now
}

const userIDStatement = `select k.place, u.id from unnest($1::bigint[], $2::text[]) with ordinality k (env_id, identifier, place)
	join users u on u.env_id = k.env_id and u.identifier = k.identifier`

func readUserIDs(ctx context.Context, conn *pgx.Conn, batch []*userIDAsk) error {
	size := max(len(batch), togetherLeast)
	envs, identifiers := make([]int64, size), make([]string, size)
	for i, a := range batch {
		envs[i], identifiers[i] = int64(a.env), a.identifier
	}
	return ask(ctx, conn, "user_ids", userIDStatement, func(r *rawRow) error {
		a := batch[r.number()-1]
		a.id = model.UserID(r.number())
		return nil
	}, envs, identifiers)
}
