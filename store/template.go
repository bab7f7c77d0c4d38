package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/uptrace/bun"

	"carillon/model"
)

type templateRow struct {
	EnvID      model.EnvID
	ID         model.TemplateID
	Identifier string
	Name       string
	Version    int64
	Content    string
	CreatedAt  int64
	UpdatedAt  int64

	LayoutUse     model.LayoutUse
	LayoutName    string
	LayoutID      sql.NullInt64
	LayoutVersion sql.NullInt64
}

// templateContent is what is kept of a version.
type templateContent struct {
	All      model.TemplateText                   `json:"all"`
	Channels map[model.Channel]model.TemplateText `json:"channels,omitempty"`
}

func (r templateRow) model() (model.Template, error) {
	t := model.Template{
		ID: r.ID, EnvID: r.EnvID, Identifier: r.Identifier, Name: r.Name, Version: r.Version, CreatedAt: at(r.CreatedAt), UpdatedAt: at(r.UpdatedAt),
	}
	var c templateContent
	if err := json.Unmarshal([]byte(r.Content), &c); err != nil {
		return t, fmt.Errorf("decoding template %d: %w", r.ID, err)
	}
	t.Content, t.Channels = c.All, c.Channels
	if t.Layout.Use = r.LayoutUse; r.LayoutUse == model.LayoutNamed {
		t.Layout.Identifier = r.LayoutName
	}
	if r.LayoutID.Valid {
		t.Layout.Ref = &model.LayoutRef{ID: model.LayoutID(r.LayoutID.Int64), Version: r.LayoutVersion.Int64}
	}
	return t, nil
}

const selectTemplates = `select t.env_id, t.id, t.identifier, t.name, v.version, v.content, t.created_at, t.updated_at,
	case when c.template_id is null then '' when c.layout_id is null then 'NONE' else 'NAMED' end as layout_use, coalesce(l.identifier, '') as layout_name, l.id as layout_id, l.version as layout_version
	from templates t join template_versions v on v.env_id = t.env_id and v.template_id = t.id
	left join template_layouts c on c.env_id = t.env_id and c.template_id = t.id
	left join default_layouts d on d.env_id = t.env_id and c.template_id is null
	left join layouts l on l.env_id = t.env_id and l.id = coalesce(c.layout_id, d.layout_id) where t.env_id = ?`

// current restricts to the version that a template has now.
const current = " and v.version = t.version and t.deleted_at is null"

// Template reads a template by identifier.
func (s *Store) Template(ctx context.Context, env model.EnvID, identifier string) (model.Template, error) {
	return s.template(ctx, s.r, current+" and t.identifier = ?", env, identifier)
}

// TemplateByID reads a template by id.
func (s *Store) TemplateByID(ctx context.Context, env model.EnvID, id model.TemplateID) (model.Template, error) {
	return s.template(ctx, s.r, current+" and t.id = ?", env, id)
}

// TemplateVersion reads a template as it was in a version, also one that was
// deleted since.
func (s *Store) TemplateVersion(ctx context.Context, env model.EnvID, ref model.TemplateRef) (model.Template, error) {
	return s.template(ctx, s.r, " and t.id = ? and v.version = ?", env, ref.ID, ref.Version)
}

func (s *Store) template(ctx context.Context, db bun.IDB, where string, args ...any) (model.Template, error) {
	var r templateRow
	err := db.NewRaw(selectTemplates+where, args...).Scan(ctx, &r)
	if errors.Is(err, sql.ErrNoRows) {
		return model.Template{}, model.NotFound("names no template", "template")
	}
	if err != nil {
		return model.Template{}, s.fail("reading template", err)
	}
	return r.model()
}

// Templates lists the templates of an environment by id, newest first.
func (s *Store) Templates(ctx context.Context, env model.EnvID, page model.PageRequest) (model.Page[model.Template], error) {
	var rows []templateRow
	query, args := byID(selectTemplates+current, "t.id", page)
	if err := s.r.NewRaw(query, append([]any{env}, args...)...).Scan(ctx, &rows); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return model.Page[model.Template]{}, s.fail("reading templates", err)
	}
	var failed error
	out := cut(rows, page, func(r templateRow) model.Template {
		t, err := r.model()
		failed = errors.Join(failed, err)
		return t
	})
	return out, failed
}

// CreateTemplate makes a template; its id, version and times are filled in. An
// identifier that is taken is a KindConflict error, and one template more than
// model.MaxTemplates a KindLimit error.
func (s *Store) CreateTemplate(ctx context.Context, env model.EnvID, o model.Once, t model.Template) (model.Outcome[model.Template], error) {
	id, err := s.newID(ctx)
	if err != nil {
		return model.Outcome[model.Template]{}, err
	}
	t.ID, t.EnvID, t.Version, t.CreatedAt = model.TemplateID(id), env, 1, s.now()
	t.UpdatedAt = t.CreatedAt
	return once(ctx, s, env, o, "creating template", func(ctx context.Context, tx bun.Tx) (model.Template, error) {
		var n int
		if err := tx.NewRaw("select count(*) from templates where env_id = ? and deleted_at is null", env).Scan(ctx, &n); err != nil {
			return t, err
		}
		if n >= model.MaxTemplates {
			return t, model.Errorf(model.KindLimit, "an environment may have at most %d templates", model.MaxTemplates)
		}
		_, err := tx.NewRaw("insert into templates (env_id, id, identifier, name, version, created_at, updated_at) values (?, ?, ?, ?, ?, ?, ?)",
			env, t.ID, t.Identifier, t.Name, t.Version, micros(t.CreatedAt), micros(t.UpdatedAt)).Exec(ctx)
		if s.dialect.isUnique(err) {
			return t, model.Conflict("is taken by another template", "identifier")
		}
		if err != nil {
			return t, err
		}
		if err := insertVersion(ctx, tx, t); err != nil {
			return t, err
		}
		if err := s.chooseLayout(ctx, tx, t); err != nil {
			return t, err
		}
		return s.template(ctx, tx, current+" and t.id = ?", env, t.ID)
	})
}

func insertVersion(ctx context.Context, tx bun.IDB, t model.Template) error {
	b, err := json.Marshal(templateContent{t.Content, t.Channels})
	if err != nil {
		return fmt.Errorf("encoding template: %w", err)
	}
	_, err = tx.NewRaw("insert into template_versions (env_id, template_id, version, content, created_at) values (?, ?, ?, ?, ?)",
		t.EnvID, t.ID, t.Version, string(b), micros(t.UpdatedAt)).Exec(ctx)
	return err
}

// UpdateTemplate changes a template by what change makes of it. Where its version
// is another, that is kept as a new one. A layout that is not there is a KindInvalid
// error.
func (s *Store) UpdateTemplate(ctx context.Context, env model.EnvID, o model.Once, identifier string, change func(model.Template) (model.Template, error)) (model.Outcome[model.Template], error) {
	return once(ctx, s, env, o, "changing template", func(ctx context.Context, tx bun.Tx) (model.Template, error) {
		if err := lockTemplate(ctx, tx, s.dialect.forUpdate, env, identifier); err != nil {
			return model.Template{}, err
		}
		was, err := s.template(ctx, tx, current+" and t.identifier = ?", env, identifier)
		if err != nil {
			return was, err
		}
		t, err := change(was)
		if err != nil {
			return was, err
		}
		t.UpdatedAt = s.now()
		if t.Version != was.Version {
			if err := insertVersion(ctx, tx, t); err != nil {
				return t, err
			}
		}
		if t.Layout.Use != was.Layout.Use || t.Layout.Identifier != was.Layout.Identifier {
			if err := s.chooseLayout(ctx, tx, t); err != nil {
				return t, err
			}
		}
		if _, err := tx.NewRaw("update templates set name = ?, version = ?, updated_at = ? where env_id = ? and id = ?", t.Name, t.Version, micros(t.UpdatedAt), env, t.ID).Exec(ctx); err != nil {
			return t, err
		}
		return s.template(ctx, tx, current+" and t.id = ?", env, t.ID)
	})
}

// lockTemplate keeps two changes of a template apart.
func lockTemplate(ctx context.Context, tx bun.IDB, forUpdate string, env model.EnvID, identifier string) error {
	var id model.TemplateID
	err := tx.NewRaw("select id from templates where env_id = ? and identifier = ? and deleted_at is null"+forUpdate, env, identifier).Scan(ctx, &id)
	if errors.Is(err, sql.ErrNoRows) {
		return model.NotFound("names no template", "template")
	}
	return err
}

// DeleteTemplate deletes a template. Its versions stay for the sends that were
// accepted with them.
func (s *Store) DeleteTemplate(ctx context.Context, env model.EnvID, o model.Once, identifier string) (model.Outcome[model.TemplateID], error) {
	return once(ctx, s, env, o, "deleting template", func(ctx context.Context, tx bun.Tx) (model.TemplateID, error) {
		var id model.TemplateID
		err := tx.NewRaw("update templates set deleted_at = ? where env_id = ? and identifier = ? and deleted_at is null returning id",
			micros(s.now()), env, identifier).Scan(ctx, &id)
		if errors.Is(err, sql.ErrNoRows) {
			return 0, model.NotFound("names no template", "template")
		}
		if err != nil {
			return 0, err
		}
		return id, forgetLayout(ctx, tx, env, id)
	})
}
