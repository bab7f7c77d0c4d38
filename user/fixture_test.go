package user_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
	"carillon/user"
)

// fixture is a service with two environments, on one database.
type fixture struct {
	*user.Service
	store *store.Store
	env   model.Environment
	other model.Environment
	clock *clock
	hints *hints
}

// each runs test once for each database.
func each(t *testing.T, test func(t *testing.T, f *fixture)) {
	t.Helper()
	t.Parallel()
	// One clock for both databases would let one test turn the other's hands.
	storetest.EachURL(t, func(t *testing.T, url string) {
		c := &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)}
		s := storetest.Open(t, store.Config{URL: url, Now: c.Now, MaxConns: 6})
		f := &fixture{store: s, clock: c, hints: &hints{}}
		f.Service = &user.Service{Store: s, Live: f.hints, Now: c.Now}
		f.env, f.other = environment(t, s, "shop"), environment(t, s, "other")
		test(t, f)
	})
}

func environment(t *testing.T, s *store.Store, app string) model.Environment {
	t.Helper()
	env, err := s.CreateEnvironment(t.Context(), app, model.Environment{Kind: model.EnvTest, UserAuth: model.AuthOpen, APIKey: "pk_test_" + app}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return env
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// hints records what is published.
type hints struct {
	mu  sync.Mutex
	all []model.Hint
}

func (h *hints) Publish(_ context.Context, hs ...model.Hint) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, hs...)
}

// identify identifies a user in the fixture's first environment.
func (f *fixture) identify(t *testing.T, identifier, attributes string) model.User {
	t.Helper()
	return f.identifyIn(t, f.env, identifier, attributes)
}

func (f *fixture) identifyIn(t *testing.T, env model.Environment, identifier, attributes string) model.User {
	t.Helper()
	in := model.IdentifyInput{Identifier: identifier}
	if attributes != "" {
		in.Attributes = json.RawMessage(attributes)
	}
	out, err := f.Identify(t.Context(), env.ID, model.Once{}, in)
	if err != nil {
		t.Fatalf("identifying %s: %v", identifier, err)
	}
	return out.Value.User
}

// find reads a user who must be there.
func (f *fixture) find(t *testing.T, identifier string) model.User {
	t.Helper()
	u, err := f.Find(t.Context(), f.env.ID, identifier)
	if err != nil {
		t.Fatalf("finding %s: %v", identifier, err)
	}
	return u
}

// unchanged says that a user is exactly as it was.
func (f *fixture) unchanged(t *testing.T, was model.User) {
	t.Helper()
	is, err := f.Find(t.Context(), was.EnvID, was.Identifier)
	if err != nil || !same(is, was) {
		t.Errorf("the user is %+v (%s), %v; want it as it was: %+v (%s)", is, is.Profile.Attributes, err, was, was.Profile.Attributes)
	}
}

func same(a, b model.User) bool {
	return a.ID == b.ID && a.EnvID == b.EnvID && a.Identifier == b.Identifier && a.Enabled == b.Enabled &&
		a.Profile.Version == b.Profile.Version && string(a.Profile.Attributes) == string(b.Profile.Attributes) &&
		a.CreatedAt.Equal(b.CreatedAt) && a.UpdatedAt.Equal(b.UpdatedAt)
}

func key(operation, key string) model.Once {
	return model.Once{Operation: operation, Key: key, Hash: [32]byte{1}}
}

// wantProblem says that err is of a kind and has a problem at a path with a
// text in its message. A path is written with dots.
func wantProblem(t *testing.T, err error, kind model.Kind, path, text string) {
	t.Helper()
	if model.KindOf(err) != kind {
		t.Errorf("got the error %v (%s), want %s", err, model.KindOf(err), kind)
		return
	}
	e, _ := errors.AsType[*model.Error](err)
	if !hasProblem(e.Problems, path, text) {
		t.Errorf("got the problems %v, want one at %q with %q", e.Problems, path, text)
	}
}

func hasProblem(problems []model.Problem, path, text string) bool {
	return slices.ContainsFunc(problems, func(p model.Problem) bool { return p.Field() == path && strings.Contains(p.Message, text) })
}

func deep(levels int) string {
	return strings.Repeat(`{"a":`, levels-1) + "{}" + strings.Repeat("}", levels-1)
}

func numbered(n int, format string) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf(format, i)
	}
	return out
}
