package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carillon/catalog"
	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

type fixture struct {
	*catalog.Service
	store      *store.Store
	env, other model.EnvID
	now        func() time.Time
	advance    func(time.Duration)
}

func each(t *testing.T, test func(t *testing.T, f *fixture)) {
	t.Helper()
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		f := &fixture{store: s}
		var mu sync.Mutex
		now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		f.now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
		f.advance = func(d time.Duration) { mu.Lock(); defer mu.Unlock(); now = now.Add(d) }
		f.Service = &catalog.Service{Store: s, Now: f.now}
		for app, to := range map[string]*model.EnvID{"shop": &f.env, "other": &f.other} {
			env, err := s.CreateEnvironment(t.Context(), app, model.Environment{Kind: model.EnvTest, UserAuth: model.AuthOpen, APIKey: "pk_test_" + app}, nil)
			if err != nil {
				t.Fatal(err)
			}
			*to = env.ID
		}
		test(t, f)
	})
}

func (f *fixture) create(t *testing.T, env model.EnvID, identifier string) model.Category {
	t.Helper()
	out, err := f.Create(t.Context(), env, model.Once{}, model.Category{Identifier: identifier, Name: "The " + identifier})
	if err != nil {
		t.Fatal(err)
	}
	return out.Value
}

func (f *fixture) identifiers(t *testing.T, env model.EnvID) []string {
	t.Helper()
	all, err := f.Categories(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]string, len(all))
	for i, c := range all {
		out[i] = c.Identifier
	}
	return out
}

func equal(a, b model.Category) bool {
	return a.ID == b.ID && a.EnvID == b.EnvID && a.Identifier == b.Identifier && a.Name == b.Name && a.DefaultEnabled == b.DefaultEnabled &&
		maps.Equal(a.ChannelDefaults, b.ChannelDefaults) && slices.Equal(a.RequiredChannels, b.RequiredChannels) &&
		a.HideInInbox == b.HideInInbox && a.HideInPrefs == b.HideInPrefs && a.CreatedAt.Equal(b.CreatedAt) && a.UpdatedAt.Equal(b.UpdatedAt)
}

func key(k string) model.Once { return model.Once{Operation: "test", Key: k} }

func wantProblem(t *testing.T, err error, kind model.Kind, path, text string) {
	t.Helper()
	e, ok := errors.AsType[*model.Error](err)
	if !ok || e.Kind != kind || !slices.ContainsFunc(e.Problems, func(p model.Problem) bool { return p.Field() == path && strings.Contains(p.Message, text) }) {
		t.Errorf("got %v, want a %s problem at %q with %q", err, kind, path, text)
	}
}

func ptr[T any](v T) *T { return &v }

func TestCreate(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		in := model.Category{
			Identifier: "comments", Name: "Comments", DefaultEnabled: true, HideInInbox: true, HideInPrefs: true,
			ChannelDefaults:  map[model.Channel]bool{model.ChannelEmail: false, model.ChannelSMS: true},
			RequiredChannels: []model.Channel{model.ChannelWebhook, model.ChannelInApp, model.ChannelWebhook},
		}
		out, err := f.Create(ctx, f.env, key("k"), in)
		if err != nil || out.Replayed {
			t.Fatal(out, err)
		}
		c := out.Value
		if want := []model.Channel{model.ChannelInApp, model.ChannelWebhook}; c.ID == 0 || c.EnvID != f.env || !slices.Equal(c.RequiredChannels, want) || c.CreatedAt.IsZero() {
			t.Errorf("made %+v; want ids, times and the required channels %v", c, want)
		}
		if all, err := f.Categories(ctx, f.env); err != nil || len(all) != 1 || !equal(all[0], c) {
			t.Errorf("Categories = %+v, %v; want %+v", all, err, c)
		}
		if again, err := f.Create(ctx, f.env, key("k"), in); err != nil || !again.Replayed || !equal(again.Value, c) {
			t.Errorf("again: %+v, %v; want the first answer", again, err)
		}
		_, err = f.Create(ctx, f.env, model.Once{}, in)
		wantProblem(t, err, model.KindConflict, "identifier", "taken")
		if out, err := f.Create(ctx, f.other, model.Once{}, in); err != nil || out.Value.ID == c.ID {
			t.Errorf("in another environment: %+v, %v; want one of its own", out, err)
		}
		f.create(t, f.env, "Zoo")
		f.create(t, f.env, "alerts")
		if got, want := f.identifiers(t, f.env), []string{"Zoo", "alerts", "comments"}; !slices.Equal(got, want) {
			t.Errorf("the list is %q, want %q", got, want)
		}
	})
}

func TestRefusals(t *testing.T) {
	long := strings.Repeat("x", 256)
	tests := []struct {
		name       string
		in         model.Category
		path, text string
	}{
		{"NoIdentifier", model.Category{Name: "n"}, "identifier", "empty"},
		{"NULInIdentifier", model.Category{Identifier: "a\x00", Name: "n"}, "identifier", "control"},
		{"NoName", model.Category{Identifier: "c"}, "name", "blank"},
		{"BlankName", model.Category{Identifier: "c", Name: " \t"}, "name", "blank"},
		{"LongName", model.Category{Identifier: "c", Name: long}, "name", "255"},
		{"NULInName", model.Category{Identifier: "c", Name: "a\x00"}, "name", "control"},
		{"NoChannel", model.Category{Identifier: "c", Name: "n", RequiredChannels: []model.Channel{model.ChannelSMS, 0}}, "requiredChannels.1", "channel"},
		{"NoDefaultChannel", model.Category{Identifier: "c", Name: "n", ChannelDefaults: map[model.Channel]bool{99: true}}, "channelDefaults", "no channel"},
	}
	each(t, func(t *testing.T, f *fixture) {
		was := f.create(t, f.env, "there")
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				_, err := f.Create(t.Context(), f.env, model.Once{}, tt.in)
				wantProblem(t, err, model.KindInvalid, tt.path, tt.text)
				if tt.path == "identifier" {
					return
				}
				change := model.CategoryChange{Name: &tt.in.Name, RequiredChannels: &tt.in.RequiredChannels, ChannelDefaults: &tt.in.ChannelDefaults}
				_, err = f.Update(t.Context(), f.env, model.Once{}, "there", change)
				wantProblem(t, err, model.KindInvalid, tt.path, tt.text)
			})
		}
		if all, err := f.Categories(t.Context(), f.env); err != nil || len(all) != 1 || !equal(all[0], was) {
			t.Errorf("afterwards there are %+v, %v; want %+v alone", all, err, was)
		}
	})
}

func TestUpdate(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		was := f.create(t, f.env, "comments")
		namesake := f.create(t, f.other, "comments")
		if out, err := f.Update(ctx, f.env, model.Once{}, "comments", model.CategoryChange{DefaultEnabled: ptr(true)}); err != nil || !out.Value.DefaultEnabled || out.Value.Name != was.Name {
			t.Errorf("one member: %+v, %v; want the rest as it was", out, err)
		}
		all := model.CategoryChange{
			Name: ptr("Remarks"), DefaultEnabled: ptr(false), HideInInbox: ptr(true), HideInPrefs: ptr(true),
			ChannelDefaults:  &map[model.Channel]bool{model.ChannelVoice: true},
			RequiredChannels: &[]model.Channel{model.ChannelSMS, model.ChannelEmail},
		}
		out, err := f.Update(ctx, f.env, key("k"), "comments", all)
		want := model.Category{
			ID: was.ID, EnvID: was.EnvID, Identifier: "comments", Name: "Remarks", HideInInbox: true, HideInPrefs: true,
			ChannelDefaults: *all.ChannelDefaults, RequiredChannels: []model.Channel{model.ChannelEmail, model.ChannelSMS},
			CreatedAt: was.CreatedAt, UpdatedAt: out.Value.UpdatedAt,
		}
		if err != nil || !equal(out.Value, want) || out.Value.UpdatedAt.Before(was.UpdatedAt) {
			t.Errorf("everything: %+v, %v; want %+v", out, err, want)
		}
		if cs, err := f.Categories(ctx, f.env); err != nil || !equal(cs[0], want) {
			t.Errorf("Categories = %+v, %v; want the change at once", cs, err)
		}
		empty := model.CategoryChange{ChannelDefaults: &map[model.Channel]bool{}, RequiredChannels: &[]model.Channel{}}
		if out, err := f.Update(ctx, f.env, model.Once{}, "comments", empty); err != nil || len(out.Value.ChannelDefaults)+len(out.Value.RequiredChannels) != 0 {
			t.Errorf("to nothing: %+v, %v", out, err)
		}
		if again, err := f.Update(ctx, f.env, key("k"), "comments", all); err != nil || !again.Replayed || !equal(again.Value, want) {
			t.Errorf("again: %+v, %v; want the first answer", again, err)
		}
		for _, identifier := range []string{"gone", "", "a\x00"} {
			if _, err := f.Update(ctx, f.env, model.Once{}, identifier, all); model.KindOf(err) != model.KindNotFound {
				t.Errorf("Update(%q): %v, want it not found", identifier, err)
			}
		}
		if cs, err := f.Categories(ctx, f.other); err != nil || !equal(cs[0], namesake) {
			t.Errorf("the other environment has %+v, %v; want it untouched", cs, err)
		}
	})
}

func TestDelete(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		c := f.create(t, f.env, "comments")
		f.create(t, f.other, "elsewhere")
		for _, identifier := range []string{"elsewhere", "", "a\x00"} {
			if _, err := f.Delete(ctx, f.env, model.Once{}, identifier); model.KindOf(err) != model.KindNotFound {
				t.Errorf("Delete(%q): %v, want it not found", identifier, err)
			}
		}
		out, err := f.Delete(ctx, f.env, key("k"), "comments")
		if err != nil || out.Value != c.ID || len(f.identifiers(t, f.env)) != 0 {
			t.Errorf("deleting: %+v, %v; left %q", out, err, f.identifiers(t, f.env))
		}
		if again, err := f.Delete(ctx, f.env, key("k"), "comments"); err != nil || !again.Replayed || again.Value != c.ID {
			t.Errorf("again: %+v, %v; want the first answer", again, err)
		}
		if got := f.identifiers(t, f.other); !slices.Equal(got, []string{"elsewhere"}) {
			t.Errorf("the other environment has %q", got)
		}
	})
}

func TestLookUps(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		a, b := f.create(t, f.env, "a"), f.create(t, f.env, "b")
		elsewhere := f.create(t, f.other, "elsewhere")
		found, err := f.CategoriesByID(ctx, f.env, []model.CategoryID{b.ID, elsewhere.ID, 0, a.ID, b.ID})
		if err != nil || len(found) != 2 || !equal(found[a.ID], a) || !equal(found[b.ID], b) {
			t.Errorf("CategoriesByID = %+v, %v; want a and b", found, err)
		}
		if c, err := f.Find(ctx, f.env, "b"); err != nil || !equal(c, b) {
			t.Errorf("Find = %+v, %v; want b", c, err)
		}
		_, err = f.Find(ctx, f.env, "elsewhere")
		wantProblem(t, err, model.KindNotFound, "identifier", "names no category")
		if ids, err := f.CategoryIDs(ctx, f.env, []string{"b", "a", "b"}, "filter"); err != nil || !slices.Equal(ids, []model.CategoryID{b.ID, a.ID, b.ID}) {
			t.Errorf("CategoryIDs = %v, %v", ids, err)
		}
		_, err = f.CategoryIDs(ctx, f.env, []string{"a", "elsewhere", "a\x00"}, "filter", "categories")
		wantProblem(t, err, model.KindInvalid, "filter.categories.1", "names no category")
		wantProblem(t, err, model.KindInvalid, "filter.categories.2", "names no category")
		if ids, err := f.CategoryIDs(ctx, f.env, nil); err != nil || ids != nil {
			t.Errorf("CategoryIDs of nil = %v, %v; want nil: no filter", ids, err)
		}
	})
}

// TestOtherProcesses: what another process changes is seen after two seconds,
// and what it created as soon as somebody asks for it.
func TestOtherProcesses(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		f.create(t, f.env, "a")
		f.identifiers(t, f.env) // is remembered from here on
		other := &catalog.Service{Store: f.store, Now: f.now}
		if _, err := other.Update(ctx, f.env, model.Once{}, "a", model.CategoryChange{Name: ptr("new")}); err != nil {
			t.Fatal(err)
		}
		f.advance(2 * time.Second)
		if all, err := f.Categories(ctx, f.env); err != nil || all[0].Name != "new" {
			t.Errorf("two seconds later: %+v, %v; want the new name", all, err)
		}
		made, err := other.Create(ctx, f.env, model.Once{}, model.Category{Identifier: "b", Name: "b"})
		if err != nil {
			t.Fatal(err)
		}
		if c, err := f.Find(ctx, f.env, "b"); err != nil || c.ID != made.Value.ID {
			t.Errorf("Find = %+v, %v; want what the other process made", c, err)
		}
	})
}

// counted counts look-ups, and lets the test act in the middle of one.
type counted struct {
	catalog.Store
	lookUps int
	during  func()
	fail    error
}

func (c *counted) Categories(ctx context.Context, env model.EnvID) ([]model.Category, error) {
	c.lookUps++
	all, err := c.Store.Categories(ctx, env)
	if c.during != nil {
		during := c.during
		c.during = nil
		during()
	}
	return all, errors.Join(err, c.fail)
}

func TestCache(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		store := &counted{Store: f.store}
		f.Service = &catalog.Service{Store: store, Now: f.now}
		f.create(t, f.env, "a")
		for range 5 {
			f.identifiers(t, f.env)
		}
		if store.lookUps != 1 {
			t.Errorf("five reads took %d look-ups, want 1", store.lookUps)
		}
		f.identifiers(t, f.other)
		if got := f.identifiers(t, f.env); store.lookUps != 2 || len(got) != 1 {
			t.Errorf("after another environment's: %d look-ups, %q; want 2 and each its own", store.lookUps, got)
		}

		f.advance(2 * time.Second)
		store.during = func() { f.create(t, f.env, "b") } // after the rows were read
		f.identifiers(t, f.env)
		if got := f.identifiers(t, f.env); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("a look-up from before the change was kept: %q", got)
		}

		f.advance(2 * time.Second)
		store.fail = errors.New("away")
		if _, err := f.Categories(ctx, f.env); err == nil {
			t.Error("the failure was hidden")
		}
		store.fail = nil
		if got := f.identifiers(t, f.env); len(got) != 2 {
			t.Errorf("the failure was remembered: %q", got)
		}
	})
}

func TestTogether(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		var (
			wg   sync.WaitGroup
			mu   sync.Mutex
			made int
		)
		for i := range 6 {
			wg.Go(func() {
				_, err := f.Create(t.Context(), f.env, model.Once{}, model.Category{Identifier: fmt.Sprintf("c%d", i%3), Name: "n"})
				if err != nil && model.KindOf(err) != model.KindConflict {
					t.Error(err)
				}
				if _, err := f.Categories(t.Context(), f.env); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					made++
				}
			})
		}
		wg.Wait()
		if got := f.identifiers(t, f.env); made != 3 || len(got) != 3 {
			t.Errorf("%d were made, %q are there; want 3", made, got)
		}
	})
}
