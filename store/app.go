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

// environmentRow is an environment joined with its app.
type environmentRow struct {
	ID        model.EnvID
	AppID     model.AppID
	AppName   string
	Kind      model.EnvKind
	UserAuth  model.UserAuth
	APIKey    string
	Settings  string
	CreatedAt int64
	Carried   sql.NullString
}

func (r environmentRow) model() (model.Environment, error) {
	e := model.Environment{ID: r.ID, AppID: r.AppID, AppName: r.AppName, Kind: r.Kind, UserAuth: r.UserAuth, APIKey: r.APIKey, CreatedAt: at(r.CreatedAt)}
	if err := json.Unmarshal([]byte(r.Settings), &e.Settings); err != nil {
		return e, fmt.Errorf("decoding settings of environment %d: %w", r.ID, err)
	}
	for _, c := range model.Channels() {
		if strings.Contains(","+r.Carried.String+",", fmt.Sprintf(",%d,", c)) {
			e.Carried = append(e.Carried, c)
		}
	}
	return e, nil
}

const selectEnvironments = `select e.id, e.app_id, a.name as app_name, e.kind, e.user_auth, e.api_key, e.settings, e.created_at,
	(select string_agg(cast(p.channel as text), ',') from providers p where p.env_id = e.id and p.enabled) as carried
	from environments e join apps a on a.id = e.app_id`

// CreateEnvironment makes an environment with its first credentials, and its
// app when there is none of that name. An app has one environment of a kind: a
// second one is a KindConflict error, as is a public key or secret that is
// taken. The ids and times of env and creds are filled in; an id that env has,
// from NewIDs, is kept.
func (s *Store) CreateEnvironment(ctx context.Context, appName string, env model.Environment, creds []model.Credential) (model.Environment, error) {
	ids, err := s.NewIDs(ctx, 2)
	if err != nil {
		return env, err
	}
	if env.ID == 0 {
		env.ID = model.EnvID(ids[1])
	}
	settings, err := json.Marshal(env.Settings)
	if err != nil {
		return env, fmt.Errorf("encoding settings: %w", err)
	}
	env.AppName, env.CreatedAt = appName, s.now()
	err = s.write(ctx, "creating environment", func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.NewRaw("insert into apps (id, name, created_at) values (?, ?, ?) on conflict (name) do nothing", ids[0], appName, micros(env.CreatedAt)).Exec(ctx); err != nil {
			return err
		}
		if err := tx.NewRaw("select id from apps where name = ?", appName).Scan(ctx, &env.AppID); err != nil {
			return err
		}
		if _, err := tx.NewRaw("insert into environments (id, app_id, kind, user_auth, api_key, settings, created_at) values (?, ?, ?, ?, ?, ?, ?)",
			env.ID, env.AppID, env.Kind, env.UserAuth, env.APIKey, string(settings), micros(env.CreatedAt)).Exec(ctx); err != nil {
			return err
		}
		for _, c := range creds {
			c.EnvID, c.CreatedAt = env.ID, env.CreatedAt
			if err := insertCredential(ctx, tx, c); err != nil {
				return err
			}
		}
		return nil
	})
	if s.dialect.isUnique(err) {
		return env, model.Conflict(fmt.Sprintf("app %q already has a %s environment, or its public key or a secret is taken", appName, env.Kind), "name")
	}
	return env, err
}

// Environments lists every environment of every app, by app name, test first.
// It is for the operator.
func (s *Store) Environments(ctx context.Context) ([]model.Environment, error) {
	return s.environments(ctx, " order by a.name, e.kind desc")
}

// Environment reads an environment by id.
func (s *Store) Environment(ctx context.Context, id model.EnvID) (model.Environment, error) {
	return s.environment(ctx, " where e.id = ?", id)
}

// EnvironmentByAPIKey reads an environment by its public key.
func (s *Store) EnvironmentByAPIKey(ctx context.Context, key string) (model.Environment, error) {
	return s.environment(ctx, " where e.api_key = ?", key)
}

// EnvironmentByName reads an environment by its app's name and its kind.
func (s *Store) EnvironmentByName(ctx context.Context, app string, kind model.EnvKind) (model.Environment, error) {
	return s.environment(ctx, " where a.name = ? and e.kind = ?", app, kind)
}

func (s *Store) environment(ctx context.Context, where string, args ...any) (model.Environment, error) {
	l, err := s.environments(ctx, where, args...)
	if err != nil {
		return model.Environment{}, err
	}
	if len(l) == 0 {
		return model.Environment{}, model.NotFound("names no environment", "environment")
	}
	return l[0], nil
}

func (s *Store) environments(ctx context.Context, rest string, args ...any) ([]model.Environment, error) {
	var rows []environmentRow
	if err := s.r.NewRaw(selectEnvironments+rest, args...).Scan(ctx, &rows); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, s.fail("reading environments", err)
	}
	out := make([]model.Environment, len(rows))
	for i, r := range rows {
		var err error
		if out[i], err = r.model(); err != nil {
			return nil, err
		}
	}
	return out, nil
}
