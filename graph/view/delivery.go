package view

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"carillon/delivery"
	"carillon/model"
)

// Delivery is one notification over one channel to one address.
type Delivery struct {
	*model.Delivery
	full bool // for an application: with what concerns the provider
	load Loader
}

// NewDelivery shows a delivery; full is for applications alone.
func NewDelivery(d *model.Delivery, full bool, load Loader) *Delivery {
	return &Delivery{d, full, load}
}

// Deliveries shows several.
func Deliveries(ds []model.Delivery, full bool, load Loader) []*Delivery {
	out := make([]*Delivery, len(ds))
	for i := range ds {
		out[i] = NewDelivery(&ds[i], full, load)
	}
	return out
}

// ID is the opaque id.
func (d *Delivery) ID() string { return DeliveryID(d.Delivery.ID) }

// Notification is what it delivers.
func (d *Delivery) Notification(ctx context.Context) (*Notification, error) {
	return d.load.Notification(ctx, d.NotificationID)
}

// State is where it stands.
func (d *Delivery) State() DeliveryState { return StateOf(*d.Delivery) }

// Address is what it goes to.
func (d *Delivery) Address() *string { return text(d.Delivery.Address) }

// Detail is why it ended as it did.
func (d *Delivery) Detail() *string { return d.private(d.Delivery.Detail) }

// MessageID is the provider's own id.
func (d *Delivery) MessageID() *string { return d.private(d.Delivery.MessageID) }

func (d *Delivery) private(s string) *string {
	if !d.full {
		return nil
	}
	return text(s)
}

// Provider is who carried it.
func (d *Delivery) Provider(ctx context.Context) (*Provider, error) {
	if !d.full || d.ProviderID == "" {
		return nil, nil
	}
	return d.load.Provider(ctx, d.ProviderID)
}

// Attempts are its tries.
func (d *Delivery) Attempts(ctx context.Context) ([]*DeliveryAttempt, error) {
	list, err := d.load.Attempts(ctx, d.Delivery.ID)
	out := make([]*DeliveryAttempt, len(list))
	for i := range list {
		out[i] = &DeliveryAttempt{&list[i], d.full}
	}
	return out, err
}

// DueAt is when it is due, while it waits.
func (d *Delivery) DueAt() *time.Time {
	if d.Delivery.State != model.DeliveryQueued {
		return nil
	}
	return moment(d.RunAt)
}

// ExpiresAt is when it is of no more use.
func (d *Delivery) ExpiresAt() *time.Time { return moment(d.Delivery.ExpiresAt) }

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// DeliveryAttempt is one try.
type DeliveryAttempt struct {
	*model.Attempt
	full bool
}

// Number is 1 for the first.
func (a *DeliveryAttempt) Number() int64 { return int64(a.N) }

// TookMs is how long it took.
func (a *DeliveryAttempt) TookMs() int64 { return a.Took.Milliseconds() }

// Kind is that of the provider.
func (a *DeliveryAttempt) Kind() *string { return a.private(a.Attempt.Kind) }

// ErrorClass is null for a success.
func (a *DeliveryAttempt) ErrorClass() *model.ErrorClass {
	if a.Class == 0 {
		return nil
	}
	return &a.Class
}

// Status is that of HTTP or SMTP.
func (a *DeliveryAttempt) Status() *int64 {
	if a.Attempt.Status == 0 || !a.full {
		return nil
	}
	n := int64(a.Attempt.Status)
	return &n
}

// MessageID is the provider's.
func (a *DeliveryAttempt) MessageID() *string { return a.private(a.Attempt.MessageID) }

// Answer is the beginning of the provider's answer.
func (a *DeliveryAttempt) Answer() *string { return a.private(a.Attempt.Answer) }

// Detail is what was wrong.
func (a *DeliveryAttempt) Detail() *string { return a.private(a.Attempt.Detail) }

// NextAt is when the next try was to be.
func (a *DeliveryAttempt) NextAt() *time.Time { return moment(a.Attempt.NextAt) }

func (a *DeliveryAttempt) private(s string) *string {
	if !a.full {
		return nil
	}
	return text(s)
}

// Provider is an account at somebody who carries a channel.
type Provider struct{ model.Provider }

// NewProvider shows a provider.
func NewProvider(p model.Provider) *Provider { return &Provider{p} }

// Providers shows several.
func Providers(ps []model.Provider) []*Provider {
	out := make([]*Provider, len(ps))
	for i, p := range ps {
		out[i] = NewProvider(p)
	}
	return out
}

// ID is the opaque id.
func (p *Provider) ID() string { return ProviderID(p.Provider.ID) }

// Name is what people call it.
func (p *Provider) Name() *string { return text(p.Provider.Name) }

// Config are the settings without secrets.
func (p *Provider) Config() json.RawMessage { return p.Provider.Config }

// Secrets are the names of those that are set.
func (p *Provider) Secrets() []string { return slices.Concat([]string{}, p.Provider.Secrets) }

// Concurrency is how many attempts it gets at the same time.
func (p *Provider) Concurrency() int64 {
	if p.Provider.Concurrency == 0 {
		return model.DefaultConcurrency
	}
	return int64(p.Provider.Concurrency)
}

// Position is its place among the providers of its channel.
func (p *Provider) Position() int64 { return int64(p.Provider.Position) }

// PerSecond is how many messages a second it gets.
func (p *Provider) PerSecond() *int64 {
	if p.Provider.PerSecond == 0 {
		return nil
	}
	n := int64(p.Provider.PerSecond)
	return &n
}

// PausedAt is since when it is paused.
func (p *Provider) PausedAt() *time.Time { return moment(p.Provider.PausedAt) }

// Trouble is why the server paused it.
func (p *Provider) Trouble() *string { return text(p.Provider.Trouble) }

// ProviderKind is a kind of provider.
type ProviderKind struct{ *delivery.Kind }

// ProviderKinds shows kinds.
func ProviderKinds(ks []*delivery.Kind) []*ProviderKind {
	out := make([]*ProviderKind, len(ks))
	for i, k := range ks {
		out[i] = &ProviderKind{k}
	}
	return out
}

// Fields are the settings that it asks for.
func (k *ProviderKind) Fields() []*ProviderField {
	out := make([]*ProviderField, len(k.Kind.Fields))
	for i := range k.Kind.Fields {
		out[i] = &ProviderField{&k.Kind.Fields[i]}
	}
	return out
}

// ProviderField is a setting of a provider.
type ProviderField struct{ *delivery.Field }

// Options are what a choice can be.
func (f *ProviderField) Options() []string { return slices.Concat([]string{}, f.Field.Options) }

// Suppression is an address that nothing is sent to.
type Suppression struct{ model.Suppression }

// NewSuppression shows a suppression.
func NewSuppression(s model.Suppression) *Suppression { return &Suppression{s} }

// ID is the opaque id.
func (s *Suppression) ID() string { return SuppressionID(s.Suppression.ID) }

// Detail is more about it.
func (s *Suppression) Detail() *string { return text(s.Suppression.Detail) }

// ExpiresAt is until when.
func (s *Suppression) ExpiresAt() *time.Time { return moment(s.Suppression.ExpiresAt) }

// DeliveryState is where a delivery stands, in the schema's words.
type DeliveryState string

// The states that a stored one does not tell apart.
const (
	deferred DeliveryState = "DEFERRED"
	retrying DeliveryState = "RETRYING"
)

var deliveryStates = func() []DeliveryState {
	out := []DeliveryState{deferred, retrying}
	for s := model.DeliveryQueued; s <= model.DeliveryComplained; s++ {
		out = append(out, DeliveryState(s.String()))
	}
	return out
}()

// StateOf is where a delivery stands.
func StateOf(d model.Delivery) DeliveryState {
	switch {
	case d.State == model.DeliveryQueued && d.Attempt > 0 && d.Tries > 0:
		return retrying
	case d.State == model.DeliveryQueued && d.Attempt == 0 && d.RunAt.Sub(d.CreatedAt) > time.Second && d.BeganAt.IsZero():
		return deferred
	}
	return DeliveryState(d.State.String())
}

// Model is the stored state.
func (s DeliveryState) Model() model.DeliveryState {
	for m := model.DeliveryQueued; m <= model.DeliveryComplained; m++ {
		if m.String() == string(s) {
			return m
		}
	}
	return model.DeliveryQueued
}

// MarshalDeliveryState writes where a delivery stands.
func MarshalDeliveryState(v DeliveryState) graphql.Marshaler { return word(v) }

// UnmarshalDeliveryState reads where a delivery stands.
func UnmarshalDeliveryState(v any) (DeliveryState, error) { return oneOf(v, deliveryStates...) }

// MarshalDeliveryErrorClass writes a class of failure.
func MarshalDeliveryErrorClass(v model.ErrorClass) graphql.Marshaler {
	return graphql.MarshalString(v.String())
}

// UnmarshalDeliveryErrorClass reads a class of failure.
func UnmarshalDeliveryErrorClass(v any) (model.ErrorClass, error) {
	s, _ := v.(string)
	for c := model.ClassTransient; c <= model.ClassUnknown; c++ {
		if c.String() == s {
			return c, nil
		}
	}
	return 0, invalid("must be a class of failure")
}

// MarshalSuppressionReason writes why nothing is sent to an address.
func MarshalSuppressionReason(v model.SuppressionReason) graphql.Marshaler { return word(v) }

// UnmarshalSuppressionReason reads why nothing is sent to an address.
func UnmarshalSuppressionReason(v any) (model.SuppressionReason, error) {
	return oneOf(v, model.SuppressedBounce, model.SuppressedComplaint, model.SuppressedUnsubscribed, model.SuppressedManual)
}

// MarshalProviderFieldType writes what a setting holds.
func MarshalProviderFieldType(v delivery.FieldType) graphql.Marshaler { return word(v) }

// UnmarshalProviderFieldType reads what a setting holds.
func UnmarshalProviderFieldType(v any) (delivery.FieldType, error) {
	return oneOf(v, delivery.FieldText, delivery.FieldLong, delivery.FieldNumber, delivery.FieldBoolean, delivery.FieldChoice)
}
