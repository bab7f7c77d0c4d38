package graph

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"carillon/auth"
	"carillon/graph/generated"
	"carillon/graph/view"
	"carillon/model"
)

func (q *query) Templates(ctx context.Context, first *int32, after *string, last *int32, before *string) (*generated.TemplateConnection, error) {
	caller, err := auth.RequireSecret(ctx)
	if err != nil {
		return nil, err
	}
	req, err := pageArgs{first, after, last, before}.request(pageTemplates)
	if err != nil {
		return nil, err
	}
	page, err := q.Resolver.Templates.List(ctx, caller.Env.ID, req)
	if err != nil {
		return nil, err
	}
	shown := pageOf(pageTemplates, req, page.Items, page.HasMore, q.loader(caller.Env.ID).templateRows(page.Items), func(t *model.Template) model.PageKey { return model.PageKey{ID: int64(t.ID)} })
	return &generated.TemplateConnection{
		Nodes: shown.nodes, PageInfo: shown.info,
		Edges: edges(shown, func(c string, n *view.Template) *generated.TemplateEdge {
			return &generated.TemplateEdge{Cursor: c, Node: n}
		}),
	}, nil
}

func (q *query) Template(ctx context.Context, identifier string) (*view.Template, error) {
	caller, err := auth.RequireSecret(ctx)
	if err != nil {
		return nil, err
	}
	t, err := q.Resolver.Templates.Find(ctx, caller.Env.ID, identifier)
	if err != nil {
		return nil, absent(err)
	}
	return view.NewTemplate(t, q.loader(caller.Env.ID)), nil
}

func (m *mutation) CreateTemplate(ctx context.Context, in generated.CreateTemplateInput) (*generated.CreateTemplatePayload, error) {
	p := &generated.CreateTemplatePayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	t := model.Template{Identifier: in.Identifier, Name: in.Name, Content: templateText(in.Content)}
	if err == nil {
		t.Channels, err = channelTexts(in.Channels)
	}
	if err == nil {
		var layout *model.TemplateLayout
		layout, err = templateLayout(in.Layout, in.LayoutUse)
		t.Layout = value(layout)
	}
	var out model.Outcome[model.Template]
	if err == nil {
		out, err = m.Templates.Create(ctx, d.env, d.once, t)
	}
	if stop, err := refused(asOrdered(err, in.Channels), &p.UserErrors); stop {
		return p, err
	}
	p.Template, p.Replayed = view.NewTemplate(out.Value, m.loader(d.env)), out.Replayed
	return p, nil
}

func (m *mutation) UpdateTemplate(ctx context.Context, in generated.UpdateTemplateInput) (*generated.UpdateTemplatePayload, error) {
	p := &generated.UpdateTemplatePayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	change := model.TemplateChange{Name: in.Name}
	if in.Content != nil {
		change.Content = ptr(templateText(in.Content))
	}
	if in.ExpectedVersion != nil {
		change.ExpectedVersion = ptr(int64(*in.ExpectedVersion))
	}
	if err == nil && in.Channels != nil {
		var channels map[model.Channel]model.TemplateText
		channels, err = channelTexts(in.Channels)
		change.Channels = &channels
	}
	if err == nil {
		change.Layout, err = templateLayout(in.Layout, in.LayoutUse)
	}
	var out model.Outcome[model.Template]
	if err == nil {
		out, err = m.Templates.Update(ctx, d.env, d.once, in.Identifier, change)
		err = elsewhere(err, unknownTemplate("identifier"))
	}
	if stop, err := refused(asOrdered(err, in.Channels), &p.UserErrors); stop {
		return p, err
	}
	p.Template, p.Replayed = view.NewTemplate(out.Value, m.loader(d.env)), out.Replayed
	return p, nil
}

func (m *mutation) DeleteTemplate(ctx context.Context, in generated.DeleteTemplateInput) (*generated.DeleteTemplatePayload, error) {
	p := &generated.DeleteTemplatePayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.TemplateID]
	if err == nil {
		out, err = m.Templates.Delete(ctx, d.env, d.once, in.Identifier)
		err = elsewhere(err, unknownTemplate("identifier"))
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.DeletedTemplateID, p.Replayed = ptr(view.TemplateID(out.Value)), out.Replayed
	return p, nil
}

// PreviewTemplate changes nothing, so that neither the key nor the header counts.
func (m *mutation) PreviewTemplate(ctx context.Context, in generated.PreviewTemplateInput) (*generated.PreviewTemplatePayload, error) {
	p := &generated.PreviewTemplatePayload{Previews: []*view.TemplatePreview{}}
	in.IdempotencyKey = nil
	d, err := byApplication(ctx, nil, in)
	ask := model.TemplatePreview{Template: value(in.Template), User: value(in.User), Data: in.Data, Channels: in.Show}
	if err == nil {
		ask.Draft, err = draft(&in)
	}
	if err == nil {
		err = triedLayout(&in, &ask)
	}
	var out []model.RenderedText
	if err == nil {
		out, err = m.Templates.Preview(ctx, d.env, ask)
	}
	if stop, err := refused(asOrdered(err, in.Channels), &p.UserErrors); stop {
		return p, err
	}
	p.Previews = view.TemplatePreviews(out)
	return p, nil
}

// draft is what is previewed where no template is named.
func draft(in *generated.PreviewTemplateInput) (*model.Template, error) {
	var c model.Check
	switch {
	case in.Template != nil:
		c.That(in.Content == nil, "must be left out where a template is named", "content")
		c.That(in.Channels == nil, "must be left out where a template is named", "channels")
		return nil, c.Err()
	case in.Content == nil:
		c.Add(model.ProblemRequired, "must be given, or content", "template")
		return nil, c.Err()
	}
	channels, err := channelTexts(in.Channels)
	return &model.Template{Name: "…", Content: templateText(in.Content), Channels: channels}, err
}

func templateText(in *generated.TemplateContentInput) model.TemplateText {
	return model.TemplateText{Title: value(in.Title), Body: value(in.Body), HTML: value(in.HTML), URL: value(in.URL), Icon: value(in.Icon)}
}

func channelTexts(in []*generated.ChannelTemplateInput) (map[model.Channel]model.TemplateText, error) {
	out := make(map[model.Channel]model.TemplateText, len(in))
	var c model.Check
	for i, t := range in {
		_, twice := out[t.Channel]
		c.That(!twice, "must name each channel once", "channels", indexed(i), "channel")
		out[t.Channel] = templateText(t.Content)
	}
	return out, c.Err()
}

// asOrdered has the problems of channels name their place in the input, where the
// service counts them in their fixed order.
func asOrdered(err error, in []*generated.ChannelTemplateInput) error {
	e, ok := errors.AsType[*model.Error](err)
	if !ok {
		return err
	}
	sorted := slices.Clone(in)
	slices.SortFunc(sorted, func(a, b *generated.ChannelTemplateInput) int { return int(a.Channel) - int(b.Channel) })
	for _, p := range e.Problems {
		if len(p.Path) < 3 || p.Path[0] != "channels" || p.Path[2] != "content" {
			continue
		}
		if i, err := strconv.Atoi(p.Path[1]); err == nil && i < len(sorted) {
			p.Path[1] = indexed(slices.Index(in, sorted[i]))
		}
	}
	return err
}

func unknownTemplate(path ...string) error {
	return model.NotFound("names no template in this environment", path...)
}
