package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/uptrace/bun"

	"carillon/model"
)

// RecallSend begins to take a send back: nothing is made of it from now on, and
// what was made goes by [Store.RecallNext]. One that was recalled before stays as
// it is. An id that names none is a KindNotFound error.
func (s *Store) RecallSend(ctx context.Context, env model.EnvID, o model.Once, id model.SendID) (model.Outcome[model.Send], error) {
	return once(ctx, s, env, o, "recalling send", func(ctx context.Context, tx bun.Tx) (model.Send, error) {
		m, err := s.holdSend(ctx, tx, env, id)
		if err != nil || !m.RecalledAt.IsZero() {
			return m, err
		}
		var row sendRow
		if err := tx.NewRaw(`update sends set recall = 1, recalled_at = ?, audience = null, editing = 0,
				status = case when status in ('SCHEDULED', 'EXPANDING') then 'CANCELED' else status end
			where env_id = ? and id = ? returning `+sendColumns, micros(s.now()), env, id).Scan(ctx, &row); err != nil {
			return m, err
		}
		return row.model()
	})
}

// RecallingSend finds a send, of any environment, that is being recalled: the one
// that has come least far, but for some.
func (s *Store) RecallingSend(ctx context.Context, except []model.SendID) (env model.EnvID, id model.SendID, found bool, err error) {
	env, id, found, err = s.leastFar(ctx, "recall = 1", "recall_reached", except)
	return env, id, found, s.fail("finding what is being recalled", err)
}

// leastFar finds the send, of those of any environment with work left and not
// excepted, whose work has reached the fewest users.
func (s *Store) leastFar(ctx context.Context, left, reached string, except []model.SendID) (env model.EnvID, id model.SendID, found bool, err error) {
	where := conditions{}
	where.add(left)
	if len(except) > 0 {
		where.add("id not in (?)", bun.List(except))
	}
	err = s.r.NewRaw("select env_id, id from sends "+where.sql()+" order by "+reached+", env_id, id limit 1", where.args...).Scan(ctx, &env, &id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, 0, false, nil
	}
	return env, id, err == nil, err
}

// RecallNext goes on with a send that is being recalled: it turns the
// notifications of up to limit users into tombstones, moves their inboxes, and
// cancels what waits to go out. more is false when nothing is left of it, or it is
// not being recalled. Several processes may do this at once.
func (s *Store) RecallNext(ctx context.Context, env model.EnvID, id model.SendID, limit int) (more bool, hints []model.Hint, err error) {
	var reached model.UserID
	err = s.r.NewRaw("select recall_reached from sends where env_id = ? and id = ? and recall = 1", env, id).Scan(ctx, &reached)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil, nil
	}
	if err != nil {
		return false, nil, s.fail("reading how far a recall has come", err)
	}
	var due []dueNotification
	err = s.r.NewRaw("select env_id, user_id, id, send_id from notifications where env_id = ? and send_id = ? and user_id > ? order by user_id limit ?",
		env, id, reached, limit).Scan(ctx, &due)
	if err != nil {
		return false, nil, s.fail("reading what is to be recalled", err)
	}
	err = s.write(ctx, "recalling notifications", func(ctx context.Context, tx bun.Tx) (err error) {
		if hints = nil; len(due) == 0 {
			more, err = s.endRecall(ctx, tx, env, id)
			return err
		}
		more = true
		if _, hints, err = s.takeAwayIn(ctx, tx, model.CauseRecalled, due, "true"); err != nil {
			return err
		}
		canceled, err := s.cancelDeliveries(ctx, tx, due)
		if err != nil {
			return err
		}
		hints = append(hints, canceled...)
		reached := due[len(due)-1].UserID
		_, err = tx.NewRaw("update sends set recall_reached = ? where env_id = ? and id = ? and recall = 1 and recall_reached < ?", reached, env, id, reached).Exec(ctx)
		return err
	})
	if err != nil {
		return false, nil, err
	}
	return more, hints, nil
}

// endRecall ends the walk through the users of a send or, when a merge has moved
// what was left to a user whom it had passed, begins it anew.
func (s *Store) endRecall(ctx context.Context, tx bun.Tx, env model.EnvID, id model.SendID) (more bool, err error) {
	var left int
	if err := tx.NewRaw("select count(*) from (select 1 from notifications where env_id = ? and send_id = ? and deleted_at is null limit 1) x", env, id).Scan(ctx, &left); err != nil {
		return false, err
	}
	_, err = tx.NewRaw("update sends set recall = ?, recall_reached = 0 where env_id = ? and id = ? and recall = 1", 2-left, env, id).Exec(ctx)
	return left > 0, err
}

// RecallNotifications takes notifications of an environment back, whosever they
// are. The result has those that were there, and those that were not, both in the
// order of ids; the hints are to be published.
func (s *Store) RecallNotifications(ctx context.Context, env model.EnvID, o model.Once, ids []model.NotificationID) (model.Outcome[model.Recalled], []model.Hint, error) {
	ids = unique(ids)
	var hints []model.Hint
	out, err := once(ctx, s, env, o, "recalling notifications", func(ctx context.Context, tx bun.Tx) (out model.Recalled, err error) {
		hints = nil
		due, err := notificationsLeft(ctx, tx, env, ids)
		if err != nil {
			return out, err
		}
		there := make(map[model.NotificationID]bool, len(due))
		for _, d := range due {
			there[d.ID] = true
		}
		for _, id := range ids {
			if there[id] {
				out.Recalled = append(out.Recalled, id)
			} else {
				out.NotFound = append(out.NotFound, id)
			}
		}
		for len(due) > 0 { // again for what a merge moves meanwhile
			n, more, err := s.takeAwayIn(ctx, tx, model.CauseRecalled, due, "true")
			if err != nil {
				return out, err
			}
			canceled, err := s.cancelDeliveries(ctx, tx, due)
			if err != nil {
				return out, err
			}
			if hints = append(append(hints, more...), canceled...); n == len(due) {
				break
			}
			if due, err = notificationsLeft(ctx, tx, env, ids); err != nil {
				return out, err
			}
		}
		return out, nil
	})
	if err != nil || out.Replayed {
		hints = nil
	}
	return out, hints, err
}

// notificationsLeft are those of notifications that are there.
func notificationsLeft(ctx context.Context, tx bun.Tx, env model.EnvID, ids []model.NotificationID) (left []dueNotification, err error) {
	err = tx.NewRaw("select env_id, user_id, id, send_id from notifications where env_id = ? and id in (?) and deleted_at is null", env, bun.List(ids)).Scan(ctx, &left)
	return left, err
}

// cancelDeliveries ends what waits to go out for notifications of an environment.
// What is being attempted goes on. The hints are to be published.
func (s *Store) cancelDeliveries(ctx context.Context, tx bun.Tx, of []dueNotification) ([]model.Hint, error) {
	var rows []deliveryRow
	keys, now := keysOf(of), s.now()
	if err := tx.NewRaw(`update deliveries set state = ?, detail = 'the notification was recalled', updated_at = ?
		where (env_id, notification_id) in (values `+keys.String()+`) and state = ? returning `+returnedColumns,
		append(append([]any{int16(model.DeliveryCanceled), micros(now)}, keys.args...), int16(model.DeliveryQueued))...).Scan(ctx, &rows); err != nil {
		return nil, fmt.Errorf("cancelling deliveries: %w", err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	return []model.Hint{model.DeliveriesHint(rows[0].EnvID, now)}, s.tell(ctx, tx, deliveryEvents(column(rows, deliveryRow.model)))
}
