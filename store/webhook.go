package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/uptrace/bun"

	"carillon/model"
)

type endpointRow struct {
	EnvID         model.EnvID
	ID            model.WebhookEndpointID
	URL           string
	Description   string
	Types         string
	Enabled       bool
	Sealed        []byte
	Previous      []byte
	PreviousUntil sql.NullInt64
	Failures      int
	FailingSince  sql.NullInt64
	WaitUntil     int64
	Trouble       string
	CreatedAt     int64
	UpdatedAt     int64
}

const endpointColumns = `env_id, id, url, description, types, enabled, sealed, previous, previous_until, failures, failing_since, wait_until, trouble,
	created_at, updated_at`

func (r endpointRow) model() (model.WebhookEndpoint, error) {
	e := model.WebhookEndpoint{
		ID: r.ID, EnvID: r.EnvID, URL: r.URL, Description: r.Description, Enabled: r.Enabled, Sealed: r.Sealed, Previous: r.Previous,
		PreviousUntil: nullAt(r.PreviousUntil), Failures: r.Failures, FailingSince: nullAt(r.FailingSince), WaitUntil: atUnlessZero(r.WaitUntil),
		Trouble: r.Trouble, CreatedAt: at(r.CreatedAt), UpdatedAt: at(r.UpdatedAt),
	}
	if err := json.Unmarshal([]byte(r.Types), &e.Types); err != nil {
		return e, fmt.Errorf("decoding the types of endpoint %s: %w", r.ID, err)
	}
	return e, nil
}

// WebhookEndpoints lists the endpoints of an environment, oldest first.
func (s *Store) WebhookEndpoints(ctx context.Context, env model.EnvID) ([]model.WebhookEndpoint, error) {
	list, err := s.endpoints(ctx, s.r, "env_id = ? order by created_at, id", env)
	return list, s.fail("reading webhook endpoints", err)
}

func (s *Store) endpoints(ctx context.Context, db bun.IDB, rest string, args ...any) ([]model.WebhookEndpoint, error) {
	var rows []endpointRow
	if err := db.NewRaw("select "+endpointColumns+" from webhook_endpoints where "+rest, args...).Scan(ctx, &rows); err != nil {
		return nil, err
	}
	out := make([]model.WebhookEndpoint, len(rows))
	for i, r := range rows {
		var err error
		if out[i], err = r.model(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *Store) endpoint(ctx context.Context, db bun.IDB, env model.EnvID, id model.WebhookEndpointID, lock string) (model.WebhookEndpoint, error) {
	list, err := s.endpoints(ctx, db, "env_id = ? and id = ?"+lock, env, id)
	if err != nil {
		return model.WebhookEndpoint{}, err
	}
	if len(list) == 0 {
		return model.WebhookEndpoint{}, errNoEndpoint
	}
	return list[0], nil
}

// errNoEndpoint is also what another environment's endpoint is.
var errNoEndpoint = model.NotFound("names no webhook endpoint in this environment", "id")

// CreateWebhookEndpoint makes an endpoint; its times are filled in. One more
// than model.MaxWebhookEndpoints is a KindLimit error.
func (s *Store) CreateWebhookEndpoint(ctx context.Context, o model.Once, e model.WebhookEndpoint) (model.Outcome[model.WebhookEndpoint], error) {
	out, err := once(ctx, s, e.EnvID, o, "creating webhook endpoint", func(ctx context.Context, tx bun.Tx) (model.WebhookEndpoint, error) {
		e.CreatedAt = s.now()
		e.UpdatedAt = e.CreatedAt
		if err := s.lockProviders(ctx, tx, e.EnvID); err != nil {
			return e, err
		}
		var n int
		if err := tx.NewRaw("select count(*) from webhook_endpoints where env_id = ?", e.EnvID).Scan(ctx, &n); err != nil {
			return e, err
		}
		if n >= model.MaxWebhookEndpoints {
			return e, model.Errorf(model.KindLimit, "an environment may have at most %d webhook endpoints", model.MaxWebhookEndpoints)
		}
		types, err := model.EncodeJSON(e.Types)
		if err != nil {
			return e, err
		}
		_, err = tx.NewRaw("insert into webhook_endpoints (env_id, id, url, description, types, enabled, sealed, created_at, updated_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
			e.EnvID, e.ID, e.URL, e.Description, string(types), e.Enabled, e.Sealed, micros(e.CreatedAt), micros(e.UpdatedAt)).Exec(ctx)
		return unsealed(e), err
	})
	s.listeners.forget()
	return out, err
}

// unsealed is an endpoint without what must not lie in a table twice: the answer
// that is kept under an idempotency key.
func unsealed(e model.WebhookEndpoint) model.WebhookEndpoint {
	e.Sealed, e.Previous = nil, nil
	return e
}

// UpdateWebhookEndpoint changes an endpoint by what change makes of it, but for
// its ids and times.
func (s *Store) UpdateWebhookEndpoint(ctx context.Context, env model.EnvID, o model.Once, id model.WebhookEndpointID, change func(model.WebhookEndpoint) (model.WebhookEndpoint, error)) (model.Outcome[model.WebhookEndpoint], error) {
	out, err := once(ctx, s, env, o, "changing webhook endpoint", func(ctx context.Context, tx bun.Tx) (model.WebhookEndpoint, error) {
		e, err := s.endpoint(ctx, tx, env, id, s.dialect.forUpdate)
		if err != nil {
			return e, err
		}
		if e, err = change(e); err != nil {
			return e, err
		}
		e.UpdatedAt = s.now()
		types, err := model.EncodeJSON(e.Types)
		if err != nil {
			return e, err
		}
		_, err = tx.NewRaw(`update webhook_endpoints set url = ?, description = ?, types = ?, enabled = ?, sealed = ?, previous = ?, previous_until = ?,
			failures = ?, failing_since = ?, wait_until = ?, trouble = ?, updated_at = ? where env_id = ? and id = ?`,
			e.URL, e.Description, string(types), e.Enabled, e.Sealed, e.Previous, nullMicros(e.PreviousUntil),
			e.Failures, nullMicros(e.FailingSince), zeroMicros(e.WaitUntil), e.Trouble, micros(e.UpdatedAt), env, id).Exec(ctx)
		return unsealed(e), err
	})
	s.listeners.forget()
	return out, err
}

// DeleteWebhookEndpoint deletes an endpoint. What it was and would be told goes
// by [Store.ForgetDeletedEndpoint]: there may be more of it than one transaction
// can do.
func (s *Store) DeleteWebhookEndpoint(ctx context.Context, env model.EnvID, o model.Once, id model.WebhookEndpointID) (model.Outcome[model.WebhookEndpointID], error) {
	out, err := once(ctx, s, env, o, "deleting webhook endpoint", func(ctx context.Context, tx bun.Tx) (model.WebhookEndpointID, error) {
		if _, err := s.endpoint(ctx, tx, env, id, s.dialect.forUpdate); err != nil {
			return id, err
		}
		for _, statement := range []string{
			"insert into webhook_leftovers (env_id, endpoint_id) values (?, ?) on conflict do nothing",
			"delete from webhook_endpoints where env_id = ? and id = ?",
		} {
			if _, err := tx.NewRaw(statement, env, id).Exec(ctx); err != nil {
				return id, err
			}
		}
		return id, nil
	})
	s.listeners.forget()
	return out, err
}
