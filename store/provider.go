package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"carillon/model"
)

type providerRow struct {
	EnvID       model.EnvID
	ID          model.ProviderID
	Channel     int16
	Kind        string
	Name        string
	Position    int
	Enabled     bool
	Config      string
	Sealed      []byte
	Secrets     string
	Concurrency int
	PerSecond   int
	PausedAt    sql.NullInt64
	Trouble     string
	CreatedAt   int64
	UpdatedAt   int64
}

const providerColumns = `env_id, id, channel, kind, name, position, enabled, config, sealed, secrets, concurrency, per_second, paused_at, trouble,
	created_at, updated_at`

func (r providerRow) model() (model.Provider, error) {
	p := model.Provider{
		ID: r.ID, EnvID: r.EnvID, Channel: model.Channel(r.Channel), Kind: r.Kind, Name: r.Name, Position: r.Position, Enabled: r.Enabled,
		Config: json.RawMessage(r.Config), Sealed: r.Sealed, Concurrency: r.Concurrency, PerSecond: r.PerSecond,
		PausedAt: nullAt(r.PausedAt), Trouble: r.Trouble, CreatedAt: at(r.CreatedAt), UpdatedAt: at(r.UpdatedAt),
	}
	if err := json.Unmarshal([]byte(r.Secrets), &p.Secrets); err != nil {
		return p, fmt.Errorf("decoding the secrets' names of provider %s: %w", r.ID, err)
	}
	return p, nil
}

// Providers lists the providers of environments, by environment, channel and
// position.
func (s *Store) Providers(ctx context.Context, envs ...model.EnvID) ([]model.Provider, error) {
	if len(envs) == 0 {
		return nil, nil
	}
	list, err := s.providers(ctx, s.r, "env_id in (?)", bun.List(envs))
	return list, s.fail("reading providers", err)
}

// Provider reads a provider. An id that names none is a KindNotFound error.
func (s *Store) Provider(ctx context.Context, env model.EnvID, id model.ProviderID) (model.Provider, error) {
	p, err := s.provider(ctx, s.r, env, id)
	return p, s.fail("reading provider", err)
}

func (s *Store) provider(ctx context.Context, db bun.IDB, env model.EnvID, id model.ProviderID) (model.Provider, error) {
	list, err := s.providers(ctx, db, "env_id = ? and id = ?", env, id)
	if err != nil {
		return model.Provider{}, err
	}
	if len(list) == 0 {
		return model.Provider{}, model.NotFound("names no provider in this environment", "id")
	}
	return list[0], nil
}

func (s *Store) providers(ctx context.Context, db bun.IDB, where string, args ...any) ([]model.Provider, error) {
	var rows []providerRow
	if err := db.NewRaw("select "+providerColumns+" from providers where "+where+" order by env_id, channel, position, id", args...).Scan(ctx, &rows); err != nil {
		return nil, err
	}
	out := make([]model.Provider, len(rows))
	for i, r := range rows {
		var err error
		if out[i], err = r.model(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// CreateProvider makes a provider, the last of its channel; its position and
// times are filled in. One more than model.MaxProviders is a KindLimit error.
func (s *Store) CreateProvider(ctx context.Context, o model.Once, p model.Provider) (model.Outcome[model.Provider], error) {
	return once(ctx, s, p.EnvID, o, "creating provider", func(ctx context.Context, tx bun.Tx) (model.Provider, error) {
		p.CreatedAt = s.now()
		p.UpdatedAt = p.CreatedAt
		if err := s.lockProviders(ctx, tx, p.EnvID); err != nil {
			return p, err
		}
		var n, last int
		if err := tx.NewRaw("select count(*), coalesce(max(case when channel = ? then position end), 0) from providers where env_id = ?", int16(p.Channel), p.EnvID).Scan(ctx, &n, &last); err != nil {
			return p, err
		}
		if n >= model.MaxProviders {
			return p, model.Errorf(model.KindLimit, "an environment may have at most %d providers", model.MaxProviders)
		}
		p.Position = last + 1
		secrets, err := json.Marshal(p.Secrets)
		if err != nil {
			return p, fmt.Errorf("encoding the secrets' names: %w", err)
		}
		_, err = tx.NewRaw("insert into providers ("+providerColumns+") values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			p.EnvID, p.ID, int16(p.Channel), p.Kind, p.Name, p.Position, p.Enabled, string(p.Config), p.Sealed, string(secrets), p.Concurrency, p.PerSecond,
			nullMicros(p.PausedAt), p.Trouble, micros(p.CreatedAt), micros(p.UpdatedAt)).Exec(ctx)
		return publicly(p), err
	})
}

// publicly is a provider without what must not lie in a table in the clear, nor
// twice: the answer that is kept under an idempotency key.
func publicly(p model.Provider) model.Provider {
	p.Sealed = nil
	return p
}

// lockProviders has changes of an environment's providers follow each other.
func (s *Store) lockProviders(ctx context.Context, tx bun.Tx, env model.EnvID) error {
	if s.dialect.forUpdate == "" {
		return nil
	}
	_, err := tx.NewRaw("select 1 from environments where id = ?"+s.dialect.forChange, env).Exec(ctx)
	return err
}

// UpdateProvider changes a provider by what change makes of it, but for its
// ids, kind, channel, position and times.
func (s *Store) UpdateProvider(ctx context.Context, env model.EnvID, o model.Once, id model.ProviderID, change func(model.Provider) (model.Provider, error)) (model.Outcome[model.Provider], error) {
	return once(ctx, s, env, o, "changing provider", func(ctx context.Context, tx bun.Tx) (model.Provider, error) {
		if err := s.lockProviders(ctx, tx, env); err != nil {
			return model.Provider{}, err
		}
		p, err := s.provider(ctx, tx, env, id)
		if err != nil {
			return p, err
		}
		if p, err = change(p); err != nil {
			return p, err
		}
		p.UpdatedAt = s.now()
		secrets, err := json.Marshal(p.Secrets)
		if err != nil {
			return p, fmt.Errorf("encoding the secrets' names: %w", err)
		}
		_, err = tx.NewRaw(`update providers set name = ?, enabled = ?, config = ?, sealed = ?, secrets = ?, concurrency = ?, per_second = ?,
			paused_at = ?, trouble = ?, updated_at = ? where env_id = ? and id = ?`,
			p.Name, p.Enabled, string(p.Config), p.Sealed, string(secrets), p.Concurrency, p.PerSecond, nullMicros(p.PausedAt), p.Trouble,
			micros(p.UpdatedAt), env, id).Exec(ctx)
		return publicly(p), err
	})
}

// DeleteProvider deletes a provider. Its attempts stay, and what waits for it
// goes to the next one.
func (s *Store) DeleteProvider(ctx context.Context, env model.EnvID, o model.Once, id model.ProviderID) (model.Outcome[model.ProviderID], error) {
	return once(ctx, s, env, o, "deleting provider", func(ctx context.Context, tx bun.Tx) (model.ProviderID, error) {
		if _, err := s.provider(ctx, tx, env, id); err != nil {
			return id, err
		}
		_, err := tx.NewRaw("delete from providers where env_id = ? and id = ?", env, id).Exec(ctx)
		return id, err
	})
}

// OrderProviders sets the order in which a channel tries its providers. ids
// must name all of them, each once.
func (s *Store) OrderProviders(ctx context.Context, env model.EnvID, o model.Once, channel model.Channel, ids []model.ProviderID) (model.Outcome[[]model.ProviderID], error) {
	return once(ctx, s, env, o, "ordering providers", func(ctx context.Context, tx bun.Tx) ([]model.ProviderID, error) {
		if err := s.lockProviders(ctx, tx, env); err != nil {
			return nil, err
		}
		now, err := s.providers(ctx, tx, "env_id = ? and channel = ?", env, int16(channel))
		if err != nil {
			return nil, err
		}
		for _, p := range now {
			if !slices.Contains(ids, p.ID) || len(ids) != len(now) {
				return nil, model.Conflict(fmt.Sprintf("must name each of the %d providers of %s once", len(now), channel), "ids")
			}
		}
		if len(now) == 0 && len(ids) > 0 {
			return nil, model.NotFound("names no provider of "+channel.String(), "ids", "0")
		}
		for i, id := range ids {
			if _, err := tx.NewRaw("update providers set position = ?, updated_at = ? where env_id = ? and id = ?", i+1, micros(s.now()), env, id).Exec(ctx); err != nil {
				return nil, err
			}
		}
		return ids, nil
	})
}

// PauseProvider pauses a provider that is not paused yet, because of trouble,
// and reports whether it did.
func (s *Store) PauseProvider(ctx context.Context, ref model.ProviderRef, trouble string) (paused bool, err error) {
	err = s.write(ctx, "pausing provider", func(ctx context.Context, tx bun.Tx) error {
		now := micros(s.now())
		res, err := tx.NewRaw("update providers set paused_at = ?, trouble = ?, updated_at = ? where env_id = ? and id = ? and paused_at is null", now, trouble, now, ref.Env, ref.ID).Exec(ctx)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		paused = n > 0
		return err
	})
	return paused, err
}

// ReserveRate takes n turns of a provider whose rate is limited, for all
// processes together, and returns how long to wait for the first; the others
// follow in the distance that the rate gives. What was not used for longer than
// a second is lost. A provider without a limit, or none, has no wait.
func (s *Store) ReserveRate(ctx context.Context, ref model.ProviderRef, n int) (wait time.Duration, err error) {
	err = s.write(ctx, "reserving turns", func(ctx context.Context, tx bun.Tx) error {
		now, args := s.dialectNow()
		var waits []int64
		q := `update providers set rate_at = case when rate_at < ` + now + ` - 1000000 then ` + now + ` - 1000000 else rate_at end + ? * (1000000 / per_second)
			where env_id = ? and id = ? and per_second > 0 returning rate_at - ? * (1000000 / per_second) - ` + now
		all := slices.Concat(args, args, []any{n, ref.Env, ref.ID, n}, args)
		if err := tx.NewRaw(q, all...).Scan(ctx, &waits); err != nil {
			return err
		}
		if len(waits) > 0 {
			wait = max(0, time.Duration(waits[0])*time.Microsecond)
		}
		return nil
	})
	return wait, err
}

// dialectNow is the time by which the queue goes, in microseconds, as an
// expression with its arguments: on PostgreSQL its own, since several processes
// with clocks of their own share the queue.
func (s *Store) dialectNow() (string, []any) {
	if s.dialect.clock != "" {
		return s.dialect.clock, nil
	}
	return "?", []any{micros(s.now())}
}

// TestOnce runs a test outside of any transaction and remembers its result under
// an idempotency key: a later call with the key gets it, and tests nothing.
func (s *Store) TestOnce(ctx context.Context, env model.EnvID, o model.Once, test func() (model.ProviderTest, error)) (out model.Outcome[model.ProviderTest], err error) {
	if o.Set() {
		if out.Replayed, err = Replay(ctx, s, env, o, &out.Value); err != nil || out.Replayed {
			return out, err
		}
	}
	if out.Value, err = test(); err != nil || !o.Set() {
		return out, err
	}
	result := out.Value
	return once(ctx, s, env, o, "remembering a test", func(context.Context, bun.Tx) (model.ProviderTest, error) { return result, nil })
}
