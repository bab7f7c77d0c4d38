// Package admission decides whether a request may be worked on now: within the
// rates of whoever asks, and while the server has room. One Desk stands behind
// all surfaces, so that a caller gains nothing by using two of them.
package admission

import (
	"context"
	"hash/maphash"
	"sync/atomic"
	"time"

	"carillon/auth"
	"carillon/internal/ratelimit"
	"carillon/internal/shed"
	"carillon/model"
)

// Rates are how many things may be asked for: a REST request is one, a GraphQL
// operation as many as it has root fields. The zero Rate does not limit.
type Rates struct {
	Environment ratelimit.Rate // of all callers of one environment together
	User        ratelimit.Rate // of one user
	Address     ratelimit.Rate // of one address, for requests without a credential
}

// Desk admits requests. Make one with New; a nil Desk admits all.
type Desk struct {
	environments *ratelimit.Limiter[model.EnvID]
	users        *ratelimit.Limiter[model.UserRef]
	addresses    *ratelimit.Limiter[string]
	gate         *shed.Gate
	known        known
	over         atomic.Int64 // until when environments are taken to be over their rate, in Unix nanoseconds
	limited      atomic.Int64
}

// Limited is how many requests were refused for a rate since the start.
func (d *Desk) Limited() int64 { return d.limited.Load() }

// New makes a Desk. With a nil gate there is always room.
func New(r Rates, gate *shed.Gate) *Desk {
	return &Desk{
		environments: ratelimit.New[model.EnvID](r.Environment),
		users:        ratelimit.New[model.UserRef](r.User),
		addresses:    ratelimit.New[string](r.Address),
		gate:         gate,
		known:        known{seed: maphash.MakeSeed(), envs: map[uint64]model.EnvID{}},
	}
}

// Admit admits a request of the caller in ctx, or without one of the address,
// for n things of a class. The caller must call leave when the work is done. An
// error is KindRateLimited or KindUnavailable, with a time to come back after,
// or ctx's.
func (d *Desk) Admit(ctx context.Context, address string, n int, class shed.Class) (leave func(), err error) {
	if err := d.Count(ctx, address, n); err != nil {
		return nil, err
	}
	if d == nil || d.gate == nil {
		return func() {}, nil
	}
	return d.gate.Enter(ctx, class, partyOf(ctx))
}

// Count admits what takes as long as its caller does, and so no place: it looks
// at the rates alone.
func (d *Desk) Count(ctx context.Context, address string, n int) error {
	if d == nil {
		return nil
	}
	now := time.Now()
	wait, whose := d.wait(ctx, address, float64(n), now)
	if wait <= 0 {
		return nil
	}
	if whose == ofEnvironment {
		d.over.Store(now.Add(rateOver).UnixNano())
	}
	d.limited.Add(1)
	return tooMany(wait, whose)
}

// ofEnvironment says whose rate it is.
const ofEnvironment = "environment"

func tooMany(wait time.Duration, whose string) error {
	return &model.Error{
		Kind: model.KindRateLimited, RetryAfter: wait,
		Message: "too many requests of this " + whose + "; wait before the next one",
	}
}

// partyOf is the environment of the caller in ctx; all who have none are one.
func partyOf(ctx context.Context) int64 {
	caller, ok := auth.FromContext(ctx)
	if !ok {
		return 0
	}
	return int64(caller.Env.ID)
}

// wait is how long the caller must wait, and whose rate says so.
func (d *Desk) wait(ctx context.Context, address string, n float64, now time.Time) (wait time.Duration, whose string) {
	caller, ok := auth.FromContext(ctx)
	if !ok {
		return d.addresses.Take(address, n, now), "address"
	}
	if caller.Kind == auth.User {
		// An unknown user has no id; all of them together are one.
		if wait := d.users.Take(model.UserRef{Env: caller.Env.ID, ID: caller.UserID}, n, now); wait > 0 {
			return wait, "user"
		}
	}
	return d.environments.Take(caller.Env.ID, n, now), ofEnvironment
}
