package graph

import (
	"context"

	"carillon/auth"
	"carillon/graph/generated"
	"carillon/graph/view"
	"carillon/model"
	"carillon/user"
)

func (f *userFields) FormerIdentifiers(ctx context.Context, u *view.User) ([]string, error) {
	return f.Users.FormerIdentifiers(ctx, u.EnvID, u.User.ID)
}

// Memberships leaves out the accounts for a user's credential, which does not
// get to see other users.
func (f *userFields) Memberships(ctx context.Context, u *view.User) ([]*view.Membership, error) {
	caller, err := auth.Require(ctx)
	if err != nil {
		return nil, err
	}
	found, err := f.Users.Memberships(ctx, u.EnvID, []model.UserID{u.User.ID})
	if err != nil {
		return nil, err
	}
	all := found[u.User.ID]
	ids := make([]model.UserID, len(all))
	for i, m := range all {
		ids[i] = m.Account
	}
	accounts, err := f.Users.ByIDs(ctx, u.EnvID, ids)
	if err != nil {
		return nil, err
	}
	out := []*view.Membership{}
	for _, m := range all {
		if a, there := accounts[m.Account]; there { // or was deleted since
			shown := &view.Membership{Membership: m}
			if caller.Kind == auth.Secret {
				shown.Account = view.NewUser(a)
			}
			out = append(out, shown)
		}
	}
	return out, nil
}

func (f *userFields) MemberCount(ctx context.Context, u *view.User) (int32, error) {
	n, err := f.Users.MemberCounts(ctx, u.EnvID, []model.UserID{u.User.ID})
	return int32(min(n[u.User.ID], 1<<31-1)), err
}

func (f *userFields) Events(ctx context.Context, u *view.User, name *string, first *int32, after *string, last *int32, before *string) (*generated.EventConnection, error) {
	req, err := pageArgs{first, after, last, before}.request(pageEvents)
	if err != nil {
		return nil, err
	}
	page, err := f.Users.Events(ctx, u.EnvID, u.User.ID, value(name), req)
	if err != nil {
		return nil, err
	}
	r := pageOf(pageEvents, req, page.Items, page.HasMore, view.Events(page.Items), func(e *model.Event) model.PageKey {
		return model.PageKey{At: e.OccurredAt, Text: string(e.ID)}
	})
	return &generated.EventConnection{
		Nodes: r.nodes, PageInfo: r.info,
		Edges: edges(r, func(c string, n *view.Event) *generated.EventEdge { return &generated.EventEdge{Cursor: c, Node: n} }),
	}, nil
}

func (f *userFields) Merges(ctx context.Context, u *view.User) ([]*view.UserMerge, error) {
	all, err := f.Users.Merges(ctx, u.EnvID, u.User.ID)
	out := make([]*view.UserMerge, len(all))
	for i, m := range all {
		out[i] = view.NewUserMerge(m, false)
	}
	return out, err
}

func (q *query) Properties(ctx context.Context) ([]*model.Property, error) {
	caller, err := auth.RequireSecret(ctx)
	if err != nil {
		return nil, err
	}
	all, err := q.Resolver.Users.Properties(ctx, caller.Env.ID)
	return pointersTo(all), err
}

func pointersTo[T any](all []T) []*T {
	out := make([]*T, len(all))
	for i := range all {
		out[i] = &all[i]
	}
	return out
}

func (m *mutation) UpdateUser(ctx context.Context, in generated.UpdateUserInput) (*generated.UpdateUserPayload, error) {
	p := &generated.UpdateUserPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.Identified]
	if err == nil && in.NewIdentifier != nil && *in.NewIdentifier == "" {
		err = invalid("must not be empty", "newIdentifier")
	}
	if err == nil {
		out, err = m.Users.Change(ctx, d.env, d.once, model.UserChange{
			Identifier: in.User, MustExist: true, Kind: in.UserKind, Archived: in.Archived, SignedUpAt: in.SignedUpAt, Rename: value(in.NewIdentifier),
		})
		err = elsewhere(err, unknownUser("user"))
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.User, p.Replayed = view.NewUser(out.Value.User), out.Replayed
	return p, nil
}

func (m *mutation) MergeUsers(ctx context.Context, in generated.MergeUsersInput) (*generated.MergeUsersPayload, error) {
	p := &generated.MergeUsersPayload{}
	dry := value(in.DryRun)
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.MergeResult]
	if err == nil {
		out, err = m.Users.MergeUsers(ctx, d.env, d.once, in.From, in.Into, dry)
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	if !dry {
		m.userGone(d.env, out.Value.From, in.From)
	}
	p.User, p.Merge, p.Replayed = view.NewUser(out.Value.User), view.NewUserMerge(out.Value.Merge, dry), out.Replayed
	return p, nil
}

func (m *mutation) JoinAccount(ctx context.Context, in generated.JoinAccountInput) (*generated.JoinAccountPayload, error) {
	p := &generated.JoinAccountPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.User]
	if err == nil {
		out, err = m.Users.JoinAccounts(ctx, d.env, d.once, in.User, []model.MembershipChange{{Account: in.Account, Role: in.Role}})
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		for _, e := range p.UserErrors {
			if len(e.Path) > 2 { // of the list that the service takes
				e.Path = e.Path[2:]
			}
		}
		return p, err
	}
	p.User, p.Replayed = view.NewUser(out.Value), out.Replayed
	return p, nil
}

func (m *mutation) LeaveAccount(ctx context.Context, in generated.LeaveAccountInput) (*generated.LeaveAccountPayload, error) {
	p := &generated.LeaveAccountPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.User]
	if err == nil {
		out, err = m.Users.LeaveAccount(ctx, d.env, d.once, in.User, in.Account)
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.User, p.Replayed = view.NewUser(out.Value), out.Replayed
	return p, nil
}

func (m *mutation) TrackEvents(ctx context.Context, in generated.TrackEventsInput) (*generated.TrackEventsPayload, error) {
	p := &generated.TrackEventsPayload{Events: []*view.Event{}}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[[]model.Event]
	if err == nil {
		events := make([]user.EventInput, len(in.Events))
		for i, e := range in.Events {
			events[i] = user.EventInput{Name: e.Name, Value: e.Value, Properties: e.Properties, OccurredAt: value(e.OccurredAt)}
		}
		out, err = m.Users.Track(ctx, d.env, d.once, in.User, events)
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.Events, p.Replayed = view.Events(out.Value), out.Replayed
	return p, nil
}

func (m *mutation) SetProperty(ctx context.Context, in generated.SetPropertyInput) (*generated.SetPropertyPayload, error) {
	p := &generated.SetPropertyPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.Property]
	if err == nil {
		t := model.PropertyText
		if in.Type != nil {
			t = *in.Type
		}
		out, err = m.Users.SetProperty(ctx, d.env, d.once, model.Property{Name: in.Name, Type: t, Shown: in.Shown})
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.Property, p.Replayed = &out.Value, out.Replayed
	return p, nil
}
