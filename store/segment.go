package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"carillon/model"
)

type segmentRow struct {
	EnvID       model.EnvID
	ID          model.SegmentID
	Identifier  string
	Name        string
	Description string
	Rule        string
	Size        int64
	RefreshedAt sql.NullInt64
	CreatedAt   int64
	UpdatedAt   int64
}

const selectSegments = "select env_id, id, identifier, name, description, rule, size, refreshed_at, created_at, updated_at from segments where env_id = ?"

func (r segmentRow) model() (model.Segment, error) {
	m := model.Segment{
		EnvID: r.EnvID, ID: r.ID, Identifier: r.Identifier, Name: r.Name, Description: r.Description,
		Size: r.Size, RefreshedAt: nullAt(r.RefreshedAt), CreatedAt: at(r.CreatedAt), UpdatedAt: at(r.UpdatedAt),
	}
	if err := json.Unmarshal([]byte(r.Rule), &m.Rule); err != nil {
		return m, fmt.Errorf("decoding rule of segment %d: %w", r.ID, err)
	}
	return m, nil
}

// segments reads segments of an environment; where begins with "and" or
// "order".
func (s *Store) segments(ctx context.Context, db bun.IDB, where string, env model.EnvID, args ...any) ([]model.Segment, error) {
	var rows []segmentRow
	if err := db.NewRaw(selectSegments+where, append([]any{env}, args...)...).Scan(ctx, &rows); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	out := make([]model.Segment, len(rows))
	for i, r := range rows {
		var err error
		if out[i], err = r.model(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *Store) segment(ctx context.Context, db bun.IDB, where string, env model.EnvID, arg any) (model.Segment, error) {
	l, err := s.segments(ctx, db, where, env, arg)
	switch {
	case err != nil:
		return model.Segment{}, err
	case len(l) == 0:
		return model.Segment{}, model.NotFound("names no segment", "segment")
	}
	return l[0], nil
}

// Segment reads a segment by identifier.
func (s *Store) Segment(ctx context.Context, env model.EnvID, identifier string) (model.Segment, error) {
	m, err := s.segment(ctx, s.r, " and identifier = ?", env, identifier)
	return m, s.fail("reading segment", err)
}

// SegmentByID reads a segment by id.
func (s *Store) SegmentByID(ctx context.Context, env model.EnvID, id model.SegmentID) (model.Segment, error) {
	m, err := s.segment(ctx, s.r, " and id = ?", env, id)
	return m, s.fail("reading segment", err)
}

// SegmentsByID reads segments by id; those that do not exist are absent.
func (s *Store) SegmentsByID(ctx context.Context, env model.EnvID, ids []model.SegmentID) (map[model.SegmentID]model.Segment, error) {
	l, err := s.segments(ctx, s.r, " and id in ("+idList(ids)+")", env)
	out := make(map[model.SegmentID]model.Segment, len(l))
	for _, m := range l {
		out[m.ID] = m
	}
	return out, s.fail("reading segments", err)
}

// Segments lists the segments of an environment, newest first.
func (s *Store) Segments(ctx context.Context, env model.EnvID, page model.PageRequest) (model.Page[model.Segment], error) {
	query, args := byID("", "id", page)
	l, err := s.segments(ctx, s.r, query, env, args...)
	return cut(l, page, func(m model.Segment) model.Segment { return m }), s.fail("reading segments", err)
}

// SegmentIDs finds segments by identifier; those that do not exist are absent.
func (s *Store) SegmentIDs(ctx context.Context, env model.EnvID, identifiers []string) (map[string]model.SegmentID, error) {
	l, err := s.segments(ctx, s.r, " and identifier in (?)", env, bun.List(identifiers))
	out := make(map[string]model.SegmentID, len(l))
	for _, m := range l {
		out[m.Identifier] = m.ID
	}
	return out, s.fail("finding segments", err)
}

// CreateSegment makes a segment, whose members are not known until it is
// refreshed. An identifier that is taken is a KindConflict error, and so is one
// segment more than model.MaxSegments.
func (s *Store) CreateSegment(ctx context.Context, o model.Once, m model.Segment) (model.Outcome[model.Segment], error) {
	id, err := s.newID(ctx)
	if err != nil {
		return model.Outcome[model.Segment]{}, err
	}
	m.ID, m.CreatedAt = model.SegmentID(id), s.now()
	m.UpdatedAt = m.CreatedAt
	rule, err := json.Marshal(m.Rule)
	if err != nil {
		return model.Outcome[model.Segment]{}, fmt.Errorf("encoding rule: %w", err)
	}
	return once(ctx, s, m.EnvID, o, "creating segment", func(ctx context.Context, tx bun.Tx) (model.Segment, error) {
		var n int
		if err := tx.NewRaw("select count(*) from segments where env_id = ?", m.EnvID).Scan(ctx, &n); err != nil {
			return m, err
		}
		if n >= model.MaxSegments {
			return m, model.Conflict(fmt.Sprintf("would be more than the %d segments that an environment may have", model.MaxSegments), "identifier")
		}
		_, err := tx.NewRaw(`insert into segments (env_id, id, identifier, name, description, rule, size, due_at, followed_at, created_at, updated_at)
			values (?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?)`, m.EnvID, m.ID, m.Identifier, m.Name, m.Description, string(rule),
			micros(m.CreatedAt), followedAt(m.Rule, m.CreatedAt), micros(m.CreatedAt), micros(m.CreatedAt)).Exec(ctx)
		if s.dialect.isUnique(err) {
			return m, model.Conflict("is taken by another segment", "identifier")
		}
		return m, err
	})
}

// UpdateSegment changes a segment. With a new rule its members stay as they are
// until it is refreshed, which is then due.
func (s *Store) UpdateSegment(ctx context.Context, env model.EnvID, o model.Once, identifier string, change model.SegmentChange) (model.Outcome[model.Segment], error) {
	return once(ctx, s, env, o, "changing segment", func(ctx context.Context, tx bun.Tx) (model.Segment, error) {
		m, err := s.segment(ctx, tx, " and identifier = ?"+s.dialect.forChange, env, identifier)
		if err != nil {
			return m, err
		}
		set(&m.Name, change.Name)
		set(&m.Description, change.Description)
		m.UpdatedAt = s.now()
		if _, err = tx.NewRaw("update segments set name = ?, description = ?, updated_at = ? where env_id = ? and id = ?",
			m.Name, m.Description, micros(m.UpdatedAt), env, m.ID).Exec(ctx); err != nil || change.Rule == nil {
			return m, err
		}
		m.Rule = *change.Rule
		rule, err := json.Marshal(m.Rule)
		if err != nil {
			return m, fmt.Errorf("encoding rule: %w", err)
		}
		_, err = tx.NewRaw("update segments set rule = ?, refreshed_at = null, due_at = ?, followed_at = ? where env_id = ? and id = ?",
			string(rule), micros(m.UpdatedAt), followedAt(m.Rule, m.UpdatedAt), env, m.ID).Exec(ctx)
		m.RefreshedAt = time.Time{}
		return m, err
	})
}

// DeleteSegment deletes a segment with its members and suppressions.
func (s *Store) DeleteSegment(ctx context.Context, env model.EnvID, o model.Once, identifier string) (model.Outcome[model.SegmentID], error) {
	return once(ctx, s, env, o, "deleting segment", func(ctx context.Context, tx bun.Tx) (model.SegmentID, error) {
		m, err := s.segment(ctx, tx, " and identifier = ?"+s.dialect.forUpdate, env, identifier)
		if err != nil {
			return 0, err
		}
		_, err = tx.NewRaw("delete from segments where env_id = ? and id = ?", env, m.ID).Exec(ctx)
		return m.ID, err
	})
}

// SegmentMembers lists the members of a segment, newest user first.
func (s *Store) SegmentMembers(ctx context.Context, env model.EnvID, id model.SegmentID, page model.PageRequest) (model.Page[model.UserID], error) {
	query, args := byID("select user_id from segment_members where env_id = ? and segment_id = ?", "user_id", page)
	var rows []model.UserID
	err := s.r.NewRaw(query, append([]any{env, id}, args...)...).Scan(ctx, &rows)
	return cut(rows, page, func(u model.UserID) model.UserID { return u }), s.fail("reading members of a segment", err)
}

// SegmentsOfUsers lists the segments that users are in or are suppressed for, by
// id.
func (s *Store) SegmentsOfUsers(ctx context.Context, env model.EnvID, users []model.UserID) (map[model.UserID][]model.SegmentMembership, error) {
	out := make(map[model.UserID][]model.SegmentMembership, len(users))
	if len(users) == 0 {
		return out, nil
	}
	var (
		user model.UserID
		m    model.SegmentMembership
		in   = bun.List(users)
	)
	rows, err := s.r.QueryContext(ctx, `select user_id, segment_id, max(member) = 1, max(suppressed) = 1 from (
			select user_id, segment_id, 1 as member, 0 as suppressed from segment_members where env_id = ? and user_id in (?)
			union all select user_id, segment_id, 0, 1 from segment_suppressions where env_id = ? and user_id in (?)) t
		group by user_id, segment_id order by user_id, segment_id`, env, in, env, in)
	err = scanEach(rows, err, []any{&user, &m.Segment, &m.Member, &m.Suppressed}, func() error {
		out[user] = append(out[user], m)
		return nil
	})
	return out, s.fail("reading segments of users", err)
}

// SuppressInSegment has sends to a segment leave a user out, or not any more. It
// is KindNotFound at "segment" or "user".
func (s *Store) SuppressInSegment(ctx context.Context, env model.EnvID, o model.Once, identifier, user string, suppressed bool) (model.Outcome[model.UserID], error) {
	return once(ctx, s, env, o, "suppressing for segment", func(ctx context.Context, tx bun.Tx) (model.UserID, error) {
		u, err := s.user(ctx, tx, env, user, s.dialect.forKeep)
		if err != nil {
			return 0, err
		}
		m, err := s.segment(ctx, tx, " and identifier = ?"+s.dialect.forKeep, env, identifier)
		if err != nil {
			return 0, err
		}
		if suppressed {
			_, err = tx.NewRaw("insert into segment_suppressions (env_id, segment_id, user_id, created_at) values (?, ?, ?, ?) on conflict do nothing", env, m.ID, u.ID, micros(s.now())).Exec(ctx)
		} else {
			_, err = tx.NewRaw("delete from segment_suppressions where env_id = ? and segment_id = ? and user_id = ?", env, m.ID, u.ID).Exec(ctx)
		}
		return u.ID, err
	})
}
