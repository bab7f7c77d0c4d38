package catalog

import (
	"context"

	"carillon/model"
)

// previewedLink stands for the address of an e-mail's unsubscribe page, which there
// is only for a mail that is sent.
const previewedLink = "#unsubscribe"

// Preview renders a template, or a draft of one, for a user.
func (s *Templates) Preview(ctx context.Context, env model.EnvID, p model.TemplatePreview) ([]model.RenderedText, error) {
	var (
		t   model.Template
		err error
	)
	if p.Draft != nil {
		t = *p.Draft
	} else if t, err = s.Find(ctx, env, p.Template); err != nil {
		return nil, err
	}
	var check model.Check
	template := compile(t, &check)
	if p.Data != nil {
		if m := model.CheckJSONObject(p.Data, model.MaxData, model.MaxDataDepth); m != "" {
			check.Add(model.ProblemInvalid, m, "data")
		}
	}
	var layout *frame
	if p.LayoutDraft != nil {
		layout = compileLayout(*p.LayoutDraft, check.At("layoutContent"))
	} else if layout, err = s.tried(ctx, env, t, p, &check); err != nil {
		return nil, err
	}
	if err := check.Err(); err != nil {
		return nil, err
	}
	about, err := s.about(ctx, env, p)
	if err != nil {
		return nil, err
	}
	var out []model.RenderedText
	for _, c := range shownChannels(t, p) {
		about.unsubscribe = ""
		if c == model.ChannelEmail {
			about.unsubscribe = previewedLink
		}
		text, err := template.render(c, layout, about)
		if err != nil {
			return nil, err
		}
		out = append(out, text)
	}
	return out, nil
}

// tried is the layout that a template is previewed in: the one that is asked for,
// or its own.
func (s *Templates) tried(ctx context.Context, env model.EnvID, t model.Template, p model.TemplatePreview, check *model.Check) (*frame, error) {
	ref := t.Layout.Ref
	if p.Layout != nil || p.Draft != nil {
		var err error
		if ref, err = s.chosen(ctx, env, value(p.Layout)); model.KindOf(err) == model.KindNotFound {
			check.Add(model.ProblemNotFound, "names no layout in this environment", "layout")
			return nil, nil
		} else if err != nil {
			return nil, err
		}
	}
	return s.frame(ctx, env, ref)
}

// chosen is the version of a layout that a choice comes to now.
func (s *Templates) chosen(ctx context.Context, env model.EnvID, choice model.TemplateLayout) (*model.LayoutRef, error) {
	switch choice.Use {
	case model.LayoutNone:
		return nil, nil
	case model.LayoutNamed:
		if model.CheckIdentifier(choice.Identifier) != "" {
			return nil, unknownLayout
		}
		l, err := s.Store.Layout(ctx, env, choice.Identifier)
		return &model.LayoutRef{ID: l.ID, Version: l.Version}, err
	default:
		return s.Store.DefaultLayout(ctx, env)
	}
}

// about is what a preview is rendered with.
func (s *Templates) about(ctx context.Context, env model.EnvID, p model.TemplatePreview) (subject, error) {
	about := subject{data: p.Data, identifier: p.User}
	if p.User == "" {
		return about, nil
	}
	u, err := s.Users.Find(ctx, env, p.User)
	if model.KindOf(err) == model.KindNotFound {
		return about, model.NotFound("names no user", "user")
	}
	about.attributes = u.Profile.Attributes
	return about, err
}

// shownChannels are those that a preview is asked for, else the inbox and those with
// something of their own, a layout among it.
func shownChannels(t model.Template, p model.TemplatePreview) []model.Channel {
	if p.Channels != nil {
		return p.Channels
	}
	out := []model.Channel{model.ChannelInApp}
	for c := range t.Channels {
		out = append(out, c)
	}
	if p.Layout != nil || p.LayoutDraft != nil {
		out = append(out, model.ChannelEmail)
	}
	return inOrder(out)
}
