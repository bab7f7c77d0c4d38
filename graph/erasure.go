package graph

import (
	"context"

	"carillon/auth"
	"carillon/graph/generated"
	"carillon/graph/view"
	"carillon/model"
)

func (m *mutation) EraseUser(ctx context.Context, in generated.EraseUserInput) (*generated.EraseUserPayload, error) {
	p := &generated.EraseUserPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.Erasure]
	if err == nil {
		out, err = m.Users.Erase(ctx, d.env, d.once, in.User)
		err = elsewhere(err, unknownUser("user"))
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	m.userGone(d.env, out.Value.UserID, in.User)
	p.Erasure, p.Replayed = &view.Erasure{Erasure: out.Value}, out.Replayed
	return p, nil
}

func (q *query) Erasure(ctx context.Context, id string) (*view.Erasure, error) {
	caller, err := auth.RequireSecret(ctx)
	if err != nil {
		return nil, err
	}
	ref, ok := view.ParseErasureID(id)
	if !ok {
		return nil, nil
	}
	e, err := q.Resolver.Users.Erasure(ctx, caller.Env.ID, ref)
	if err != nil {
		return nil, absent(err)
	}
	return &view.Erasure{Erasure: e}, nil
}
