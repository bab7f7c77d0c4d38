package view

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"carillon/model"
)

const (
	webhookEndpointPrefix = "whk_"
	webhookEventPrefix    = "whe_"
)

// WebhookEndpointID writes the id of an endpoint.
func WebhookEndpointID(id model.WebhookEndpointID) string { return webhookEndpointPrefix + string(id) }

// ParseWebhookEndpointID reads what WebhookEndpointID writes; anything else is
// the id of none.
func ParseWebhookEndpointID(s string) model.WebhookEndpointID {
	return model.WebhookEndpointID(textAfter(webhookEndpointPrefix, s))
}

// WebhookEventID writes the id of an event.
func WebhookEventID(id model.WebhookEventID) string { return webhookEventPrefix + string(id) }

// ParseWebhookEventID reads what WebhookEventID writes; anything else is the id
// of none.
func ParseWebhookEventID(s string) model.WebhookEventID {
	return model.WebhookEventID(textAfter(webhookEventPrefix, s))
}

func textAfter(prefix, s string) string {
	id, ok := strings.CutPrefix(s, prefix)
	if !ok || !IsTextID(id) {
		return ""
	}
	return id
}

// WebhookEndpoint is where an application is told what happens.
type WebhookEndpoint struct{ model.WebhookEndpoint }

// NewWebhookEndpoint shows an endpoint.
func NewWebhookEndpoint(e model.WebhookEndpoint) *WebhookEndpoint { return &WebhookEndpoint{e} }

// ID is the opaque id.
func (e *WebhookEndpoint) ID() string { return WebhookEndpointID(e.WebhookEndpoint.ID) }

// Description is what people call it.
func (e *WebhookEndpoint) Description() *string { return text(e.WebhookEndpoint.Description) }

// Types are what it is told of.
func (e *WebhookEndpoint) Types() []string {
	if e.WebhookEndpoint.Types == nil {
		return []string{}
	}
	return e.WebhookEndpoint.Types
}

// PreviousSecretUntil is until when calls are signed with two secrets.
func (e *WebhookEndpoint) PreviousSecretUntil() *time.Time { return moment(e.PreviousUntil) }

// FailingSince is since when every call has failed.
func (e *WebhookEndpoint) FailingSince() *time.Time { return moment(e.WebhookEndpoint.FailingSince) }

// Trouble is why the server disabled it.
func (e *WebhookEndpoint) Trouble() *string { return text(e.WebhookEndpoint.Trouble) }

// WebhookEvent is one thing that an endpoint was or will be told.
type WebhookEvent struct {
	*model.WebhookEvent
	identifier string
	attempts   []model.WebhookAttempt
}

// NewWebhookEvent shows an event about a user with that identifier.
func NewWebhookEvent(e *model.WebhookEvent, identifier string, attempts []model.WebhookAttempt) *WebhookEvent {
	return &WebhookEvent{e, identifier, attempts}
}

// ID is the opaque id.
func (e *WebhookEvent) ID() string { return WebhookEventID(e.WebhookEvent.ID) }

// Type is what it tells of.
func (e *WebhookEvent) Type() string { return string(e.WebhookEvent.Type) }

// Data is what the endpoint gets as data.
func (e *WebhookEvent) Data() json.RawMessage { return WebhookData(*e.WebhookEvent, e.identifier) }

// DueAt is when the next attempt is due.
func (e *WebhookEvent) DueAt() *time.Time {
	if e.State != model.WebhookQueued {
		return nil
	}
	return &e.RunAt
}

// Attempts are the calls so far.
func (e *WebhookEvent) Attempts() []*WebhookAttempt {
	out := make([]*WebhookAttempt, len(e.attempts))
	for i := range e.attempts {
		out[i] = &WebhookAttempt{&e.attempts[i]}
	}
	return out
}

// WebhookAttempt is one call.
type WebhookAttempt struct{ *model.WebhookAttempt }

// Number is 1 for the first.
func (a *WebhookAttempt) Number() int64 { return int64(a.N) }

// TookMs is how long it took.
func (a *WebhookAttempt) TookMs() int64 { return a.Took.Milliseconds() }

// ErrorClass is null for a success.
func (a *WebhookAttempt) ErrorClass() *model.ErrorClass {
	if a.Class == 0 {
		return nil
	}
	return &a.Class
}

// Status is that of HTTP.
func (a *WebhookAttempt) Status() *int64 {
	if a.WebhookAttempt.Status == 0 {
		return nil
	}
	n := int64(a.WebhookAttempt.Status)
	return &n
}

// Answer is the beginning of what the endpoint answered.
func (a *WebhookAttempt) Answer() *string { return text(a.WebhookAttempt.Answer) }

// Detail is what was wrong.
func (a *WebhookAttempt) Detail() *string { return text(a.WebhookAttempt.Detail) }

// NextAt is when the next one was to be.
func (a *WebhookAttempt) NextAt() *time.Time { return moment(a.WebhookAttempt.NextAt) }

// webhookData is an event's data as endpoints get it.
type webhookData struct {
	User         *webhookUser         `json:"user,omitempty"`
	Former       *webhookUser         `json:"mergedUser,omitempty"`
	Notification *webhookNotification `json:"notification,omitempty"`
	Send         *webhookRef          `json:"send,omitempty"`
	Delivery     *webhookDelivery     `json:"delivery,omitempty"`
	Cause        string               `json:"cause,omitempty"`
	All          bool                 `json:"all,omitempty"`
	Count        int64                `json:"count,omitempty"`
}

type webhookRef struct {
	ID string `json:"id"`
}

type webhookUser struct {
	ID         string `json:"id"`
	Identifier string `json:"identifier,omitempty"`
}

type webhookNotification struct {
	ID     string `json:"id"`
	Number string `json:"number"`
}

type webhookDelivery struct {
	ID      string `json:"id"`
	Channel string `json:"channel"`
	State   string `json:"state"`
	Reason  string `json:"reason,omitempty"`
}

// WebhookData is what endpoints get as an event's data; identifier is that of
// the user whom it is about, as it is now.
func WebhookData(e model.WebhookEvent, identifier string) json.RawMessage {
	d := e.Data
	if identifier == "" {
		identifier = d.Identifier
	}
	out := webhookData{Cause: d.Cause, All: d.All, Count: d.Count}
	if e.UserID != 0 {
		out.User = &webhookUser{UserID(e.UserID), identifier}
	}
	if d.From != 0 {
		out.Former = &webhookUser{UserID(d.From), d.FromName}
	}
	if d.Notification != 0 {
		out.Notification = &webhookNotification{NotificationID(d.Notification), number(int64(d.Notification))}
	}
	if d.Send != 0 {
		out.Send = &webhookRef{SendID(d.Send)}
	}
	if d.Delivery != "" {
		out.Delivery = &webhookDelivery{ID: DeliveryID(d.Delivery), Channel: d.Channel.String(), State: d.State.String()}
		if d.State == model.DeliverySkipped {
			out.Delivery.Reason = d.Reason.String()
		}
	}
	b, err := model.EncodeJSON(out)
	if err != nil {
		return json.RawMessage("{}") // texts and numbers can be encoded
	}
	return b
}

// MarshalWebhookEventState writes where an event stands.
func MarshalWebhookEventState(v model.WebhookState) graphql.Marshaler {
	return graphql.MarshalString(v.String())
}

// UnmarshalWebhookEventState reads where an event stands.
func UnmarshalWebhookEventState(v any) (model.WebhookState, error) {
	s, _ := v.(string)
	for c := model.WebhookQueued; c <= model.WebhookFailed; c++ {
		if c.String() == s {
			return c, nil
		}
	}
	return 0, invalid("must be a state of a webhook event")
}
