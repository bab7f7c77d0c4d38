package graph

import (
	"context"

	"carillon/auth"
	"carillon/graph/generated"
	"carillon/graph/view"
	"carillon/model"
)

// loadDeliveries teaches a loader what belongs to deliveries.
func (r *Resolver) loadDeliveries(env model.EnvID, l *loader) {
	l.deliveries.load = func(ctx context.Context, ids []model.NotificationID) (map[model.NotificationID][]model.Delivery, error) {
		found, err := r.Deliveries.Of(ctx, env, ids)
		for _, ds := range found {
			for i := range ds {
				l.wantOfDelivery(&ds[i])
			}
		}
		return found, err
	}
	l.attempts.load = func(ctx context.Context, ids []model.DeliveryID) (map[model.DeliveryID][]model.Attempt, error) {
		return r.Deliveries.AttemptsOf(ctx, env, ids)
	}
	l.providers.load = func(ctx context.Context, _ []model.ProviderID) (map[model.ProviderID]*view.Provider, error) {
		all, err := r.Deliveries.Providers(ctx, env) // they are few
		out := make(map[model.ProviderID]*view.Provider, len(all))
		for _, p := range all {
			out[p.ID] = view.NewProvider(p)
		}
		return out, err
	}
}

func (l *loader) wantOfDelivery(d *model.Delivery) {
	l.notifications.want(d.NotificationID)
	l.attempts.want(d.ID)
	l.providers.want(d.ProviderID)
}

// Deliveries finds the deliveries of a notification.
func (l *loader) Deliveries(ctx context.Context, id model.NotificationID) ([]*view.Delivery, error) {
	caller, err := auth.Require(ctx)
	if err != nil {
		return nil, err
	}
	for i := range l.page {
		l.deliveries.want(l.page[i].ID)
	}
	ds, err := l.deliveries.get(ctx, id)
	return view.Deliveries(ds, caller.Kind == auth.Secret, l), err
}

// Attempts finds the attempts of a delivery.
func (l *loader) Attempts(ctx context.Context, id model.DeliveryID) ([]model.Attempt, error) {
	return l.attempts.get(ctx, id)
}

// Provider finds a provider; nil when it was deleted.
func (l *loader) Provider(ctx context.Context, id model.ProviderID) (*view.Provider, error) {
	return l.providers.get(ctx, id)
}

func deliveryID(s string) (model.DeliveryID, bool) {
	ref, ok := view.ParseRef(s)
	return model.DeliveryID(ref.Text), ok && ref.Kind == view.KindDelivery
}

func (q *query) Delivery(ctx context.Context, id string) (*view.Delivery, error) {
	caller, err := q.caller(ctx)
	if err != nil {
		return nil, err
	}
	ref, ok := deliveryID(id)
	if !ok {
		return nil, nil
	}
	d, err := q.Resolver.Deliveries.Delivery(ctx, caller.Env.ID, ref)
	if err != nil {
		return nil, absent(err)
	}
	if !maySee(caller, d.UserID) {
		return nil, nil
	}
	return view.NewDelivery(&d, caller.Kind == auth.Secret, q.loader(caller.Env.ID)), nil
}

func (q *query) Deliveries(ctx context.Context, first *int32, after *string, last *int32, before *string, filter *generated.DeliveryFilter) (*generated.DeliveryConnection, error) {
	caller, err := auth.RequireSecret(ctx)
	if err != nil {
		return nil, err
	}
	req, err := pageArgs{first, after, last, before}.request(pageDeliveries)
	if err != nil {
		return nil, err
	}
	f, some, err := q.deliveryFilter(ctx, caller.Env.ID, filter)
	if err != nil {
		return nil, err
	}
	var page model.Page[model.Delivery]
	if some {
		if page, err = q.Resolver.Deliveries.List(ctx, caller.Env.ID, f, req); err != nil {
			return nil, err
		}
	}
	l := q.loader(caller.Env.ID)
	for i := range page.Items {
		l.wantOfDelivery(&page.Items[i])
	}
	shown := pageOf(pageDeliveries, req, page.Items, page.HasMore, view.Deliveries(page.Items, true, l), func(d *model.Delivery) model.PageKey {
		return model.PageKey{At: d.CreatedAt, Text: string(d.ID)}
	})
	return &generated.DeliveryConnection{
		Nodes: shown.nodes, PageInfo: shown.info,
		Edges: edges(shown, func(c string, n *view.Delivery) *generated.DeliveryEdge {
			return &generated.DeliveryEdge{Cursor: c, Node: n}
		}),
	}, nil
}

// deliveryFilter reads a filter; some is false when it names something that
// does not exist, so that nothing can match.
func (r *Resolver) deliveryFilter(ctx context.Context, env model.EnvID, in *generated.DeliveryFilter) (f model.DeliveryFilter, some bool, err error) {
	if in == nil {
		return f, true, nil
	}
	f.Channels = in.Channels
	if in.States != nil {
		f.States = []model.DeliveryState{}
		for _, s := range in.States {
			f.States = append(f.States, s.Model())
		}
	}
	if in.Since != nil {
		f.Since = *in.Since
	}
	if in.Until != nil {
		f.Until = *in.Until
	}
	if in.Provider != nil {
		id, ok := providerID(*in.Provider)
		if !ok {
			return f, false, nil
		}
		f.Provider = id
	}
	if in.Send != nil {
		id, ok := sendID(*in.Send)
		if !ok {
			return f, false, nil
		}
		f.Send = id
	}
	if in.User != nil {
		u, err := r.Users.Find(ctx, env, *in.User)
		if err != nil {
			return f, false, absent(err)
		}
		f.User = u.ID
	}
	return f, (f.Channels == nil || len(f.Channels) > 0) && (f.States == nil || len(f.States) > 0), nil
}

func (q *query) ExplainDelivery(ctx context.Context, notification string, channel model.Channel) (*model.Decision, error) {
	caller, err := q.caller(ctx)
	if err != nil {
		return nil, err
	}
	ref, ok := view.ParseRef(notification)
	if !ok || ref.Kind != view.KindNotification {
		return nil, nil
	}
	n, err := q.Inbox.Find(ctx, caller.Env.ID, model.NotificationID(ref.Number))
	if err != nil {
		return nil, absent(err)
	}
	if !maySee(caller, n.UserID) {
		return nil, nil
	}
	d, err := q.Resolver.Deliveries.Explain(ctx, caller.Env, n, channel)
	if err != nil {
		return nil, err
	}
	return &d, nil
}

func (m *mutation) RetryDelivery(ctx context.Context, in generated.RetryDeliveryInput) (*generated.RetryDeliveryPayload, error) {
	p := &generated.RetryDeliveryPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.Delivery]
	if err == nil {
		id, _ := deliveryID(in.ID)
		out, err = m.Deliveries.Retry(ctx, d.env, d.once, id)
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.Delivery, p.Replayed = view.NewDelivery(&out.Value, true, m.loader(d.env)), out.Replayed
	return p, nil
}

func (m *mutation) RetryDeliveries(ctx context.Context, in generated.RetryDeliveriesInput) (*generated.RetryDeliveriesPayload, error) {
	p := &generated.RetryDeliveriesPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var (
		out  model.Outcome[int]
		f    model.DeliveryFilter
		some bool
	)
	if err == nil {
		if f, some, err = m.deliveryFilter(ctx, d.env, in.Filter); err == nil {
			if !some {
				f = model.DeliveryFilter{States: []model.DeliveryState{}, Until: f.Since} // chooses nothing, and is remembered all the same
			}
			out, err = m.Deliveries.RetryAll(ctx, d.env, d.once, f)
		}
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.Retried, p.Replayed = int32(out.Value), out.Replayed
	return p, nil
}

func (q *query) Suppressions(ctx context.Context, first *int32, after *string, last *int32, before *string, filter *generated.SuppressionFilter) (*generated.SuppressionConnection, error) {
	caller, err := auth.RequireSecret(ctx)
	if err != nil {
		return nil, err
	}
	req, err := pageArgs{first, after, last, before}.request(pageSuppressed)
	if err != nil {
		return nil, err
	}
	f := model.SuppressionFilter{}
	if filter != nil {
		f = model.SuppressionFilter{Channel: value(filter.Channel), Reason: value(filter.Reason), Address: value(filter.Address)}
	}
	page, err := q.Resolver.Deliveries.Suppressions(ctx, caller.Env.ID, f, req)
	if err != nil {
		return nil, err
	}
	rows := make([]*view.Suppression, len(page.Items))
	for i, s := range page.Items {
		rows[i] = view.NewSuppression(s)
	}
	shown := pageOf(pageSuppressed, req, page.Items, page.HasMore, rows, func(s *model.Suppression) model.PageKey {
		return model.PageKey{At: s.CreatedAt, Text: string(s.ID)}
	})
	return &generated.SuppressionConnection{
		Nodes: shown.nodes, PageInfo: shown.info,
		Edges: edges(shown, func(c string, n *view.Suppression) *generated.SuppressionEdge {
			return &generated.SuppressionEdge{Cursor: c, Node: n}
		}),
	}, nil
}

func (m *mutation) SuppressAddress(ctx context.Context, in generated.SuppressAddressInput) (*generated.SuppressAddressPayload, error) {
	p := &generated.SuppressAddressPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.Suppression]
	if err == nil {
		s := model.Suppression{Channel: in.Channel, Address: in.Address, Reason: value(in.Reason), Detail: value(in.Detail)}
		if s.Reason == "" {
			s.Reason = model.SuppressedManual
		}
		if in.ExpiresAt != nil {
			s.ExpiresAt = *in.ExpiresAt
		}
		out, err = m.Deliveries.Suppress(ctx, d.env, d.once, s)
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.Suppression, p.Replayed = view.NewSuppression(out.Value), out.Replayed
	return p, nil
}

func (m *mutation) RemoveSuppression(ctx context.Context, in generated.RemoveSuppressionInput) (*generated.RemoveSuppressionPayload, error) {
	p := &generated.RemoveSuppressionPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.Suppression]
	if err == nil {
		var id model.SuppressionID
		if ref, ok := view.ParseRef(in.ID); ok && ref.Kind == view.KindSuppression {
			id = model.SuppressionID(ref.Text)
		}
		out, err = m.Deliveries.Unsuppress(ctx, d.env, d.once, id)
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.Suppression, p.Replayed = view.NewSuppression(out.Value), out.Replayed
	return p, nil
}
