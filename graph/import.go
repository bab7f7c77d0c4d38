package graph

import (
	"context"
	"encoding/json"

	"carillon/auth"
	"carillon/graph/generated"
	"carillon/graph/view"
	"carillon/model"
)

func (q *query) Import(ctx context.Context, id string) (*view.Import, error) {
	caller, err := auth.RequireSecret(ctx)
	if err != nil {
		return nil, err
	}
	i, err := q.Resolver.Users.FindImport(ctx, caller.Env.ID, model.ImportID(id))
	if err != nil {
		return nil, absent(err)
	}
	return &view.Import{Import: i}, nil
}

func (m *mutation) CancelImport(ctx context.Context, in generated.CancelImportInput) (*generated.CancelImportPayload, error) {
	p := &generated.CancelImportPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.Import]
	if err == nil {
		out, err = m.Users.CancelImport(ctx, d.env, d.once, model.ImportID(in.ID))
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.Import, p.Replayed = &view.Import{Import: out.Value}, out.Replayed
	return p, nil
}

// maxExport is how many bytes of a user are an answer.
const maxExport = 4 << 20

func (q *query) ExportUser(ctx context.Context, id string) (json.RawMessage, error) {
	caller, err := auth.RequireSecret(ctx)
	if err != nil {
		return nil, err
	}
	ref, ok := view.ParseRef(id)
	if !ok || ref.Kind != view.KindUser {
		return nil, nil
	}
	found, err := q.Resolver.Users.ByIDs(ctx, caller.Env.ID, []model.UserID{model.UserID(ref.Number)})
	if err != nil {
		return nil, err
	}
	u, there := found[model.UserID(ref.Number)]
	if !there {
		return nil, nil
	}
	all, err := q.Resolver.Users.ExportLimited(ctx, caller.Env.ID, u.Identifier, maxExport)
	if err != nil {
		return nil, absent(err)
	}
	return all, nil
}
