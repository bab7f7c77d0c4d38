// Package catalog keeps what sends and preferences refer to: the categories of
// an environment. It owns their rules and a short-lived cache of them, since
// every send and every settings page asks for them.
//
// It does not know what users chose about a category, nor which notifications
// carry one.
package catalog

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"carillon/model"
)

// Store is what the catalog needs from the database; *store.Store has it.
type Store interface {
	Categories(ctx context.Context, env model.EnvID) ([]model.Category, error)
	CreateCategory(ctx context.Context, env model.EnvID, once model.Once, c model.Category) (model.Outcome[model.Category], error)
	UpdateCategory(ctx context.Context, env model.EnvID, once model.Once, identifier string, change func(model.Category) model.Category) (model.Outcome[model.Category], error)
	DeleteCategory(ctx context.Context, env model.EnvID, once model.Once, identifier string) (model.Outcome[model.CategoryID], error)
	DeleteCategoryByID(ctx context.Context, env model.EnvID, once model.Once, id model.CategoryID) (model.Outcome[model.CategoryID], error)
}

// Service keeps categories. Store must be set; the methods may be called
// concurrently. What it returns is shared with other callers: nobody writes to
// it.
type Service struct {
	Store Store
	Now   func() time.Time // nil: time.Now

	cache cache
}

// Categories lists the categories of an environment by identifier, byte by
// byte. A change made by another process is seen within two seconds, one made
// by this process at once.
func (s *Service) Categories(ctx context.Context, env model.EnvID) ([]model.Category, error) {
	return s.cache.get(env, s.now(), func() ([]model.Category, error) { return s.Store.Categories(ctx, env) })
}

// CategoriesByID finds categories; ids that name none are left out.
func (s *Service) CategoriesByID(ctx context.Context, env model.EnvID, ids []model.CategoryID) (map[model.CategoryID]model.Category, error) {
	out := make(map[model.CategoryID]model.Category, len(ids))
	return out, s.lookUp(ctx, env, func(all []model.Category) bool {
		for _, c := range all {
			if slices.Contains(ids, c.ID) {
				out[c.ID] = c
			}
		}
		return len(out) == len(ids)
	})
}

// Find finds a category by identifier; one that another process has just
// created is found too.
func (s *Service) Find(ctx context.Context, env model.EnvID, identifier string) (model.Category, error) {
	var found model.Category
	err := s.lookUp(ctx, env, func(all []model.Category) bool {
		i, ok := slices.BinarySearchFunc(all, identifier, func(c model.Category, name string) int { return strings.Compare(c.Identifier, name) })
		if ok {
			found = all[i]
		}
		return ok
	})
	if err == nil && found.ID == 0 {
		err = errUnknown
	}
	return found, err
}

var errUnknown = model.NotFound("names no category", "identifier")

// CategoryIDs finds the ids of categories, in order. Identifiers that name none
// are problems of a KindInvalid error at path and their number; a nil list
// stays nil.
func (s *Service) CategoryIDs(ctx context.Context, env model.EnvID, identifiers []string, path ...string) ([]model.CategoryID, error) {
	if identifiers == nil {
		return nil, nil
	}
	out := make([]model.CategoryID, len(identifiers))
	if err := s.lookUp(ctx, env, func(all []model.Category) bool {
		byName := make(map[string]model.CategoryID, len(all))
		for _, c := range all {
			byName[c.Identifier] = c.ID
		}
		for i, name := range identifiers {
			out[i] = byName[name]
		}
		return !slices.Contains(out, 0)
	}); err != nil {
		return nil, err
	}
	var c model.Check
	for i, id := range out {
		if id == 0 {
			c.At(path...).Add(model.ProblemNotFound, "names no category", strconv.Itoa(i))
		}
	}
	return out, c.Err()
}

// lookUp asks whether all that is sought is among the cached categories, and
// if not, once more among those that are read now.
func (s *Service) lookUp(ctx context.Context, env model.EnvID, found func([]model.Category) bool) error {
	all, err := s.Categories(ctx, env)
	if err != nil || found(all) {
		return err
	}
	s.cache.forget(env)
	if all, err = s.Categories(ctx, env); err == nil {
		found(all)
	}
	return err
}

// Create makes a category. Its ids and times are given by the store.
func (s *Service) Create(ctx context.Context, env model.EnvID, once model.Once, c model.Category) (model.Outcome[model.Category], error) {
	var check model.Check
	if m := model.CheckIdentifier(c.Identifier); m != "" {
		check.Add(model.ProblemInvalid, m, "identifier")
	}
	checkName(c.Name, &check)
	checkChannels(c.ChannelDefaults, c.RequiredChannels, &check)
	if err := check.Err(); err != nil {
		return model.Outcome[model.Category]{}, err
	}
	c.RequiredChannels = inOrder(c.RequiredChannels)
	defer s.cache.forget(env)
	return s.Store.CreateCategory(ctx, env, once, c)
}

// Ensure finds a category, or makes one with its identifier for a name.
func (s *Service) Ensure(ctx context.Context, env model.EnvID, identifier string) (model.Category, error) {
	c, err := s.Find(ctx, env, identifier)
	if model.KindOf(err) != model.KindNotFound {
		return c, err
	}
	out, err := s.Create(ctx, env, model.Once{}, model.Category{Identifier: identifier, Name: identifier, DefaultEnabled: true})
	if model.KindOf(err) == model.KindConflict { // made at this moment
		return s.Find(ctx, env, identifier)
	}
	return out.Value, err
}

// Update changes a category; its identifier never changes.
func (s *Service) Update(ctx context.Context, env model.EnvID, once model.Once, identifier string, change model.CategoryChange) (model.Outcome[model.Category], error) {
	var none model.Outcome[model.Category]
	if model.CheckIdentifier(identifier) != "" {
		return none, errUnknown
	}
	var check model.Check
	if change.Name != nil {
		checkName(*change.Name, &check)
	}
	checkChannels(value(change.ChannelDefaults), value(change.RequiredChannels), &check)
	if err := check.Err(); err != nil {
		return none, err
	}
	defer s.cache.forget(env)
	return s.Store.UpdateCategory(ctx, env, once, identifier, func(c model.Category) model.Category { return changed(c, change) })
}

func changed(c model.Category, change model.CategoryChange) model.Category {
	set(&c.Name, change.Name)
	set(&c.DefaultEnabled, change.DefaultEnabled)
	set(&c.ChannelDefaults, change.ChannelDefaults)
	set(&c.RequiredChannels, change.RequiredChannels)
	set(&c.HideInInbox, change.HideInInbox)
	set(&c.HideInPrefs, change.HideInPrefs)
	c.RequiredChannels = inOrder(c.RequiredChannels)
	return c
}

// Delete deletes a category with the choices about it, and returns its id. Its
// notifications stay, without a category.
func (s *Service) Delete(ctx context.Context, env model.EnvID, once model.Once, identifier string) (model.Outcome[model.CategoryID], error) {
	if model.CheckIdentifier(identifier) != "" {
		return model.Outcome[model.CategoryID]{}, errUnknown
	}
	defer s.cache.forget(env)
	return s.Store.DeleteCategory(ctx, env, once, identifier)
}

// DeleteByID is Delete for callers who know the category by its id.
func (s *Service) DeleteByID(ctx context.Context, env model.EnvID, once model.Once, id model.CategoryID) (model.Outcome[model.CategoryID], error) {
	defer s.cache.forget(env)
	return s.Store.DeleteCategoryByID(ctx, env, once, id)
}

func checkName(name string, c *model.Check) {
	if strings.TrimSpace(name) == "" {
		c.Add(model.ProblemRequired, "must not be blank", "name")
	} else if m := model.CheckText(name, model.MaxIdentifier); m != "" {
		c.Add(model.ProblemInvalid, m, "name")
	}
}

func checkChannels(defaults map[model.Channel]bool, required []model.Channel, c *model.Check) {
	for _, ch := range slices.Sorted(maps.Keys(defaults)) {
		c.That(ch.Valid(), fmt.Sprintf("must not hold %s, which is no channel", ch), "channelDefaults")
	}
	for i, ch := range required {
		c.That(ch.Valid(), "must be a channel", "requiredChannels", strconv.Itoa(i))
	}
}

// inOrder gives each channel once, in the fixed order.
func inOrder(channels []model.Channel) []model.Channel {
	return slices.Compact(slices.Sorted(slices.Values(channels)))
}

// set puts what p points to into a field, unless p is nil.
func set[T any](field *T, p *T) {
	if p != nil {
		*field = *p
	}
}

func value[T any](p *T) T {
	var v T
	set(&v, p)
	return v
}

func (s *Service) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}
