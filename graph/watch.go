package graph

import (
	"context"
	"fmt"

	"carillon/auth"
	"carillon/delivery"
	"carillon/graph/generated"
	"carillon/graph/operation"
	"carillon/graph/view"
	"carillon/internal/cursor"
	"carillon/model"
)

// Deliveries resolves Subscription.deliveries, an event at a time.
func (*subscription) Deliveries(ctx context.Context, _, _, _, _, _ *string, _ []model.Channel, _ []view.DeliveryState, _ *int32) (<-chan *generated.DeliveryEvent, error) {
	return operation.EventChannel(ctx, operation.Same[*generated.DeliveryEvent])
}

func (r *Resolver) openDeliveries(ctx context.Context, args map[string]any, wake func()) (operation.Source, error) {
	caller, err := auth.RequireSecret(ctx)
	if err != nil {
		return nil, err
	}
	o := delivery.WatchOptions{First: model.DefaultPage}
	var check model.Check
	if first, ok := args["first"].(int64); ok {
		check.That(first >= 1 && first <= model.MaxChanges, fmt.Sprintf("must be between 1 and %d", model.MaxChanges), "first")
		o.First = int(first)
	}
	after := textArg(args, "after")
	if header := operation.LastEventID(ctx); header != "" {
		after = &header // the client's machinery sends what it saw last
	}
	if after != nil {
		if o.After, err = cursor.DecodeMoment(*after); err != nil {
			check.Add(model.ProblemInvalid, "must be a position that a stream of deliveries gave out", "after")
		}
	}
	if err := r.chooseDeliveries(ctx, caller.Env.ID, args, &o.Filter, &check); err != nil {
		return nil, err
	}
	if err := check.Err(); err != nil {
		return nil, err
	}
	stream, err := r.Deliveries.WatchDeliveries(ctx, caller.Env.ID, o, wake)
	if err != nil {
		return nil, err
	}
	return &deliverySource{r, caller.Env.ID, stream}, nil
}

// chooseDeliveries reads which deliveries a stream tells of. What does not exist
// goes to check: a stream that waits for it would be silent for ever.
func (r *Resolver) chooseDeliveries(ctx context.Context, env model.EnvID, args map[string]any, f *model.DeliveryFilter, check *model.Check) error {
	for name, find := range map[string]func(text string) error{
		"send": func(text string) (err error) {
			f.Send, _ = sendID(text)
			_, err = r.Sends.Find(ctx, env, f.Send)
			return err
		},
		"notification": func(text string) (err error) {
			if ref, ok := view.ParseRef(text); ok && ref.Kind == view.KindNotification {
				f.Notification = model.NotificationID(ref.Number)
			}
			_, err = r.Inbox.Find(ctx, env, f.Notification)
			return err
		},
		"provider": func(text string) (err error) {
			f.Provider, _ = providerID(text)
			_, err = r.Deliveries.Provider(ctx, env, f.Provider)
			return err
		},
		"user": func(text string) error {
			u, err := r.Users.Find(ctx, env, text)
			f.User = u.ID
			return err
		},
	} {
		text := textArg(args, name)
		if text == nil {
			continue
		}
		err := find(*text)
		if model.KindOf(err) == model.KindNotFound {
			check.Add(model.ProblemNotFound, "names nothing in this environment", name)
		} else if err != nil {
			return err
		}
	}
	return chooseStates(args, f, check)
}

func chooseStates(args map[string]any, f *model.DeliveryFilter, check *model.Check) error {
	for _, name := range []string{"channels", "states"} {
		list, given := args[name].([]any)
		check.That(!given || len(list) > 0, "must name one at least; left out: all", name)
		for _, text := range texts(list) {
			if name == "channels" {
				c, err := view.UnmarshalChannel(text)
				if err != nil {
					return err
				}
				f.Channels = append(f.Channels, c)
				continue
			}
			s, err := view.UnmarshalDeliveryState(text)
			if err != nil {
				return err
			}
			f.States = append(f.States, s.Model())
		}
	}
	return nil
}

// deliverySource turns the steps of a stream into the schema's events.
type deliverySource struct {
	r      *Resolver
	env    model.EnvID
	stream *delivery.Stream
}

func (s *deliverySource) Next(ctx context.Context) (event any, id string, ok bool, err error) {
	e, ok, err := s.stream.Next(ctx)
	if !ok || err != nil {
		return nil, "", false, err
	}
	l := s.r.loader(s.env)
	for i := range e.Deliveries {
		l.wantOfDelivery(&e.Deliveries[i])
	}
	position := cursor.EncodeMoment(e.Position)
	return &generated.DeliveryEvent{Position: position, Changed: view.Deliveries(e.Deliveries, true, l)}, position, true, nil
}

func (s *deliverySource) Close() { s.stream.Close() }
