package graph

import (
	"context"

	"carillon/graph/generated"
	"carillon/graph/view"
	"carillon/model"
)

func (m *mutation) SetNotificationState(ctx context.Context, in generated.SetNotificationStateInput) (*generated.SetNotificationStatePayload, error) {
	p := &generated.SetNotificationStatePayload{}
	d, err := m.aboutKnown(ctx, in.User, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.MarkResult]
	if err == nil {
		out, err = m.setState(ctx, d, &in)
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		if err == nil {
			p.Counters, p.Position, err = m.numbers(ctx, d)
		}
		return p, err
	}
	p.Notification = m.loader(d.env).notificationRows(out.Value.Notifications)[0]
	p.Counters, p.Position, p.Replayed = &out.Value.Counters, m.position(d.user, out.Value.Seq), out.Replayed
	return p, nil
}

func (m *mutation) setState(ctx context.Context, d doing, in *generated.SetNotificationStateInput) (model.Outcome[model.MarkResult], error) {
	none := model.NotFound("names no notification of this inbox", "id")
	ref, ok := view.ParseRef(in.ID)
	if !ok || ref.Kind != view.KindNotification {
		return model.Outcome[model.MarkResult]{}, none
	}
	out, err := m.Inbox.SetState(ctx, d.env, d.once, d.user, model.NotificationID(ref.Number), model.StateChange{State: in.State, Data: in.Data, Delete: in.Delete})
	if err == nil && len(out.Value.Notifications) == 0 {
		return out, none
	}
	return out, err
}
