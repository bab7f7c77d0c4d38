package graph

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"carillon/auth"
	"carillon/graph/generated"
	"carillon/graph/view"
	"carillon/model"
)

func (q *query) Send(ctx context.Context, id string) (*view.Send, error) {
	caller, err := auth.RequireSecret(ctx)
	if err != nil {
		return nil, err
	}
	ref, ok := sendID(id)
	if !ok {
		return nil, nil
	}
	return q.sendNode(ctx, caller.Env.ID, ref)
}

func (r *Resolver) sendNode(ctx context.Context, env model.EnvID, id model.SendID) (*view.Send, error) {
	s, err := r.Sends.Find(ctx, env, id)
	if err != nil {
		return nil, absent(err)
	}
	return view.NewSend(&s, r.loader(env)), nil
}

// sendID reads the id of a send.
func sendID(s string) (model.SendID, bool) {
	ref, ok := view.ParseRef(s)
	return model.SendID(ref.Number), ok && ref.Kind == view.KindSend
}

func (q *query) Sends(ctx context.Context, first *int32, after *string, last *int32, before *string, filter *generated.SendFilter) (*generated.SendConnection, error) {
	caller, err := auth.RequireSecret(ctx)
	if err != nil {
		return nil, err
	}
	req, err := pageArgs{first, after, last, before}.request(pageSends)
	if err != nil {
		return nil, err
	}
	f := model.SendFilter{}
	if filter != nil {
		f.Statuses = filter.Statuses
		if f.Categories, err = q.categoriesOf(ctx, caller.Env.ID, filter.Categories); err != nil {
			return nil, err
		}
	}
	var page model.Page[model.Send]
	if f.Statuses == nil || len(f.Statuses) > 0 {
		if page, err = q.Resolver.Sends.List(ctx, caller.Env.ID, f, req); err != nil {
			return nil, err
		}
	}
	return q.sendConnection(caller.Env.ID, pageSends, req, page, func(s *model.Send) model.PageKey {
		return model.PageKey{At: s.CreatedAt, ID: int64(s.ID)}
	}), nil
}

func (q *query) ScheduledSends(ctx context.Context, first *int32, after *string, last *int32, before *string) (*generated.SendConnection, error) {
	caller, err := auth.RequireSecret(ctx)
	if err != nil {
		return nil, err
	}
	req, err := pageArgs{first, after, last, before}.request(pageScheduled)
	if err != nil {
		return nil, err
	}
	page, err := q.Resolver.Sends.Scheduled(ctx, caller.Env.ID, req)
	if err != nil {
		return nil, err
	}
	return q.sendConnection(caller.Env.ID, pageScheduled, req, page, func(s *model.Send) model.PageKey {
		return model.PageKey{At: s.SendAt, ID: int64(s.ID)}
	}), nil
}

func (r *Resolver) sendConnection(env model.EnvID, kind byte, req model.PageRequest, page model.Page[model.Send], key func(*model.Send) model.PageKey) *generated.SendConnection {
	shown := pageOf(kind, req, page.Items, page.HasMore, r.loader(env).sendRows(page.Items), key)
	return &generated.SendConnection{
		Nodes: shown.nodes, PageInfo: shown.info,
		Edges: edges(shown, func(c string, n *view.Send) *generated.SendEdge { return &generated.SendEdge{Cursor: c, Node: n} }),
	}
}

func (m *mutation) SendNotification(ctx context.Context, in generated.SendNotificationInput) (*generated.SendNotificationPayload, error) {
	p := &generated.SendNotificationPayload{}
	key := take(&in.IdempotencyKey)
	dry := value(in.DryRun)
	if dry {
		key = nil
	}
	d, err := byApplication(ctx, key, in)
	if dry {
		d.once = model.Once{} // the header's does not count either
	}
	var out model.Outcome[model.SendResult]
	if err == nil {
		var req model.SendRequest
		if req, err = sendRequest(&in); err == nil {
			req.Once, req.WantPlan = d.once, asks(ctx, "plan")
			out, err = m.Sends.Send(ctx, d.caller.Env, req)
		}
	}
	if e, ok := errors.AsType[*model.Error](err); ok {
		for i, u := range in.To.InlineUsers {
			inlineAsGiven(e.Problems, i, u)
		}
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	l := m.loader(d.env)
	if out.Value.Send != nil {
		p.Send = view.NewSend(out.Value.Send, l)
	}
	p.Plan, p.Skipped, p.Replayed = l.plan(out.Value.Plan), skipped(out.Value.Skipped), out.Replayed
	return p, nil
}

// inlineAsGiven is asGiven for the problems of one inline user.
func inlineAsGiven(problems []model.Problem, i int, u *generated.IdentifyUserInput) {
	at := []string{"to", "inlineUsers", indexed(i)}
	for j := range problems {
		if len(problems[j].Path) > len(at) && slices.Equal(problems[j].Path[:len(at)], at) {
			asGiven(problems[j:j+1], len(at), u)
		}
	}
}

// plan shows a plan whose recipients are read together.
func (l *loader) plan(ps []model.RecipientPlan) []*view.RecipientPlan {
	for i := range ps {
		l.users.want(ps[i].UserID)
		l.notifications.want(ps[i].Notification)
	}
	return view.Plan(ps, l)
}

func skipped(ss []model.Skipped) []*model.Skipped {
	out := make([]*model.Skipped, len(ss))
	for i := range ss {
		out[i] = &ss[i]
	}
	return out
}

func sendRequest(in *generated.SendNotificationInput) (model.SendRequest, error) {
	var check model.Check
	req := model.SendRequest{
		To: model.SendTarget{
			Users: in.To.Users, Inline: identifyInputs(in.To.InlineUsers), Topics: in.To.Topics, Segments: in.To.Segments, Everyone: value(in.To.Everyone),
		},
		Content: model.Content{
			Title: value(in.Title), Body: value(in.Body), Icon: value(in.Icon), URL: value(in.URL),
			Data: in.Data, Blocks: blocks(in.Blocks),
		},
		Template: value(in.Template), Category: value(in.Category), Channels: in.Channels,
		SendAt: value(in.SendAt), ExpiresAt: value(in.ExpiresAt),
		OnUnknown: value(in.OnUnknown), DryRun: value(in.DryRun),
		Options: model.SendOptions{
			CollapseKey: value(in.CollapseKey), Overrides: overrides(in.Overrides, &check),
			DedupeKey: value(in.DedupeKey), DedupeWithin: dedupeWithin(in.DedupeSeconds),
		},
		Attachments: attachments(in.Attachments, &check),
	}
	for _, e := range in.Escalations {
		req.Options.Escalations = append(req.Options.Escalations, model.Escalation{
			Channel: e.Channel, After: time.Duration(e.AfterSeconds) * time.Second, Unless: value(e.Unless),
		})
	}
	return req, check.Err()
}

// dedupeWithin is for how long a dedupe key counts: a day unless it is said.
func dedupeWithin(seconds *int32) time.Duration {
	if seconds == nil {
		return 24 * time.Hour
	}
	return time.Duration(*seconds) * time.Second
}

func blocks(in []*generated.BlockInput) []model.Block {
	out := make([]model.Block, len(in))
	for i, b := range in {
		out[i] = model.Block{
			ID: strconv.Itoa(i + 1), Type: b.Type, Text: value(b.Text), Variant: b.Variant,
			Link: value(b.Link), ExternalLink: b.ExternalLink, Src: value(b.Src),
		}
		if b.ID != nil {
			out[i].ID = *b.ID
		}
	}
	return out
}

// toSend does something to the send that an application names, unless it was
// refused before.
func toSend(before error, named string, do func(model.SendID) (model.Outcome[model.Send], error)) (out model.Outcome[model.Send], err error) {
	if before != nil {
		return out, before
	}
	id, ok := sendID(named)
	if !ok {
		return out, unknownID("id")
	}
	out, err = do(id)
	return out, elsewhere(err, unknownID("id"))
}

func (m *mutation) CancelSend(ctx context.Context, in generated.CancelSendInput) (*generated.CancelSendPayload, error) {
	p := &generated.CancelSendPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	out, err := toSend(err, in.ID, func(id model.SendID) (model.Outcome[model.Send], error) {
		return m.Sends.Cancel(ctx, d.env, d.once, id)
	})
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.Send, p.Replayed = view.NewSend(&out.Value, m.loader(d.env)), out.Replayed
	return p, nil
}

func (m *mutation) RecallSend(ctx context.Context, in generated.RecallSendInput) (*generated.RecallSendPayload, error) {
	p := &generated.RecallSendPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	out, err := toSend(err, in.ID, func(id model.SendID) (model.Outcome[model.Send], error) {
		return m.Inbox.RecallSend(ctx, d.env, d.once, id)
	})
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.Send, p.Replayed = view.NewSend(&out.Value, m.loader(d.env)), out.Replayed
	return p, nil
}

func (m *mutation) EditSend(ctx context.Context, in generated.EditSendInput) (*generated.EditSendPayload, error) {
	p := &generated.EditSendPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	change := model.ContentChange{Title: in.Title, Body: in.Body, Icon: in.Icon, URL: in.URL, Data: in.Data}
	if in.Blocks != nil {
		change.Blocks = blocks(in.Blocks)
	}
	out, err := toSend(err, in.ID, func(id model.SendID) (model.Outcome[model.Send], error) {
		return m.Inbox.EditSend(ctx, d.env, d.once, id, change)
	})
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.Send, p.Replayed = view.NewSend(&out.Value, m.loader(d.env)), out.Replayed
	return p, nil
}

func (m *mutation) RecallNotifications(ctx context.Context, in generated.RecallNotificationsInput) (*generated.RecallNotificationsPayload, error) {
	p := &generated.RecallNotificationsPayload{RecalledIds: []string{}, NotFound: []string{}}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	ids := notificationIDs(in.Ids)
	var out model.Outcome[model.Recalled]
	if err == nil && (len(ids.known) > 0 || len(in.Ids) == 0) { // else there is nothing that could be taken back
		out, err = m.Inbox.RecallNotifications(ctx, d.env, d.once, ids.known)
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.RecalledIds, p.NotFound, p.Replayed = written(out.Value.Recalled), ids.without(out.Value.NotFound), out.Replayed
	return p, nil
}
