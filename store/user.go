package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"unicode/utf8"

	"github.com/uptrace/bun"

	"carillon/model"
)

// lookupChunk bounds the ids that one statement asks for.
const lookupChunk = 5000

// userRow is a user joined with the profile; every user has one.
type userRow struct {
	ID         model.UserID
	EnvID      model.EnvID
	Identifier string
	Enabled    bool
	Kind       model.UserKind
	Unassigned bool
	ArchivedAt sql.NullInt64
	SignedUpAt sql.NullInt64
	LastSeenAt int64
	CreatedAt  int64
	UpdatedAt  int64
	Version    int64
	Attributes string
}

func (r userRow) model() model.User {
	u := model.User{
		ID: r.ID, EnvID: r.EnvID, Identifier: r.Identifier, Enabled: r.Enabled,
		Kind: r.Kind, Unassigned: r.Unassigned, Archived: r.ArchivedAt.Valid, SignedUpAt: at(r.CreatedAt),
		Profile:   model.Profile{Version: r.Version, Attributes: json.RawMessage(r.Attributes)},
		CreatedAt: at(r.CreatedAt), UpdatedAt: at(r.UpdatedAt),
	}
	if r.SignedUpAt.Valid {
		u.SignedUpAt = at(r.SignedUpAt.Int64)
	}
	if r.LastSeenAt > 0 {
		u.LastSeenAt = at(r.LastSeenAt)
	}
	return u
}

const (
	userColumns = `u.id, u.env_id, u.identifier, u.enabled, u.kind, u.unassigned, u.archived_at, u.signed_up_at, u.last_seen_at, u.created_at, u.updated_at, p.version, p.attributes`
	selectUsers = "select " + userColumns + " from users u join profiles p on p.env_id = u.env_id and p.user_id = u.id"
)

// User reads a user by an identifier that they have, or had before.
func (s *Store) User(ctx context.Context, env model.EnvID, identifier string) (model.User, error) {
	return s.user(ctx, s.r, env, identifier, "")
}

// UsersByID reads users, in no order; ids that name none are left out.
func (s *Store) UsersByID(ctx context.Context, env model.EnvID, ids []model.UserID) ([]model.User, error) {
	out := make([]model.User, 0, len(ids))
	for chunk := range slices.Chunk(ids, lookupChunk) {
		var rows []userRow
		if err := s.r.NewRaw(keys(env, chunk)+"select "+userColumns+` from k cross join users u cross join profiles p
			where u.env_id = of_env and u.id = of_id and p.env_id = u.env_id and p.user_id = u.id`).Scan(ctx, &rows); err != nil {
			return nil, s.fail("reading users", err)
		}
		for _, r := range rows {
			out = append(out, r.model())
		}
	}
	return out, nil
}

// MissingUsers returns those of users, of any environments, that do not exist.
func (s *Store) MissingUsers(ctx context.Context, users []model.UserRef) ([]model.UserRef, error) {
	var missing []model.UserRef
	for chunk := range slices.Chunk(users, lookupChunk) {
		var keys values
		for _, u := range chunk {
			keys.row(u.Env, u.ID)
		}
		var rows []struct {
			EnvID model.EnvID
			ID    model.UserID
		}
		err := s.r.NewRaw(`with k (env_id, id) as (values `+keys.String()+`)
			select k.env_id, k.id from k where not exists (select 1 from users u where u.env_id = k.env_id and u.id = k.id)`,
			keys.args...).Scan(ctx, &rows)
		if err != nil {
			return nil, s.fail("reading users", err)
		}
		for _, r := range rows {
			missing = append(missing, model.UserRef{Env: r.EnvID, ID: r.ID})
		}
	}
	return missing, nil
}

// afterPrefix is the least text above all that begin with prefix, in the order
// of bytes, which is the order of code points; "" when there is none.
func afterPrefix(prefix string) string {
	for prefix != "" {
		r, size := utf8.DecodeLastRuneInString(prefix)
		prefix = prefix[:len(prefix)-size]
		switch {
		case r == 0xd7ff:
			return prefix + "\ue000" // surrogates are no characters
		case r < utf8.MaxRune:
			return prefix + string(r+1)
		}
	}
	return ""
}

// SetUserEnabled enables or disables a user. One who is so already stays
// untouched.
func (s *Store) SetUserEnabled(ctx context.Context, env model.EnvID, o model.Once, identifier string, enabled bool) (model.Outcome[model.User], error) {
	return once(ctx, s, env, o, "changing user", func(ctx context.Context, tx bun.Tx) (model.User, error) {
		u, err := s.user(ctx, tx, env, identifier, s.dialect.forChange)
		if err != nil || u.Enabled == enabled {
			return u, err
		}
		u.Enabled, u.UpdatedAt = enabled, s.now()
		_, err = tx.NewRaw("update users set enabled = ?, updated_at = ? where env_id = ? and id = ?", enabled, micros(u.UpdatedAt), env, u.ID).Exec(ctx)
		if err != nil {
			return u, err
		}
		return u, s.tellUser(ctx, tx, model.EventUserUpdated, &u)
	})
}

// user reads a user by an identifier that they have, or had before; lock is what locks the row, or "".
func (s *Store) user(ctx context.Context, db bun.IDB, env model.EnvID, identifier, lock string) (model.User, error) {
	l, err := s.users(ctx, db, " where u.env_id = "+anyEnv+" and u.identifier = ?"+lock, env, identifier)
	if err == nil && len(l) == 0 {
		l, err = s.users(ctx, db, " where u.env_id = (select ?0) and u.id = (select user_id from user_aliases where env_id = ?0 and identifier = ?1)"+lock, env, identifier)
	}
	if err != nil {
		return model.User{}, err
	}
	if len(l) == 0 {
		return model.User{}, errNoUser
	}
	return l[0], nil
}

// errNoUser is also what another environment's user is.
var errNoUser = model.NotFound("names no user", "user")

func (s *Store) users(ctx context.Context, db bun.IDB, rest string, args ...any) ([]model.User, error) {
	var rows []userRow
	if err := db.NewRaw(selectUsers+rest, args...).Scan(ctx, &rows); err != nil {
		return nil, s.fail("reading users", err)
	}
	out := make([]model.User, len(rows))
	for i, r := range rows {
		out[i] = r.model()
	}
	return out, nil
}
