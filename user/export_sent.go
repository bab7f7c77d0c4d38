package user

import (
	"context"
	"encoding/json"
	"time"

	"carillon/model"
)

type exportedEvent struct {
	Name       string          `json:"name"`
	Value      json.RawMessage `json:"value,omitempty"`
	Properties json.RawMessage `json:"properties,omitempty"`
	OccurredAt time.Time       `json:"occurredAt"`
}

func (e *exporting) events(ctx context.Context) error {
	return e.list(func(after *model.PageKey) ([]any, *model.PageKey, error) {
		page, err := e.s.Store.Events(ctx, e.u.EnvID, e.u.ID, "", model.PageRequest{After: after, Limit: exportPage})
		rows := make([]any, len(page.Items))
		for i, v := range page.Items {
			rows[i] = exportedEvent{v.Name, v.Value, v.Properties, v.OccurredAt}
		}
		return rows, nextKey(page, func(v model.Event) model.PageKey { return model.PageKey{At: v.OccurredAt, Text: string(v.ID)} }), err
	})
}

type exportedNotification struct {
	ID           model.NotificationID `json:"id"`
	Title        string               `json:"title"`
	Body         string               `json:"body,omitempty"`
	URL          string               `json:"url,omitempty"`
	Data         json.RawMessage      `json:"data,omitempty"`
	InInbox      bool                 `json:"inInbox"`
	State        string               `json:"state,omitempty"`
	CreatedAt    time.Time            `json:"createdAt"`
	SeenAt       *time.Time           `json:"seenAt"`
	ReadAt       *time.Time           `json:"readAt"`
	InteractedAt *time.Time           `json:"interactedAt"`
	ArchivedAt   *time.Time           `json:"archivedAt"`
	Interactions []exportedDeed       `json:"interactions,omitempty"`
}

// exportedDeed is what a user did with a notification, and filled in there.
type exportedDeed struct {
	State string          `json:"state"`
	Data  json.RawMessage `json:"data,omitempty"`
	At    time.Time       `json:"at"`
}

// deeds are what the user did with notifications.
func (e *exporting) deeds(ctx context.Context, list []model.Notification) (map[model.NotificationID][]exportedDeed, error) {
	ids := make([]model.NotificationID, len(list))
	for i, n := range list {
		ids[i] = n.ID
	}
	found, err := e.s.Store.Interactions(ctx, e.u.EnvID, ids)
	out := make(map[model.NotificationID][]exportedDeed, len(found))
	for id, list := range found {
		for _, i := range list {
			out[id] = append(out[id], exportedDeed{i.State, i.Data, i.At})
		}
	}
	return out, err
}

func (e *exporting) notifications(ctx context.Context) error {
	return e.list(func(after *model.PageKey) ([]any, *model.PageKey, error) {
		page, err := e.s.Store.NotificationLog(ctx, e.u.EnvID, model.NotificationFilter{User: e.u.ID}, model.PageRequest{After: after, Limit: exportPage})
		if err != nil {
			return nil, nil, err
		}
		deeds, err := e.deeds(ctx, page.Items)
		rows := make([]any, len(page.Items))
		for i, n := range page.Items {
			rows[i] = exportedNotification{
				ID: n.ID, Title: n.Content.Title, Body: n.Content.Body, URL: n.Content.URL, Data: n.Content.Data, InInbox: n.InInbox, State: n.State,
				CreatedAt: n.CreatedAt, SeenAt: unlessZero(n.SeenAt), ReadAt: unlessZero(n.ReadAt), InteractedAt: unlessZero(n.InteractedAt), ArchivedAt: unlessZero(n.ArchivedAt),
				Interactions: deeds[n.ID],
			}
		}
		return rows, nextKey(page, func(n model.Notification) model.PageKey { return model.PageKey{At: n.SortAt, ID: int64(n.ID)} }), err
	})
}

type exportedDelivery struct {
	Notification model.NotificationID `json:"notificationId"`
	Channel      string               `json:"channel"`
	Address      string               `json:"address,omitempty"`
	State        string               `json:"state"`
	Detail       string               `json:"detail,omitempty"`
	CreatedAt    time.Time            `json:"createdAt"`
	Attempts     []exportedAttempt    `json:"attempts"`
}

type exportedAttempt struct {
	Provider  string    `json:"provider"`
	StartedAt time.Time `json:"startedAt"`
	Class     string    `json:"errorClass,omitempty"`
	Status    int       `json:"status,omitempty"`
	Answer    string    `json:"answer,omitempty"`
}

// deliveries leave out the addresses of pushes, which are secrets.
func (e *exporting) deliveries(ctx context.Context) error {
	return e.list(func(after *model.PageKey) ([]any, *model.PageKey, error) {
		page, err := e.s.Store.ListDeliveries(ctx, e.u.EnvID, model.DeliveryFilter{User: e.u.ID}, model.PageRequest{After: after, Limit: exportPage})
		if err != nil {
			return nil, nil, err
		}
		ids := make([]model.DeliveryID, len(page.Items))
		for i, d := range page.Items {
			ids[i] = d.ID
		}
		attempts, err := e.s.Store.Attempts(ctx, e.u.EnvID, ids)
		rows := make([]any, len(page.Items))
		for i, d := range page.Items {
			row := exportedDelivery{d.NotificationID, d.Channel.String(), d.Address, d.State.String(), d.Detail, d.CreatedAt, []exportedAttempt{}}
			if d.Channel == model.ChannelMobilePush || d.Channel == model.ChannelWebPush {
				row.Address = ""
			}
			for _, a := range attempts[d.ID] {
				out := exportedAttempt{Provider: a.Kind, StartedAt: a.StartedAt, Status: a.Status, Answer: a.Answer}
				if a.Class != 0 {
					out.Class = a.Class.String()
				}
				row.Attempts = append(row.Attempts, out)
			}
			rows[i] = row
		}
		return rows, nextKey(page, func(d model.Delivery) model.PageKey { return model.PageKey{At: d.CreatedAt, Text: string(d.ID)} }), err
	})
}

// nextKey is where the page after one begins; nil at the end.
func nextKey[T any](page model.Page[T], key func(T) model.PageKey) *model.PageKey {
	if !page.HasMore || len(page.Items) == 0 {
		return nil
	}
	k := key(page.Items[len(page.Items)-1])
	return &k
}

func unlessZero(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
