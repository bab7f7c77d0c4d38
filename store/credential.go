package store

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"carillon/model"
)

type credentialRow struct {
	EnvID      model.EnvID
	ID         model.CredentialID
	Kind       model.CredentialKind
	Name       string
	Algorithm  model.Algorithm
	Hint       string
	LookupHash []byte
	Sealed     []byte
	PublicKey  string
	CreatedAt  int64
	ExpiresAt  sql.NullInt64
	RevokedAt  sql.NullInt64
}

func (r credentialRow) model() model.Credential {
	return model.Credential{
		ID: r.ID, EnvID: r.EnvID, Kind: r.Kind, Name: r.Name, Algorithm: r.Algorithm, Hint: r.Hint, LookupHash: r.LookupHash,
		Sealed: r.Sealed, PublicKey: r.PublicKey, CreatedAt: at(r.CreatedAt), ExpiresAt: nullAt(r.ExpiresAt), RevokedAt: nullAt(r.RevokedAt),
	}
}

func insertCredential(ctx context.Context, tx bun.IDB, c model.Credential) error {
	_, err := tx.NewRaw(`insert into credentials (env_id, id, kind, name, algorithm, hint, lookup_hash, sealed, public_key, created_at, expires_at, revoked_at)
		values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		c.EnvID, c.ID, c.Kind, c.Name, c.Algorithm, c.Hint, c.LookupHash, c.Sealed, c.PublicKey, micros(c.CreatedAt), nullMicros(c.ExpiresAt), nullMicros(c.RevokedAt)).Exec(ctx)
	return err
}

// selectCredentials names the columns, so that one more in the table does not
// break a program that does not know it.
const selectCredentials = `select env_id, id, kind, name, algorithm, hint, lookup_hash, sealed, public_key, created_at, expires_at, revoked_at from credentials`

// CredentialByHash finds a credential of any environment by the SHA-256 of its
// secret, revoked and expired ones too. There is no environment to ask for:
// the credential is what names it.
func (s *Store) CredentialByHash(ctx context.Context, hash []byte) (model.Credential, error) {
	return s.credential(ctx, s.r, " where lookup_hash = ?", hash)
}

// CredentialByID finds a credential of any environment by its id, as the "kid"
// of a token names it. See CredentialByHash.
func (s *Store) CredentialByID(ctx context.Context, id model.CredentialID) (model.Credential, error) {
	return s.credential(ctx, s.r, " where id = ?", id)
}

// Credentials lists the credentials of an environment, revoked and expired ones
// too, newest first.
func (s *Store) Credentials(ctx context.Context, env model.EnvID) ([]model.Credential, error) {
	return s.credentials(ctx, s.r, " where env_id = ? order by created_at desc, id desc", env)
}

// EndedCredentials returns those of ids, of any environment, that are revoked,
// expired at now or gone.
func (s *Store) EndedCredentials(ctx context.Context, ids []model.CredentialID, now time.Time) ([]model.CredentialID, error) {
	live := make(map[model.CredentialID]bool, len(ids))
	for chunk := range slices.Chunk(ids, lookupChunk) {
		var found []model.CredentialID
		err := s.r.NewRaw("select id from credentials where id in (?) and revoked_at is null and (expires_at is null or expires_at > ?)",
			bun.List(chunk), micros(now)).Scan(ctx, &found)
		if err != nil {
			return nil, s.fail("reading credentials", err)
		}
		for _, id := range found {
			live[id] = true
		}
	}
	var ended []model.CredentialID
	for _, id := range ids {
		if !live[id] {
			ended = append(ended, id)
		}
	}
	return ended, nil
}

// CreateCredential adds a credential, but no more live ones than
// model.MaxCredentials to an environment. Its time is filled in. A secret that
// is in use already is a KindConflict error. What is returned, and kept under
// an idempotency key, has neither the sealed secret nor its hash.
func (s *Store) CreateCredential(ctx context.Context, env model.EnvID, o model.Once, c model.Credential) (model.Outcome[model.Credential], error) {
	c.EnvID, c.CreatedAt = env, s.now()
	return once(ctx, s, env, o, "creating credential", func(ctx context.Context, tx bun.Tx) (model.Credential, error) {
		if err := s.addCredential(ctx, tx, c); err != nil {
			return model.Credential{}, err
		}
		return shown(c), nil
	})
}

func (s *Store) addCredential(ctx context.Context, tx bun.Tx, c model.Credential) error {
	var live int
	if err := tx.NewRaw("select count(*) from credentials where env_id = ? and revoked_at is null and (expires_at is null or expires_at > ?)",
		c.EnvID, micros(c.CreatedAt)).Scan(ctx, &live); err != nil {
		return err
	}
	if live >= model.MaxCredentials {
		return model.Errorf(model.KindLimit, "an environment may have at most %d credentials that work", model.MaxCredentials)
	}
	err := insertCredential(ctx, tx, c)
	if s.dialect.isUnique(err) {
		return model.Conflict("is in use already: choose another", "secret")
	}
	return err
}

// RotateCredential puts a credential of the same kind and name in the place of
// another, which ends at until unless it would end earlier. successor makes the
// new one. A credential that no longer works is a KindConflict error; an error
// of successor changes nothing. See CreateCredential for what is returned.
func (s *Store) RotateCredential(ctx context.Context, env model.EnvID, o model.Once, id model.CredentialID, until time.Time,
	successor func(old model.Credential) (model.Credential, error),
) (model.Outcome[model.Rotation], error) {
	return once(ctx, s, env, o, "rotating credential", func(ctx context.Context, tx bun.Tx) (model.Rotation, error) {
		var none model.Rotation
		old, err := s.credential(ctx, tx, " where env_id = ? and id = ?"+s.dialect.forUpdate, env, id)
		if err != nil {
			return none, err
		}
		if !old.Live(s.now()) {
			return none, model.Conflict("no longer works: create a new credential instead", "id")
		}
		c, err := successor(old)
		if err != nil {
			return none, err
		}
		c.EnvID, c.Kind, c.Name, c.CreatedAt = env, old.Kind, old.Name, s.now()
		if err := s.addCredential(ctx, tx, c); err != nil {
			return none, err
		}
		if old.ExpiresAt.IsZero() || until.Before(old.ExpiresAt) {
			old.ExpiresAt = until
		}
		_, err = tx.NewRaw("update credentials set expires_at = ? where env_id = ? and id = ?", micros(old.ExpiresAt), env, id).Exec(ctx)
		return model.Rotation{New: shown(c), Replaced: shown(old)}, err
	})
}

// RevokeCredential ends a credential now; one that was revoked before stays as
// it is. The last secret key that works is a KindConflict error: nobody could
// make another. See CreateCredential for what is returned.
func (s *Store) RevokeCredential(ctx context.Context, env model.EnvID, o model.Once, id model.CredentialID) (model.Outcome[model.Credential], error) {
	return once(ctx, s, env, o, "revoking credential", func(ctx context.Context, tx bun.Tx) (model.Credential, error) {
		// All secret keys are locked, so that of two calls that revoke the
		// last two, one sees what the other did.
		all, err := s.credentials(ctx, tx, " where env_id = ? and (id = ? or kind = ?) order by id"+s.dialect.forUpdate, env, id, model.CredentialSecretKey)
		if err != nil {
			return model.Credential{}, err
		}
		var c model.Credential
		others := 0
		now := s.now()
		for _, other := range all {
			switch {
			case other.ID == id:
				c = other
			case other.Live(now):
				others++
			}
		}
		switch {
		case c.ID == "":
			return c, errNoCredential
		case !c.RevokedAt.IsZero():
			return shown(c), nil
		case c.Kind == model.CredentialSecretKey && c.Live(now) && others == 0:
			return c, model.Conflict("is the last secret key of the environment: create another one first", "id")
		}
		c.RevokedAt = now
		_, err = tx.NewRaw("update credentials set revoked_at = ? where env_id = ? and id = ?", micros(now), env, id).Exec(ctx)
		return shown(c), err
	})
}

// shown is a credential without anything that helps to use it.
func shown(c model.Credential) model.Credential {
	c.LookupHash, c.Sealed = nil, nil
	return c
}

func (s *Store) credential(ctx context.Context, db bun.IDB, where string, args ...any) (model.Credential, error) {
	l, err := s.credentials(ctx, db, where, args...)
	if err != nil {
		return model.Credential{}, err
	}
	if len(l) == 0 {
		return model.Credential{}, errNoCredential
	}
	return l[0], nil
}

// errNoCredential is also what another environment's credential is.
var errNoCredential = model.NotFound("names no credential", "id")

func (s *Store) credentials(ctx context.Context, db bun.IDB, rest string, args ...any) ([]model.Credential, error) {
	var rows []credentialRow
	if err := db.NewRaw(selectCredentials+rest, args...).Scan(ctx, &rows); err != nil {
		return nil, s.fail("reading credentials", err)
	}
	out := make([]model.Credential, len(rows))
	for i, r := range rows {
		out[i] = r.model()
	}
	return out, nil
}
