package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"carillon/model"
)

// DueWebhookEndpoints lists the enabled endpoints, of any environment, that have
// an event which is due or whose lease has ended, and that may be called now.
func (s *Store) DueWebhookEndpoints(ctx context.Context) ([]model.WebhookEndpoint, error) {
	clock, args := s.dialectNow()
	list, err := s.endpoints(ctx, s.r, `enabled and wait_until <= `+clock+` and exists (select 1 from webhook_events v
			where v.env_id = webhook_endpoints.env_id and v.endpoint_id = webhook_endpoints.id and v.state <= 2 and v.run_at <= `+clock+`)
		order by env_id, id`, slices.Concat(args, args)...)
	return list, s.fail("finding due webhook events", err)
}

// ClaimWebhookEvents takes events of an endpoint that are due, oldest first, and
// leases them to the caller. One whose lease has ended is due again, so what a
// process had that died is taken by another; what the earlier one then says
// counts no more.
func (s *Store) ClaimWebhookEvents(ctx context.Context, ref model.WebhookEndpointRef, limit int, lease time.Duration) (out []model.ClaimedWebhookEvent, err error) {
	err = s.write(ctx, "claiming webhook events", func(ctx context.Context, tx bun.Tx) error {
		out = nil
		if s.dialect.arrays {
			if err := byIndex(ctx, tx); err != nil {
				return err
			}
		}
		clock := s.dialect.clock
		if clock == "" {
			clock = fmt.Sprint(micros(s.now()))
		}
		var rows []webhookEventRow
		// Materialized, or the planner may run the locking part once a row.
		if err := tx.NewRaw(`with due as materialized (
				select env_id, endpoint_id, id from webhook_events where env_id = ? and endpoint_id = ? and state <= 2 and run_at <= `+clock+` order by run_at, id limit ?`+s.dialect.skipLocked+`)
			update webhook_events set state = 2, fence = webhook_events.fence + 1, run_at = `+clock+` + ?,
				began_at = case when webhook_events.began_at = 0 then `+clock+` else webhook_events.began_at end
			from due where webhook_events.env_id = due.env_id and webhook_events.endpoint_id = due.endpoint_id and webhook_events.id = due.id
			returning `+webhookEventColumns, ref.Env, ref.ID, limit, lease.Microseconds()).Scan(ctx, &rows); err != nil {
			return err
		}
		for _, r := range rows {
			e, err := r.model()
			if err != nil {
				return err
			}
			now := r.RunAt - lease.Microseconds() // by the queue's clock
			out = append(out, model.ClaimedWebhookEvent{WebhookEvent: e, Fence: r.Fence, Elapsed: time.Duration(max(0, now-r.BeganAt)) * time.Microsecond})
		}
		return nil
	})
	return out, err
}

// FinishWebhookEvents records what came of claimed events of one endpoint, with
// their attempts, and how the endpoint is doing, in one transaction. An event
// that another has claimed meanwhile, or that is gone, is left as it is. An
// endpoint that has failed for as long as giveUp, or that is gone, is disabled
// and says why; true reports that it was.
func (s *Store) FinishWebhookEvents(ctx context.Context, done []model.FinishedWebhookEvent, health model.WebhookHealth, giveUp time.Duration) (disabled bool, err error) {
	err = s.write(ctx, "finishing webhook events", func(ctx context.Context, tx bun.Tx) error {
		if s.dialect.arrays {
			if err := byIndex(ctx, tx); err != nil {
				return err
			}
		}
		for chunk := range slices.Chunk(done, saveChunk/4) {
			if err := s.finishWebhooks(ctx, tx, chunk); err != nil {
				return err
			}
		}
		var err error
		disabled, err = s.noteHealth(ctx, tx, health, giveUp)
		return err
	})
	if disabled {
		s.listeners.forget()
	}
	return disabled, err
}

func (s *Store) finishWebhooks(ctx context.Context, tx bun.Tx, done []model.FinishedWebhookEvent) error {
	clock, clockArgs := s.dialectNow()
	var list, attempts values
	for _, f := range done {
		data, err := model.EncodeJSON(f.Data)
		if err != nil {
			return err
		}
		list.row(f.EnvID, string(f.Endpoint), string(f.ID), f.Fence, int16(f.State), f.Attempt, f.Tries, f.Delay.Microseconds(), string(data))
	}
	if list.empty() {
		return nil
	}
	var counted []struct {
		ID model.WebhookEventID
	}
	err := tx.NewRaw(`with x (env_id, endpoint_id, id, fence, state, attempt, tries, delay, data) as (values `+list.String()+`)
		update webhook_events set state = x.state, attempt = x.attempt, tries = x.tries, run_at = `+clock+` + x.delay, data = x.data, updated_at = ?
		from x where webhook_events.env_id = x.env_id and webhook_events.endpoint_id = x.endpoint_id and webhook_events.id = x.id
			and webhook_events.fence = x.fence and webhook_events.state = 2
		returning webhook_events.id`, slices.Concat(list.args, clockArgs, []any{micros(s.now())})...).Scan(ctx, &counted)
	if err != nil {
		return err
	}
	is := make(map[model.WebhookEventID]bool, len(counted))
	for _, c := range counted {
		is[c.ID] = true
	}
	for _, f := range done {
		if a := f.Called; a != nil && is[f.ID] {
			attempts.row(f.EnvID, string(f.Endpoint), string(f.ID), a.N, micros(a.StartedAt), a.Took.Microseconds(), int16(a.Class), a.Status, a.Answer, a.Detail, zeroMicros(a.NextAt))
		}
	}
	return attempts.insert(ctx, tx, "insert into webhook_attempts (env_id, endpoint_id, event_id, n, started_at, took, class, status, answer, detail, next_at)")
}

// noteHealth writes how an endpoint is doing.
func (s *Store) noteHealth(ctx context.Context, tx bun.Tx, h model.WebhookHealth, giveUp time.Duration) (disabled bool, err error) {
	if h.Answered {
		_, err := tx.NewRaw("update webhook_endpoints set failures = 0, failing_since = null, wait_until = 0 where env_id = ? and id = ? and failures > 0", h.Env, h.ID).Exec(ctx)
		return false, err
	}
	if h.Failures == 0 && h.Wait == 0 && !h.Gone {
		return false, nil
	}
	clock := s.dialect.clock
	now := s.now()
	if clock == "" {
		clock = fmt.Sprint(micros(now))
	}
	if _, err := tx.NewRaw(`update webhook_endpoints set failures = failures + ?, failing_since = coalesce(failing_since, ?), wait_until = `+clock+` + ? where env_id = ? and id = ?`,
		h.Failures, micros(now), h.Wait.Microseconds(), h.Env, h.ID).Exec(ctx); err != nil {
		return false, err
	}
	trouble := "the endpoint answered 410 Gone"
	if !h.Gone {
		trouble = fmt.Sprintf("every call has failed for %s", giveUp)
	}
	n, err := affected(tx.NewRaw(`update webhook_endpoints set enabled = false, trouble = ?, updated_at = ? where env_id = ? and id = ? and enabled and (? or failing_since <= ?)`,
		trouble, micros(now), h.Env, h.ID, h.Gone, micros(now.Add(-giveUp))).Exec(ctx))
	return n > 0, err
}
