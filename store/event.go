package store

import (
	"context"
	"database/sql"
	"slices"

	"github.com/uptrace/bun"

	"carillon/model"
)

type eventRow struct {
	EnvID      model.EnvID
	ID         model.EventID
	UserID     model.UserID
	Name       string
	Value      sql.NullString
	Properties sql.NullString
	OccurredAt int64
	CreatedAt  int64
}

func (r eventRow) model() model.Event {
	return model.Event{
		ID: r.ID, EnvID: r.EnvID, UserID: r.UserID, Name: r.Name, Value: decodedOrNil(r.Value), Properties: decodedOrNil(r.Properties),
		OccurredAt: at(r.OccurredAt), CreatedAt: at(r.CreatedAt),
	}
}

// TrackEvents adds events of one user, who is made when nobody has that
// identifier. The events get their user and the time of their making, and,
// without a time of their own, that too.
func (s *Store) TrackEvents(ctx context.Context, env model.EnvID, o model.Once, identifier string, events []model.Event) (model.Outcome[[]model.Event], error) {
	var none model.Outcome[[]model.Event]
	if _, _, err := s.EnsureUser(ctx, env, identifier); err != nil {
		return none, err
	}
	return once(ctx, s, env, o, "tracking events", func(ctx context.Context, tx bun.Tx) ([]model.Event, error) {
		u, err := s.user(ctx, tx, env, identifier, s.dialect.forKeep) // it must not be deleted or merged meanwhile
		if err != nil {
			return nil, err
		}
		out := slices.Clone(events)
		var rows values
		for i := range out {
			e := &out[i]
			e.EnvID, e.UserID, e.CreatedAt = env, u.ID, s.now()
			if e.OccurredAt.IsZero() {
				e.OccurredAt = e.CreatedAt
			}
			rows.row(env, e.ID, e.UserID, e.Name, nullText(string(e.Value)), nullText(string(e.Properties)), micros(e.OccurredAt), micros(e.CreatedAt))
		}
		return out, rows.insert(ctx, tx, "insert into events (env_id, id, user_id, name, value, properties, occurred_at, created_at)")
	})
}

const selectEvents = "select env_id, id, user_id, name, value, properties, occurred_at, created_at from events"

// Events lists the events of a user, newest first; name "" is any. Page keys
// hold OccurredAt and ID as Text.
func (s *Store) Events(ctx context.Context, env model.EnvID, user model.UserID, name string, page model.PageRequest) (model.Page[model.Event], error) {
	where := conditions{}
	where.add("env_id = ?", env)
	where.add("user_id = ?", user)
	if name != "" {
		where.add("name = ?", name)
	}
	if k := page.After; k != nil {
		where.add("(occurred_at, id) < (?)", bun.List([]any{micros(k.At), k.Text}))
	}
	if k := page.Before; k != nil {
		where.add("(occurred_at, id) > (?)", bun.List([]any{micros(k.At), k.Text}))
	}
	order := "occurred_at desc, id desc"
	if page.Backward {
		order = "occurred_at, id"
	}
	var rows []eventRow
	err := s.r.NewRaw(selectEvents+" "+where.sql()+" order by "+order+" limit ?", append(where.args, page.Limit+1)...).Scan(ctx, &rows)
	if err != nil {
		return model.Page[model.Event]{}, s.fail("reading events", err)
	}
	return cut(rows, page, eventRow.model), nil
}
