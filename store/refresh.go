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

// DueSegment finds a segment that is due to be evaluated over everyone.
func (s *Store) DueSegment(ctx context.Context) (env model.EnvID, id model.SegmentID, found bool, err error) {
	err = s.r.NewRaw("select env_id, id from segments where due_at <= ? order by due_at, env_id, id limit 1", micros(s.now())).Scan(ctx, &env, &id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, 0, false, nil
	}
	return env, id, err == nil, s.fail("finding a segment to refresh", err)
}

// PostponeSegment has a segment that is due, and could not be evaluated, be due
// again after a time, so that others get their turn.
func (s *Store) PostponeSegment(ctx context.Context, env model.EnvID, id model.SegmentID, by time.Duration) error {
	return s.write(ctx, "postponing segment", func(ctx context.Context, tx bun.Tx) error {
		now := s.now()
		_, err := tx.NewRaw("update segments set due_at = ? where env_id = ? and id = ? and due_at <= ?", micros(now.Add(by)), env, id, micros(now)).Exec(ctx)
		return err
	})
}

// RefreshSegment evaluates the rule of a segment over everyone and makes those
// who match its members, in one transaction. next is when it is due again, after
// this time; sooner where only looking at everyone tells whom time changes, and
// after the first time, for what transactions change that were under way. done is
// false, and nothing happened, when it is gone or another process is at it. With
// wait the other is waited for, and what it did is not done again, nor what was
// done within the time of sooner.
func (s *Store) RefreshSegment(ctx context.Context, env model.EnvID, id model.SegmentID, next, sooner time.Duration, wait bool) (done bool, err error) {
	lock := s.dialect.forChange
	if lock != "" && !wait {
		lock += " skip locked"
	}
	err = s.write(ctx, "refreshing segment", func(ctx context.Context, tx bun.Tx) error {
		done = false
		if err := s.allowMuch(ctx, tx, wholeTime); err != nil {
			return err
		}
		l, err := s.segments(ctx, tx, " and id = ?"+lock, env, id)
		if err != nil || len(l) == 0 {
			return err
		}
		if err := s.hashOnly(ctx, tx); err != nil {
			return err
		}
		m, now := l[0], s.now()
		_, followed := m.Rule.Windows()
		if wait && !m.RefreshedAt.IsZero() {
			if done, err = s.evaluatedSince(ctx, tx, m, now.Add(-sooner)); done || err != nil {
				return err
			}
		}
		if _, err := s.evaluate(ctx, tx, m, now, nil); err != nil {
			return err
		}
		if !followed || m.RefreshedAt.IsZero() {
			next = min(next, sooner)
		}
		_, err = tx.NewRaw(`update segments set refreshed_at = ?, evaluated_at = ?, due_at = ?,
				size = (select count(*) from segment_members where env_id = ? and segment_id = ?) where env_id = ? and id = ?`,
			micros(now), micros(now), micros(now.Add(next)), env, id, env, id).Exec(ctx)
		done = err == nil
		return err
	})
	return done, err
}

// evaluatedSince reports whether the members of a segment, whose rule was
// evaluated over everyone before, are those who matched since a time, but for
// changes that are noted. When they were refreshed does not say: that may have
// been for users who changed.
func (s *Store) evaluatedSince(ctx context.Context, tx bun.Tx, m model.Segment, t time.Time) (bool, error) {
	if _, followed := m.Rule.Windows(); followed {
		return true, nil // changes told of the rest
	}
	var at sql.NullInt64
	err := tx.NewRaw("select evaluated_at from segments where env_id = ? and id = ?", m.EnvID, m.ID).Scan(ctx, &at)
	return at.Int64 > micros(t), err
}

// allowMuch gives a transaction more of PostgreSQL than what answers callers
// gets, and each of its statements so much time, locks included.
func (s *Store) allowMuch(ctx context.Context, tx bun.Tx, within time.Duration) error {
	if !s.dialect.arrays {
		return nil
	}
	for setting, value := range map[string]string{
		"statement_timeout": fmt.Sprint(within.Milliseconds()), "lock_timeout": "0", "work_mem": wholeMemory,
	} {
		if _, err := tx.NewRaw("select set_config(?, ?, true)", setting, value).Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}

// hashOnly has PostgreSQL join by hash for the rest of a transaction. It plans the
// first members for an empty table, and would walk through those that it has
// just written for each that it writes.
func (s *Store) hashOnly(ctx context.Context, tx bun.Tx) error {
	if !s.dialect.arrays {
		return nil
	}
	_, err := tx.NewRaw("set local enable_nestloop = off").Exec(ctx)
	return err
}

// evaluate makes those of users, or with nil of all, members who match, and the
// others not. It returns by how many there are more. On PostgreSQL users may be
// erased meanwhile: they are locked, which passes over those who are gone, since
// one alone would fail all.
func (s *Store) evaluate(ctx context.Context, tx bun.Tx, m model.Segment, now time.Time, users []model.UserID) (more int64, err error) {
	q := s.compileRule(m.EnvID, m.Rule, now, users).matching("u.id")
	env, id, about := sqlf("?", m.EnvID), sqlf("?", m.ID), fragment{}
	if users != nil {
		about = sqlf(" and user_id in (?)", bun.List(users))
	}
	if s.dialect.arrays {
		f := with(`with m as materialized (%s), gone as (
				delete from segment_members where env_id = %s and segment_id = %s%s and not exists (select 1 from m where m.id = user_id) returning 1
			), come as (
				insert into segment_members (env_id, segment_id, user_id) select %s, %s, u.id from (
						select u.id from m join users u on u.env_id = %s and u.id = m.id
						where not exists (select 1 from segment_members o where o.env_id = %s and o.segment_id = %s and o.user_id = m.id)
						for key share of u) u
					on conflict do nothing returning 1
			)
			select (select count(*) from come) - (select count(*) from gone)`, q, env, id, about, env, id, env, env, id)
		err := tx.NewRaw(f.sql, f.args...).Scan(ctx, &more)
		return more, err
	}
	f := with("delete from segment_members where env_id = %s and segment_id = %s%s and user_id not in (%s)", env, id, about, q)
	gone, err := affected(tx.NewRaw(f.sql, f.args...).Exec(ctx))
	if err != nil {
		return 0, err
	}
	f = with("insert into segment_members (env_id, segment_id, user_id) select %s, %s, id from (%s) m where true on conflict do nothing", env, id, q)
	come, err := affected(tx.NewRaw(f.sql, f.args...).Exec(ctx))
	return come - gone, err
}

// SegmentChanges are the ids of the first and the last change of an environment's
// users that were not evaluated; 0 without any. A change that comes later has a
// higher one, other than those of transactions that overlap.
func (s *Store) SegmentChanges(ctx context.Context, env model.EnvID) (first, last int64, err error) {
	err = s.r.NewRaw("select coalesce(min(id), 0), coalesce(max(id), 0) from segment_changes where env_id = ?", env).Scan(ctx, &first, &last)
	return first, last, s.fail("looking for changed users", err)
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
		if err := s.allowMuch(ctx, tx, wholeTime); err != nil {
			return err
		}
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
		return s.refreshUsers(ctx, tx, segments, env, slices.Compact(slices.Sorted(slices.Values(users))))
	})
	return n, err
}

// refreshUsers evaluates segments, which are locked, for users. Those that were
// never evaluated over everyone are left out, since they are due for that.
func (s *Store) refreshUsers(ctx context.Context, tx bun.Tx, segments []model.Segment, env model.EnvID, users []model.UserID) error {
	now := s.now()
	var there int
	if err := tx.NewRaw("select count(*) from users where env_id = ? and id in (?)", env, bun.List(users)).Scan(ctx, &there); err != nil {
		return err
	}
	for _, m := range segments {
		if m.RefreshedAt.IsZero() {
			continue
		}
		more, err := s.evaluate(ctx, tx, m, now, users)
		if err != nil {
			return err
		}
		size := sqlf("size + ?", more)
		switch {
		case there < len(users): // with those who were deleted, their rows went uncounted
			size = sqlf("(select count(*) from segment_members where env_id = ? and segment_id = ?)", env, m.ID)
		case more == 0:
			continue
		}
		f := with("update segments set size = %s where env_id = %s and id = %s", size, sqlf("?", env), sqlf("?", m.ID))
		if _, err := tx.NewRaw(f.sql, f.args...).Exec(ctx); err != nil {
			return err
		}
	}
	_, err := tx.NewRaw("update segments set refreshed_at = ? where env_id = ? and refreshed_at is not null", micros(now), env).Exec(ctx)
	return err
}

// followedAt is from when on it has to be followed whom the passing of time
// concerns; null where nobody, or only looking at everyone tells.
func followedAt(r model.SegmentRule, from time.Time) sql.NullInt64 {
	windows, followed := r.Windows()
	return sql.NullInt64{Int64: micros(from), Valid: followed && len(windows) > 0}
}

// UnfollowedSegment finds a segment for which it has not been followed for a time
// whom its passing concerns, but for some.
func (s *Store) UnfollowedSegment(ctx context.Context, longer time.Duration, except []model.SegmentID) (env model.EnvID, id model.SegmentID, found bool, err error) {
	where := conditions{}
	where.add("followed_at <= ?", micros(s.now().Add(-longer)))
	if len(except) > 0 {
		where.add("id not in (?)", bun.List(except))
	}
	err = s.r.NewRaw("select env_id, id from segments "+where.sql()+" order by followed_at, env_id, id limit 1", where.args...).Scan(ctx, &env, &id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, 0, false, nil
	}
	return env, id, err == nil, s.fail("finding a segment to follow", err)
}

// FollowTime notes as changed the users whom the passing of time concerns in a
// segment: those who came into a window of its rule, or left it, since this was
// done last. A segment that does not need it is left alone.
func (s *Store) FollowTime(ctx context.Context, env model.EnvID, id model.SegmentID) error {
	return s.write(ctx, "following time", func(ctx context.Context, tx bun.Tx) error {
		if err := s.allowMuch(ctx, tx, wholeTime); err != nil {
			return err
		}
		l, err := s.segments(ctx, tx, " and id = ? and followed_at is not null"+s.dialect.forChange, env, id)
		if err != nil || len(l) == 0 {
			return err
		}
		var since int64
		if err := tx.NewRaw("select followed_at from segments where env_id = ? and id = ?", env, id).Scan(ctx, &since); err != nil {
			return err
		}
		from, to := at(since), s.now()
		if !to.After(from) {
			return nil
		}
		windows, _ := l[0].Rule.Windows()
		crossing := make([]fragment, len(windows))
		for i, w := range windows {
			crossing[i] = crossed(env, w, from, to)
		}
		f := with("insert into segment_changes (env_id, user_id) select %s, user_id from %s c", sqlf("?", env), joined(crossing, " union "))
		if _, err := tx.NewRaw(f.sql, f.args...).Exec(ctx); err != nil {
			return err
		}
		_, err = tx.NewRaw("update segments set followed_at = ? where env_id = ? and id = ?", micros(to), env, id).Exec(ctx)
		return err
	})
}

// crossed selects the users who came into a window, or left it, in a span of
// time: those with a moment that has become so many days old, or has come.
func crossed(env model.EnvID, w model.RuleWindow, from, to time.Time) fragment {
	query, at := "select id as user_id from users where env_id = ?", "created_at"
	args := []any{env}
	switch {
	case w.Event != "":
		query, at = "select user_id from events where env_id = ? and name = ?", "occurred_at"
		args = append(args, w.Event)
	case w.SignedUp:
		at = "coalesce(signed_up_at, created_at)"
	}
	ago := time.Duration(w.Days) * 24 * time.Hour
	left := sqlf(query+" and "+at+" >= ? and "+at+" < ?", append(slices.Clone(args), micros(from.Add(-ago)), micros(to.Add(-ago)))...)
	came := sqlf(query+" and "+at+" > ? and "+at+" <= ?", append(slices.Clone(args), micros(from), micros(to))...)
	return with("%s union %s", left, came)
}
