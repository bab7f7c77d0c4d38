package delivery

import (
	"context"

	"carillon/model"
)

// Delivery reads a delivery.
func (s *Service) Delivery(ctx context.Context, env model.EnvID, id model.DeliveryID) (model.Delivery, error) {
	return s.Store.Delivery(ctx, env, id)
}

// Of reads the deliveries of notifications.
func (s *Service) Of(ctx context.Context, env model.EnvID, ids []model.NotificationID) (map[model.NotificationID][]model.Delivery, error) {
	list, err := s.Store.DeliveriesOf(ctx, env, ids)
	if err != nil {
		return nil, err
	}
	out := make(map[model.NotificationID][]model.Delivery, len(ids))
	for _, d := range list {
		out[d.NotificationID] = append(out[d.NotificationID], d)
	}
	return out, nil
}

// List reads a page of the deliveries of an environment, newest first. The keys
// of its pages are CreatedAt and, as text, the id.
func (s *Service) List(ctx context.Context, env model.EnvID, f model.DeliveryFilter, page model.PageRequest) (model.Page[model.Delivery], error) {
	return s.Store.ListDeliveries(ctx, env, f, page)
}

// AttemptsOf reads the attempts of deliveries, in their order.
func (s *Service) AttemptsOf(ctx context.Context, env model.EnvID, ids []model.DeliveryID) (map[model.DeliveryID][]model.Attempt, error) {
	return s.Store.Attempts(ctx, env, ids)
}

// Retry makes a delivery that waits, or ended without being sent, due at once,
// its schedule beginning anew. In another state it is a KindConflict error.
func (s *Service) Retry(ctx context.Context, env model.EnvID, once model.Once, id model.DeliveryID) (model.Outcome[model.Delivery], error) {
	since := s.now()
	out, err := s.Store.RetryDelivery(ctx, env, once, id)
	if err == nil {
		s.announce(ctx, since, env)
		s.Wake()
	}
	return out, err
}

// RetryAll does the same with all that a filter chooses, the oldest first, at
// most model.MaxReplay at a time; without states, those that FAILED. It returns
// how many.
func (s *Service) RetryAll(ctx context.Context, env model.EnvID, once model.Once, f model.DeliveryFilter) (model.Outcome[int], error) {
	since := s.now()
	out, err := s.Store.RetryDeliveries(ctx, env, once, f)
	if err == nil {
		s.announce(ctx, since, env)
		s.Wake()
	}
	return out, err
}

// maxSuppression bounds what is said about a suppression, in bytes.
const maxSuppression = 500

// Suppress has nothing sent to an address of a channel, whoever has it.
func (s *Service) Suppress(ctx context.Context, env model.EnvID, once model.Once, m model.Suppression) (model.Outcome[model.Suppression], error) {
	var c model.Check
	c.That(m.Channel != model.ChannelInApp, "must be a channel with addresses", "channel")
	switch {
	case m.Address == "":
		c.Add(model.ProblemRequired, "must not be empty", "address")
	case model.CheckText(m.Address, maxSetting) != "":
		c.Add(model.ProblemInvalid, model.CheckText(m.Address, maxSetting), "address")
	}
	if text := model.CheckText(m.Detail, maxSuppression); text != "" {
		c.Add(model.ProblemInvalid, text, "detail")
	}
	c.That(m.ExpiresAt.IsZero() || m.ExpiresAt.After(s.now()), "must lie in the future", "expiresAt")
	if err := c.Err(); err != nil {
		return model.Outcome[model.Suppression]{}, err
	}
	m.ID, m.EnvID = model.SuppressionID(s.ids.New()), env
	return s.Store.Suppress(ctx, once, m)
}

// Unsuppress ends a suppression.
func (s *Service) Unsuppress(ctx context.Context, env model.EnvID, once model.Once, id model.SuppressionID) (model.Outcome[model.Suppression], error) {
	return s.Store.Unsuppress(ctx, env, once, id)
}

// Suppressions reads a page of the suppressions of an environment, newest
// first. The keys of its pages are CreatedAt and, as text, the id.
func (s *Service) Suppressions(ctx context.Context, env model.EnvID, f model.SuppressionFilter, page model.PageRequest) (model.Page[model.Suppression], error) {
	return s.Store.ListSuppressions(ctx, env, f, page)
}
