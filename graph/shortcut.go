package graph

import (
	"context"

	"github.com/vektah/gqlparser/v2/ast"

	"carillon/auth"
	"carillon/graph/operation"
	"carillon/graph/plan"
)

// shortcut answers the inbox query and the events of inbox streams by plan.
type shortcut struct {
	*Resolver
	answers *answers
}

var _ operation.Shortcut = (*shortcut)(nil)

// compile is the engine's Compile.
func compile(op *ast.OperationDefinition) any {
	if p := plan.Compile(op); p != nil {
		return p
	}
	return nil // and not a nil *plan.Plan
}

// Answer reads an inbox and writes it. What was written is remembered with the
// seq that it was true at: while the database says that the inbox is still
// there, nothing of it is read again. Only what moves the seq when it changes
// is in a plan, and in one answer nothing is older than the request.
func (s *shortcut) Answer(ctx context.Context, o *operation.Operation) (data []byte, ok bool) {
	p := o.Compiled().(*plan.Plan)
	caller, ok := auth.FromContext(ctx)
	if !ok || caller.Kind != auth.User || caller.UserID == 0 {
		return nil, false
	}
	if name, named := p.User(o.Variables()); named && name != caller.User {
		return nil, false
	}
	first := p.First(o.Variables())
	if first == 0 {
		return nil, false
	}
	key := answerKey{caller.Env.ID, caller.UserID, first}
	known, seq := s.answers.get(p, key)
	page, same, err := s.Inbox.Newest(ctx, caller.Env.ID, caller.UserID, first, seq)
	if err != nil {
		return nil, false
	}
	if same {
		return known, true
	}
	data = p.AppendData(make([]byte, 0, answerSize(len(page.Items))), &plan.Answer{
		Epoch: s.Inbox.Position(caller.UserID, 0).Epoch, User: caller.UserID, Inbox: &page, Kind: pageInbox,
	})
	s.answers.put(p, key, data, page.Seq)
	return data, true
}

// answerSize is the room that so many items take in general.
func answerSize(items int) int { return 512 + 384*items }

// Encode writes an event of an inbox stream.
func (s *shortcut) Encode(o *operation.Operation, event any) (answer []byte, ok bool) {
	p, ok := o.Compiled().(*plan.Plan)
	if !ok {
		return nil, false
	}
	step, ok := event.(*inboxStep)
	if !ok {
		return nil, false
	}
	return p.AppendEvent(make([]byte, 0, answerSize(len(step.Added)+len(step.Changed))), &plan.Event{Epoch: s.Inbox.Position(0, 0).Epoch, InboxEvent: &step.InboxEvent}), true
}
