package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/uptrace/bun"

	"carillon/model"
)

type categoryRow struct {
	EnvID            model.EnvID
	ID               model.CategoryID
	Identifier       string
	Name             string
	DefaultEnabled   bool
	ChannelDefaults  string
	RequiredChannels string
	HideInInbox      bool
	HideInPrefs      bool
	CreatedAt        int64
	UpdatedAt        int64
}

func (r categoryRow) model() (model.Category, error) {
	c := model.Category{
		ID: r.ID, EnvID: r.EnvID, Identifier: r.Identifier, Name: r.Name, DefaultEnabled: r.DefaultEnabled,
		HideInInbox: r.HideInInbox, HideInPrefs: r.HideInPrefs, CreatedAt: at(r.CreatedAt), UpdatedAt: at(r.UpdatedAt),
	}
	if err := json.Unmarshal([]byte(r.ChannelDefaults), &c.ChannelDefaults); err != nil {
		return c, fmt.Errorf("decoding channel defaults of category %d: %w", r.ID, err)
	}
	if err := json.Unmarshal([]byte(r.RequiredChannels), &c.RequiredChannels); err != nil {
		return c, fmt.Errorf("decoding required channels of category %d: %w", r.ID, err)
	}
	return c, nil
}

// categoryJSON is what the two JSON columns of a category hold.
func categoryJSON(c model.Category) (defaults, required string, err error) {
	d, err := json.Marshal(c.ChannelDefaults)
	if err != nil {
		return "", "", fmt.Errorf("encoding channel defaults: %w", err)
	}
	r, err := json.Marshal(c.RequiredChannels)
	if err != nil {
		return "", "", fmt.Errorf("encoding required channels: %w", err)
	}
	return string(d), string(r), nil
}

const selectCategories = `select env_id, id, identifier, name, default_enabled, channel_defaults, required_channels, hide_in_inbox, hide_in_prefs,
	created_at, updated_at from categories where env_id = ?`

// Categories lists the categories of an environment by identifier, byte by byte.
func (s *Store) Categories(ctx context.Context, env model.EnvID) ([]model.Category, error) {
	return s.categories(ctx, s.r, "", env)
}

// CreateCategory makes a category; its ids and times are filled in. An
// identifier that is taken is a KindConflict error, and one category more than
// model.MaxCategories a KindLimit error.
func (s *Store) CreateCategory(ctx context.Context, env model.EnvID, o model.Once, c model.Category) (model.Outcome[model.Category], error) {
	id, err := s.newID(ctx)
	if err != nil {
		return model.Outcome[model.Category]{}, err
	}
	c.ID, c.EnvID, c.CreatedAt = model.CategoryID(id), env, s.now()
	c.UpdatedAt = c.CreatedAt
	defaults, required, err := categoryJSON(c)
	if err != nil {
		return model.Outcome[model.Category]{}, err
	}
	return once(ctx, s, env, o, "creating category", func(ctx context.Context, tx bun.Tx) (model.Category, error) {
		var n int
		if err := tx.NewRaw("select count(*) from categories where env_id = ?", env).Scan(ctx, &n); err != nil {
			return c, err
		}
		if n >= model.MaxCategories {
			return c, model.Errorf(model.KindLimit, "an environment may have at most %d categories", model.MaxCategories)
		}
		_, err := tx.NewRaw(`insert into categories (env_id, id, identifier, name, default_enabled, channel_defaults, required_channels,
			hide_in_inbox, hide_in_prefs, created_at, updated_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			env, c.ID, c.Identifier, c.Name, c.DefaultEnabled, defaults, required, c.HideInInbox, c.HideInPrefs,
			micros(c.CreatedAt), micros(c.UpdatedAt)).Exec(ctx)
		if s.dialect.isUnique(err) {
			return c, model.Conflict("is taken by another category", "identifier")
		}
		return c, err
	})
}

// UpdateCategory changes a category by what change makes of it, but for its
// ids, identifier and times.
func (s *Store) UpdateCategory(ctx context.Context, env model.EnvID, o model.Once, identifier string, change func(model.Category) model.Category) (model.Outcome[model.Category], error) {
	return once(ctx, s, env, o, "changing category", func(ctx context.Context, tx bun.Tx) (model.Category, error) {
		was, err := s.category(ctx, tx, env, identifier)
		if err != nil {
			return was, err
		}
		c := change(was)
		c.UpdatedAt = s.now()
		defaults, required, err := categoryJSON(c)
		if err != nil {
			return c, err
		}
		_, err = tx.NewRaw(`update categories set name = ?, default_enabled = ?, channel_defaults = ?, required_channels = ?, hide_in_inbox = ?,
			hide_in_prefs = ?, updated_at = ? where env_id = ? and id = ?`,
			c.Name, c.DefaultEnabled, defaults, required, c.HideInInbox, c.HideInPrefs, micros(c.UpdatedAt), env, c.ID).Exec(ctx)
		return c, err
	})
}

// DeleteCategory deletes a category and what users chose about it, and returns
// its id. Its notifications stay.
func (s *Store) DeleteCategory(ctx context.Context, env model.EnvID, o model.Once, identifier string) (model.Outcome[model.CategoryID], error) {
	return once(ctx, s, env, o, "deleting category", func(ctx context.Context, tx bun.Tx) (model.CategoryID, error) {
		c, err := s.category(ctx, tx, env, identifier)
		if err != nil {
			return 0, err
		}
		if _, err := tx.NewRaw("delete from preferences where env_id = ? and category_id = ?", env, c.ID).Exec(ctx); err != nil {
			return 0, err
		}
		_, err = tx.NewRaw("delete from categories where env_id = ? and id = ?", env, c.ID).Exec(ctx)
		return c.ID, err
	})
}

// category reads and locks a category.
func (s *Store) category(ctx context.Context, tx bun.Tx, env model.EnvID, identifier string) (model.Category, error) {
	l, err := s.categories(ctx, tx, " and identifier = ?"+s.dialect.forUpdate, env, identifier)
	if err != nil {
		return model.Category{}, err
	}
	if len(l) == 0 {
		return model.Category{}, model.NotFound("names no category", "identifier")
	}
	return l[0], nil
}

func (s *Store) categories(ctx context.Context, db bun.IDB, rest string, args ...any) ([]model.Category, error) {
	var rows []categoryRow
	if err := db.NewRaw(selectCategories+rest, args...).Scan(ctx, &rows); err != nil {
		return nil, s.fail("reading categories", err)
	}
	out := make([]model.Category, len(rows))
	for i, r := range rows {
		var err error
		if out[i], err = r.model(); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(out, func(a, b model.Category) int { return strings.Compare(a.Identifier, b.Identifier) })
	return out, nil
}
