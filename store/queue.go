package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/uptrace/bun"

	"carillon/model"
)

// DueLanes lists the lanes with a delivery that is due, or whose lease has
// ended, each with how long the oldest has been so. It jumps from lane to lane
// in the index and reads one row of each, however many wait there.
func (s *Store) DueLanes(ctx context.Context) ([]model.DueLane, error) {
	clock, args := s.dialectNow()
	var (
		out         []model.DueLane
		number, age int64
	)
	rows, err := s.r.QueryContext(ctx, `with recursive l (lane) as (
			select min(lane) from deliveries where state <= 2
			union all
			select (select min(lane) from deliveries where state <= 2 and lane > l.lane) from l where l.lane is not null
		), due (lane, age) as (select lane, `+clock+` - (select min(run_at) from deliveries d where d.state <= 2 and d.lane = l.lane) from l where lane is not null)
		select lane, age from due where age >= 0`, args...)
	err = scanEach(rows, err, []any{&number, &age}, func() error {
		out = append(out, model.DueLane{Lane: laneOf(number), Oldest: time.Duration(age) * time.Microsecond})
		return nil
	})
	return out, s.fail("finding due deliveries", err)
}

// ClaimDeliveries takes deliveries that are due, the oldest of each lane, and
// leases them to the caller. A delivery whose lease has ended is due again, so
// what a worker had that died is taken by another. Two callers never hold one
// at the same time, and what the earlier one then says counts no more: see
// FinishDeliveries.
func (s *Store) ClaimDeliveries(ctx context.Context, claims []model.LaneClaim, lease time.Duration) ([]model.ClaimedDelivery, error) {
	var rows []deliveryRow
	err := s.write(ctx, "claiming deliveries", func(ctx context.Context, tx bun.Tx) (err error) {
		if s.dialect.arrays {
			if err := byIndex(ctx, tx); err != nil {
				return err
			}
			rows, err = s.claimAtOnce(ctx, tx, claims, lease)
		} else {
			rows, err = s.claimLaneByLane(ctx, tx, claims, lease)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	out := make([]model.ClaimedDelivery, len(rows))
	for i, r := range rows {
		// run_at is the end of the lease by the queue's clock.
		now := r.RunAt - lease.Microseconds()
		out[i] = model.ClaimedDelivery{Delivery: r.model(), Fence: r.Fence, Elapsed: time.Duration(max(0, now-r.BeganAt)) * time.Microsecond}
	}
	return out, nil
}

// claimSet is what a claim changes. A row that was claimed before lost its
// claim. Once it is suspect, only its marks count further.
func claimSet(clock, lease string) string {
	return `update deliveries set state = 2, fence = deliveries.fence + 1, lost = deliveries.lost + case when deliveries.state = 2 and deliveries.lost < ` + strconv.Itoa(model.SuspectLost) + ` then 1 else 0 end, run_at = ` + clock + ` + ` + lease + `,
		began_at = case when deliveries.began_at = 0 then ` + clock + ` else deliveries.began_at end`
}

// byIndex has PostgreSQL take the indexes of the queue for the rest of a
// transaction. What it knows of the table is never true for long: by what was
// known of an empty queue, each claim from a full one would sort all of it.
func byIndex(ctx context.Context, tx bun.Tx) error {
	_, err := tx.ExecContext(ctx, "select set_config('enable_bitmapscan', 'off', true), set_config('enable_seqscan', 'off', true)")
	return err
}

func (s *Store) claimAtOnce(ctx context.Context, tx bun.Tx, claims []model.LaneClaim, lease time.Duration) (rows []deliveryRow, err error) {
	var list values
	for _, c := range claims {
		list.row(lane(c.Env, c.Channel), c.Limit)
	}
	if list.empty() {
		return nil, nil
	}
	clock, _ := s.dialectNow()
	// Materialized, or the planner may run the locking part once a row.
	err = tx.NewRaw(`with w (lane, n) as (values `+list.String()+`), due as materialized (
			select x.env_id, x.id from w cross join lateral (
				select env_id, id from deliveries where state <= 2 and lane = w.lane and run_at <= `+clock+` order by run_at limit w.n`+s.dialect.skipLocked+`) x
		) `+claimSet(clock, "?")+` from due where deliveries.env_id = due.env_id and deliveries.id = due.id returning `+returnedColumns,
		append(list.args, lease.Microseconds())...).Scan(ctx, &rows)
	return rows, err
}

func (s *Store) claimLaneByLane(ctx context.Context, tx bun.Tx, claims []model.LaneClaim, lease time.Duration) (rows []deliveryRow, err error) {
	now := micros(s.now())
	for _, c := range claims {
		var some []deliveryRow
		if err := tx.NewRaw(claimSet("?0", "?1")+` where deliveries.rowid in (select rowid from deliveries where state <= 2 and lane = ?2 and run_at <= ?0 order by run_at limit ?3)
			returning `+returnedColumns, now, lease.Microseconds(), lane(c.Env, c.Channel), c.Limit).Scan(ctx, &some); err != nil {
			return nil, err
		}
		rows = append(rows, some...)
	}
	return rows, nil
}

// MarkSuspect notes that a suspect delivery is about to be worked on, by the one
// who holds it; it counts as lost until FinishDeliveries says otherwise. marked
// is false when another worker has it by now.
func (s *Store) MarkSuspect(ctx context.Context, env model.EnvID, id model.DeliveryID, fence int64) (marked bool, err error) {
	err = s.write(ctx, "marking a suspect delivery", func(ctx context.Context, tx bun.Tx) error {
		res, err := tx.NewRaw("update deliveries set lost = lost + 1 where env_id = ? and id = ? and fence = ? and state = 2", env, id, fence).Exec(ctx)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		marked = n > 0
		return err
	})
	return marked, err
}

// FinishDeliveries records what became of claimed deliveries, with their
// attempts, in one transaction, and returns the claims of those that counted: a
// delivery that has been claimed anew meanwhile, by whomever, or that was
// cancelled, is left as it is. Of several claims on one delivery, the last counts.
func (s *Store) FinishDeliveries(ctx context.Context, done []model.FinishedDelivery) (counted map[model.Claim]bool, err error) {
	err = s.write(ctx, "finishing deliveries", func(ctx context.Context, tx bun.Tx) error {
		counted = make(map[model.Claim]bool, len(done))
		if s.dialect.arrays {
			if err := byIndex(ctx, tx); err != nil {
				return err
			}
		}
		for chunk := range slices.Chunk(done, saveChunk/4) {
			if err := s.finish(ctx, tx, chunk, counted); err != nil {
				return err
			}
		}
		return s.buryDead(ctx, tx, done, counted)
	})
	return counted, err
}

func (s *Store) finish(ctx context.Context, tx bun.Tx, done []model.FinishedDelivery, counted map[model.Claim]bool) error {
	now := micros(s.now())
	clock, clockArgs := s.dialectNow()
	var list, attempts values
	for _, f := range done {
		list.row(f.EnvID, f.ID, f.Fence, int16(f.State), int16(f.Reason), f.Attempt, f.Tries, f.Lost, f.Delay.Microseconds(), f.ProviderID, f.MessageID, f.Detail)
	}
	var ids []struct {
		EnvID model.EnvID
		ID    model.DeliveryID
		Fence int64
	}
	if err := tx.NewRaw(`with x (env_id, id, fence, state, reason, attempt, tries, lost, delay, provider_id, message_id, detail) as (values `+list.String()+`)
		update deliveries set state = x.state, reason = x.reason, attempt = x.attempt, tries = x.tries, lost = x.lost, run_at = `+clock+` + x.delay,
			provider_id = x.provider_id, message_id = x.message_id, detail = x.detail, updated_at = ?
		from x where deliveries.env_id = x.env_id and deliveries.id = x.id and deliveries.fence = x.fence and deliveries.state = 2
		returning deliveries.env_id, deliveries.id, deliveries.fence`, slices.Concat(list.args, clockArgs, []any{now})...).Scan(ctx, &ids); err != nil {
		return err
	}
	for _, r := range ids {
		counted[model.Claim{Env: r.EnvID, Delivery: r.ID, Fence: r.Fence}] = true
	}
	var ended []model.Delivery
	for _, f := range done {
		if !counted[f.Claim()] {
			continue
		}
		ended = append(ended, f.Delivery)
		for _, a := range f.Attempts {
			attempts.row(f.EnvID, f.ID, a.N, a.Provider, a.Kind, micros(a.StartedAt), a.Took.Microseconds(), int16(a.Class), a.Status, a.MessageID, a.Answer, a.Detail, zeroMicros(a.NextAt), a.Edition)
		}
	}
	if err := attempts.insert(ctx, tx, `insert into attempts (env_id, delivery_id, n, provider_id, kind, started_at, took, class, status, message_id, answer, detail, next_at, edition)`); err != nil {
		return err
	}
	return s.tell(ctx, tx, deliveryEvents(ended))
}

// buryDead takes addresses out of use that a provider called dead: a device
// loses its token, an added address is disabled, and one of a profile is
// suppressed.
func (s *Store) buryDead(ctx context.Context, tx bun.Tx, done []model.FinishedDelivery, counted map[model.Claim]bool) error {
	for _, f := range done {
		if f.Dead && counted[f.Claim()] {
			if err := s.bury(ctx, tx, f.Delivery, model.SuppressedBounce, f.Detail); err != nil {
				return fmt.Errorf("burying an address: %w", err)
			}
		}
	}
	return nil
}

func (s *Store) bury(ctx context.Context, tx bun.Tx, d model.Delivery, reason model.SuppressionReason, detail string) error {
	switch d.Channel {
	case model.ChannelMobilePush, model.ChannelWebPush:
		_, err := tx.NewRaw(`update devices set token = '', web_push = null, push_key = '' where env_id = ? and user_id = ? and (token = ? or web_push = ?)`,
			d.EnvID, d.UserID, d.Address, d.Address).Exec(ctx)
		return err
	default:
		if reason == model.SuppressedBounce {
			if _, err := tx.NewRaw(`update addresses set enabled = false where env_id = ? and user_id = ? and channel = ? and address = ?`,
				d.EnvID, d.UserID, int16(d.Channel), d.Address).Exec(ctx); err != nil {
				return err
			}
		}
		return s.suppress(ctx, tx, model.Suppression{
			ID: model.SuppressionID(d.ID), EnvID: d.EnvID, Channel: d.Channel, Address: d.Address, Reason: reason, Detail: detail, CreatedAt: s.now(),
		})
	}
}

// ExpireDeliveries ends deliveries whose time to live is over and that nobody
// holds, at most limit, and returns how many.
func (s *Store) ExpireDeliveries(ctx context.Context, limit int) (n int, err error) {
	err = s.write(ctx, "expiring deliveries", func(ctx context.Context, tx bun.Tx) error {
		var rows []deliveryRow
		now := micros(s.now())
		err := tx.NewRaw(`update deliveries set state = ?, detail = 'its time was over before it could be sent', updated_at = ? where (env_id, id) in (
			select env_id, id from (select env_id, id from deliveries where state = 1 and expires_at > 0 and expires_at <= ? order by expires_at limit ?`+s.dialect.skipLocked+`) x) returning `+returnedColumns,
			int16(model.DeliveryExpired), now, now, limit).Scan(ctx, &rows)
		if err != nil {
			return err
		}
		n = len(rows)
		return s.tell(ctx, tx, deliveryEvents(column(rows, deliveryRow.model)))
	})
	return n, err
}
