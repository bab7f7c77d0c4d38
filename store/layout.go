package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/uptrace/bun"

	"carillon/model"
)

type layoutRow struct {
	EnvID      model.EnvID
	ID         model.LayoutID
	Identifier string
	Name       string
	Version    int64
	Content    string
	IsDefault  bool
	CreatedAt  int64
	UpdatedAt  int64
}

func (r layoutRow) model() (model.Layout, error) {
	l := model.Layout{
		ID: r.ID, EnvID: r.EnvID, Identifier: r.Identifier, Name: r.Name, Version: r.Version, Default: r.IsDefault, CreatedAt: at(r.CreatedAt), UpdatedAt: at(r.UpdatedAt),
	}
	if err := json.Unmarshal([]byte(r.Content), &l.Content); err != nil {
		return l, fmt.Errorf("decoding layout %d: %w", r.ID, err)
	}
	return l, nil
}

const selectLayouts = `select l.env_id, l.id, l.identifier, l.name, v.version, v.content, d.layout_id is not null as is_default, l.created_at, l.updated_at
	from layouts l join layout_versions v on v.env_id = l.env_id and v.layout_id = l.id
	left join default_layouts d on d.env_id = l.env_id and d.layout_id = l.id where l.env_id = ?`

// currentLayout restricts to the version that a layout has now.
const currentLayout = " and v.version = l.version and l.deleted_at is null"

// Layout reads a layout by identifier.
func (s *Store) Layout(ctx context.Context, env model.EnvID, identifier string) (model.Layout, error) {
	return s.layout(ctx, s.r, currentLayout+" and l.identifier = ?", env, identifier)
}

// LayoutVersion reads a layout as it was in a version, also one that was deleted
// since.
func (s *Store) LayoutVersion(ctx context.Context, env model.EnvID, ref model.LayoutRef) (model.Layout, error) {
	return s.layout(ctx, s.r, " and l.id = ? and v.version = ?", env, ref.ID, ref.Version)
}

// DefaultLayout is the version that the environment's default has now; nil: there is
// no default.
func (s *Store) DefaultLayout(ctx context.Context, env model.EnvID) (*model.LayoutRef, error) {
	var found []model.LayoutRef
	err := s.r.NewRaw("select l.id, l.version from default_layouts d join layouts l on l.env_id = d.env_id and l.id = d.layout_id where d.env_id = ?", env).Scan(ctx, &found)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, s.fail("reading the default layout", err)
	}
	if len(found) == 0 {
		return nil, nil
	}
	return &found[0], nil
}

// LayoutsByID finds layouts; ids that name none are left out.
func (s *Store) LayoutsByID(ctx context.Context, env model.EnvID, ids []model.LayoutID) (map[model.LayoutID]model.Layout, error) {
	rows, err := s.layouts(ctx, s.r, selectLayouts+currentLayout+" and l.id in (?)", env, bun.List(ids))
	if err != nil {
		return nil, err
	}
	out := make(map[model.LayoutID]model.Layout, len(rows))
	for _, r := range rows {
		if out[r.ID], err = r.model(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *Store) layout(ctx context.Context, db bun.IDB, where string, args ...any) (model.Layout, error) {
	rows, err := s.layouts(ctx, db, selectLayouts+where, args...)
	if err != nil {
		return model.Layout{}, err
	}
	if len(rows) == 0 {
		return model.Layout{}, unknownLayout
	}
	return rows[0].model()
}

var unknownLayout = model.NotFound("names no layout", "layout")

func (s *Store) layouts(ctx context.Context, db bun.IDB, query string, args ...any) ([]layoutRow, error) {
	var rows []layoutRow
	if err := db.NewRaw(query, args...).Scan(ctx, &rows); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, s.fail("reading layouts", err)
	}
	return rows, nil
}

// Layouts lists the layouts of an environment by id, newest first.
func (s *Store) Layouts(ctx context.Context, env model.EnvID, page model.PageRequest) (model.Page[model.Layout], error) {
	query, args := byID(selectLayouts+currentLayout, "l.id", page)
	rows, err := s.layouts(ctx, s.r, query, append([]any{env}, args...)...)
	if err != nil {
		return model.Page[model.Layout]{}, err
	}
	var failed error
	out := cut(rows, page, func(r layoutRow) model.Layout {
		l, err := r.model()
		failed = errors.Join(failed, err)
		return l
	})
	return out, failed
}

// CreateLayout makes a layout; its id, version and times are filled in. An identifier
// that is taken is a KindConflict error, and one layout more than model.MaxLayouts a
// KindLimit error. A default takes the place of the one before.
func (s *Store) CreateLayout(ctx context.Context, env model.EnvID, o model.Once, l model.Layout) (model.Outcome[model.Layout], error) {
	id, err := s.newID(ctx)
	if err != nil {
		return model.Outcome[model.Layout]{}, err
	}
	l.ID, l.EnvID, l.Version, l.CreatedAt = model.LayoutID(id), env, 1, s.now()
	l.UpdatedAt = l.CreatedAt
	return once(ctx, s, env, o, "creating layout", func(ctx context.Context, tx bun.Tx) (model.Layout, error) {
		var n int
		if err := tx.NewRaw("select count(*) from layouts where env_id = ? and deleted_at is null", env).Scan(ctx, &n); err != nil {
			return l, err
		}
		if n >= model.MaxLayouts {
			return l, model.Errorf(model.KindLimit, "an environment may have at most %d layouts", model.MaxLayouts)
		}
		_, err := tx.NewRaw("insert into layouts (env_id, id, identifier, name, version, created_at, updated_at) values (?, ?, ?, ?, ?, ?, ?)",
			env, l.ID, l.Identifier, l.Name, l.Version, micros(l.CreatedAt), micros(l.UpdatedAt)).Exec(ctx)
		if s.dialect.isUnique(err) {
			return l, model.Conflict("is taken by another layout", "identifier")
		}
		if err != nil {
			return l, err
		}
		if err := insertLayoutVersion(ctx, tx, l); err != nil || !l.Default {
			return l, err
		}
		return l, setDefaultLayout(ctx, tx, l)
	})
}

func insertLayoutVersion(ctx context.Context, tx bun.IDB, l model.Layout) error {
	b, err := json.Marshal(l.Content)
	if err != nil {
		return fmt.Errorf("encoding layout: %w", err)
	}
	_, err = tx.NewRaw("insert into layout_versions (env_id, layout_id, version, content, created_at) values (?, ?, ?, ?, ?)",
		l.EnvID, l.ID, l.Version, string(b), micros(l.UpdatedAt)).Exec(ctx)
	return err
}

// setDefaultLayout makes a layout the default, or has it be so no longer.
func setDefaultLayout(ctx context.Context, tx bun.IDB, l model.Layout) error {
	if l.Default {
		_, err := tx.NewRaw("insert into default_layouts (env_id, layout_id) values (?, ?) on conflict (env_id) do update set layout_id = excluded.layout_id", l.EnvID, l.ID).Exec(ctx)
		return err
	}
	_, err := tx.NewRaw("delete from default_layouts where env_id = ? and layout_id = ?", l.EnvID, l.ID).Exec(ctx)
	return err
}

// UpdateLayout changes a layout by what change makes of it. Where that is another
// content, it is a new version.
func (s *Store) UpdateLayout(ctx context.Context, env model.EnvID, o model.Once, identifier string, change func(model.Layout) (model.Layout, error)) (model.Outcome[model.Layout], error) {
	return once(ctx, s, env, o, "changing layout", func(ctx context.Context, tx bun.Tx) (model.Layout, error) {
		if _, err := s.lockLayout(ctx, tx, env, identifier); err != nil {
			return model.Layout{}, err
		}
		was, err := s.layout(ctx, tx, currentLayout+" and l.identifier = ?", env, identifier)
		if err != nil {
			return was, err
		}
		l, err := change(was)
		if err != nil {
			return was, err
		}
		l.UpdatedAt = s.now()
		if l.Version != was.Version {
			if err := insertLayoutVersion(ctx, tx, l); err != nil {
				return l, err
			}
		}
		if l.Default != was.Default {
			if err := setDefaultLayout(ctx, tx, l); err != nil {
				return l, err
			}
		}
		_, err = tx.NewRaw("update layouts set name = ?, version = ?, updated_at = ? where env_id = ? and id = ?", l.Name, l.Version, micros(l.UpdatedAt), env, l.ID).Exec(ctx)
		return l, err
	})
}

// lockLayout keeps changes of a layout and of who uses it apart.
func (s *Store) lockLayout(ctx context.Context, tx bun.IDB, env model.EnvID, identifier string) (model.LayoutID, error) {
	var id model.LayoutID
	err := tx.NewRaw("select id from layouts where env_id = ? and identifier = ? and deleted_at is null"+s.dialect.forUpdate, env, identifier).Scan(ctx, &id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, unknownLayout
	}
	return id, err
}

// DeleteLayout deletes a layout that is neither the default nor named by a template;
// one that is so is a KindConflict error that says by what. Its versions stay for
// the sends that were accepted with them.
func (s *Store) DeleteLayout(ctx context.Context, env model.EnvID, o model.Once, identifier string) (model.Outcome[model.LayoutID], error) {
	return once(ctx, s, env, o, "deleting layout", func(ctx context.Context, tx bun.Tx) (model.LayoutID, error) {
		id, err := s.lockLayout(ctx, tx, env, identifier)
		if err != nil {
			return 0, err
		}
		if err := layoutUnused(ctx, tx, env, id); err != nil {
			return 0, err
		}
		_, err = tx.NewRaw("update layouts set deleted_at = ? where env_id = ? and id = ?", micros(s.now()), env, id).Exec(ctx)
		return id, err
	})
}

func layoutUnused(ctx context.Context, tx bun.IDB, env model.EnvID, id model.LayoutID) error {
	const some = 3
	var names []string
	if err := tx.NewRaw(`select t.identifier from template_layouts c join templates t on t.env_id = c.env_id and t.id = c.template_id
		where c.env_id = ? and c.layout_id = ? order by t.id limit ?`, env, id, some+1).Scan(ctx, &names); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if len(names) > 0 {
		more := ""
		if len(names) > some {
			names, more = names[:some], " and others"
		}
		return model.Conflict("is the layout of the templates "+strings.Join(names, ", ")+more+": have them use another first", "identifier")
	}
	var defaults int
	if err := tx.NewRaw("select count(*) from default_layouts where env_id = ? and layout_id = ?", env, id).Scan(ctx, &defaults); err != nil {
		return err
	}
	if defaults > 0 {
		return model.Conflict("is the environment's default: make another one the default first, or none by default: false", "identifier")
	}
	return nil
}

// chooseLayout writes down which layout a template uses.
func (s *Store) chooseLayout(ctx context.Context, tx bun.IDB, t model.Template) error {
	var layout *model.LayoutID
	switch t.Layout.Use {
	case model.LayoutDefault:
		return forgetLayout(ctx, tx, t.EnvID, t.ID)
	case model.LayoutNone:
	case model.LayoutNamed:
		id, err := s.lockLayout(ctx, tx, t.EnvID, t.Layout.Identifier)
		if model.KindOf(err) == model.KindNotFound {
			var c model.Check
			c.Add(model.ProblemNotFound, "names no layout in this environment", "layout")
			return c.Err()
		} else if err != nil {
			return err
		}
		layout = &id
	}
	_, err := tx.NewRaw("insert into template_layouts (env_id, template_id, layout_id) values (?, ?, ?) on conflict (env_id, template_id) do update set layout_id = excluded.layout_id",
		t.EnvID, t.ID, layout).Exec(ctx)
	return err
}

func forgetLayout(ctx context.Context, tx bun.IDB, env model.EnvID, template model.TemplateID) error {
	_, err := tx.NewRaw("delete from template_layouts where env_id = ? and template_id = ?", env, template).Exec(ctx)
	return err
}
