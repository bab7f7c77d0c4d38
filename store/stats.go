package store

import (
	"context"
	"database/sql"

	"carillon/model"
)

// statsStatements count for one user of one environment: deliveries by what
// became of them; notifications in the inbox, how many of them were opened and
// pressed, and when the user last did something to one; and when they last marked
// all, and last did something that the application told of.
const (
	countDeliveries = `select
			coalesce(sum(case when d.state in (?, ?, ?) then 1 else 0 end), 0), coalesce(sum(case when d.state in (?, ?, ?) then 1 else 0 end), 0)
		from deliveries d where d.env_id = ? and d.user_id = ?
			and d.notification_id in (select n.id from notifications n where n.env_id = ? and n.user_id = ?)`
	countNotifications = `select count(*), count(n.interacted_at),
			coalesce(sum(case when n.read_at is not null or n.read_seq <= i.read_up_to then 1 else 0 end), 0),
			max(n.seen_at), max(n.read_at), max(n.interacted_at)
		from notifications n join inboxes i on i.env_id = n.env_id and i.user_id = n.user_id
		where n.env_id = ? and n.user_id = ? and n.in_inbox and n.deleted_at is null`
	latestDoings = `select (select max(at) from inbox_marks where env_id = ? and user_id = ?),
			(select max(occurred_at) from events where env_id = ? and user_id = ?)`
)

// UserStats counts what became of a user's messages. It reads as many rows as
// the user has messages: it is for one user at a time.
func (s *Store) UserStats(ctx context.Context, env model.EnvID, user model.UserID) (model.UserStats, error) {
	var (
		out                                 model.UserStats
		inbox                               int64
		seen, read, pressed, marked, tracks sql.NullInt64
	)
	err := s.r.NewRaw(countDeliveries,
		model.DeliverySent, model.DeliveryDelivered, model.DeliveryComplained, model.DeliveryFailed, model.DeliveryBounced, model.DeliveryExpired,
		env, user, env, user).Scan(ctx, &out.Delivered, &out.Failed)
	if err == nil {
		err = s.r.NewRaw(countNotifications, env, user).Scan(ctx, &inbox, &out.Pressed, &out.Opened, &seen, &read, &pressed)
	}
	if err == nil {
		err = s.r.NewRaw(latestDoings, env, user, env, user).Scan(ctx, &marked, &tracks)
	}
	out.Delivered += inbox
	for _, t := range []sql.NullInt64{seen, read, pressed, marked, tracks} {
		if t.Valid && at(t.Int64).After(out.LastActive) {
			out.LastActive = at(t.Int64)
		}
	}
	return out, s.fail("counting messages of a user", err)
}
