package engagespot

import (
	"context"
	"sync"
	"time"

	"carillon/model"
)

// CategoryNames is what live updates ask of categories; *catalog.Service has
// it.
type CategoryNames interface {
	CategoriesByID(ctx context.Context, env model.EnvID, ids []model.CategoryID) (map[model.CategoryID]model.Category, error)
}

// names remembers categories for a moment: a send to thousands of sockets has
// one, and asks for it thousands of times.
type names struct {
	catalog CategoryNames

	mu    sync.Mutex
	known map[nameKey]name
}

type nameKey struct {
	env model.EnvID
	id  model.CategoryID
}

// name is a category, or that there is none, as it was at a time.
type name struct {
	found map[model.CategoryID]model.Category
	at    time.Time
}

const (
	nameFor  = 2 * time.Second // a category is remembered
	maxNames = 4096
)

func newNames(catalog CategoryNames) *names {
	return &names{catalog: catalog, known: map[nameKey]name{}}
}

// of finds the category of a notification, as [NewNotification] wants it. One
// that is gone is not in it.
func (n *names) of(ctx context.Context, env model.EnvID, id model.CategoryID) (map[model.CategoryID]model.Category, error) {
	if id == 0 {
		return nil, nil //nolint:nilnil // no category is no error
	}
	key, now := nameKey{env, id}, time.Now()
	n.mu.Lock()
	known, ok := n.known[key]
	n.mu.Unlock()
	if ok && now.Sub(known.at) < nameFor {
		return known.found, nil
	}
	found, err := n.catalog.CategoriesByID(ctx, env, []model.CategoryID{id})
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.known) >= maxNames {
		clear(n.known)
	}
	n.known[key] = name{found, now}
	return found, nil
}
