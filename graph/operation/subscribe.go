package operation

import (
	"context"
	"errors"
	"strconv"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"carillon/model"
)

// Source yields the events of one subscription to one reader.
type Source interface {
	// Next returns the next event, or false when there is none yet. It never
	// waits for one; it may read the database, and bounds that by ctx. id is
	// where the stream stands after the event, for a client to resume with;
	// empty when it cannot. io.EOF ends the subscription as complete, another
	// error ends it as failed; Next is not called again after either.
	Next(ctx context.Context) (event any, id string, ok bool, err error)
	// Close is called once, when nobody will ask any more, and never during
	// Next.
	Close()
}

// Open opens a subscription for the caller in ctx. args are the coerced
// arguments of its root field by name, in GraphQL's own types: text and enum
// values are strings, an Int is an int64, lists are []any, objects
// map[string]any. ctx counts for the opening only.
//
// wake says that Next may have something. It may be called from any goroutine
// and at any time, also before Open returns and after Close, does not block
// and costs little. The first Next comes without it.
//
// A *model.Error refuses the subscription.
type Open func(ctx context.Context, args map[string]any, wake func()) (Source, error)

// Stream is an open subscription: a [Source] whose events come out as answers.
type Stream struct {
	engine *Engine
	op     *Operation
	source Source
}

// Subscribe opens a subscription; see [Open] for wake. The errors are request
// errors.
func (e *Engine) Subscribe(ctx context.Context, o *Operation, wake func()) (*Stream, gqlerror.List) {
	field := firstField(o.document.doc, o.document.op.SelectionSet)
	if o.Kind() != ast.Subscription || field == nil || e.subscriptions[field.Name] == nil {
		return nil, refuse(CodeValidationFailed, "the operation is not a subscription that this server has")
	}
	args, err := arguments(field, o.variables)
	if err != nil {
		return nil, gqlerror.List{e.present(ctx, err)}
	}
	if o.lastEventID != "" {
		ctx = context.WithValue(ctx, lastEventID, o.lastEventID)
	}
	leave, refused := e.enter(ctx, o)
	if refused != nil {
		return nil, refused
	}
	source, err := e.open(ctx, field.Name, args, wake)
	leave()
	if err != nil {
		shown := e.present(ctx, err)
		shown.Path = ast.Path{ast.PathName(field.Alias)}
		return nil, gqlerror.List{shown}
	}
	return &Stream{e, o, source}, nil
}

// open calls the function of a field; a panic in it becomes an error.
func (e *Engine) open(ctx context.Context, field string, args map[string]any, wake func()) (s Source, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = e.recover(ctx, p)
		}
	}()
	return e.subscriptions[field](ctx, args, wake)
}

// arguments are the arguments of a field by name. The parser's library panics
// on what it cannot read.
func arguments(field *ast.Field, variables map[string]any) (args map[string]any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = model.Errorf(model.KindInvalid, "an argument of %s cannot be read", field.Name)
		}
	}()
	args = field.ArgumentMap(variables)
	for _, definition := range field.Definition.Arguments {
		if value, given := args[definition.Name]; given {
			args[definition.Name] = literal(definition.Type, value)
		}
	}
	return args, nil
}

// literal gives a literal the form that a variable would have: one value for
// a list becomes a list, and a number for an ID becomes text.
func literal(t *ast.Type, value any) any {
	if value == nil {
		return nil
	}
	if t.Elem == nil {
		if n, ok := value.(int64); ok && t.NamedType == "ID" {
			return strconv.FormatInt(n, 10)
		}
		return value
	}
	list, ok := value.([]any)
	if !ok {
		return []any{literal(t.Elem, value)}
	}
	out := make([]any, len(list))
	for i, element := range list {
		out[i] = literal(t.Elem, element)
	}
	return out
}

// Next returns the answer to the next event as finished JSON, or false when
// there is none yet. The bytes may be shared: nobody writes to them. See
// [Source] for the rest.
func (s *Stream) Next(ctx context.Context) (answer []byte, id string, ok bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			answer, ok, err = nil, false, s.engine.recover(ctx, p)
		}
	}()
	event, id, ok, err := s.source.Next(ctx)
	if err != nil || !ok {
		return nil, "", false, err
	}
	if c := s.engine.shortcut; c != nil {
		if answer, ok := c.Encode(s.op, event); ok {
			return answer, id, true, nil
		}
	}
	resp := s.engine.run(context.WithValue(ctx, eventKey, event), s.op)
	if resp.Data == nil { // out of time: the event must not be lost
		return nil, "", false, errOutOfTime
	}
	return resp.AppendJSON(make([]byte, 0, len(resp.Data)+16)), id, true, nil
}

// Close ends the subscription. It is called once and never during Next.
func (s *Stream) Close() { s.source.Close() }

// Operation is what is subscribed to.
func (s *Stream) Operation() *Operation { return s.op }

// Present is an error of a stream, or of anything around an operation, as the
// client sees it.
func (e *Engine) Present(ctx context.Context, err error) gqlerror.List {
	var list gqlerror.List
	if errors.As(err, &list) {
		return list
	}
	return gqlerror.List{e.present(ctx, err)}
}
