package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"carillon/model"
)

const (
	// wholeTime bounds one evaluation of a rule over everyone.
	wholeTime = 10 * time.Minute
	// wholeMemory is what PostgreSQL may use for each step of one.
	wholeMemory = "128MB"
)

// PreviewRule counts who matches a rule now, and lists the newest of them.
func (s *Store) PreviewRule(ctx context.Context, env model.EnvID, r model.SegmentRule, limit int) (out model.SegmentPreview, err error) {
	q := s.compileRule(env, r, s.now(), nil).matching("u.id")
	var id model.UserID
	rows, err := s.r.QueryContext(ctx, "with m as ("+q.sql+") select id, (select count(*) from m) from m order by id desc limit ?", append(q.args, limit)...)
	err = scanEach(rows, err, []any{&id, &out.Count}, func() error {
		out.Users = append(out.Users, id)
		return nil
	})
	return out, s.fail("evaluating a rule", err)
}

// DueSegment finds a segment that is due to be evaluated over everyone.
func (s *Store) DueSegment(ctx context.Context) (m model.Segment, found bool, err error) {
	var rows []segmentRow
	err = s.r.NewRaw("select env_id, id, identifier, name, description, rule, size, refreshed_at, created_at, updated_at from segments where due_at <= ? order by due_at, env_id, id limit 1", micros(s.now())).Scan(ctx, &rows)
	if err != nil || len(rows) == 0 {
		return m, false, s.fail("finding a segment to refresh", err)
	}
	m, err = rows[0].model()
	return m, true, err
}

// RefreshSegment evaluates the rule of a segment over everyone and makes those
// who match its members, in one transaction. next is when it is due again, after
// this time; sooner where time alone changes who matches. done is false, and
// nothing happened, when it is gone or another process is at it.
func (s *Store) RefreshSegment(ctx context.Context, env model.EnvID, id model.SegmentID, next, sooner time.Duration) (done bool, err error) {
	err = s.write(ctx, "refreshing segment", func(ctx context.Context, tx bun.Tx) error {
		done = false
		if err := s.allowMuch(ctx, tx); err != nil {
			return err
		}
		l, err := s.segments(ctx, tx, " and id = ?"+s.dialect.skipLocked, env, id)
		if err != nil || len(l) == 0 {
			return err
		}
		m, now := l[0], s.now()
		if err := s.evaluate(ctx, tx, m, now, nil); err != nil {
			return err
		}
		if m.Rule.Windowed() {
			next = min(next, sooner)
		}
		_, err = tx.NewRaw(`update segments set refreshed_at = ?, due_at = ?,
				size = (select count(*) from segment_members where env_id = ? and segment_id = ?) where env_id = ? and id = ?`,
			micros(now), micros(now.Add(next)), env, id, env, id).Exec(ctx)
		done = err == nil
		return err
	})
	return done, err
}

// allowMuch gives a transaction more of PostgreSQL than what answers callers
// gets.
func (s *Store) allowMuch(ctx context.Context, tx bun.Tx) error {
	if !s.dialect.arrays {
		return nil
	}
	_, err := tx.NewRaw(fmt.Sprintf("set local statement_timeout = %d", wholeTime.Milliseconds())).Exec(ctx)
	if err == nil {
		_, err = tx.NewRaw("set local work_mem = '" + wholeMemory + "'").Exec(ctx)
	}
	return err
}

// evaluate makes those of users, or with nil of all, members who match, and the
// others not.
func (s *Store) evaluate(ctx context.Context, tx bun.Tx, m model.Segment, now time.Time, users []model.UserID) error {
	q := s.compileRule(m.EnvID, m.Rule, now, users).matching("u.id")
	about := fragment{sql: ""}
	if users != nil {
		about = sqlf(" and user_id in (?)", bun.List(users))
	}
	if s.dialect.arrays {
		f := with(`with m as materialized (%s), gone as (
				delete from segment_members where env_id = %s and segment_id = %s%s and not exists (select 1 from m where m.id = user_id)
			)
			insert into segment_members (env_id, segment_id, user_id) select %s, %s, id from m on conflict do nothing`,
			q, sqlf("?", m.EnvID), sqlf("?", m.ID), about, sqlf("?", m.EnvID), sqlf("?", m.ID))
		_, err := tx.NewRaw(f.sql, f.args...).Exec(ctx)
		return err
	}
	f := with("delete from segment_members where env_id = %s and segment_id = %s%s and user_id not in (%s)", sqlf("?", m.EnvID), sqlf("?", m.ID), about, q)
	if _, err := tx.NewRaw(f.sql, f.args...).Exec(ctx); err != nil {
		return err
	}
	f = with("insert into segment_members (env_id, segment_id, user_id) select %s, %s, id from (%s) m where true on conflict do nothing", sqlf("?", m.EnvID), sqlf("?", m.ID), q)
	_, err := tx.NewRaw(f.sql, f.args...).Exec(ctx)
	return err
}

// ChangedEnvironment is the first environment after one, or else the first of
// all, that has users of whom something changed.
func (s *Store) ChangedEnvironment(ctx context.Context, after model.EnvID) (env model.EnvID, found bool, err error) {
	for _, from := range []model.EnvID{after, 0} {
		err := s.r.NewRaw("select env_id from segment_changes where env_id > ? order by env_id, id limit 1", from).Scan(ctx, &env)
		if err == nil {
			return env, true, nil
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return 0, false, s.fail("looking for changed users", err)
		}
	}
	return 0, false, nil
}

// RefreshChanged evaluates all segments of an environment for up to limit
// changes of users, and returns how many there were: fewer than limit means
// that there are no more.
//
// The segments are locked first, in the order of their ids, so that two
// evaluations wait for each other; what a transaction changes that commits
// after this one has looked stands in a row that is left for the next.
func (s *Store) RefreshChanged(ctx context.Context, env model.EnvID, limit int) (n int, err error) {
	err = s.write(ctx, "refreshing segments", func(ctx context.Context, tx bun.Tx) error {
		segments, err := s.segments(ctx, tx, " order by id"+s.dialect.forChange, env)
		if err != nil {
			return err
		}
		var users []model.UserID
		if err := tx.NewRaw(`delete from segment_changes where env_id = ? and id in (
				select id from segment_changes where env_id = ? order by id limit ?`+s.dialect.skipLocked+`) returning user_id`, env, env, limit).Scan(ctx, &users); err != nil {
			return err
		}
		if n = len(users); n == 0 {
			return nil
		}
		users = slices.Compact(slices.Sorted(slices.Values(users)))
		return s.refreshUsers(ctx, tx, segments, env, users)
	})
	return n, err
}

// refreshUsers evaluates segments, which are locked, for users.
func (s *Store) refreshUsers(ctx context.Context, tx bun.Tx, segments []model.Segment, env model.EnvID, users []model.UserID) error {
	now := s.now()
	counted := "select count(*) from segment_members where env_id = ? and segment_id = ? and user_id in (?)"
	var there int
	if err := tx.NewRaw("select count(*) from users where env_id = ? and id in (?)", env, bun.List(users)).Scan(ctx, &there); err != nil {
		return err
	}
	for _, m := range segments {
		if m.RefreshedAt.IsZero() {
			continue // a whole evaluation is due
		}
		var before, after int64
		if err := tx.NewRaw(counted, env, m.ID, bun.List(users)).Scan(ctx, &before); err != nil {
			return err
		}
		if err := s.evaluate(ctx, tx, m, now, users); err != nil {
			return err
		}
		if err := tx.NewRaw(counted, env, m.ID, bun.List(users)).Scan(ctx, &after); err != nil {
			return err
		}
		size := sqlf("size + ?", after-before)
		if there < len(users) { // with those who were deleted, their rows went uncounted
			size = sqlf("(select count(*) from segment_members where env_id = ? and segment_id = ?)", env, m.ID)
		}
		f := with("update segments set refreshed_at = %s, size = %s where env_id = %s and id = %s", sqlf("?", micros(now)), size, sqlf("?", env), sqlf("?", m.ID))
		if _, err := tx.NewRaw(f.sql, f.args...).Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}
