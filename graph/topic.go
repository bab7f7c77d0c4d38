package graph

import (
	"context"

	"carillon/auth"
	"carillon/graph/generated"
	"carillon/graph/view"
	"carillon/model"
)

func (q *query) Topics(ctx context.Context, first *int32, after *string, last *int32, before *string) (*generated.TopicConnection, error) {
	caller, err := auth.RequireSecret(ctx)
	if err != nil {
		return nil, err
	}
	req, err := pageArgs{first, after, last, before}.request(pageTopics)
	if err != nil {
		return nil, err
	}
	page, err := q.Resolver.Topics.List(ctx, caller.Env.ID, req)
	if err != nil {
		return nil, err
	}
	return topicConnection(pageTopics, req, page.Items, page.HasMore), nil
}

func (f *userFields) Topics(ctx context.Context, u *view.User, first *int32, after *string, last *int32, before *string) (*generated.TopicConnection, error) {
	req, err := pageArgs{first, after, last, before}.request(pageUserTopics)
	if err != nil {
		return nil, err
	}
	page, err := f.Resolver.Topics.Of(ctx, u.EnvID, u.User.ID, req)
	if err != nil {
		return nil, err
	}
	topics := make([]model.Topic, len(page.Items))
	for i, s := range page.Items {
		topics[i] = s.Topic
	}
	return topicConnection(pageUserTopics, req, topics, page.HasMore), nil
}

func topicConnection(kind byte, req model.PageRequest, topics []model.Topic, more bool) *generated.TopicConnection {
	shown := pageOf(kind, req, topics, more, view.Topics(topics), func(t *model.Topic) model.PageKey { return model.PageKey{ID: int64(t.ID)} })
	return &generated.TopicConnection{
		Nodes: shown.nodes, PageInfo: shown.info,
		Edges: edges(shown, func(c string, n *view.Topic) *generated.TopicEdge { return &generated.TopicEdge{Cursor: c, Node: n} }),
	}
}

// topicFields resolves the fields of Topic that are read only when asked for.
type topicFields struct{ *Resolver }

var _ generated.TopicResolver = (*topicFields)(nil)

// Subscribers is for applications: a user's credential gets to see topics, its
// own, but not who else is on them.
func (f *topicFields) Subscribers(ctx context.Context, t *view.Topic, first *int32, after *string, last *int32, before *string) (*generated.TopicSubscriberConnection, error) {
	caller, err := auth.Require(ctx)
	if err == nil && caller.Kind != auth.Secret {
		err = model.Errorf(model.KindForbidden, "subscribers needs a secret key; a user's credential will not do")
	}
	if err != nil {
		return nil, err
	}
	req, err := pageArgs{first, after, last, before}.request(pageSubscribers)
	if err != nil {
		return nil, err
	}
	page, err := f.Resolver.Topics.Members(ctx, t.EnvID, t.Topic.ID, req)
	if err != nil {
		return nil, err
	}
	users, members, err := f.stillThere(ctx, t.EnvID, page.Items)
	if err != nil {
		return nil, err
	}
	shown := pageOf(pageSubscribers, req, members, page.HasMore, users, func(s *model.TopicSubscription) model.PageKey { return model.PageKey{ID: int64(s.UserID)} })
	out := &generated.TopicSubscriberConnection{Nodes: shown.nodes, PageInfo: shown.info, Edges: make([]*view.TopicSubscriberEdge, len(members))}
	for i, s := range members {
		out.Edges[i] = view.NewTopicSubscriberEdge(shown.cursors[i], users[i], s)
	}
	return out, nil
}

// stillThere reads the users of subscriptions, and leaves out the
// subscriptions of those who were deleted since they were read.
func (r *Resolver) stillThere(ctx context.Context, env model.EnvID, all []model.TopicSubscription) (users []*view.User, left []model.TopicSubscription, err error) {
	ids := make([]model.UserID, len(all))
	for i, s := range all {
		ids[i] = s.UserID
	}
	found, err := r.Users.ByIDs(ctx, env, ids)
	if err != nil {
		return nil, nil, err
	}
	users, left = []*view.User{}, []model.TopicSubscription{}
	for _, s := range all {
		if u, ok := found[s.UserID]; ok {
			users, left = append(users, view.NewUser(u)), append(left, s)
		}
	}
	return users, left, nil
}

func (r *Resolver) topicNode(ctx context.Context, env model.EnvID, id model.TopicID) (*view.Topic, error) {
	t, err := r.Topics.ByID(ctx, env, id)
	if err != nil {
		return nil, absent(err)
	}
	return view.NewTopic(t), nil
}

func (m *mutation) CreateTopic(ctx context.Context, in generated.CreateTopicInput) (*generated.CreateTopicPayload, error) {
	p := &generated.CreateTopicPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.Topic]
	if err == nil {
		out, err = m.Topics.Create(ctx, d.env, d.once, in.Identifier, in.Name, model.TopicDetails{
			Description: value(in.Description), DoubleOptIn: value(in.DoubleOptIn), RedirectURL: value(in.RedirectURL),
		})
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.Topic, p.Replayed = view.NewTopic(out.Value), out.Replayed
	return p, nil
}

func (m *mutation) UpdateTopic(ctx context.Context, in generated.UpdateTopicInput) (*generated.UpdateTopicPayload, error) {
	p := &generated.UpdateTopicPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.Topic]
	if err == nil {
		out, err = m.Topics.Update(ctx, d.env, d.once, in.Identifier, model.TopicChanges{
			Name: in.Name, Description: in.Description, DoubleOptIn: in.DoubleOptIn, RedirectURL: in.RedirectURL, Archived: in.Archived,
		})
		err = elsewhere(err, unknownTopic("identifier"))
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.Topic, p.Replayed = view.NewTopic(out.Value), out.Replayed
	return p, nil
}

func (m *mutation) DeleteTopic(ctx context.Context, in generated.DeleteTopicInput) (*generated.DeleteTopicPayload, error) {
	p := &generated.DeleteTopicPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.TopicID]
	if err == nil {
		out, err = m.Topics.Delete(ctx, d.env, d.once, in.Identifier)
		err = elsewhere(err, unknownTopic("identifier"))
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.DeletedTopicID, p.Replayed = ptr(view.TopicID(out.Value)), out.Replayed
	return p, nil
}

func (m *mutation) SubscribeToTopic(ctx context.Context, in generated.SubscribeToTopicInput) (*generated.SubscribeToTopicPayload, error) {
	p := &generated.SubscribeToTopicPayload{NotFound: []string{}}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.TopicChange]
	if err == nil {
		out, err = m.Topics.Subscribe(ctx, d.env, d.once, in.Topic, topicMembers(in.Users))
		err = elsewhere(err, unknownTopic("topic"))
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.Topic, p.Changed, p.Replayed = view.NewTopic(out.Value.Topic), int32(out.Value.Changed), out.Replayed
	p.NotFound = append(p.NotFound, out.Value.NotFound...)
	return p, nil
}

func topicMembers(in []*generated.TopicSubscriberInput) []model.TopicMember {
	out := make([]model.TopicMember, len(in))
	for i, u := range in {
		out[i].Identifier, out[i].Unsubscribed = u.Identifier, u.Subscribed != nil && !*u.Subscribed
		if u.Channels == nil {
			continue
		}
		out[i].Channels = make([]string, len(u.Channels))
		for j, c := range u.Channels {
			out[i].Channels[j] = c.String()
		}
	}
	return out
}

func (m *mutation) UnsubscribeFromTopic(ctx context.Context, in generated.UnsubscribeFromTopicInput) (*generated.UnsubscribeFromTopicPayload, error) {
	p := &generated.UnsubscribeFromTopicPayload{NotFound: []string{}}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.TopicChange]
	if err == nil {
		out, err = m.Topics.Unsubscribe(ctx, d.env, d.once, in.Topic, in.Users)
		err = elsewhere(err, unknownTopic("topic"))
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.Topic, p.Changed, p.Replayed = view.NewTopic(out.Value.Topic), int32(out.Value.Changed), out.Replayed
	p.NotFound = append(p.NotFound, out.Value.NotFound...)
	return p, nil
}

func unknownTopic(path ...string) error {
	return model.NotFound("names no topic in this environment", path...)
}
