package engagespot

import (
	"context"
	"encoding/json"
	"net/http"

	"carillon/auth"
	"carillon/model"
	"carillon/rest"
)

// caller is who calls, on a route that is not open.
func caller(ctx context.Context) auth.Caller {
	c, _ := auth.FromContext(ctx)
	return c
}

// knownUser is the user who calls; one whom an environment that wants tokens
// does not know is a KindNotFound error.
func knownUser(ctx context.Context) (auth.Caller, error) {
	c := caller(ctx)
	if c.UserID == 0 {
		return c, unknownUser(c)
	}
	return c, nil
}

func unknownUser(c auth.Caller) error {
	return model.Errorf(model.KindNotFound, "the user %q is not known yet, and this environment creates users by PUT /users/{identifier} only", c.User)
}

// notificationID reads the id in the path.
func notificationID(r *http.Request) (model.NotificationID, error) {
	id, ok := rest.ParseID(r.PathValue("id"))
	if !ok {
		return 0, badID("notification")
	}
	return model.NotificationID(id), nil
}

func badID(what string) error {
	return &model.Error{Kind: model.KindInvalid, Message: "invalid input", Problems: []model.Problem{
		{Code: model.ProblemInvalid, Path: []string{"the id of the " + what}, Message: "must be a whole number"},
	}}
}

// item is a notification that a request is about.
type item struct {
	caller auth.Caller
	user   model.UserID
	id     model.NotificationID
	once   model.Once
}

// item finds whose notification a request is about: a user's own, or, for an
// application, anyone's, since it names none. It does not look whether a user's
// is there.
func (a *API) item(r *http.Request, operation string, body json.RawMessage) (item, error) {
	id, err := notificationID(r)
	if err != nil {
		return item{}, err
	}
	c := caller(r.Context())
	i := item{caller: c, user: c.UserID, id: id}
	if i.once, err = rest.Once(r, c, operation, body); err != nil {
		return item{}, err
	}
	switch {
	case c.Kind == auth.User && c.UserID == 0:
		return item{}, gone()
	case c.Kind == auth.Secret:
		if i.user, err = a.Inbox.Owner(r.Context(), c.Env.ID, id); err != nil {
			return item{}, otherwise(err, gone())
		}
	}
	return i, nil
}

// mark answers with the notification after a mark.
func (a *API) mark(r *http.Request, as model.MarkState, body json.RawMessage) (int, any, error) {
	i, err := a.item(r, "markNotifications", body)
	if err != nil {
		return 0, nil, err
	}
	out, err := a.Inbox.Mark(r.Context(), i.caller.Env.ID, i.once, i.user, []model.NotificationID{i.id}, as)
	if err != nil {
		return 0, nil, err
	}
	if len(out.Value.Notifications) == 0 {
		return 0, nil, gone()
	}
	return a.one(r.Context(), i.caller.Env.ID, out.Value.Notifications[0])
}

// whole is a change of all of the caller's inbox.
func (a *API) whole(r *http.Request, operation string) (auth.Caller, model.Once, error) {
	c, err := knownUser(r.Context())
	if err != nil {
		return c, model.Once{}, err
	}
	once, err := rest.Once(r, c, operation, nil)
	return c, once, err
}

// one answers with a notification.
func (a *API) one(ctx context.Context, env model.EnvID, n model.Notification) (int, any, error) {
	wire, err := a.shown(ctx, env, []model.Notification{n})
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, wire[0], nil
}

// shown is notifications with their categories.
func (a *API) shown(ctx context.Context, env model.EnvID, list []model.Notification) ([]Notification, error) {
	var ids []model.CategoryID
	seen := map[model.CategoryID]bool{}
	for _, n := range list {
		if n.CategoryID != 0 && !seen[n.CategoryID] {
			seen[n.CategoryID] = true
			ids = append(ids, n.CategoryID)
		}
	}
	var categories map[model.CategoryID]model.Category
	if len(ids) > 0 {
		var err error
		if categories, err = a.Catalog.CategoriesByID(ctx, env, ids); err != nil {
			return nil, err
		}
	}
	out := make([]Notification, len(list))
	for i, n := range list {
		out[i] = NewNotification(n, categories)
	}
	return out, nil
}
