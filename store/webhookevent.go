package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"carillon/model"
)

type webhookEventRow struct {
	EnvID      model.EnvID
	EndpointID model.WebhookEndpointID
	ID         model.WebhookEventID
	Type       model.WebhookEventType
	UserID     model.UserID
	Data       string
	State      int16
	Attempt    int
	Tries      int
	Fence      int
	RunAt      int64
	BeganAt    int64
	OccurredAt int64
}

const webhookEventColumns = `webhook_events.env_id, webhook_events.endpoint_id, webhook_events.id, webhook_events.type, webhook_events.user_id, webhook_events.data,
	webhook_events.state, webhook_events.attempt, webhook_events.tries, webhook_events.fence, webhook_events.run_at, webhook_events.began_at, webhook_events.occurred_at`

func (r webhookEventRow) model() (model.WebhookEvent, error) {
	e := model.WebhookEvent{
		EnvID: r.EnvID, Endpoint: r.EndpointID, ID: r.ID, Type: r.Type, UserID: r.UserID, State: model.WebhookState(r.State),
		Attempt: r.Attempt, Tries: r.Tries, RunAt: at(r.RunAt), OccurredAt: at(r.OccurredAt),
	}
	if err := json.Unmarshal([]byte(r.Data), &e.Data); err != nil {
		return e, fmt.Errorf("decoding webhook event %s: %w", r.ID, err)
	}
	return e, nil
}

func webhookEvents(ctx context.Context, db bun.IDB, rest string, args ...any) ([]model.WebhookEvent, error) {
	var rows []webhookEventRow
	if err := db.NewRaw("select "+webhookEventColumns+" from webhook_events "+rest, args...).Scan(ctx, &rows); err != nil {
		return nil, err
	}
	out := make([]model.WebhookEvent, len(rows))
	for i, r := range rows {
		var err error
		if out[i], err = r.model(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// ListWebhookEvents reads a page of what an endpoint was and will be told,
// newest first; no states are all states. The keys of its pages are OccurredAt
// and, as text, the id, which is in the order of time.
func (s *Store) ListWebhookEvents(ctx context.Context, ref model.WebhookEndpointRef, states []model.WebhookState, page model.PageRequest) (model.Page[model.WebhookEvent], error) {
	where := conditions{}
	where.add("env_id = ?", ref.Env)
	where.add("endpoint_id = ?", ref.ID)
	where.add("exists (select 1 from webhook_endpoints e where e.env_id = webhook_events.env_id and e.id = webhook_events.endpoint_id)")
	switch {
	case len(states) == 1: // SQLite knows by this alone that an index of failed ones will do
		where.add("state = ?", int16(states[0]))
	case states != nil:
		where.add("state in (?)", bun.List(column(states, func(s model.WebhookState) int16 { return int16(s) })))
	}
	if k := page.After; k != nil {
		where.add("id < ?", k.Text)
	}
	if k := page.Before; k != nil {
		where.add("id > ?", k.Text)
	}
	direction := "desc"
	if page.Backward {
		direction = "asc"
	}
	list, err := webhookEvents(ctx, s.r, fmt.Sprintf("%s order by id %s limit %d", where.sql(), direction, page.Limit+1), where.args...)
	if err != nil {
		return model.Page[model.WebhookEvent]{}, s.fail("listing webhook events", err)
	}
	out := model.Page[model.WebhookEvent]{Items: list, HasMore: len(list) > page.Limit}
	if out.HasMore {
		out.Items = list[:page.Limit]
	}
	if page.Backward {
		slices.Reverse(out.Items)
	}
	return out, nil
}

// WebhookAttempts reads the calls about events of one endpoint, in their order.
func (s *Store) WebhookAttempts(ctx context.Context, ref model.WebhookEndpointRef, ids []model.WebhookEventID) (map[model.WebhookEventID][]model.WebhookAttempt, error) {
	out := make(map[model.WebhookEventID][]model.WebhookAttempt, len(ids))
	if len(ids) == 0 {
		return out, nil
	}
	var (
		a                     model.WebhookAttempt
		started, took, nextAt int64
		class                 int16
	)
	rows, err := s.r.QueryContext(ctx, `select event_id, n, started_at, took, class, status, answer, detail, next_at
		from webhook_attempts where env_id = ? and endpoint_id = ? and event_id in (?) order by event_id, n`, ref.Env, ref.ID, bun.List(ids))
	err = scanEach(rows, err, []any{&a.Event, &a.N, &started, &took, &class, &a.Status, &a.Answer, &a.Detail, &nextAt}, func() error {
		a.StartedAt, a.Took, a.Class, a.NextAt = at(started), time.Duration(took)*time.Microsecond, model.ErrorClass(class), atUnlessZero(nextAt)
		out[a.Event] = append(out[a.Event], a)
		return nil
	})
	return out, s.fail("reading webhook attempts", err)
}

// ReplayWebhookEvent makes an event due at once, with a schedule that begins
// anew. One that is being told at this moment is a KindConflict error.
func (s *Store) ReplayWebhookEvent(ctx context.Context, ref model.WebhookEndpointRef, o model.Once, id model.WebhookEventID) (model.Outcome[model.WebhookEvent], error) {
	return once(ctx, s, ref.Env, o, "replaying webhook event", func(ctx context.Context, tx bun.Tx) (model.WebhookEvent, error) {
		list, err := webhookEvents(ctx, tx, "where env_id = ? and endpoint_id = ? and id = ?"+s.dialect.forUpdate, ref.Env, ref.ID, id)
		switch {
		case err != nil:
			return model.WebhookEvent{}, err
		case len(list) == 0:
			return model.WebhookEvent{}, model.NotFound("names no event of this endpoint", "id")
		case list[0].State == model.WebhookAttempting:
			return list[0], model.Conflict("names an event that is being told at this moment", "id")
		}
		if _, err := s.endpoint(ctx, tx, ref.Env, ref.ID, ""); err != nil {
			return model.WebhookEvent{}, err
		}
		if _, err := s.replayWebhooks(ctx, tx, "env_id = ? and endpoint_id = ? and id = ?", ref.Env, ref.ID, id); err != nil {
			return model.WebhookEvent{}, err
		}
		if list, err = webhookEvents(ctx, tx, "where env_id = ? and endpoint_id = ? and id = ?", ref.Env, ref.ID, id); err != nil {
			return model.WebhookEvent{}, err
		}
		return list[0], nil
	})
}

// ReplayWebhookEvents makes those events of an endpoint due again that are in
// one of the states and happened at or after since, oldest first and at most
// model.MaxWebhookReplay of them, and returns how many.
func (s *Store) ReplayWebhookEvents(ctx context.Context, ref model.WebhookEndpointRef, o model.Once, states []model.WebhookState, since time.Time) (model.Outcome[int], error) {
	return once(ctx, s, ref.Env, o, "replaying webhook events", func(ctx context.Context, tx bun.Tx) (int, error) {
		if _, err := s.endpoint(ctx, tx, ref.Env, ref.ID, ""); err != nil {
			return 0, err
		}
		numbers := bun.List(column(states, func(s model.WebhookState) int16 { return int16(s) }))
		return s.replayWebhooks(ctx, tx, `env_id = ?0 and endpoint_id = ?1 and id in (select id from (
				select id from webhook_events where env_id = ?0 and endpoint_id = ?1 and state in (?2) and occurred_at >= ?3 order by id limit ?4`+s.dialect.skipLocked+`) x)`,
			ref.Env, ref.ID, numbers, micros(since), model.MaxWebhookReplay)
	})
}

func (s *Store) replayWebhooks(ctx context.Context, tx bun.Tx, where string, args ...any) (int, error) {
	now := fmt.Sprint(micros(s.now()))
	clock := s.dialect.clock
	if clock == "" {
		clock = now
	}
	n, err := affected(tx.NewRaw("update webhook_events set state = 1, tries = 0, began_at = 0, run_at = "+clock+", updated_at = "+now+" where state <> 2 and "+where, args...).Exec(ctx))
	return int(n), err
}

// ForgetWebhookEvents drops events that happened before a time, told or not,
// with their attempts, at most limit of them, and returns how many. The work of
// a sweeper: call it until it returns fewer than limit.
func (s *Store) ForgetWebhookEvents(ctx context.Context, before time.Time, limit int) (n int, err error) {
	err = s.write(ctx, "forgetting webhook events", func(ctx context.Context, tx bun.Tx) (err error) {
		n, err = forgetWebhooks(ctx, tx, "select env_id, endpoint_id, id from webhook_events where occurred_at < ? order by occurred_at limit ?", micros(before), limit)
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// ForgetDeletedEndpoint drops up to limit events of one endpoint that was
// deleted, with their attempts. found is false when there is no such endpoint. The
// work of a sweeper: call it until then.
func (s *Store) ForgetDeletedEndpoint(ctx context.Context, limit int) (found bool, err error) {
	err = s.write(ctx, "forgetting a webhook endpoint", func(ctx context.Context, tx bun.Tx) error {
		var ref model.WebhookEndpointRef
		err := tx.NewRaw("select env_id, endpoint_id from webhook_leftovers order by env_id, endpoint_id limit 1"+s.dialect.skipLocked).Scan(ctx, &ref.Env, &ref.ID)
		if found = err == nil; errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		n, err := forgetWebhooks(ctx, tx, "select env_id, endpoint_id, id from webhook_events where env_id = ? and endpoint_id = ? order by id limit ?", ref.Env, ref.ID, limit)
		if err != nil || n == limit {
			return err
		}
		_, err = tx.NewRaw("delete from webhook_leftovers where env_id = ? and endpoint_id = ?", ref.Env, ref.ID).Exec(ctx)
		return err
	})
	return found && err == nil, err
}

// forgetWebhooks drops the events that a query selects, with their attempts, and
// returns how many.
func forgetWebhooks(ctx context.Context, tx bun.Tx, selected string, args ...any) (int, error) {
	var rows []struct {
		EnvID      model.EnvID
		EndpointID model.WebhookEndpointID
		ID         model.WebhookEventID
	}
	err := tx.NewRaw("delete from webhook_events where (env_id, endpoint_id, id) in ("+selected+") returning env_id, endpoint_id, id", args...).Scan(ctx, &rows)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	var keys values
	for _, r := range rows {
		keys.row(r.EnvID, string(r.EndpointID), string(r.ID))
	}
	_, err = tx.NewRaw("delete from webhook_attempts where (env_id, endpoint_id, event_id) in (values "+keys.String()+")", keys.args...).Exec(ctx)
	return len(rows), err
}
