package graph

import (
	"context"
	"sync"

	"carillon/auth"
	"carillon/graph/view"
	"carillon/model"
)

// loader finds what the rows of one page refer to. It is told of all ids when
// the page is there and looks nothing up until the first of them is asked for;
// then all are read at once. Elements of a list run in goroutines of their
// own: whoever comes while a look-up runs waits for it.
//
// It lives as long as the page, in one environment, so what it remembers is
// never stale for anyone and never another's.
type loader struct {
	users         batch[model.UserID, *view.User]
	sends         batch[model.SendID, *view.Send]
	categories    batch[model.CategoryID, *view.Category]
	layouts       batch[model.LayoutID, *view.Layout]
	notifications batch[model.NotificationID, *view.Notification]
	interactions  batch[model.NotificationID, []model.Interaction]
	skipped       batch[model.SendID, []model.Skipped]

	page       []model.Notification // the last that was shown, for what few ask for
	deliveries batch[model.NotificationID, []model.Delivery]
	attempts   batch[model.DeliveryID, []model.Attempt]
	providers  batch[model.ProviderID, *view.Provider]
}

func (r *Resolver) loader(env model.EnvID) *loader {
	l := &loader{}
	l.users.load = func(ctx context.Context, ids []model.UserID) (map[model.UserID]*view.User, error) {
		found, err := r.Users.ByIDs(ctx, env, ids)
		return shownBy(found, view.NewUser), err
	}
	l.sends.load = func(ctx context.Context, ids []model.SendID) (map[model.SendID]*view.Send, error) {
		found, err := r.Sends.ByIDs(ctx, env, ids)
		for _, s := range found {
			l.categories.want(s.CategoryID)
			l.skipped.want(s.ID)
		}
		return shownBy(found, func(s model.Send) *view.Send { return view.NewSend(&s, l) }), err
	}
	l.categories.load = func(ctx context.Context, ids []model.CategoryID) (map[model.CategoryID]*view.Category, error) {
		found, err := r.Categories.CategoriesByID(ctx, env, ids)
		return shownBy(found, view.NewCategory), err
	}
	l.layouts.load = func(ctx context.Context, ids []model.LayoutID) (map[model.LayoutID]*view.Layout, error) {
		found, err := r.Layouts.ByIDs(ctx, env, ids)
		return shownBy(found, view.NewLayout), err
	}
	l.notifications.load = func(ctx context.Context, ids []model.NotificationID) (map[model.NotificationID]*view.Notification, error) {
		found, err := r.Inbox.ByIDs(ctx, env, ids)
		for _, n := range found {
			l.wantOf(&n)
		}
		return shownBy(found, func(n model.Notification) *view.Notification { return view.NewNotification(&n, l) }), err
	}
	l.interactions.load = func(ctx context.Context, ids []model.NotificationID) (map[model.NotificationID][]model.Interaction, error) {
		return r.Inbox.Interactions(ctx, env, ids)
	}
	l.skipped.load = func(ctx context.Context, ids []model.SendID) (map[model.SendID][]model.Skipped, error) {
		return r.Sends.Skipped(ctx, env, ids)
	}
	r.loadDeliveries(env, l)
	return l
}

// shownBy turns the values of a look-up into what is shown.
func shownBy[K comparable, T, N any](found map[K]T, show func(T) N) map[K]N {
	out := make(map[K]N, len(found))
	for k, v := range found {
		out[k] = show(v)
	}
	return out
}

// wantOf tells the loader what a notification refers to.
func (l *loader) wantOf(n *model.Notification) {
	l.users.want(n.UserID)
	l.sends.want(n.SendID)
	l.categories.want(n.CategoryID)
}

// notificationRows shows notifications that are read together.
func (l *loader) notificationRows(ns []model.Notification) []*view.Notification {
	for i := range ns {
		l.wantOf(&ns[i])
	}
	l.page = ns
	return view.Notifications(ns, l)
}

// templateRows shows templates that are read together.
func (l *loader) templateRows(ts []model.Template) []*view.Template {
	for i := range ts {
		if ref := ts[i].Layout.Ref; ref != nil {
			l.layouts.want(ref.ID)
		}
	}
	return view.Templates(ts, l)
}

// sendRows shows sends that are read together.
func (l *loader) sendRows(ss []model.Send) []*view.Send {
	for i := range ss {
		l.categories.want(ss[i].CategoryID)
		l.skipped.want(ss[i].ID)
	}
	return view.Sends(ss, l)
}

// User finds a user. One that is gone since the page was read is a
// KindNotFound error.
func (l *loader) User(ctx context.Context, id model.UserID) (*view.User, error) {
	u, err := l.users.get(ctx, id)
	if err == nil && u == nil {
		return nil, model.Errorf(model.KindNotFound, "the user was deleted meanwhile")
	}
	return u, err
}

// Send finds a send. One that is gone since the page was read is a
// KindNotFound error.
func (l *loader) Send(ctx context.Context, id model.SendID) (*view.Send, error) {
	s, err := l.sends.get(ctx, id)
	if err == nil && s == nil {
		return nil, model.Errorf(model.KindNotFound, "the send was deleted meanwhile")
	}
	return s, err
}

// Category finds a category; nil when it was deleted.
func (l *loader) Category(ctx context.Context, id model.CategoryID) (*view.Category, error) {
	return l.categories.get(ctx, id)
}

// Layout finds a layout; nil when it was deleted.
func (l *loader) Layout(ctx context.Context, id model.LayoutID) (*view.Layout, error) {
	return l.layouts.get(ctx, id)
}

// Notification finds a notification; nil when it is gone.
func (l *loader) Notification(ctx context.Context, id model.NotificationID) (*view.Notification, error) {
	return l.notifications.get(ctx, id)
}

// Interactions is what was done to a notification.
func (l *loader) Interactions(ctx context.Context, id model.NotificationID) ([]model.Interaction, error) {
	for i := range l.page {
		l.interactions.want(l.page[i].ID)
	}
	return l.interactions.get(ctx, id)
}

// Skipped is whom a send left out. A user, who sees a send through a
// notification, is not told of others and what they chose.
func (l *loader) Skipped(ctx context.Context, id model.SendID) ([]model.Skipped, error) {
	if caller, ok := auth.FromContext(ctx); !ok || caller.Kind != auth.Secret {
		return nil, nil
	}
	return l.skipped.get(ctx, id)
}

// batch remembers look-ups by id and makes them for all wanted ids at once.
type batch[K ~int64 | ~string, V any] struct {
	load func(ctx context.Context, ids []K) (map[K]V, error)

	mu     sync.Mutex
	wanted map[K]struct{}
	known  map[K]V // also what was looked for and is not there
	failed error   // of an earlier look-up; the page will not try again
}

// want says that id may be asked for. The zero id names nothing.
func (b *batch[K, V]) want(id K) {
	var none K
	if id == none {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.wanted == nil {
		b.wanted = map[K]struct{}{}
	}
	b.wanted[id] = struct{}{}
}

// know says what id is, so that it is not looked up.
func (b *batch[K, V]) know(id K, v V) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.remember(id, v)
}

func (b *batch[K, V]) remember(id K, v V) {
	if b.known == nil {
		b.known = map[K]V{}
	}
	b.known[id] = v
}

// get returns the zero value for an id that names nothing.
func (b *batch[K, V]) get(ctx context.Context, id K) (V, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if v, ok := b.known[id]; ok || b.failed != nil {
		return v, b.failed
	}
	ids := []K{id}
	for w := range b.wanted {
		if _, ok := b.known[w]; !ok && w != id {
			ids = append(ids, w)
		}
	}
	found, err := b.load(ctx, ids)
	if err != nil {
		b.failed = err
		var none V
		return none, err
	}
	for _, w := range ids {
		b.remember(w, found[w])
	}
	b.wanted = nil
	return found[id], nil
}
