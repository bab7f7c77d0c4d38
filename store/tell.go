package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/uptrace/bun"

	"carillon/model"
)

// What happens is told to webhook endpoints by rows that are written in the
// transaction that makes it happen. An environment without endpoints must not
// pay for that, so which endpoints there are is known in memory: a process
// hears of a change by another within listenersFresh, and of its own at once.
const (
	listenersFresh = time.Second
	// listenersStale is when whoever asks no longer makes do with what is known
	// while another reads it anew.
	listenersStale = 5 * time.Second
)

// listener is an enabled endpoint.
type listener struct {
	id    model.WebhookEndpointID
	types []string
}

// listeners are the enabled endpoints of all environments; they are few.
type listeners struct {
	known   atomic.Pointer[knownListeners]
	reading atomic.Bool
}

type knownListeners struct {
	at    time.Time
	byEnv map[model.EnvID][]listener
}

// forget has the endpoints read anew by the next who asks.
func (l *listeners) forget() { l.known.Store(nil) }

// listenersOf are the endpoints of an environment. Whoever is within a
// transaction gives it as db, so that nobody holds one connection while waiting
// for another.
func (s *Store) listenersOf(ctx context.Context, db bun.IDB, env model.EnvID) ([]listener, error) {
	k := s.listeners.known.Load()
	if k == nil || time.Since(k.at) > listenersStale {
		var err error
		if k, err = s.readListeners(ctx, db); err != nil {
			return nil, err
		}
	} else if time.Since(k.at) > listenersFresh && s.listeners.reading.CompareAndSwap(false, true) {
		defer s.listeners.reading.Store(false)
		var err error
		if k, err = s.readListeners(ctx, db); err != nil {
			return nil, err
		}
	}
	return k.byEnv[env], nil
}

func (s *Store) readListeners(ctx context.Context, db bun.IDB) (*knownListeners, error) {
	k := &knownListeners{at: time.Now(), byEnv: map[model.EnvID][]listener{}}
	var (
		env   model.EnvID
		l     listener
		types string
	)
	rows, err := db.QueryContext(ctx, "select env_id, id, types from webhook_endpoints where enabled")
	err = scanEach(rows, err, []any{&env, &l.id, &types}, func() error {
		l.types = nil
		if err := json.Unmarshal([]byte(types), &l.types); err != nil {
			return fmt.Errorf("decoding the types of endpoint %s: %w", l.id, err)
		}
		k.byEnv[env] = append(k.byEnv[env], l)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading webhook endpoints: %w", err)
	}
	s.listeners.known.Store(k)
	return k, nil
}

// hears reports whether any endpoint of an environment is told of events of one
// of the types.
func (s *Store) hears(ctx context.Context, db bun.IDB, env model.EnvID, types ...model.WebhookEventType) (bool, error) {
	list, err := s.listenersOf(ctx, db, env)
	return slices.ContainsFunc(list, func(l listener) bool {
		return slices.ContainsFunc(types, func(t model.WebhookEventType) bool { return model.WantsWebhook(l.types, t) })
	}), err
}

// tellChunk bounds the rows of one statement that tells.
const tellChunk = 500

// tell writes events for every endpoint that wants them, due at once. It is
// called within the transaction that does what they tell of; the events need
// their environment, type, user and data.
func (s *Store) tell(ctx context.Context, tx bun.IDB, events []model.WebhookEvent) error {
	if len(events) == 0 {
		return nil
	}
	now := micros(s.now())
	clock, clockArgs := s.dialectNow()
	var list values
	flush := func() error {
		if list.empty() {
			return nil
		}
		_, err := tx.NewRaw(`with x (env_id, endpoint_id, id, type, user_id, data, at) as (values `+list.String()+`)
			insert into webhook_events (env_id, endpoint_id, id, type, user_id, data, state, run_at, occurred_at, updated_at)
			select env_id, endpoint_id, id, type, user_id, data, 1, `+clock+`, at, at from x`, append(list.args, clockArgs...)...).Exec(ctx)
		list = values{}
		if err != nil {
			return fmt.Errorf("telling webhook endpoints: %w", err)
		}
		return nil
	}
	rows := 0
	for _, e := range events {
		heard, err := s.listenersOf(ctx, tx, e.EnvID)
		if err != nil {
			return err
		}
		var id, data string
		for _, l := range heard {
			if !model.WantsWebhook(l.types, e.Type) {
				continue
			}
			if id == "" {
				b, err := model.EncodeJSON(e.Data)
				if err != nil {
					return err
				}
				id, data = s.eventIDs.New(), string(b)
			}
			list.row(e.EnvID, string(l.id), id, string(e.Type), e.UserID, data, now)
			if rows++; rows%tellChunk == 0 {
				if err := flush(); err != nil {
					return err
				}
			}
		}
	}
	return flush()
}

// notificationEvent tells of a notification.
func notificationEvent(t model.WebhookEventType, env model.EnvID, user model.UserID, id model.NotificationID, send model.SendID) model.WebhookEvent {
	return model.WebhookEvent{EnvID: env, Type: t, UserID: user, Data: model.WebhookData{Notification: id, Send: send}}
}

// deliveryEvents tell of deliveries that have come to their states.
func deliveryEvents(list []model.Delivery) (out []model.WebhookEvent) {
	for _, d := range list {
		if t := model.DeliveryEvent(d.State); t != "" {
			out = append(out, model.WebhookEvent{EnvID: d.EnvID, Type: t, UserID: d.UserID, Data: model.WebhookData{
				Notification: d.NotificationID, Send: d.SendID, Delivery: d.ID, Channel: d.Channel, State: d.State, Reason: d.Reason,
			}})
		}
	}
	return out
}

// tellUser tells of one user.
func (s *Store) tellUser(ctx context.Context, tx bun.IDB, t model.WebhookEventType, users ...*model.User) error {
	events := make([]model.WebhookEvent, len(users))
	for i, u := range users {
		events[i] = model.WebhookEvent{EnvID: u.EnvID, Type: t, UserID: u.ID}
		if t == model.EventUserDeleted {
			events[i].Data.Identifier = u.Identifier
		}
	}
	return s.tell(ctx, tx, events)
}

// createdEvents tell of what sends bring about.
func createdEvents(sends []*model.PendingSend) (out []model.WebhookEvent) {
	for _, p := range sends {
		for i := range p.Notifications {
			n := &p.Notifications[i]
			out = append(out, notificationEvent(model.EventNotificationCreated, n.EnvID, n.UserID, n.ID, n.SendID))
		}
		out = append(out, plannedEvents(p.Deliveries)...)
	}
	return out
}

// plannedEvents tell of the deliveries that were skipped when they were planned.
func plannedEvents(list []model.PlannedDelivery) []model.WebhookEvent {
	var skipped []model.Delivery
	for _, d := range list {
		if d.State == model.DeliverySkipped {
			skipped = append(skipped, d.Delivery)
		}
	}
	return deliveryEvents(skipped)
}

// heard reports whether any of the sends' environments has an endpoint that is
// told of what they bring about.
func (s *Store) heard(ctx context.Context, sends []model.PendingSend) (bool, error) {
	for i := range sends {
		yes, err := s.hears(ctx, s.r, sends[i].Send.EnvID, model.EventNotificationCreated, model.EventDeliverySkipped)
		if yes || err != nil {
			return yes, err
		}
	}
	return false, nil
}
