package operation

import (
	"context"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"carillon/model"
)

// errOutOfTime ends the fields that have not begun when the context is done.
var errOutOfTime = &model.Error{
	Kind: model.KindUnavailable, RetryAfter: time.Second,
	Message: "the operation took too long and was given up; a mutation with an idempotency key can be sent again",
}

// Execute runs a query or a mutation. It returns when the operation is done or
// soon after ctx is, and never fails: what goes wrong is in the answer. A
// subscription is answered with a request error.
func (e *Engine) Execute(ctx context.Context, o *Operation) *Response {
	if o.Kind() == ast.Subscription {
		return Refused(refuse(CodeBadUserInput, "a subscription needs a WebSocket, or the header Accept: text/event-stream"))
	}
	if o.idempotencyKey != "" && o.document.fields == 1 {
		ctx = context.WithValue(ctx, idempotencyKey, o.idempotencyKey)
	}
	leave, refused := e.enter(ctx, o)
	if refused != nil {
		return Refused(refused)
	}
	defer leave()
	if data := o.document.introspected.Load(); data != nil {
		return &Response{Data: *data}
	}
	resp := e.shortly(ctx, o)
	if resp == nil {
		resp = e.run(ctx, o)
	}
	if len(resp.Errors) == 0 && o.onlyIntrospects() && e.documents.grow(o.name, o.document, len(resp.Data)) {
		o.document.introspected.Store((*[]byte)(&resp.Data))
	}
	return resp
}

// shortly answers an operation without executing it; nil: it cannot.
func (e *Engine) shortly(ctx context.Context, o *Operation) *Response {
	if e.shortcut == nil || o.document.compiled == nil {
		return nil
	}
	data, ok := e.shortcut.Answer(ctx, o)
	if !ok {
		return nil
	}
	return &Response{Data: data}
}

// enter asks whether an operation may run now.
func (e *Engine) enter(ctx context.Context, o *Operation) (leave func(), refused gqlerror.List) {
	if e.entry == nil {
		return func() {}, nil
	}
	leave, err := e.entry(ctx, o)
	if err != nil {
		return nil, gqlerror.List{e.present(ctx, err)}
	}
	return leave, nil
}

// onlyIntrospects reports whether the answer is the same every time.
func (o *Operation) onlyIntrospects() bool {
	if len(o.document.op.VariableDefinitions) > 0 {
		return false
	}
	for _, field := range o.document.roots {
		if !isMeta(field) {
			return false
		}
	}
	return true
}

// run executes an operation once through the generated schema.
func (e *Engine) run(ctx context.Context, o *Operation) (resp *Response) {
	ctx = graphql.WithOperationContext(ctx, &graphql.OperationContext{
		RawQuery:               o.document.query,
		OperationName:          o.document.op.Name,
		Variables:              o.variables,
		Doc:                    o.document.doc,
		Operation:              o.document.op,
		DisableIntrospection:   !e.introspection,
		RecoverFunc:            e.recover,
		ResolverMiddleware:     unlessDone,
		RootResolverMiddleware: direct,
	})
	ctx = graphql.WithResponseContext(ctx, e.present, e.recover)
	defer func() { // gqlgen recovers in fields and not around them
		if p := recover(); p != nil {
			resp = &Response{Errors: gqlerror.List{e.present(ctx, e.recover(ctx, p))}, Data: null}
		}
	}()

	next := e.exec.Exec(ctx)
	if errs := graphql.GetErrors(ctx); errs != nil { // a subscription whose resolver failed
		return e.finished(ctx, errs, nil)
	}
	out := next(ctx)
	if out == nil {
		return e.finished(ctx, graphql.GetErrors(ctx), nil)
	}
	return e.finished(ctx, append(out.Errors, graphql.GetErrors(ctx)...), out.Data)
}

var null = []byte("null")

// finished makes the answer of what ran.
func (e *Engine) finished(ctx context.Context, errs gqlerror.List, data []byte) *Response {
	if len(errs) > 0 && ctx.Err() != nil {
		return &Response{Errors: gqlerror.List{e.present(ctx, errOutOfTime)}}
	}
	if len(errs) > e.limits.Errors {
		errs = errs[:e.limits.Errors]
	}
	if data == nil {
		data = null
	}
	return &Response{Errors: errs, Data: data}
}

// unlessDone keeps an operation from going on when nobody waits for it.
func unlessDone(ctx context.Context, next graphql.Resolver) (any, error) {
	if ctx.Err() != nil {
		return nil, errOutOfTime
	}
	return next(ctx)
}

func direct(ctx context.Context, next graphql.RootResolver) graphql.Marshaler { return next(ctx) }
