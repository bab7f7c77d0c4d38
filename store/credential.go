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

func (s *Store) credential(ctx context.Context, db bun.IDB, where string, args ...any) (model.Credential, error) {
	l, err := s.credentials(ctx, db, where, args...)
	if err != nil {
		return model.Credential{}, err
	}
	if len(l) == 0 {
		return model.Credential{}, model.NotFound("names no credential", "id")
	}
	return l[0], nil
}

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
