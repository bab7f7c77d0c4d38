package store

import (
	"context"

	"carillon/model"
)

// Exec runs one statement, for rows that no method makes yet.
func Exec(ctx context.Context, s *Store, statement string, args ...any) error {
	_, err := s.w.NewRaw(statement, args...).Exec(ctx)
	return err
}

// RowsOf counts the rows that a table has about a user.
func RowsOf(ctx context.Context, s *Store, table string, env model.EnvID, user model.UserID) (n int, err error) {
	column := map[string]string{"users": "id", "idempotency": "actor"}[table]
	if column == "" {
		column = "user_id"
	}
	err = s.r.NewRaw("select count(*) from "+table+" where env_id = ? and "+column+" = ?", env, user).Scan(ctx, &n)
	return n, err
}

// Texts gives the rows of one column.
func Texts(ctx context.Context, s *Store, statement string) (out []string, err error) {
	err = s.r.NewRaw(statement).Scan(ctx, &out)
	return out, err
}
