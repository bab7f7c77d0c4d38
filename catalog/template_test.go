package catalog_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"carillon/catalog"
	"carillon/model"
)

type people struct{ *fixture }

func (p people) Find(ctx context.Context, env model.EnvID, identifier string) (model.User, error) {
	return p.store.User(ctx, env, identifier)
}

func TestTemplates(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		if _, err := f.store.IdentifyUser(ctx, f.env, model.Once{}, "ada", func(int, json.RawMessage) (json.RawMessage, []model.Problem, error) {
			return json.RawMessage(`{"firstName":"Ada <b>"}`), nil, nil
		}); err != nil {
			t.Fatal(err)
		}
		ada, err := f.store.User(ctx, f.env, "ada")
		if err != nil {
			t.Fatal(err)
		}
		templates := &catalog.Templates{Store: f.store, Users: people{f}}
		text := model.TemplateText{Title: "Hi {{recipient.firstName}}", Body: "You have {{n}} of {{data.n}}", HTML: "<p>Hi {{recipient.firstName}}</p>", URL: "/orders/{{data.id}}"}
		made, err := templates.Create(ctx, f.env, model.Once{}, model.Template{Identifier: "hi", Name: "Hi", Content: text, Channels: map[model.Channel]model.TemplateText{model.ChannelSMS: {Title: "SMS"}}})
		if err != nil {
			t.Fatal(err)
		}
		data := []byte(`{"n":3,"id":"a/b"}`)
		first := model.TemplateRef{ID: made.Value.ID, Version: 1}

		t.Run("EachChannelSaysItsOwn", func(t *testing.T) {
			for channel, want := range map[model.Channel]model.TemplateText{
				model.ChannelEmail: {Title: "Hi Ada <b>", Body: "You have 3 of 3", HTML: "<p>Hi Ada &lt;b&gt;</p>", URL: "/orders/a%2Fb"},
				model.ChannelSMS:   {Title: "SMS", Body: "You have 3 of 3", URL: "/orders/a%2Fb"},
			} {
				if got, err := templates.Render(ctx, f.env, catalog.Rendering{Template: first, Channel: channel, User: ada, Data: data}); err != nil || got.TemplateText != want {
					t.Errorf("%s says %+v, %v, want %+v", channel, got, err, want)
				}
			}
		})

		t.Run("ASendKeepsItsVersion", func(t *testing.T) {
			req, err := templates.Apply(ctx, f.env, model.SendRequest{Template: "hi", To: model.SendTarget{Users: []string{"ada"}}, Content: model.Content{Data: data}})
			if err != nil || req.Content.Title != "Hi Ada <b>" || req.Options.Template == nil || *req.Options.Template != first {
				t.Fatalf("applied %+v, %v", req, err)
			}
			if _, err := templates.Update(ctx, f.env, model.Once{}, "hi", model.TemplateChange{Content: &model.TemplateText{Title: "Changed"}}); err != nil {
				t.Fatal(err)
			}
			if _, err := templates.Delete(ctx, f.env, model.Once{}, "hi"); err != nil {
				t.Fatal(err)
			}
			for _, fresh := range []*catalog.Templates{templates, {Store: f.store, Users: people{f}}} {
				if got, err := fresh.Render(ctx, f.env, catalog.Rendering{Template: first, Channel: model.ChannelEmail, User: ada, Data: data}); err != nil || got.Title != "Hi Ada <b>" {
					t.Errorf("after the change it says %+v, %v", got, err)
				}
			}
			if _, err := templates.Render(ctx, f.other, catalog.Rendering{Template: first, Channel: model.ChannelEmail, User: ada, Data: data}); model.KindOf(err) != model.KindNotFound {
				t.Errorf("in another environment: %v", err)
			}
		})

		t.Run("WhatCannotBeRenderedSaysWhere", func(t *testing.T) {
			loops := strings.Repeat("{{#each data.l}}", 12) + strings.Repeat("{{/each}}", 12)
			out, err := templates.Create(ctx, f.env, model.Once{}, model.Template{Identifier: "bomb", Name: "Bomb", Content: model.TemplateText{Title: "T", Body: loops}})
			if err != nil {
				t.Fatal(err)
			}
			_, err = templates.Render(ctx, f.env, catalog.Rendering{Template: model.TemplateRef{ID: out.Value.ID, Version: 1}, Channel: model.ChannelEmail, User: ada, Data: []byte(`{"l":[1,2,3,4,5,6,7,8,9,10]}`)})
			if model.KindOf(err) != model.KindInvalid || !strings.Contains(err.Error(), "line 1, column ") {
				t.Errorf("got %v", err)
			}
		})
	})
}
