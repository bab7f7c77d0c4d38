package store_test

import (
	"testing"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

func TestTemplates(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		env := newEnvironment(t, s)
		other, err := s.CreateEnvironment(ctx, "shop", model.Environment{Kind: model.EnvLive, UserAuth: model.AuthToken, APIKey: "pk_live"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var none model.Once
		first := model.Template{
			Identifier: "welcome", Name: "Welcome", Content: model.TemplateText{Title: "Hi {{recipient.firstName}}"},
			Channels: map[model.Channel]model.TemplateText{model.ChannelEmail: {HTML: "<p>Hi</p>"}},
		}
		out, err := s.CreateTemplate(ctx, env, none, first)
		if err != nil || out.Value.Version != 1 || out.Value.ID == 0 {
			t.Fatalf("created %+v, %v", out.Value, err)
		}
		if _, err := s.CreateTemplate(ctx, env, none, first); model.KindOf(err) != model.KindConflict {
			t.Errorf("a second one of the same identifier: %v", err)
		}
		if _, err := s.Template(ctx, other.ID, "welcome"); model.KindOf(err) != model.KindNotFound {
			t.Errorf("in another environment: %v", err)
		}
		read, err := s.Template(ctx, env, "welcome")
		if err != nil || read.Content != first.Content || read.Channels[model.ChannelEmail] != first.Channels[model.ChannelEmail] {
			t.Errorf("read %+v, %v", read, err)
		}

		changed, err := s.UpdateTemplate(ctx, env, none, "welcome", func(t model.Template) (model.Template, error) {
			t.Content.Title, t.Version = "Hello", t.Version+1
			return t, nil
		})
		if err != nil || changed.Value.Version != 2 {
			t.Fatalf("changed %+v, %v", changed.Value, err)
		}
		for version, title := range map[int64]string{1: "Hi {{recipient.firstName}}", 2: "Hello"} {
			if v, err := s.TemplateVersion(ctx, env, model.TemplateRef{ID: read.ID, Version: version}); err != nil || v.Content.Title != title {
				t.Errorf("version %d is %+v, %v", version, v, err)
			}
		}
		refusal := model.Conflict("no", "x")
		if _, err := s.UpdateTemplate(ctx, env, none, "welcome", func(t model.Template) (model.Template, error) { return t, refusal }); model.KindOf(err) != model.KindConflict {
			t.Errorf("a refused change: %v", err)
		}
		if page, err := s.Templates(ctx, env, model.PageRequest{Limit: 5}); err != nil || len(page.Items) != 1 || page.Items[0].Version != 2 {
			t.Errorf("listed %+v, %v", page, err)
		}

		if out, err := s.DeleteTemplate(ctx, env, none, "welcome"); err != nil || out.Value != read.ID {
			t.Errorf("deleted %+v, %v", out, err)
		}
		if _, err := s.DeleteTemplate(ctx, env, none, "welcome"); model.KindOf(err) != model.KindNotFound {
			t.Errorf("deleted twice: %v", err)
		}
		if _, err := s.TemplateByID(ctx, env, read.ID); model.KindOf(err) != model.KindNotFound {
			t.Errorf("read after it was deleted: %v", err)
		}
		if _, err := s.TemplateVersion(ctx, env, model.TemplateRef{ID: read.ID, Version: 1}); err != nil {
			t.Errorf("its versions are gone: %v", err)
		}
		if _, err := s.CreateTemplate(ctx, env, none, first); err != nil {
			t.Errorf("its identifier is not free: %v", err)
		}
	})
}
