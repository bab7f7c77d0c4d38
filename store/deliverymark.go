package store

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"carillon/model"
)

// DeliveryMarks reads how those deliveries of an environment stand that changed
// last behind a place, in the order in which they did, at most limit of them. Of
// the place, the time and the id count. Of the filter, everything does but Since
// and Until. Transactions that overlap may commit in another order than that of
// the times which they write.
func (s *Store) DeliveryMarks(ctx context.Context, env model.EnvID, f model.DeliveryFilter, after model.DeliveryMark, limit int) ([]model.DeliveryMark, error) {
	where := watchedConditions(env, f)
	where.add("(d.updated_at, d.id) > (?, ?)", after.UpdatedAt, after.ID)
	var (
		out []model.DeliveryMark
		m   model.DeliveryMark
	)
	rows, err := s.r.QueryContext(ctx, fmt.Sprintf("select d.id, d.updated_at, d.state, d.fence from deliveries d %s order by d.updated_at, d.id limit %d", where.sql(), limit), where.args...)
	err = scanEach(rows, err, []any{&m.ID, &m.UpdatedAt, &m.State, &m.Fence}, func() error {
		out = append(out, m)
		return nil
	})
	return out, s.fail("reading what deliveries changed", err)
}

// MarkedDeliveries reads those of some deliveries that a filter, as DeliveryMarks
// takes it, still chooses, in the order of their last change.
func (s *Store) MarkedDeliveries(ctx context.Context, env model.EnvID, f model.DeliveryFilter, ids []model.DeliveryID) ([]model.Delivery, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	where := watchedConditions(env, f)
	where.add("d.id in (?)", bun.List(ids))
	list, err := s.deliveries(ctx, s.r, where.sql()+" order by d.updated_at, d.id", where.args...)
	return list, s.fail("reading changed deliveries", err)
}

// watchedConditions choose by what the rows themselves say, so that they are
// found in the order of their changes and not by way of notifications.
func watchedConditions(env model.EnvID, f model.DeliveryFilter) conditions {
	where := deliveryConditions(env, model.DeliveryFilter{States: f.States, Channels: f.Channels, Provider: f.Provider, Notification: f.Notification})
	if f.User != 0 {
		where.add("d.user_id = ?", f.User)
	}
	if f.Send != 0 {
		where.add("d.send_id = ?", f.Send)
	}
	return where
}
