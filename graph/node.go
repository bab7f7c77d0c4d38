package graph

import (
	"context"

	"carillon/auth"
	"carillon/graph/view"
	"carillon/model"
)

// Node finds what an id names. Foreign, malformed and unknown ids are all null.
func (q *query) Node(ctx context.Context, id string) (view.Node, error) {
	caller, err := q.caller(ctx)
	if err != nil {
		return nil, err
	}
	ref, ok := view.ParseRef(id)
	if !ok {
		return nil, nil
	}
	return q.node(ctx, caller, ref)
}

// node avoids the trap of a typed nil in an interface: gqlgen would show an
// object without fields instead of null.
func (r *Resolver) node(ctx context.Context, caller auth.Caller, ref view.Ref) (view.Node, error) {
	env := caller.Env.ID
	switch ref.Kind {
	case view.KindApp:
		if model.AppID(ref.Number) == caller.Env.AppID {
			return view.NewApp(caller.Env), nil
		}
	case view.KindUser:
		if maySee(caller, model.UserID(ref.Number)) {
			us, err := r.Users.ByIDs(ctx, env, []model.UserID{model.UserID(ref.Number)})
			return one(us, view.NewUser), err
		}
	case view.KindNotification:
		return some(r.notificationNode(ctx, caller, model.NotificationID(ref.Number)))
	case view.KindSend:
		if caller.Kind == auth.Secret {
			return some(r.sendNode(ctx, env, model.SendID(ref.Number)))
		}
	case view.KindCategory:
		cs, err := r.Categories.CategoriesByID(ctx, env, []model.CategoryID{model.CategoryID(ref.Number)})
		return one(cs, view.NewCategory), err
	case view.KindTopic:
		if caller.Kind == auth.Secret {
			return some(r.topicNode(ctx, env, model.TopicID(ref.Number)))
		}
	case view.KindSegment:
		if caller.Kind == auth.Secret {
			m, err := r.Segments.ByID(ctx, env, model.SegmentID(ref.Number))
			return found(view.NewSegment(m), err)
		}
	case view.KindTemplate:
		if caller.Kind == auth.Secret {
			t, err := r.Templates.ByID(ctx, env, model.TemplateID(ref.Number))
			return found(view.NewTemplate(t, r.loader(env)), err)
		}
	case view.KindLayout:
		if caller.Kind == auth.Secret {
			ls, err := r.Layouts.ByIDs(ctx, env, []model.LayoutID{model.LayoutID(ref.Number)})
			return one(ls, view.NewLayout), err
		}
	case view.KindDevice:
		if maySee(caller, model.UserID(ref.Number)) {
			d, err := r.Users.Device(ctx, env, model.UserID(ref.Number), model.DeviceID(ref.Text))
			return found(view.NewDevice(d), err)
		}
	case view.KindDelivery, view.KindProvider, view.KindSuppression: // no nodes of their own
	case view.KindAddress: // no node of its own: it is read through its user
	case view.KindCredential:
		if caller.Kind == auth.Secret {
			return r.credentialNode(ctx, env, model.CredentialID(ref.Text))
		}
	}
	return nil, nil
}

func (r *Resolver) credentialNode(ctx context.Context, env model.EnvID, id model.CredentialID) (view.Node, error) {
	cs, err := r.Apps.Credentials(ctx, env)
	if err != nil {
		return nil, err
	}
	for _, c := range cs {
		if c.ID == id {
			return view.NewCredential(c), nil
		}
	}
	return nil, nil
}

// found is n unless it was not found.
func found(n view.Node, err error) (view.Node, error) {
	if err != nil {
		return nil, absent(err)
	}
	return n, nil
}

// some is n unless it is nil.
func some[N interface {
	comparable
	view.Node
}](n N, err error) (view.Node, error) {
	var none N
	if err != nil || n == none {
		return nil, err
	}
	return n, nil
}

// one shows the only value of a look-up; nil when there is none.
func one[K comparable, T any, N view.Node](found map[K]T, show func(T) N) view.Node {
	for _, v := range found {
		return show(v)
	}
	return nil
}
