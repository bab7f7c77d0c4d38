package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/uptrace/bun"

	"carillon/model"
)

// once runs fn in one transaction, at most once for an idempotency key: the
// record with fn's result is written in the same transaction, so that it
// exists exactly if the change does. A call with a key that has a record gets
// the stored result. Of two calls with one key at the same moment the later one
// waits for the earlier, before it holds anything else; when that takes too
// long, it is a KindKeyInProgress error.
func once[T any](ctx context.Context, s *Store, env model.EnvID, o model.Once, doing string, fn func(ctx context.Context, tx bun.Tx) (T, error)) (model.Outcome[T], error) {
	var out model.Outcome[T]
	if o.Set() {
		found, err := Replay(ctx, s, env, o, &out.Value)
		if err != nil || found {
			out.Replayed = found
			return out, err
		}
	}
	err := s.write(ctx, doing, func(ctx context.Context, tx bun.Tx) (err error) {
		if o.Set() {
			if err := s.claim(ctx, tx, env, o); err != nil {
				return err
			}
		}
		if out.Value, err = fn(ctx, tx); err != nil || !o.Set() {
			return err
		}
		return remember(ctx, tx, env, o, out.Value)
	})
	if err != nil && o.Set() {
		// Perhaps it failed because an equal call had just succeeded, or one
		// with another input.
		switch found, again := Replay(ctx, s, env, o, &out.Value); {
		case found:
			return model.Outcome[T]{Value: out.Value, Replayed: true}, nil
		case model.KindOf(again) == model.KindKeyReused:
			err = again
		}
	}
	if err != nil {
		var none model.Outcome[T]
		return none, err
	}
	return out, nil
}

// claim takes a key for the transaction that is to do the work. It waits for a
// transaction that has the same one.
func (s *Store) claim(ctx context.Context, tx bun.Tx, env model.EnvID, o model.Once) error {
	res, err := tx.NewRaw(`insert into idempotency (env_id, actor, operation, key, hash, result, created_at) values (?, ?, ?, ?, ?, '', ?) on conflict do nothing`,
		env, o.Actor, o.Operation, o.Key, o.Hash[:], micros(s.now())).Exec(ctx)
	if err != nil {
		return fmt.Errorf("claiming idempotency key: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(model.ErrKeyInProgress(), err)
	}
	return nil
}

// remember writes the result under the key that the transaction has claimed.
func remember(ctx context.Context, tx bun.Tx, env model.EnvID, o model.Once, result any) error {
	body, err := model.EncodeJSON(result)
	if err != nil {
		return fmt.Errorf("encoding result: %w", err)
	}
	_, err = tx.NewRaw("update idempotency set result = ? where env_id = ? and actor = ? and operation = ? and key = ?",
		string(body), env, o.Actor, o.Operation, o.Key).Exec(ctx)
	if err != nil {
		return fmt.Errorf("remembering idempotency key: %w", err)
	}
	return nil
}

// Replay reads the stored result of an idempotency key into result, and
// reports whether there was one. Another input under the same key is a
// KindKeyReused error.
func Replay[T any](ctx context.Context, s *Store, env model.EnvID, o model.Once, result *T) (bool, error) {
	var row struct {
		Hash   []byte
		Result string
	}
	err := s.r.NewRaw("select hash, result from idempotency where env_id = ? and actor = ? and operation = ? and key = ?",
		env, o.Actor, o.Operation, o.Key).Scan(ctx, &row.Hash, &row.Result)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, s.fail("reading idempotency key", err)
	case !bytes.Equal(row.Hash, o.Hash[:]):
		return false, errKeyReused()
	}
	if err := json.Unmarshal([]byte(row.Result), result); err != nil {
		return false, fmt.Errorf("decoding stored result: %w", err)
	}
	return true, nil
}

func errKeyReused() error {
	return &model.Error{
		Kind: model.KindKeyReused, Message: "idempotency key reused",
		Problems: []model.Problem{{Code: model.ProblemInvalid, Path: []string{"idempotencyKey"}, Message: "was used before with another input; take a new key for a new request"}},
	}
}

// ForgetAnswers drops the results of idempotency keys that are older than
// model.OnceKept, and dedupe keys whose time is over, at most limit of each, and
// returns of which there were more, and how many. The work of a sweeper: call it
// until it returns fewer than limit.
func (s *Store) ForgetAnswers(ctx context.Context, limit int) (int, error) {
	var n int64
	err := s.write(ctx, "forgetting idempotency keys", func(ctx context.Context, tx bun.Tx) error {
		res, err := tx.NewRaw(`delete from idempotency where (env_id, actor, operation, key) in (
			select env_id, actor, operation, key from idempotency where created_at < ? order by created_at limit ?)`,
			micros(s.now().Add(-model.OnceKept)), limit).Exec(ctx)
		if err != nil {
			return err
		}
		if n, err = res.RowsAffected(); err != nil {
			return err
		}
		keys, err := s.forgetDedupes(ctx, tx, limit)
		n = max(n, keys)
		return err
	})
	if err != nil {
		return 0, err
	}
	return int(n), nil
}
