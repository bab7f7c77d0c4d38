package graph

import (
	"context"

	"carillon/auth"
	"carillon/graph/generated"
	"carillon/graph/view"
	"carillon/model"
)

func (q *query) Notification(ctx context.Context, id string) (*view.Notification, error) {
	caller, err := q.caller(ctx)
	if err != nil {
		return nil, err
	}
	ref, ok := view.ParseRef(id)
	if !ok || ref.Kind != view.KindNotification {
		return nil, nil
	}
	return q.notificationNode(ctx, caller, model.NotificationID(ref.Number))
}

func (r *Resolver) notificationNode(ctx context.Context, caller auth.Caller, id model.NotificationID) (*view.Notification, error) {
	n, err := r.Inbox.Find(ctx, caller.Env.ID, id)
	if err != nil {
		return nil, absent(err)
	}
	if !maySee(caller, n.UserID) {
		return nil, nil
	}
	return view.NewNotification(&n, r.loader(caller.Env.ID)), nil
}

func (q *query) Notifications(ctx context.Context, first *int32, after *string, last *int32, before *string, filter *generated.NotificationFilter) (*generated.NotificationConnection, error) {
	caller, err := auth.RequireSecret(ctx)
	if err != nil {
		return nil, err
	}
	req, err := pageArgs{first, after, last, before}.request(pageLog)
	if err != nil {
		return nil, err
	}
	f, some, err := q.notificationFilter(ctx, caller.Env.ID, filter)
	if err != nil {
		return nil, err
	}
	var page model.Page[model.Notification]
	if some {
		if page, err = q.Inbox.Log(ctx, caller.Env.ID, f, req); err != nil {
			return nil, err
		}
	}
	r := pageOf(pageLog, req, page.Items, page.HasMore, q.loader(caller.Env.ID).notificationRows(page.Items), notificationKey)
	return &generated.NotificationConnection{
		Nodes: r.nodes, PageInfo: r.info,
		Edges: edges(r, func(c string, n *view.Notification) *generated.NotificationEdge {
			return &generated.NotificationEdge{Cursor: c, Node: n}
		}),
	}, nil
}

func notificationKey(n *model.Notification) model.PageKey {
	return model.PageKey{At: n.SortAt, ID: int64(n.ID)}
}

// notificationFilter reads a filter of the log; some is false when it names
// something that does not exist, so that nothing can match.
func (r *Resolver) notificationFilter(ctx context.Context, env model.EnvID, in *generated.NotificationFilter) (f model.NotificationFilter, some bool, err error) {
	if in == nil {
		return f, true, nil
	}
	if in.User != nil {
		u, err := r.Users.Find(ctx, env, *in.User)
		if err != nil {
			return f, false, absent(err)
		}
		f.User = u.ID
	}
	if in.Send != nil {
		id, ok := sendID(*in.Send)
		if !ok {
			return f, false, nil
		}
		f.Send = id
	}
	f.Categories, err = r.categoriesOf(ctx, env, in.Categories)
	return f, true, err
}

// categoriesOf finds the categories that a query's filter names. Those that do
// not exist select nothing; nil stays nil, which is all.
func (r *Resolver) categoriesOf(ctx context.Context, env model.EnvID, identifiers []string) ([]model.CategoryID, error) {
	if identifiers == nil {
		return nil, nil
	}
	all, err := r.Categories.Categories(ctx, env)
	if err != nil {
		return nil, err
	}
	byName := make(map[string]model.CategoryID, len(all))
	for _, c := range all {
		byName[c.Identifier] = c.ID
	}
	out := []model.CategoryID{}
	for _, name := range identifiers {
		if id, ok := byName[name]; ok {
			out = append(out, id)
		}
	}
	return out, nil
}
