package graph

import (
	"context"

	"carillon/auth"
	"carillon/graph/generated"
	"carillon/graph/view"
	"carillon/model"
)

func (q *query) Segment(ctx context.Context, identifier string) (*view.Segment, error) {
	caller, err := auth.RequireSecret(ctx)
	if err != nil {
		return nil, err
	}
	m, err := q.Resolver.Segments.Find(ctx, caller.Env.ID, identifier)
	if err != nil {
		return nil, absent(err)
	}
	return view.NewSegment(m), nil
}

func (q *query) Segments(ctx context.Context, first *int32, after *string, last *int32, before *string) (*generated.SegmentConnection, error) {
	caller, err := auth.RequireSecret(ctx)
	if err != nil {
		return nil, err
	}
	req, err := pageArgs{first, after, last, before}.request(pageSegments)
	if err != nil {
		return nil, err
	}
	page, err := q.Resolver.Segments.List(ctx, caller.Env.ID, req)
	if err != nil {
		return nil, err
	}
	shown := pageOf(pageSegments, req, page.Items, page.HasMore, view.Segments(page.Items), func(m *model.Segment) model.PageKey { return model.PageKey{ID: int64(m.ID)} })
	return &generated.SegmentConnection{
		Nodes: shown.nodes, PageInfo: shown.info,
		Edges: edges(shown, func(c string, n *view.Segment) *generated.SegmentEdge {
			return &generated.SegmentEdge{Cursor: c, Node: n}
		}),
	}, nil
}

func (q *query) PreviewSegment(ctx context.Context, rule model.SegmentRule, first *int32) (*generated.SegmentPreview, error) {
	caller, err := auth.RequireSecret(ctx)
	if err != nil {
		return nil, err
	}
	req, err := pageArgs{first: first}.request(pageMembers)
	if err != nil {
		return nil, err
	}
	found, err := q.Resolver.Segments.Preview(ctx, caller.Env.ID, rule, req.Limit)
	if err != nil {
		return nil, err
	}
	users, _, err := q.present(ctx, caller.Env.ID, found.Users)
	return &generated.SegmentPreview{Count: int32(min(found.Count, 1<<31-1)), Exact: found.Exact, Sample: users}, err
}

// present reads users, and leaves out those who were deleted meanwhile.
func (r *Resolver) present(ctx context.Context, env model.EnvID, ids []model.UserID) (users []*view.User, left []model.UserID, err error) {
	found, err := r.Users.ByIDs(ctx, env, ids)
	if err != nil {
		return nil, nil, err
	}
	users, left = []*view.User{}, []model.UserID{}
	for _, id := range ids {
		if u, ok := found[id]; ok {
			users, left = append(users, view.NewUser(u)), append(left, id)
		}
	}
	return users, left, nil
}

// segmentFields resolves the fields of Segment that are read only when asked
// for.
type segmentFields struct{ *Resolver }

var _ generated.SegmentResolver = (*segmentFields)(nil)

func (f *segmentFields) Members(ctx context.Context, m *view.Segment, first *int32, after *string, last *int32, before *string) (*generated.SegmentMemberConnection, error) {
	if _, err := auth.RequireSecret(ctx); err != nil {
		return nil, err
	}
	req, err := pageArgs{first, after, last, before}.request(pageMembers)
	if err != nil {
		return nil, err
	}
	page, err := f.Resolver.Segments.Members(ctx, m.EnvID, m.Segment.ID, req)
	if err != nil {
		return nil, err
	}
	users, ids, err := f.present(ctx, m.EnvID, page.Items)
	if err != nil {
		return nil, err
	}
	shown := pageOf(pageMembers, req, ids, page.HasMore, users, func(id *model.UserID) model.PageKey { return model.PageKey{ID: int64(*id)} })
	return &generated.SegmentMemberConnection{
		Nodes: shown.nodes, PageInfo: shown.info,
		Edges: edges(shown, func(c string, n *view.User) *generated.SegmentMemberEdge {
			return &generated.SegmentMemberEdge{Cursor: c, Node: n}
		}),
	}, nil
}

// Segments is for applications: what a user was sorted into is the
// application's business.
func (f *userFields) Segments(ctx context.Context, u *view.User) ([]*view.UserSegment, error) {
	if _, err := auth.RequireSecret(ctx); err != nil {
		return nil, err
	}
	found, err := f.Resolver.Segments.OfUsers(ctx, u.EnvID, []model.UserID{u.User.ID})
	if err != nil {
		return nil, err
	}
	memberships := found[u.User.ID]
	ids := make([]model.SegmentID, len(memberships))
	for i, m := range memberships {
		ids[i] = m.Segment
	}
	segments, err := f.Resolver.Segments.ByIDs(ctx, u.EnvID, ids)
	if err != nil {
		return nil, err
	}
	out := []*view.UserSegment{}
	for _, m := range memberships {
		if segment, there := segments[m.Segment]; there { // or it was deleted since
			out = append(out, &view.UserSegment{Segment: view.NewSegment(segment), SegmentMembership: m})
		}
	}
	return out, nil
}

func (m *mutation) CreateSegment(ctx context.Context, in generated.CreateSegmentInput) (*generated.CreateSegmentPayload, error) {
	p := &generated.CreateSegmentPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.Segment]
	if err == nil {
		out, err = m.Segments.Create(ctx, d.once, model.Segment{
			EnvID: d.env, Identifier: in.Identifier, Name: in.Name, Description: value(in.Description), Rule: *in.Rule,
		})
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.Segment, p.Replayed = view.NewSegment(out.Value), out.Replayed
	return p, nil
}

func (m *mutation) UpdateSegment(ctx context.Context, in generated.UpdateSegmentInput) (*generated.UpdateSegmentPayload, error) {
	p := &generated.UpdateSegmentPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.Segment]
	if err == nil {
		out, err = m.Segments.Update(ctx, d.env, d.once, in.Identifier, model.SegmentChange{Name: in.Name, Description: in.Description, Rule: in.Rule})
		err = elsewhere(err, unknownSegment("identifier"))
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.Segment, p.Replayed = view.NewSegment(out.Value), out.Replayed
	return p, nil
}

func (m *mutation) DeleteSegment(ctx context.Context, in generated.DeleteSegmentInput) (*generated.DeleteSegmentPayload, error) {
	p := &generated.DeleteSegmentPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.SegmentID]
	if err == nil {
		out, err = m.Segments.Delete(ctx, d.env, d.once, in.Identifier)
		err = elsewhere(err, unknownSegment("identifier"))
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.DeletedSegmentID, p.Replayed = ptr(view.SegmentID(out.Value)), out.Replayed
	return p, nil
}

func (m *mutation) SetSegmentSuppression(ctx context.Context, in generated.SetSegmentSuppressionInput) (*generated.SetSegmentSuppressionPayload, error) {
	p := &generated.SetSegmentSuppressionPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.UserID]
	if err == nil {
		out, err = m.Segments.Suppress(ctx, d.env, d.once, in.Segment, in.User, in.Suppressed)
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	users, _, err := m.present(ctx, d.env, []model.UserID{out.Value})
	if len(users) == 1 {
		p.User = users[0]
	}
	p.Replayed = out.Replayed
	return p, err
}

func unknownSegment(path ...string) error {
	return model.NotFound("names no segment in this environment", path...)
}
