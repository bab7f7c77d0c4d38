package store

import (
	"context"
	"errors"
	"time"

	"github.com/uptrace/bun"

	"carillon/model"
)

// PreviewRule counts who of these users, or with nil of all, matches a rule now,
// and lists the newest of them. done is false, and nothing is known, when that
// takes longer than within.
func (s *Store) PreviewRule(ctx context.Context, env model.EnvID, r model.SegmentRule, users []model.UserID, limit int, within time.Duration) (out model.SegmentPreview, done bool, err error) {
	q := s.compileRule(env, r, s.now(), users).matching("u.id")
	var id model.UserID
	done, err = s.readWithin(ctx, within, func(ctx context.Context, tx bun.Tx) error {
		rows, err := tx.QueryContext(ctx, "with m as ("+q.sql+") select id, (select count(*) from m) from m order by id desc limit ?", append(q.args, limit)...)
		return scanEach(rows, err, []any{&id, &out.Count}, func() error {
			out.Users = append(out.Users, id)
			return nil
		})
	})
	return out, done, s.fail("evaluating a rule", err)
}

// SampleUsers counts the users of an environment and picks about so many, about
// half of that at least, or all where there are no more, spread over all in the
// order of their ids. done is false when that takes longer than within.
//
// Multiples of the golden ratio choose their places: places at equal distances
// would miss, or meet, whatever repeats in the order in which users were made.
func (s *Store) SampleUsers(ctx context.Context, env model.EnvID, most int, within time.Duration) (users []model.UserID, of int64, done bool, err error) {
	const turn = 1 << 32
	done, err = s.readWithin(ctx, within, func(ctx context.Context, tx bun.Tx) error {
		if err := tx.NewRaw("select count(*) from users where env_id = ?", env).Scan(ctx, &of); err != nil {
			return err
		}
		return tx.NewRaw(`select id from (select id, row_number() over (order by id) as place from users where env_id = ?) u
			where place * 2654435769 % ? < ? order by id`, env, turn, turn/max(1, (of+int64(most)-1)/int64(most))).Scan(ctx, &users)
	})
	return users, of, done, s.fail("sampling users", err)
}

// readWithin runs a transaction that reads, with more of PostgreSQL than what
// answers callers gets. done is false, without an error, when it takes longer
// than within.
func (s *Store) readWithin(ctx context.Context, within time.Duration, read func(context.Context, bun.Tx) error) (done bool, err error) {
	if within < time.Millisecond {
		return false, nil
	}
	limited := ctx
	if !s.dialect.arrays { // PostgreSQL has its own limit, which leaves the connection whole
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(ctx, within)
		defer cancel()
	}
	err = s.r.RunInTx(limited, nil, func(ctx context.Context, tx bun.Tx) error {
		if err := s.allowMuch(ctx, tx, within); err != nil {
			return err
		}
		return read(ctx, tx)
	})
	late := pgCode(err) == "57014" || errors.Is(limited.Err(), context.DeadlineExceeded)
	if err != nil && late && ctx.Err() == nil {
		return false, nil
	}
	return err == nil, err
}
