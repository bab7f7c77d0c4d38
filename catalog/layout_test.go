package catalog_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"carillon/catalog"
	"carillon/model"
)

// nobody knows no user.
type nobody struct{}

func (nobody) Find(context.Context, model.EnvID, string) (model.User, error) {
	return model.User{}, model.NotFound("names no user", "user")
}

func TestLayouts(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		layouts, templates := &catalog.Layouts{Store: f.store}, &catalog.Templates{Store: f.store, Users: nobody{}}
		brand := model.Layout{Identifier: "brand", Name: "Brand", Default: true, Content: model.LayoutContent{
			HTML: `<h1>{{data.shop}}</h1>{{content}}<a href="{{unsubscribeUrl}}">for {{recipient.identifier}}, {{nothing}}</a>`, Text: "{{shop}}\n{{content}}\n{{unsubscribeUrl}}",
		}}
		if _, err := layouts.Create(ctx, f.env, model.Once{}, brand); err != nil {
			t.Fatal(err)
		}
		template := func(identifier string, text model.TemplateText, layout model.TemplateLayout) model.SendOptions {
			t.Helper()
			if _, err := templates.Create(ctx, f.env, model.Once{}, model.Template{Identifier: identifier, Name: identifier, Content: text, Layout: layout}); err != nil {
				t.Fatal(err)
			}
			req, err := templates.Apply(ctx, f.env, model.SendRequest{Template: identifier, To: model.SendTarget{Users: []string{"ada"}}})
			if err != nil {
				t.Fatal(err)
			}
			return req.Options
		}
		mail := func(o model.SendOptions, channel model.Channel) model.RenderedText {
			t.Helper()
			out, err := templates.Render(ctx, f.env, catalog.Rendering{
				Template: *o.Template, Layout: o.Layout, Channel: channel, User: model.User{Identifier: "ada"}, Data: []byte(`{"shop":"A&B","n":"<i>{{content}}"}`), UnsubscribeURL: "https://bells.example/u/1",
			})
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		html := model.TemplateText{Title: "Hi", Body: "No {{n}}", HTML: "<p>{{n}}</p>", URL: "/o/1"}
		framed := template("framed", html, model.TemplateLayout{})

		t.Run("TheContentGoesInOnceAsItIs", func(t *testing.T) {
			got := mail(framed, model.ChannelEmail)
			want := model.TemplateText{
				Title: "Hi", URL: "/o/1", Body: "A&B\nNo <i>{{content}}\n\n/o/1\nhttps://bells.example/u/1",
				HTML: `<h1>A&amp;B</h1><p>&lt;i&gt;{{content}}</p><a href="https://bells.example/u/1">for ada, </a>`,
			}
			if got.TemplateText != want || !slices.Equal(got.Missing, []string{"nothing"}) {
				t.Errorf("the mail is %+v", got)
			}
			if got := mail(framed, model.ChannelSMS); got.Body != "No <i>{{content}}" {
				t.Errorf("the text message is %+v", got)
			}
		})

		t.Run("TextStandsInForHTML", func(t *testing.T) {
			for identifier, tt := range map[string]struct {
				text model.TemplateText
				want string
			}{
				"plain": {model.TemplateText{Title: "Hi", Body: "a\n<{{n}}", URL: "https://example.com/"}, "</h1>a<br>\n&lt;&lt;i&gt;{{content}}<br>\n<br>\nhttps://example.com/<a "},
				"bare":  {model.TemplateText{Title: "Hi & bye"}, "</h1>Hi &amp; bye<a "},
			} {
				if got := mail(template(identifier, tt.text, model.TemplateLayout{}), model.ChannelEmail); !strings.Contains(got.HTML, tt.want) {
					t.Errorf("%s is %s, want %s", identifier, got.HTML, tt.want)
				}
			}
		})

		t.Run("ASendKeepsItsVersion", func(t *testing.T) {
			changed, err := layouts.Update(ctx, f.env, model.Once{}, "brand", model.LayoutChange{Content: &model.LayoutContent{HTML: "<div>{{content}}</div>"}, Default: new(false)})
			if err != nil || changed.Value.Version != 2 || changed.Value.Default {
				t.Fatalf("changed %+v, %v", changed.Value, err)
			}
			if got := mail(framed, model.ChannelEmail); !strings.HasPrefix(got.HTML, "<h1>") {
				t.Errorf("what was accepted before says %s", got.HTML)
			}
			if got := mail(template("later", html, model.TemplateLayout{}), model.ChannelEmail); got.HTML != "<p>&lt;i&gt;{{content}}</p>" {
				t.Errorf("without a default it says %s", got.HTML)
			}
			named := template("named", html, model.TemplateLayout{Use: model.LayoutNamed, Identifier: "brand"})
			if got := mail(named, model.ChannelEmail); got.HTML != "<div><p>&lt;i&gt;{{content}}</p></div>" || got.Body != "No <i>{{content}}" {
				t.Errorf("named, it says %+v", got)
			}
			fresh := &catalog.Templates{Store: f.store, Users: nobody{}}
			if _, err := fresh.Render(ctx, f.other, catalog.Rendering{Template: *named.Template, Layout: named.Layout, Channel: model.ChannelEmail}); model.KindOf(err) != model.KindNotFound {
				t.Errorf("in another environment: %v", err)
			}
			if _, err := layouts.Delete(ctx, f.env, model.Once{}, "brand"); model.KindOf(err) != model.KindConflict {
				t.Errorf("deleted while it is used: %v", err)
			}
			old := int64(1)
			if _, err := layouts.Update(ctx, f.env, model.Once{}, "brand", model.LayoutChange{ExpectedVersion: &old}); model.KindOf(err) != model.KindVersionConflict {
				t.Errorf("changed at another version: %v", err)
			}
		})

		t.Run("PreviewsTryLayouts", func(t *testing.T) {
			for name, tt := range map[string]struct {
				ask  model.TemplatePreview
				want string
			}{
				"Named":  {model.TemplatePreview{Template: "named"}, "<div><p></p></div>"},
				"None":   {model.TemplatePreview{Template: "named", Layout: &model.TemplateLayout{Use: model.LayoutNone}}, "<p></p>"},
				"Other":  {model.TemplatePreview{Template: "later", Layout: &model.TemplateLayout{Use: model.LayoutNamed, Identifier: "brand"}}, "<div><p></p></div>"},
				"Drafts": {model.TemplatePreview{Draft: &model.Template{Content: html}, LayoutDraft: &model.LayoutContent{HTML: `{{content}}<a href="{{unsubscribeUrl}}">`}}, `<p></p><a href="#unsubscribe">`},
			} {
				tt.ask.Channels = []model.Channel{model.ChannelEmail}
				if got, err := templates.Preview(ctx, f.env, tt.ask); err != nil || got[0].HTML != tt.want {
					t.Errorf("%s: %+v, %v; want %s", name, got, err, tt.want)
				}
			}
		})

		t.Run("WhatIsWrongHasAPlace", func(t *testing.T) {
			check := func(err error, path, message string) {
				t.Helper()
				e, ok := errors.AsType[*model.Error](err)
				if !ok || len(e.Problems) != 1 || strings.Join(e.Problems[0].Path, ".") != path || !strings.Contains(e.Problems[0].Message, message) {
					t.Errorf("got %v, want %s: %s", err, path, message)
				}
			}
			create := func(c model.LayoutContent) error {
				_, err := layouts.Create(ctx, f.env, model.Once{}, model.Layout{Identifier: "x", Name: "X", Content: c})
				return err
			}
			check(create(model.LayoutContent{}), "content.html", "must be given, or text")
			check(create(model.LayoutContent{HTML: "<p>\n{{#if}}"}), "content.html", "line 2, column 1: a value is missing")
			check(create(model.LayoutContent{HTML: "{{content}}", Text: "a\n{{content}}{{content}}"}), "content.text", "line 2, column 12")
			check(create(model.LayoutContent{HTML: "{{content}}" + strings.Repeat("a", 128<<10)}), "content.html", "at most 131072 bytes")
			open := model.TemplateText{Title: "T", HTML: "<p title='"}
			_, err := templates.Create(ctx, f.env, model.Once{}, model.Template{Identifier: "x", Name: "X", Content: open})
			check(err, "content.html", "ends within a tag")
			_, err = templates.Preview(ctx, f.env, model.TemplatePreview{Draft: &model.Template{Content: open}, LayoutDraft: &brand.Content, Channels: []model.Channel{model.ChannelEmail}})
			check(err, "template.html", "ends within a tag")
			_, err = templates.Preview(ctx, f.env, model.TemplatePreview{Draft: &model.Template{Content: html}, LayoutDraft: &model.LayoutContent{HTML: "{{>x}}"}})
			check(err, "layoutContent.html", "line 1, column 1")
			loops := strings.Repeat("{{#each l}}", 12) + strings.Repeat("{{/each}}", 12)
			_, err = templates.Preview(ctx, f.env, model.TemplatePreview{
				Draft: &model.Template{Content: html}, LayoutDraft: &model.LayoutContent{HTML: "{{content}}" + loops}, Data: []byte(`{"l":[1,2,3,4,5,6,7,8,9,10]}`),
			})
			check(err, "layout.html", "line 1, column ")
		})
	})
}
