package graph

import (
	"context"

	"carillon/auth"
	"carillon/graph/generated"
	"carillon/model"
)

var _ generated.MutationResolver = (*mutation)(nil)

// mutation resolves the schema's Mutation; its methods stand with their nouns.
// Each asks who is calling, turns the input into the model's words, calls one
// service and turns the answer back.
type mutation struct{ *Resolver }

// doing is a mutation that is about to call its service: who calls, about
// which user, and the idempotency key.
type doing struct {
	caller     auth.Caller
	env        model.EnvID
	identifier string       // of the user it is about
	user       model.UserID // the same, where it was looked up
	once       model.Once
}

// byApplication starts a mutation that takes a secret key.
func byApplication(ctx context.Context, key *string, input any) (doing, error) {
	caller, err := auth.RequireSecret(ctx)
	if err != nil {
		return doing{}, err
	}
	d := doing{caller: caller, env: caller.Env.ID}
	d.once, err = once(ctx, caller, key, input)
	return d, err
}

// about starts a mutation about a user, who need not exist.
func (m *mutation) about(ctx context.Context, user, key *string, input any) (doing, error) {
	caller, identifier, err := m.subject(ctx, user)
	if err != nil {
		return doing{caller: caller, env: caller.Env.ID}, err
	}
	d := doing{caller: caller, env: caller.Env.ID, identifier: identifier}
	d.once, err = once(ctx, caller, key, input)
	return d, err
}

// aboutKnown starts a mutation about a user who must exist.
func (m *mutation) aboutKnown(ctx context.Context, user, key *string, input any) (doing, error) {
	caller, id, err := m.target(ctx, user)
	if err != nil {
		return doing{caller: caller, env: caller.Env.ID}, err
	}
	d := doing{caller: caller, env: caller.Env.ID, user: id}
	d.once, err = once(ctx, caller, key, input)
	return d, err
}
