package graph

import (
	"context"
	"errors"

	"carillon/auth"
	"carillon/graph/generated"
	"carillon/graph/operation"
	"carillon/graph/view"
	"carillon/inbox"
	"carillon/internal/cursor"
	"carillon/model"
	"carillon/notify"
)

var _ generated.SubscriptionResolver = (*subscription)(nil)

// subscription resolves the schema's Subscription, an event at a time: the
// engine has taken it from its source, which was opened by the functions below.
type subscription struct{}

func (*subscription) Inbox(ctx context.Context, _ *string, _ *string, _ []string, _ *int32) (<-chan *generated.InboxEvent, error) {
	return operation.EventChannel(ctx, (*inboxStep).shown)
}

func (*subscription) SendProgress(ctx context.Context, _ string) (<-chan *view.Send, error) {
	return operation.EventChannel(ctx, operation.Same[*view.Send])
}

// subscriptions open the root fields of Subscription.
func (r *Resolver) subscriptions() map[string]operation.Open {
	return map[string]operation.Open{"inbox": r.openInbox, "sendProgress": r.openProgress, "deliveries": r.openDeliveries}
}

// textArg is a text argument; nil when it was left out or null.
func textArg(args map[string]any, name string) *string {
	if s, ok := args[name].(string); ok {
		return &s
	}
	return nil
}

func (r *Resolver) openInbox(ctx context.Context, args map[string]any, wake func()) (operation.Source, error) {
	caller, user, err := r.target(ctx, textArg(args, "user"))
	if err != nil {
		return nil, err
	}
	o := inbox.WatchOptions{First: model.DefaultPage}
	var check model.Check
	if first, ok := args["first"].(int64); ok {
		check.That(first >= 1 && first <= model.MaxStreamSnapshot, "must be between 1 and 100", "first")
		o.First = int(first)
	}
	o.After = r.resumeAfter(ctx, textArg(args, "after"), &check)
	if names, ok := args["categories"].([]any); ok {
		if o.Categories, err = r.namedCategories(ctx, caller.Env.ID, check.At("categories"), texts(names)); err != nil {
			return nil, err
		}
	}
	if err := check.Err(); err != nil {
		return nil, err
	}
	stream, err := r.Inbox.Watch(ctx, caller.Env.ID, user, o, wake)
	if err != nil {
		return nil, elsewhere(err, unknownUser("user"))
	}
	return &inboxSource{r, stream}, nil
}

// resumeAfter is where a stream goes on. The header beats the argument: the
// client's machinery sends what it saw last. A header that is no position
// begins anew like an unknown one, since nobody could mend it.
func (r *Resolver) resumeAfter(ctx context.Context, after *string, check *model.Check) *model.Position {
	header := operation.LastEventID(ctx)
	if header != "" {
		after = &header
	}
	if after == nil {
		return nil
	}
	at, err := cursor.DecodePosition(*after)
	if err != nil && header != "" {
		at = r.Inbox.Position(0, 0)
	} else {
		check.That(err == nil, "must be a position that an inbox gave out", "after")
	}
	return &at
}

func texts(list []any) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i], _ = v.(string) // validated
	}
	return out
}

// namedCategories finds categories that must exist, and says in check which do
// not. nil stays nil, which is all.
func (r *Resolver) namedCategories(ctx context.Context, env model.EnvID, check *model.Check, identifiers []string) ([]model.CategoryID, error) {
	if identifiers == nil {
		return nil, nil
	}
	all, err := r.Categories.Categories(ctx, env)
	if err != nil {
		return nil, err
	}
	byName := make(map[string]model.CategoryID, len(all))
	for _, c := range all {
		byName[c.Identifier] = c.ID
	}
	out := []model.CategoryID{}
	for i, name := range identifiers {
		id, ok := byName[name]
		if !ok {
			check.Add(model.ProblemNotFound, "names no category in this environment", indexed(i))
			continue
		}
		out = append(out, id)
	}
	return out, nil
}

// inboxSource turns the steps of a stream into the schema's events.
type inboxSource struct {
	r      *Resolver
	stream *inbox.Stream
}

func (s *inboxSource) Next(ctx context.Context) (event any, id string, ok bool, err error) {
	e, ok, err := s.stream.Next(ctx)
	if errors.Is(err, inbox.ErrGone) { // nothing that a client waits for has ended well
		err = model.NotFound("is of a user who was deleted")
	}
	if !ok || err != nil {
		return nil, "", false, err
	}
	return &inboxStep{e, s.r}, s.r.position(e.User, e.Seq), true, nil
}

func (s *inboxSource) Close() { s.stream.Close() }

// inboxStep is an event of an inbox stream before it is shown.
type inboxStep struct {
	model.InboxEvent
	r *Resolver
}

// shown is the step in the schema's form. What its notifications refer to is
// read for this event alone, so that a long stream never shows anything stale.
func (e *inboxStep) shown() *generated.InboxEvent {
	r := e.r
	l := r.loader(e.Env)
	out := &generated.InboxEvent{
		Position: r.position(e.User, e.Seq), Counters: &e.Counters,
		Added: l.notificationRows(e.Added), Changed: l.notificationRows(e.Changed),
		Removed: written(e.Removed), Marked: make([]*generated.InboxMark, len(e.Marked)),
	}
	if e.Reset != "" {
		out.Reset = &e.Reset
	}
	for i, m := range e.Marked {
		out.Marked[i] = &generated.InboxMark{As: m.As, UpTo: r.position(e.User, m.UpTo), At: m.At}
	}
	return out
}

func (r *Resolver) openProgress(ctx context.Context, args map[string]any, wake func()) (operation.Source, error) {
	caller, err := auth.RequireSecret(ctx)
	if err != nil {
		return nil, err
	}
	id, ok := sendID(value(textArg(args, "id")))
	if !ok {
		return nil, unknownID("id")
	}
	stream, err := r.Sends.WatchProgress(ctx, caller.Env.ID, id, wake)
	if err != nil {
		return nil, elsewhere(err, unknownID("id"))
	}
	return &progressSource{r, stream}, nil
}

// progressSource turns the steps of a send into the schema's Send.
type progressSource struct {
	r      *Resolver
	stream *notify.ProgressStream
}

func (s *progressSource) Next(ctx context.Context) (event any, id string, ok bool, err error) {
	send, ok, err := s.stream.Next(ctx)
	if !ok || err != nil {
		return nil, "", false, err
	}
	return view.NewSend(&send, s.r.loader(send.EnvID)), "", true, nil
}

func (s *progressSource) Close() { s.stream.Close() }
