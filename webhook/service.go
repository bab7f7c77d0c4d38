// Package webhook tells applications what happens: it keeps the endpoints of an
// environment, posts events to them, signed, and tries again until they are
// taken. The store writes the events, in the transactions that they tell of.
//
// It does not know what an event means, nor how ids are shown: Show says that.
package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"carillon/internal/dial"
	"carillon/internal/id"
	"carillon/internal/seal"
	"carillon/internal/signature"
	"carillon/model"
)

// Store is what webhooks need from the database; *store.Store has it.
type Store interface {
	WebhookEndpoints(ctx context.Context, env model.EnvID) ([]model.WebhookEndpoint, error)
	CreateWebhookEndpoint(ctx context.Context, once model.Once, e model.WebhookEndpoint) (model.Outcome[model.WebhookEndpoint], error)
	UpdateWebhookEndpoint(ctx context.Context, env model.EnvID, once model.Once, id model.WebhookEndpointID, change func(model.WebhookEndpoint) (model.WebhookEndpoint, error)) (model.Outcome[model.WebhookEndpoint], error)
	DeleteWebhookEndpoint(ctx context.Context, env model.EnvID, once model.Once, id model.WebhookEndpointID) (model.Outcome[model.WebhookEndpointID], error)

	ListWebhookEvents(ctx context.Context, ref model.WebhookEndpointRef, states []model.WebhookState, page model.PageRequest) (model.Page[model.WebhookEvent], error)
	WebhookAttempts(ctx context.Context, ref model.WebhookEndpointRef, ids []model.WebhookEventID) (map[model.WebhookEventID][]model.WebhookAttempt, error)
	ReplayWebhookEvent(ctx context.Context, ref model.WebhookEndpointRef, once model.Once, id model.WebhookEventID) (model.Outcome[model.WebhookEvent], error)
	ReplayWebhookEvents(ctx context.Context, ref model.WebhookEndpointRef, once model.Once, states []model.WebhookState, since time.Time) (model.Outcome[int], error)

	DueWebhookEndpoints(ctx context.Context) ([]model.WebhookEndpoint, error)
	ClaimWebhookEvents(ctx context.Context, ref model.WebhookEndpointRef, limit int, lease time.Duration) ([]model.ClaimedWebhookEvent, error)
	FinishWebhookEvents(ctx context.Context, done []model.FinishedWebhookEvent, health model.WebhookHealth, giveUp time.Duration) (disabled bool, err error)
	ForgetWebhookEvents(ctx context.Context, before time.Time, limit int) (int, error)
	ForgetDeletedEndpoint(ctx context.Context, limit int) (found bool, err error)
	UsersByID(ctx context.Context, env model.EnvID, ids []model.UserID) ([]model.User, error)
}

// Service keeps endpoints and tells them. Store, Box, HTTP and Show must be set;
// the methods may be called concurrently.
type Service struct {
	Store Store
	Box   *seal.Box
	// HTTP reaches the public network and nothing else, follows no redirect and
	// bounds what it reads, as that of [dial.Dialer] does.
	HTTP  *http.Client
	Guard dial.Guard
	// Show is the data of an event as endpoints get it and the API shows it.
	Show func(e model.WebhookEvent, identifier string) json.RawMessage
	// Name is the id of an event as endpoints get it and the API shows it.
	Name func(model.WebhookEventID) string
	// Keep is how long an event is kept; zero: DefaultKeep.
	Keep time.Duration
	// GiveUp is how long an endpoint may fail before it is disabled; zero:
	// DefaultGiveUp.
	GiveUp time.Duration
	// Lease is how long an event belongs to the process that took it, 2 s at least;
	// zero: DefaultLease. A call gets three quarters of it at most.
	Lease time.Duration
	// Tick is how often to look for what is due; zero: DefaultTick.
	Tick   time.Duration
	Log    *slog.Logger     // nil: slog's default
	Now    func() time.Time // nil: time.Now
	Random func() float64   // in [0, 1); nil: math/rand

	ids    id.Source
	worker worker
}

// What a zero setting means.
const (
	DefaultKeep   = 30 * 24 * time.Hour
	DefaultGiveUp = 5 * 24 * time.Hour
	DefaultLease  = time.Minute
	DefaultTick   = time.Second
)

// sealed binds a sealed secret to its row.
func sealed(env model.EnvID, id model.WebhookEndpointID) []byte {
	return fmt.Appendf(nil, "webhook %d %s", env, id)
}

// Endpoints lists the endpoints of an environment, oldest first.
func (s *Service) Endpoints(ctx context.Context, env model.EnvID) ([]model.WebhookEndpoint, error) {
	return s.Store.WebhookEndpoints(ctx, env)
}

// Create makes an endpoint. Its secret is in the answer, and in no later one.
func (s *Service) Create(ctx context.Context, env model.EnvID, once model.Once, in model.WebhookEndpointInput) (model.Outcome[model.IssuedWebhookEndpoint], error) {
	e := model.WebhookEndpoint{
		ID: model.WebhookEndpointID(s.ids.New()), EnvID: env, URL: in.URL, Description: in.Description, Types: in.Types, Enabled: in.Enabled,
	}
	var c model.Check
	s.check(&c, e)
	secret := newSecret(&c, in.Secret)
	if err := c.Err(); err != nil {
		return model.Outcome[model.IssuedWebhookEndpoint]{}, err
	}
	e.Sealed = s.Box.Seal([]byte(secret), sealed(env, e.ID))
	out, err := s.Store.CreateWebhookEndpoint(ctx, once, e)
	return issued(out, secret), err
}

func issued(out model.Outcome[model.WebhookEndpoint], secret string) model.Outcome[model.IssuedWebhookEndpoint] {
	if out.Replayed {
		secret = ""
	}
	return model.Outcome[model.IssuedWebhookEndpoint]{Value: model.IssuedWebhookEndpoint{Endpoint: out.Value, Secret: secret}, Replayed: out.Replayed}
}

// newSecret is the given secret, or one that is made.
func newSecret(c *model.Check, given string) string {
	if given == "" {
		return signature.NewSecret()
	}
	if _, err := signature.ParseSecret(given); err != nil {
		c.Add(model.ProblemInvalid, err.Error(), "secret")
	}
	return given
}

func (s *Service) check(c *model.Check, e model.WebhookEndpoint) {
	if _, err := s.Guard.CheckURL(e.URL, "https", "http"); err != nil {
		c.Add(model.ProblemInvalid, err.Error(), "url")
	}
	if m := model.CheckText(e.Description, model.MaxWebhookDescription); m != "" {
		c.Add(model.ProblemInvalid, m, "description")
	}
	c.That(len(e.Types) <= model.MaxWebhookTypes, fmt.Sprintf("must have at most %d entries", model.MaxWebhookTypes), "types")
	for i, t := range e.Types {
		if m := model.CheckWebhookType(t); m != "" && i < model.MaxWebhookTypes {
			c.Add(model.ProblemInvalid, m, "types", fmt.Sprint(i))
		}
	}
}

// Update changes an endpoint. One that is enabled begins anew: what it failed
// before is forgotten, and what has waited for it is due as it was.
func (s *Service) Update(ctx context.Context, env model.EnvID, once model.Once, id model.WebhookEndpointID, change model.WebhookEndpointChange) (model.Outcome[model.WebhookEndpoint], error) {
	return s.Store.UpdateWebhookEndpoint(ctx, env, once, id, func(e model.WebhookEndpoint) (model.WebhookEndpoint, error) {
		was := e
		set(&e.URL, change.URL)
		set(&e.Description, change.Description)
		set(&e.Enabled, change.Enabled)
		if change.Types != nil {
			e.Types = change.Types
		}
		var c model.Check
		s.check(&c, e)
		if e.URL != was.URL || e.Enabled && !was.Enabled {
			e.Failures, e.FailingSince, e.WaitUntil, e.Trouble = 0, time.Time{}, time.Time{}, ""
		}
		return e, c.Err()
	})
}

func set[T any](field *T, to *T) {
	if to != nil {
		*field = *to
	}
}

// Rotate gives an endpoint a new secret; the one before it signs as well for as
// long as overlap.
func (s *Service) Rotate(ctx context.Context, env model.EnvID, once model.Once, id model.WebhookEndpointID, given string, overlap time.Duration) (model.Outcome[model.IssuedWebhookEndpoint], error) {
	var c model.Check
	c.That(overlap >= 0 && overlap <= model.MaxSecretOverlap, fmt.Sprintf("must be between 0 and %d", int(model.MaxSecretOverlap.Seconds())), "overlapSeconds")
	secret := newSecret(&c, given)
	if err := c.Err(); err != nil {
		return model.Outcome[model.IssuedWebhookEndpoint]{}, err
	}
	out, err := s.Store.UpdateWebhookEndpoint(ctx, env, once, id, func(e model.WebhookEndpoint) (model.WebhookEndpoint, error) {
		e.Previous, e.PreviousUntil = nil, time.Time{}
		if overlap > 0 {
			e.Previous, e.PreviousUntil = e.Sealed, s.now().Add(overlap)
		}
		e.Sealed = s.Box.Seal([]byte(secret), sealed(env, id))
		return e, nil
	})
	return issued(out, secret), err
}

// Delete deletes an endpoint. What it was and would be told is deleted soon after.
func (s *Service) Delete(ctx context.Context, env model.EnvID, once model.Once, id model.WebhookEndpointID) (model.Outcome[model.WebhookEndpointID], error) {
	return s.Store.DeleteWebhookEndpoint(ctx, env, once, id)
}

// Events reads a page of what an endpoint was and will be told, newest first,
// with the identifiers of the users whom it is about; no states are all states.
func (s *Service) Events(ctx context.Context, ref model.WebhookEndpointRef, states []model.WebhookState, page model.PageRequest) (model.Page[model.WebhookEvent], map[model.UserID]string, error) {
	out, err := s.Store.ListWebhookEvents(ctx, ref, states, page)
	if err != nil {
		return out, nil, err
	}
	names, err := s.Identifiers(ctx, ref.Env, out.Items...)
	return out, names, err
}

// Identifiers reads those of the users whom events are about.
func (s *Service) Identifiers(ctx context.Context, env model.EnvID, events ...model.WebhookEvent) (map[model.UserID]string, error) {
	var ids []model.UserID
	for _, e := range events {
		if e.UserID != 0 && !slices.Contains(ids, e.UserID) {
			ids = append(ids, e.UserID)
		}
	}
	out := make(map[model.UserID]string, len(ids))
	if len(ids) == 0 {
		return out, nil
	}
	users, err := s.Store.UsersByID(ctx, env, ids)
	for _, u := range users {
		out[u.ID] = u.Identifier
	}
	return out, err
}

// Attempts reads the calls about events of an endpoint.
func (s *Service) Attempts(ctx context.Context, ref model.WebhookEndpointRef, ids []model.WebhookEventID) (map[model.WebhookEventID][]model.WebhookAttempt, error) {
	return s.Store.WebhookAttempts(ctx, ref, ids)
}

// Replay has an event told again, at once and under the id that it has.
func (s *Service) Replay(ctx context.Context, ref model.WebhookEndpointRef, once model.Once, id model.WebhookEventID) (model.Outcome[model.WebhookEvent], error) {
	out, err := s.Store.ReplayWebhookEvent(ctx, ref, once, id)
	s.wake()
	return out, err
}

// ReplayAll has the events of an endpoint told again that happened at or after
// since and are in one of the states (none: those that failed), oldest first and
// at most model.MaxWebhookReplay of them, and returns how many.
func (s *Service) ReplayAll(ctx context.Context, ref model.WebhookEndpointRef, once model.Once, states []model.WebhookState, since time.Time) (model.Outcome[int], error) {
	if slices.Contains(states, model.WebhookQueued) || slices.Contains(states, model.WebhookAttempting) {
		var c model.Check
		c.Add(model.ProblemInvalid, "must hold SENT and FAILED only: the rest is on its way", "states")
		return model.Outcome[int]{}, c.Err()
	}
	if len(states) == 0 {
		states = []model.WebhookState{model.WebhookFailed}
	}
	out, err := s.Store.ReplayWebhookEvents(ctx, ref, once, states, since)
	s.wake()
	return out, err
}

func (s *Service) now() time.Time {
	now := s.Now
	if now == nil {
		now = time.Now
	}
	return now().UTC().Truncate(time.Microsecond)
}

func (s *Service) log() *slog.Logger {
	if s.Log == nil {
		return slog.Default()
	}
	return s.Log
}

func (s *Service) random() float64 {
	if s.Random == nil {
		return rand.Float64()
	}
	return s.Random()
}

func orDefault(v, otherwise time.Duration) time.Duration {
	if v == 0 {
		return otherwise
	}
	return v
}
