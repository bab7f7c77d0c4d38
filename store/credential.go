package store

import (
	"context"
	"database/sql"

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
