package graph

import (
	"context"

	"carillon/auth"
	"carillon/graph/generated"
	"carillon/graph/view"
)

var (
	_ generated.QueryResolver  = (*query)(nil)
	_ generated.ViewerResolver = (*viewer)(nil)
)

// query resolves the schema's Query; what belongs to a noun stands with it.
type query struct{ *Resolver }

func (q *query) Viewer(ctx context.Context) (*generated.Viewer, error) {
	caller, err := q.caller(ctx)
	if err != nil {
		return nil, err
	}
	return &generated.Viewer{App: view.NewApp(caller.Env), Environment: caller.Env.Kind}, nil
}

// viewer resolves the field of Viewer that is read only when asked for.
type viewer struct{ *Resolver }

func (v *viewer) User(ctx context.Context, _ *generated.Viewer) (*view.User, error) {
	caller, err := v.caller(ctx)
	switch {
	case err != nil:
		return nil, err
	case caller.Kind != auth.User:
		return nil, nil
	case caller.UserID == 0:
		return nil, unidentified(caller)
	}
	u, err := v.Resolver.Users.Find(ctx, caller.Env.ID, caller.User)
	if err != nil {
		return nil, elsewhere(err, unidentified(caller))
	}
	return view.NewUser(u), nil
}

func (q *query) ServerStatus(ctx context.Context) (*generated.ServerStatus, error) {
	if _, err := auth.RequireSecret(ctx); err != nil {
		return nil, err
	}
	s := q.Status(ctx)
	return &generated.ServerStatus{Version: s.Version, Database: s.Database, LiveAcrossProcesses: s.LiveAcrossProcesses, Warnings: s.Warnings}, nil
}
