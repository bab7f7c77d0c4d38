package graph

import (
	"context"

	"carillon/auth"
	"carillon/graph/generated"
	"carillon/graph/view"
	"carillon/model"
)

func (q *query) Layouts(ctx context.Context, first *int32, after *string, last *int32, before *string) (*generated.LayoutConnection, error) {
	caller, err := auth.RequireSecret(ctx)
	if err != nil {
		return nil, err
	}
	req, err := pageArgs{first, after, last, before}.request(pageLayouts)
	if err != nil {
		return nil, err
	}
	page, err := q.Resolver.Layouts.List(ctx, caller.Env.ID, req)
	if err != nil {
		return nil, err
	}
	shown := pageOf(pageLayouts, req, page.Items, page.HasMore, view.Layouts(page.Items), func(l *model.Layout) model.PageKey { return model.PageKey{ID: int64(l.ID)} })
	return &generated.LayoutConnection{
		Nodes: shown.nodes, PageInfo: shown.info,
		Edges: edges(shown, func(c string, n *view.Layout) *generated.LayoutEdge { return &generated.LayoutEdge{Cursor: c, Node: n} }),
	}, nil
}

func (q *query) Layout(ctx context.Context, identifier string) (*view.Layout, error) {
	caller, err := auth.RequireSecret(ctx)
	if err != nil {
		return nil, err
	}
	l, err := q.Resolver.Layouts.Find(ctx, caller.Env.ID, identifier)
	if err != nil {
		return nil, absent(err)
	}
	return view.NewLayout(l), nil
}

func (m *mutation) CreateLayout(ctx context.Context, in generated.CreateLayoutInput) (*generated.CreateLayoutPayload, error) {
	p := &generated.CreateLayoutPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.Layout]
	if err == nil {
		out, err = m.Layouts.Create(ctx, d.env, d.once, model.Layout{Identifier: in.Identifier, Name: in.Name, Content: layoutContent(in.Content), Default: in.Default})
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.Layout, p.Replayed = view.NewLayout(out.Value), out.Replayed
	return p, nil
}

func (m *mutation) UpdateLayout(ctx context.Context, in generated.UpdateLayoutInput) (*generated.UpdateLayoutPayload, error) {
	p := &generated.UpdateLayoutPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	change := model.LayoutChange{Name: in.Name, Default: in.Default}
	if in.Content != nil {
		change.Content = ptr(layoutContent(in.Content))
	}
	if in.ExpectedVersion != nil {
		change.ExpectedVersion = ptr(int64(*in.ExpectedVersion))
	}
	var out model.Outcome[model.Layout]
	if err == nil {
		out, err = m.Layouts.Update(ctx, d.env, d.once, in.Identifier, change)
		err = elsewhere(err, unknownLayout())
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.Layout, p.Replayed = view.NewLayout(out.Value), out.Replayed
	return p, nil
}

func (m *mutation) DeleteLayout(ctx context.Context, in generated.DeleteLayoutInput) (*generated.DeleteLayoutPayload, error) {
	p := &generated.DeleteLayoutPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.LayoutID]
	if err == nil {
		out, err = m.Layouts.Delete(ctx, d.env, d.once, in.Identifier)
		err = elsewhere(err, unknownLayout())
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.DeletedLayoutID, p.Replayed = ptr(view.LayoutID(out.Value)), out.Replayed
	return p, nil
}

// templateLayout reads which layout a template has; nil: nothing is said about it.
func templateLayout(identifier *string, use *model.LayoutUse) (*model.TemplateLayout, error) {
	var c model.Check
	switch {
	case identifier != nil:
		c.That(use == nil || *use == model.LayoutNamed, "must be NAMED, or left out, where a layout is named", "layoutUse")
		return &model.TemplateLayout{Use: model.LayoutNamed, Identifier: *identifier}, c.Err()
	case use == nil:
		return nil, nil
	}
	if *use == model.LayoutNamed {
		c.Add(model.ProblemRequired, "must name a layout where layoutUse is NAMED", "layout")
	}
	return &model.TemplateLayout{Use: *use}, c.Err()
}

// triedLayout reads which layout a template is previewed in.
func triedLayout(in *generated.PreviewTemplateInput, ask *model.TemplatePreview) error {
	layout, err := templateLayout(in.Layout, in.LayoutUse)
	if err != nil || in.LayoutContent == nil {
		ask.Layout = layout
		return err
	}
	var c model.Check
	c.That(in.Layout == nil, "must be left out where layoutContent is given", "layout")
	c.That(in.LayoutUse == nil, "must be left out where layoutContent is given", "layoutUse")
	ask.LayoutDraft = ptr(layoutContent(in.LayoutContent))
	return c.Err()
}

func layoutContent(in *generated.LayoutContentInput) model.LayoutContent {
	return model.LayoutContent{HTML: value(in.HTML), Text: value(in.Text)}
}

func unknownLayout() error {
	return model.NotFound("names no layout in this environment", "identifier")
}
