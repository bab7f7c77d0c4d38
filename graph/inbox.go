package graph

import (
	"context"
	"fmt"

	"carillon/graph/generated"
	"carillon/graph/view"
	"carillon/internal/cursor"
	"carillon/model"
)

// Inbox is a page of the user's inbox. Page, counters and position are of one
// moment.
func (f *userFields) Inbox(ctx context.Context, u *view.User, first *int32, after *string, last *int32, before *string, filter *generated.InboxFilter) (*generated.InboxConnection, error) {
	req, err := pageArgs{first, after, last, before}.withoutDefault(ctx).request(pageInbox)
	if err != nil {
		return nil, err
	}
	in := inboxFilter(filter)
	if filter != nil {
		if in.Categories, err = f.categoriesOf(ctx, u.EnvID, filter.Categories); err != nil {
			return nil, err
		}
	}
	page, err := f.Resolver.Inbox.List(ctx, u.EnvID, u.User.ID, in, req)
	if err != nil {
		return nil, err
	}
	l := f.loader(u.EnvID)
	l.users.know(u.User.ID, u)
	r := pageOf(pageInbox, req, page.Items, page.HasMore, l.notificationRows(page.Items), notificationKey)
	return &generated.InboxConnection{
		Nodes: r.nodes, PageInfo: r.info,
		Edges: edges(r, func(c string, n *view.Notification) *generated.InboxEdge {
			return &generated.InboxEdge{Cursor: c, Node: n}
		}),
		Counters: &page.Counters,
		Position: f.position(u.User.ID, page.Seq),
	}, nil
}

// inboxFilter reads a filter without its categories; none is what is not
// archived.
func inboxFilter(in *generated.InboxFilter) model.InboxFilter {
	if in == nil {
		return model.InboxFilter{Archived: ptr(false)}
	}
	return model.InboxFilter{Unseen: in.Unseen, Unread: in.Unread, Archived: in.Archived}
}

func (r *Resolver) position(user model.UserID, seq int64) string {
	return cursor.EncodePosition(r.Inbox.Position(user, seq))
}

// numbers are the counters and the position of an inbox that a mutation did
// not change; of no known user, those of an empty one.
func (r *Resolver) numbers(ctx context.Context, d doing) (*model.Counters, string, error) {
	if d.user == 0 {
		return &model.Counters{}, r.position(0, 0), nil
	}
	c, seq, err := r.Inbox.Counters(ctx, d.env, d.user)
	return &c, r.position(d.user, seq), err
}

func (m *mutation) MarkNotifications(ctx context.Context, in generated.MarkNotificationsInput) (*generated.MarkNotificationsPayload, error) {
	p := &generated.MarkNotificationsPayload{}
	d, err := m.aboutKnown(ctx, in.User, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.MarkResult]
	ids := notificationIDs(in.Ids)
	if err == nil {
		out, err = m.onThese(ctx, d, ids, func() (model.Outcome[model.MarkResult], error) {
			return m.Inbox.Mark(ctx, d.env, d.once, d.user, ids.known, in.As)
		})
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		if err == nil {
			p.Counters, p.Position, err = m.numbers(ctx, d)
		}
		return p, err
	}
	p.Notifications, p.NotFound = m.loader(d.env).notificationRows(out.Value.Notifications), ids.without(out.Value.NotFound)
	p.Counters, p.Position, p.Replayed = &out.Value.Counters, m.position(d.user, out.Value.Seq), out.Replayed
	return p, nil
}

func (m *mutation) DeleteNotifications(ctx context.Context, in generated.DeleteNotificationsInput) (*generated.DeleteNotificationsPayload, error) {
	p := &generated.DeleteNotificationsPayload{}
	d, err := m.aboutKnown(ctx, in.User, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.MarkResult]
	ids := notificationIDs(in.Ids)
	if err == nil {
		out, err = m.onThese(ctx, d, ids, func() (model.Outcome[model.MarkResult], error) {
			return m.Inbox.Delete(ctx, d.env, d.once, d.user, ids.known)
		})
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		if err == nil {
			p.Counters, p.Position, err = m.numbers(ctx, d)
		}
		return p, err
	}
	p.Deleted, p.NotFound = written(out.Value.Deleted), ids.without(out.Value.NotFound)
	p.Counters, p.Position, p.Replayed = &out.Value.Counters, m.position(d.user, out.Value.Seq), out.Replayed
	return p, nil
}

// onThese does something to the notifications that ids name. When none of them
// can be an id there is nothing to do, and the numbers stay.
func (m *mutation) onThese(ctx context.Context, d doing, ids idList, do func() (model.Outcome[model.MarkResult], error)) (model.Outcome[model.MarkResult], error) {
	var check model.Check
	switch n := len(ids.given); {
	case n == 0:
		check.Add(model.ProblemRequired, "must hold at least one id", "ids")
	case n > model.MaxMarkIDs:
		check.Add(model.ProblemLimit, fmt.Sprintf("must hold at most %d ids, holds %d", model.MaxMarkIDs, n), "ids")
	}
	if err := check.Err(); err != nil {
		return model.Outcome[model.MarkResult]{}, err
	}
	if len(ids.known) > 0 {
		return do()
	}
	c, seq, err := m.Inbox.Counters(ctx, d.env, d.user)
	return model.Outcome[model.MarkResult]{Value: model.MarkResult{Counters: c, Seq: seq}}, err
}

// idList are the ids of a bulk mutation, as given and as they can be looked up.
type idList struct {
	given []string
	known []model.NotificationID
}

func notificationIDs(given []string) idList {
	l := idList{given: given}
	seen := make(map[string]bool, len(given))
	for _, s := range given {
		if ref, ok := view.ParseRef(s); ok && ref.Kind == view.KindNotification && !seen[s] {
			l.known = append(l.known, model.NotificationID(ref.Number))
		}
		seen[s] = true
	}
	return l
}

// without lists what was given and names nothing, in order and once each: what
// is no id of a notification, and what the service did not find.
func (l idList) without(notFound []model.NotificationID) []string {
	missing := make(map[string]bool, len(notFound))
	for _, id := range notFound {
		missing[view.NotificationID(id)] = true
	}
	out, seen := []string{}, map[string]bool{}
	for _, s := range l.given {
		ref, ok := view.ParseRef(s)
		if (!ok || ref.Kind != view.KindNotification || missing[s]) && !seen[s] {
			out = append(out, s)
		}
		seen[s] = true
	}
	return out
}

func written(ids []model.NotificationID) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = view.NotificationID(id)
	}
	return out
}

func (m *mutation) MarkAllNotifications(ctx context.Context, in generated.MarkAllNotificationsInput) (*generated.MarkAllNotificationsPayload, error) {
	p := &generated.MarkAllNotificationsPayload{}
	d, err := m.aboutKnown(ctx, in.User, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.MarkResult]
	if err == nil {
		out, err = m.markAll(ctx, d, &in)
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		if err == nil {
			p.Counters, p.Position, err = m.numbers(ctx, d)
		}
		return p, err
	}
	p.Affected = int32(min(out.Value.Affected, 1<<31-1))
	p.Counters, p.Position, p.Replayed = &out.Value.Counters, m.position(d.user, out.Value.Seq), out.Replayed
	return p, nil
}

func (m *mutation) markAll(ctx context.Context, d doing, in *generated.MarkAllNotificationsInput) (model.Outcome[model.MarkResult], error) {
	var (
		check  model.Check
		upTo   *model.Position
		filter *model.InboxFilter
	)
	if in.UpTo != nil {
		at, err := cursor.DecodePosition(*in.UpTo)
		check.That(err == nil, "must be a position that this inbox gave out", "upTo")
		upTo = &at
	}
	if in.Filter != nil {
		filter = ptr(inboxFilter(in.Filter))
		var err error
		if filter.Categories, err = m.namedCategories(ctx, d.env, check.At("filter", "categories"), in.Filter.Categories); err != nil {
			return model.Outcome[model.MarkResult]{}, err
		}
	}
	if err := check.Err(); err != nil {
		return model.Outcome[model.MarkResult]{}, err
	}
	return m.Inbox.MarkAll(ctx, d.env, d.once, d.user, in.As, upTo, filter)
}
