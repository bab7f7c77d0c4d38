package store

import (
	"context"
	"slices"

	"github.com/uptrace/bun"

	"carillon/model"
)

type choiceRow struct {
	CategoryID model.CategoryID
	Channel    model.Channel
	Enabled    bool
	UpdatedAt  int64
}

// Choices lists everything that a user chose.
func (s *Store) Choices(ctx context.Context, env model.EnvID, user model.UserID) ([]model.Choice, error) {
	return s.choices(ctx, s.r, env, user)
}

// SetPreferences sets and forgets choices of a user in one transaction. plan
// gets the categories and gives the changes, no two about the same; show makes
// the result of the categories and of all that the user then chose. A user who
// does not exist is a KindNotFound error.
func (s *Store) SetPreferences(ctx context.Context, env model.EnvID, o model.Once, user model.UserID,
	plan func([]model.Category) ([]model.ChoiceChange, error), show func([]model.Category, []model.Choice) []model.CategoryPreference,
) (model.Outcome[[]model.CategoryPreference], error) {
	return once(ctx, s, env, o, "setting preferences", func(ctx context.Context, tx bun.Tx) ([]model.CategoryPreference, error) {
		if err := s.lockUser(ctx, tx, env, user); err != nil {
			return nil, err
		}
		// Not locked: a choice about a category that is deleted at this moment
		// stays as a row that nobody ever sees, since ids do not come again.
		categories, err := s.categories(ctx, tx, "", env)
		if err != nil {
			return nil, err
		}
		changes, err := plan(categories)
		if err != nil {
			return nil, err
		}
		if err := s.saveChoices(ctx, tx, env, user, changes); err != nil {
			return nil, err
		}
		choices, err := s.choices(ctx, tx, env, user)
		if err != nil {
			return nil, err
		}
		return show(categories, choices), nil
	})
}

func (s *Store) saveChoices(ctx context.Context, tx bun.Tx, env model.EnvID, user model.UserID, changes []model.ChoiceChange) error {
	now := micros(s.now())
	var set, forget values
	for _, c := range changes {
		if c.Enabled == nil {
			forget.row(c.Category, int16(c.Channel))
		} else {
			set.row(env, user, c.Category, int16(c.Channel), *c.Enabled, now)
		}
	}
	if !forget.empty() {
		args := slices.Concat([]any{env, user}, forget.args)
		if _, err := tx.NewRaw("delete from preferences where env_id = ? and user_id = ? and (category_id, channel) in (values "+forget.String()+")", args...).Exec(ctx); err != nil {
			return err
		}
	}
	if set.empty() {
		return nil
	}
	_, err := tx.NewRaw("insert into preferences (env_id, user_id, category_id, channel, enabled, updated_at) values "+set.String()+`
		on conflict (env_id, user_id, category_id, channel) do update set enabled = excluded.enabled, updated_at = excluded.updated_at
		where preferences.enabled <> excluded.enabled`, set.args...).Exec(ctx)
	return err
}

func (s *Store) choices(ctx context.Context, db bun.IDB, env model.EnvID, user model.UserID) ([]model.Choice, error) {
	var rows []choiceRow
	if err := db.NewRaw("select category_id, channel, enabled, updated_at from preferences where env_id = ? and user_id = ? order by category_id, channel",
		env, user).Scan(ctx, &rows); err != nil {
		return nil, s.fail("reading preferences", err)
	}
	out := make([]model.Choice, len(rows))
	for i, r := range rows {
		out[i] = model.Choice{Category: r.CategoryID, Channel: r.Channel, Enabled: r.Enabled, UpdatedAt: at(r.UpdatedAt)}
	}
	return out, nil
}
