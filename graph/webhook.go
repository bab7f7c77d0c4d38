package graph

import (
	"context"
	"time"

	"carillon/auth"
	"carillon/graph/generated"
	"carillon/graph/view"
	"carillon/model"
)

func (q *query) WebhookEndpoints(ctx context.Context) ([]*view.WebhookEndpoint, error) {
	caller, err := auth.RequireSecret(ctx)
	if err != nil {
		return nil, err
	}
	list, err := q.Webhooks.Endpoints(ctx, caller.Env.ID)
	out := make([]*view.WebhookEndpoint, len(list))
	for i, e := range list {
		out[i] = view.NewWebhookEndpoint(e)
	}
	return out, err
}

func (q *query) WebhookEvents(ctx context.Context, endpoint string, states []model.WebhookState, first *int32, after *string, last *int32, before *string) (*generated.WebhookEventConnection, error) {
	caller, err := auth.RequireSecret(ctx)
	if err != nil {
		return nil, err
	}
	req, err := pageArgs{first, after, last, before}.request(pageWebhooks)
	if err != nil {
		return nil, err
	}
	var (
		ref   = model.WebhookEndpointRef{Env: caller.Env.ID, ID: view.ParseWebhookEndpointID(endpoint)}
		page  model.Page[model.WebhookEvent]
		names map[model.UserID]string
	)
	if states == nil || len(states) > 0 {
		if page, names, err = q.Webhooks.Events(ctx, ref, states, req); err != nil {
			return nil, err
		}
	}
	nodes, err := q.webhookEvents(ctx, ref, page.Items, names)
	if err != nil {
		return nil, err
	}
	shown := pageOf(pageWebhooks, req, page.Items, page.HasMore, nodes, func(e *model.WebhookEvent) model.PageKey {
		return model.PageKey{At: e.OccurredAt, Text: string(e.ID)}
	})
	return &generated.WebhookEventConnection{
		Nodes: shown.nodes, PageInfo: shown.info,
		Edges: edges(shown, func(c string, n *view.WebhookEvent) *generated.WebhookEventEdge {
			return &generated.WebhookEventEdge{Cursor: c, Node: n}
		}),
	}, nil
}

// webhookEvents shows events of one endpoint with their attempts.
func (r *Resolver) webhookEvents(ctx context.Context, ref model.WebhookEndpointRef, events []model.WebhookEvent, names map[model.UserID]string) ([]*view.WebhookEvent, error) {
	ids := make([]model.WebhookEventID, len(events))
	for i, e := range events {
		ids[i] = e.ID
	}
	attempts, err := r.Webhooks.Attempts(ctx, ref, ids)
	out := make([]*view.WebhookEvent, len(events))
	for i := range events {
		e := &events[i]
		out[i] = view.NewWebhookEvent(e, names[e.UserID], attempts[e.ID])
	}
	return out, err
}

func (m *mutation) CreateWebhookEndpoint(ctx context.Context, in generated.CreateWebhookEndpointInput) (*generated.CreateWebhookEndpointPayload, error) {
	p := &generated.CreateWebhookEndpointPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.IssuedWebhookEndpoint]
	if err == nil {
		out, err = m.Webhooks.Create(ctx, d.env, d.once, model.WebhookEndpointInput{
			URL: in.URL, Description: value(in.Description), Types: in.Types, Enabled: in.Enabled == nil || *in.Enabled, Secret: value(in.Secret),
		})
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.WebhookEndpoint, p.Secret, p.Replayed = view.NewWebhookEndpoint(out.Value.Endpoint), shownSecret(out.Value.Secret, out.Replayed), out.Replayed
	return p, nil
}

func (m *mutation) UpdateWebhookEndpoint(ctx context.Context, in generated.UpdateWebhookEndpointInput) (*generated.UpdateWebhookEndpointPayload, error) {
	p := &generated.UpdateWebhookEndpointPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.WebhookEndpoint]
	if err == nil {
		out, err = m.Webhooks.Update(ctx, d.env, d.once, view.ParseWebhookEndpointID(in.ID), model.WebhookEndpointChange{
			URL: in.URL, Description: in.Description, Types: in.Types, Enabled: in.Enabled,
		})
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.WebhookEndpoint, p.Replayed = view.NewWebhookEndpoint(out.Value), out.Replayed
	return p, nil
}

func (m *mutation) RotateWebhookSecret(ctx context.Context, in generated.RotateWebhookSecretInput) (*generated.RotateWebhookSecretPayload, error) {
	p := &generated.RotateWebhookSecretPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.IssuedWebhookEndpoint]
	if err == nil {
		out, err = m.Webhooks.Rotate(ctx, d.env, d.once, view.ParseWebhookEndpointID(in.ID), value(in.Secret), time.Duration(in.OverlapSeconds)*time.Second)
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.WebhookEndpoint, p.Secret, p.Replayed = view.NewWebhookEndpoint(out.Value.Endpoint), shownSecret(out.Value.Secret, out.Replayed), out.Replayed
	return p, nil
}

func (m *mutation) DeleteWebhookEndpoint(ctx context.Context, in generated.DeleteWebhookEndpointInput) (*generated.DeleteWebhookEndpointPayload, error) {
	p := &generated.DeleteWebhookEndpointPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.WebhookEndpointID]
	if err == nil {
		out, err = m.Webhooks.Delete(ctx, d.env, d.once, view.ParseWebhookEndpointID(in.ID))
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.DeletedWebhookEndpointID, p.Replayed = ptr(view.WebhookEndpointID(out.Value)), out.Replayed
	return p, nil
}

func (m *mutation) ReplayWebhookEvent(ctx context.Context, in generated.ReplayWebhookEventInput) (*generated.ReplayWebhookEventPayload, error) {
	p := &generated.ReplayWebhookEventPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.WebhookEvent]
	ref := model.WebhookEndpointRef{Env: d.env, ID: view.ParseWebhookEndpointID(in.Endpoint)}
	if err == nil {
		out, err = m.Webhooks.Replay(ctx, ref, d.once, view.ParseWebhookEventID(in.ID))
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	events := []model.WebhookEvent{out.Value}
	names, err := m.Webhooks.Identifiers(ctx, d.env, events...)
	if err != nil {
		return p, err
	}
	shown, err := m.webhookEvents(ctx, ref, events, names)
	if err != nil {
		return p, err
	}
	p.WebhookEvent, p.Replayed = shown[0], out.Replayed
	return p, nil
}

func (m *mutation) ReplayWebhookEvents(ctx context.Context, in generated.ReplayWebhookEventsInput) (*generated.ReplayWebhookEventsPayload, error) {
	p := &generated.ReplayWebhookEventsPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[int]
	if err == nil {
		ref := model.WebhookEndpointRef{Env: d.env, ID: view.ParseWebhookEndpointID(in.Endpoint)}
		out, err = m.Webhooks.ReplayAll(ctx, ref, d.once, in.States, in.Since)
		err = elsewhere(err, model.NotFound("names no webhook endpoint in this environment", "endpoint"))
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.ReplayedEvents, p.Replayed = ptr(int32(out.Value)), out.Replayed
	return p, nil
}
