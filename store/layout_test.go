package store_test

import (
	"errors"
	"strings"
	"testing"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

// TestLayouts makes, changes and deletes layouts, and follows which of them
// templates have.
func TestLayouts(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		env := newEnvironment(t, s)
		other, err := s.CreateEnvironment(ctx, "shop", model.Environment{Kind: model.EnvLive, UserAuth: model.AuthToken, APIKey: "pk_live"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var none model.Once
		layout := func(identifier string, byDefault bool) model.Layout {
			t.Helper()
			out, err := s.CreateLayout(ctx, env, none, model.Layout{Identifier: identifier, Name: identifier, Content: model.LayoutContent{HTML: "<b>{{content}}", Text: "{{content}}"}, Default: byDefault})
			if err != nil || out.Value.Version != 1 || out.Value.ID == 0 {
				t.Fatalf("created %+v, %v", out.Value, err)
			}
			return out.Value
		}
		brand, plain := layout("brand", true), layout("plain", true)
		if _, err := s.CreateLayout(ctx, env, none, brand); model.KindOf(err) != model.KindConflict {
			t.Errorf("a second one of the same identifier: %v", err)
		}
		for name, read := range map[string]func() (model.Layout, error){
			"Identifier": func() (model.Layout, error) { return s.Layout(ctx, other.ID, "brand") },
			"Version": func() (model.Layout, error) {
				return s.LayoutVersion(ctx, other.ID, model.LayoutRef{ID: brand.ID, Version: 1})
			},
		} {
			if _, err := read(); model.KindOf(err) != model.KindNotFound {
				t.Errorf("%s in another environment: %v", name, err)
			}
		}
		if page, err := s.Layouts(ctx, env, model.PageRequest{Limit: 1}); err != nil || len(page.Items) != 1 || page.Items[0].Identifier != "plain" || !page.Items[0].Default || !page.HasMore {
			t.Errorf("listed %+v, %v", page, err)
		}
		if found, err := s.LayoutsByID(ctx, env, []model.LayoutID{brand.ID, 77}); err != nil || len(found) != 1 || found[brand.ID].Default || found[brand.ID].Content != brand.Content {
			t.Errorf("found %+v, %v", found, err)
		}

		choose := func(identifier string, want model.TemplateLayout, ref *model.LayoutRef) {
			t.Helper()
			want.Ref = ref
			_, err := s.UpdateTemplate(ctx, env, none, identifier, func(t model.Template) (model.Template, error) {
				t.Layout = model.TemplateLayout{Use: want.Use, Identifier: want.Identifier}
				return t, nil
			})
			read, readErr := s.Template(ctx, env, identifier)
			got := read.Layout
			if err != nil || readErr != nil || got.Use != want.Use || got.Identifier != want.Identifier || (got.Ref == nil) != (ref == nil) || ref != nil && *got.Ref != *ref {
				t.Errorf("%s has %+v, %v, %v; want %+v", identifier, got, err, readErr, want)
			}
		}
		named := model.TemplateLayout{Use: model.LayoutNamed, Identifier: "brand"}
		for _, name := range []string{"a", "b", "c", "d"} {
			out, err := s.CreateTemplate(ctx, env, none, model.Template{Identifier: name, Name: name, Content: model.TemplateText{Title: "T"}, Layout: named})
			if err != nil || out.Value.Layout.Ref == nil || *out.Value.Layout.Ref != (model.LayoutRef{ID: brand.ID, Version: 1}) {
				t.Fatalf("created %+v, %v", out.Value, err)
			}
		}
		for _, strange := range []model.EnvID{env, other.ID} {
			in := model.Template{Identifier: "x", Name: "x", Content: model.TemplateText{Title: "T"}, Layout: model.TemplateLayout{Use: model.LayoutNamed, Identifier: map[model.EnvID]string{env: "nothing", other.ID: "brand"}[strange]}}
			_, err := s.CreateTemplate(ctx, strange, none, in)
			if e, ok := errors.AsType[*model.Error](err); !ok || len(e.Problems) != 1 || e.Problems[0].Path[0] != "layout" || e.Problems[0].Code != model.ProblemNotFound {
				t.Errorf("a template with a layout that is not there: %v", err)
			}
		}
		choose("a", model.TemplateLayout{}, &model.LayoutRef{ID: plain.ID, Version: 1})
		choose("a", model.TemplateLayout{Use: model.LayoutNone}, nil)

		changed, err := s.UpdateLayout(ctx, env, none, "brand", func(l model.Layout) (model.Layout, error) {
			l.Content.HTML, l.Version, l.Default = "<i>{{content}}", 2, true
			return l, nil
		})
		if err != nil || changed.Value.Version != 2 || !changed.Value.Default {
			t.Fatalf("changed %+v, %v", changed.Value, err)
		}
		choose("a", model.TemplateLayout{}, &model.LayoutRef{ID: brand.ID, Version: 2})
		for version, html := range map[int64]string{1: "<b>{{content}}", 2: "<i>{{content}}"} {
			if v, err := s.LayoutVersion(ctx, env, model.LayoutRef{ID: brand.ID, Version: version}); err != nil || v.Content.HTML != html {
				t.Errorf("version %d is %+v, %v", version, v, err)
			}
		}

		refused := func(why string) {
			t.Helper()
			_, err := s.DeleteLayout(ctx, env, none, "brand")
			if e, ok := errors.AsType[*model.Error](err); !ok || e.Kind != model.KindConflict || !strings.Contains(e.Problems[0].Message, why) {
				t.Errorf("deleting it: %v, want %q", err, why)
			}
		}
		refused("of the templates b, c, d:")
		choose("a", named, &model.LayoutRef{ID: brand.ID, Version: 2})
		refused("of the templates a, b, c and others:")
		for _, name := range []string{"a", "b", "c", "d"} {
			if _, err := s.DeleteTemplate(ctx, env, none, name); err != nil {
				t.Error(err)
			}
		}
		refused("the environment's default")
		if _, err := s.UpdateLayout(ctx, env, none, "brand", func(l model.Layout) (model.Layout, error) { l.Default = false; return l, nil }); err != nil {
			t.Error(err)
		}
		if out, err := s.DeleteLayout(ctx, env, none, "brand"); err != nil || out.Value != brand.ID {
			t.Errorf("deleted %+v, %v", out, err)
		}
		if _, err := s.DeleteLayout(ctx, env, none, "brand"); model.KindOf(err) != model.KindNotFound {
			t.Errorf("deleted twice: %v", err)
		}
		if _, err := s.LayoutVersion(ctx, env, model.LayoutRef{ID: brand.ID, Version: 1}); err != nil {
			t.Errorf("its versions are gone: %v", err)
		}
		if again := layout("brand", false); again.ID == brand.ID {
			t.Error("it came back")
		}
	})
}
