package graph

import (
	"context"

	"carillon/auth"
	"carillon/delivery"
	"carillon/graph/generated"
	"carillon/graph/view"
	"carillon/model"
)

func providerID(s string) (model.ProviderID, bool) {
	ref, ok := view.ParseRef(s)
	return model.ProviderID(ref.Text), ok && ref.Kind == view.KindProvider
}

func (q *query) ProviderKinds(ctx context.Context) ([]*view.ProviderKind, error) {
	if _, err := auth.RequireSecret(ctx); err != nil {
		return nil, err
	}
	return view.ProviderKinds(q.Resolver.Deliveries.AllKinds()), nil
}

func (q *query) Providers(ctx context.Context) ([]*view.Provider, error) {
	caller, err := auth.RequireSecret(ctx)
	if err != nil {
		return nil, err
	}
	ps, err := q.Resolver.Deliveries.Providers(ctx, caller.Env.ID)
	return view.Providers(ps), err
}

// providerFields resolves the fields of Provider that the server knows, not the row.
type providerFields struct{ *Resolver }

func (f *providerFields) ReceiptsURL(_ context.Context, p *view.Provider) (*string, error) {
	if at := f.Deliveries.ReceiptsURL(p.Provider); at != "" {
		return &at, nil
	}
	return nil, nil //nolint:nilnil // as the schema says: there is none
}

func (m *mutation) CreateProvider(ctx context.Context, in generated.CreateProviderInput) (*generated.CreateProviderPayload, error) {
	p := &generated.CreateProviderPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.Provider]
	if err == nil {
		out, err = m.Deliveries.CreateProvider(ctx, d.env, d.once, model.ProviderInput{
			Kind: in.Kind, Channel: value(in.Channel), Name: value(in.Name), Config: in.Config, Secrets: in.Secrets,
			Enabled: in.Enabled == nil || *in.Enabled, Concurrency: int(value(in.Concurrency)), PerSecond: int(value(in.PerSecond)),
		})
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.Provider, p.Replayed = view.NewProvider(out.Value), out.Replayed
	return p, nil
}

func (m *mutation) UpdateProvider(ctx context.Context, in generated.UpdateProviderInput) (*generated.UpdateProviderPayload, error) {
	p := &generated.UpdateProviderPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.Provider]
	if err == nil {
		id, _ := providerID(in.ID)
		out, err = m.Deliveries.UpdateProvider(ctx, d.env, d.once, id, model.ProviderChange{
			Name: in.Name, Config: in.Config, Secrets: in.Secrets, Enabled: in.Enabled, Paused: in.Paused,
			Concurrency: wholeNumber(in.Concurrency), PerSecond: wholeNumber(in.PerSecond),
		})
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.Provider, p.Replayed = view.NewProvider(out.Value), out.Replayed
	return p, nil
}

func wholeNumber(n *int32) *int {
	if n == nil {
		return nil
	}
	return ptr(int(*n))
}

func (m *mutation) DeleteProvider(ctx context.Context, in generated.DeleteProviderInput) (*generated.DeleteProviderPayload, error) {
	p := &generated.DeleteProviderPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.ProviderID]
	if err == nil {
		id, _ := providerID(in.ID)
		out, err = m.Deliveries.DeleteProvider(ctx, d.env, d.once, id)
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.DeletedProviderID, p.Replayed = ptr(view.ProviderID(out.Value)), out.Replayed
	return p, nil
}

func (m *mutation) OrderProviders(ctx context.Context, in generated.OrderProvidersInput) (*generated.OrderProvidersPayload, error) {
	p := &generated.OrderProvidersPayload{Providers: []*view.Provider{}}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[[]model.ProviderID]
	if err == nil {
		ids := make([]model.ProviderID, len(in.Ids))
		for i, s := range in.Ids {
			ids[i], _ = providerID(s)
		}
		out, err = m.Deliveries.OrderProviders(ctx, d.env, d.once, in.Channel, ids)
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	all, err := m.Deliveries.Providers(ctx, d.env)
	for _, q := range all {
		if q.Channel == in.Channel {
			p.Providers = append(p.Providers, view.NewProvider(q))
		}
	}
	p.Replayed = out.Replayed
	return p, err
}

func (m *mutation) TestProvider(ctx context.Context, in generated.TestProviderInput) (*generated.TestProviderPayload, error) {
	p := &generated.TestProviderPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.ProviderTest]
	if err == nil {
		var to *delivery.Target
		if in.To != nil {
			to = &delivery.Target{Address: *in.To, Platform: model.PlatformIOS}
			if in.Platform != nil {
				to.Platform = *in.Platform
			}
		}
		id, _ := providerID(in.ID)
		out, err = m.Deliveries.TestProvider(ctx, d.env, d.once, id, to)
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.Works, p.Replayed = out.Value.Works, out.Replayed
	if !p.Works {
		p.ErrorClass, p.Detail = &out.Value.Class, &out.Value.Detail
	}
	return p, nil
}
