package graph

import (
	"context"
	"time"

	"carillon/auth"
	"carillon/graph/operation"
	"carillon/internal/ratelimit"
	"carillon/internal/shed"
	"carillon/model"
)

// Rates are how many root fields may be asked for, each field of an operation
// counted by itself. The zero Rate does not limit.
type Rates struct {
	Environment ratelimit.Rate // of all callers of one environment together
	User        ratelimit.Rate // of one user
	Address     ratelimit.Rate // of one address, for requests without a credential
}

// admission decides whether an operation may run now: within its rates, and
// while the server has room.
type admission struct {
	environments *ratelimit.Limiter[model.EnvID]
	users        *ratelimit.Limiter[model.UserRef]
	addresses    *ratelimit.Limiter[string]
	gate         *shed.Gate // nil: there is always room
}

func newAdmission(r Rates, gate *shed.Gate) *admission {
	return &admission{
		environments: ratelimit.New[model.EnvID](r.Environment),
		users:        ratelimit.New[model.UserRef](r.User),
		addresses:    ratelimit.New[string](r.Address),
		gate:         gate,
	}
}

// admit is the engine's Admit.
func (a *admission) admit(ctx context.Context, o *operation.Operation) (leave func(), err error) {
	if wait, whose := a.wait(ctx, float64(o.Fields()), time.Now()); wait > 0 {
		return nil, &model.Error{
			Kind: model.KindRateLimited, RetryAfter: wait,
			Message: "too many requests of this " + whose + "; wait before the next one",
		}
	}
	if a.gate == nil {
		return func() {}, nil
	}
	return a.gate.Enter(ctx, classOf(o))
}

// wait is how long the caller must wait, and whose rate says so.
func (a *admission) wait(ctx context.Context, fields float64, now time.Time) (wait time.Duration, whose string) {
	caller, ok := auth.FromContext(ctx)
	if !ok {
		return a.addresses.Take(addressOf(ctx), fields, now), "address"
	}
	if caller.Kind == auth.User {
		// An unknown user has no id; all of them together are one.
		if wait := a.users.Take(model.UserRef{Env: caller.Env.ID, ID: caller.UserID}, fields, now); wait > 0 {
			return wait, "user"
		}
	}
	return a.environments.Take(caller.Env.ID, fields, now), "environment"
}

// searching are the root fields that may be asked again later, sending those
// that an application waits for; a person waits for the others.
var (
	searching = map[string]bool{"users": true, "notifications": true, "sends": true, "scheduledSends": true, "topics": true}
	sending   = map[string]bool{"sendNotification": true, "identifyUsers": true, "identifyUser": true, "subscribeToTopic": true, "unsubscribeFromTopic": true}
)

// classOf is how urgent an operation is: as its least urgent field.
func classOf(o *operation.Operation) shed.Class {
	class := shed.Reading
	for _, field := range o.RootFields() {
		switch {
		case searching[field]:
			return shed.Searching
		case sending[field]:
			class = shed.Sending
		}
	}
	return class
}

type addressKey struct{}

// withAddress notes where a request comes from.
func withAddress(ctx context.Context, address string) context.Context {
	return context.WithValue(ctx, addressKey{}, address)
}

func addressOf(ctx context.Context) string {
	address, _ := ctx.Value(addressKey{}).(string)
	return address
}
