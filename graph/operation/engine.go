package operation

import (
	"context"
	"maps"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// Config is what an [Engine] is made of. Only Schema is required.
type Config struct {
	// Schema is gqlgen's generated schema, or something in front of it.
	Schema graphql.ExecutableSchema
	Limits Limits
	// Introspection allows __schema and __type, and error messages that say
	// what the schema has.
	Introspection bool
	// CacheBytes bounds the documents that are remembered (8 MB); the texts of
	// those are at most CacheDocument bytes long (16 KB).
	CacheBytes, CacheDocument int

	// CostLimit is what the caller in ctx may spend on one operation, in
	// objects; nil means Limits.Cost for everyone.
	CostLimit func(ctx context.Context) int
	// Authorize says whether the caller in ctx may use a root field at all,
	// given as "Mutation.sendNotification". It is asked for each root field
	// but __typename, __schema and __type, also for fields that the schema
	// does not have, before anything runs or is validated. A *model.Error of
	// KindUnauthenticated or KindForbidden refuses the operation.
	Authorize func(ctx context.Context, field string) error
	// Present turns an error into what the client sees; nil means [Present].
	Present graphql.ErrorPresenterFunc
	// Recover turns a panic of a resolver into an error for Present; nil means
	// [Recover].
	Recover graphql.RecoverFunc
	// Subscriptions open the root fields of Subscription, by name.
	Subscriptions map[string]Open
	// Compile makes of a validated operation what Shortcut needs to answer it
	// soon, or nil; it is asked once for each document. The operation, and what
	// it was made of, is not to be written to.
	Compile func(*ast.OperationDefinition) any
	// Shortcut answers queries and events without executing them; nil: all are
	// executed.
	Shortcut Shortcut
	// Admit is asked before an operation runs and before a subscription is
	// opened; leave is called when that is done. An error refuses it, like one
	// of Prepare. nil: everything is let in.
	Admit func(ctx context.Context, o *Operation) (leave func(), err error)
}

// Engine prepares and runs the operations of one schema. It is safe for
// concurrent use.
type Engine struct {
	exec          graphql.ExecutableSchema
	schema        *ast.Schema
	limits        Limits
	introspection bool
	documents     *cache
	validator     *validator

	costLimit     func(context.Context) int
	authorize     func(context.Context, string) error
	present       graphql.ErrorPresenterFunc
	recover       graphql.RecoverFunc
	subscriptions map[string]Open
	compile       func(*ast.OperationDefinition) any
	shortcut      Shortcut
	entry         func(ctx context.Context, o *Operation) (leave func(), err error)
}

// New returns an engine.
func New(c Config) *Engine {
	e := &Engine{
		exec: c.Schema, schema: Served(c.Schema.Schema()), limits: c.Limits.withDefaults(), introspection: c.Introspection,
		costLimit: c.CostLimit, authorize: c.Authorize, present: c.Present, recover: c.Recover,
		subscriptions: c.Subscriptions, compile: c.Compile, shortcut: c.Shortcut, entry: c.Admit,
	}
	e.documents = newCache(orElse(c.CacheBytes, defaultCache), orElse(c.CacheDocument, defaultCacheMax))
	e.validator = newValidator(e.schema, e.introspection, e.limits.Errors)
	if e.costLimit == nil {
		e.costLimit = func(context.Context) int { return e.limits.Cost }
	}
	if e.authorize == nil {
		e.authorize = func(context.Context, string) error { return nil }
	}
	if e.present == nil {
		e.present = Present
	}
	if e.recover == nil {
		e.recover = Recover
	}
	return e
}

func orElse(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// Served is a copy of a schema without @defer, which gqlparser adds to every
// schema and which needs answers in parts. An engine validates against such a
// copy; hand it to gqlgen's Config as well and introspection says the same.
func Served(schema *ast.Schema) *ast.Schema {
	served := *schema
	served.Directives = maps.Clone(schema.Directives)
	delete(served.Directives, "defer")
	return &served
}

// Operation is a request that passed every check and can run.
type Operation struct {
	document  *document
	name      string // as the request chose it
	variables map[string]any
	cost      int

	idempotencyKey string
	lastEventID    string
}

// Kind says whether it is a query, a mutation or a subscription.
func (o *Operation) Kind() ast.Operation { return o.document.op.Operation }

// Name is what the document calls the operation; empty when it has no name.
func (o *Operation) Name() string { return o.document.op.Name }

// RootFields are the names of the root fields, each once.
func (o *Operation) RootFields() []string { return o.document.roots }

// Fields is how many root fields there are, each as often as it is selected.
func (o *Operation) Fields() int { return o.document.fields }

// Cost is what the operation costs, in objects.
func (o *Operation) Cost() int { return o.cost }

// Definition is the validated operation. Nobody writes to it: it is shared
// between requests.
func (o *Operation) Definition() *ast.OperationDefinition { return o.document.op }

// Fragments are those of the document, shared like the definition.
func (o *Operation) Fragments() ast.FragmentDefinitionList { return o.document.doc.Fragments }

// Compiled is what Config.Compile made of the document; nil: nothing.
func (o *Operation) Compiled() any { return o.document.compiled }

// Variables are the coerced variables. Nobody writes to them.
func (o *Operation) Variables() map[string]any { return o.variables }

// Prepare checks a request and makes an operation of it. The errors are
// request errors: nothing ran, and the answer has no data. All have a code.
func (e *Engine) Prepare(ctx context.Context, p Params) (*Operation, gqlerror.List) {
	if p.Query == "" {
		if p.PersistedQuery {
			return nil, refuse(CodePersistedQuery, persistedQueryMessage)
		}
		return nil, refuse(CodeParseFailed, "the query is empty: it must be a GraphQL document")
	}
	d := e.documents.get(p.Query, p.OperationName)
	known := d != nil
	if !known {
		var errs gqlerror.List
		if d, errs = parse(p.Query, p.OperationName, &e.limits); errs != nil {
			return nil, errs
		}
		d.findRoots()
	}
	if errs := e.admit(ctx, d, p.Simple); errs != nil {
		return nil, errs
	}
	cost, errs := e.measure(ctx, d, p.Variables, known)
	if errs != nil {
		return nil, errs
	}
	if !known {
		if errs := e.validate(d); errs != nil {
			return nil, errs
		}
		d = e.documents.add(p.OperationName, d)
	}
	variables, errs := e.coerce(d, p.Variables)
	if errs != nil {
		return nil, errs
	}
	return &Operation{
		document: d, name: p.OperationName, variables: variables, cost: cost,
		idempotencyKey: p.IdempotencyKey, lastEventID: p.LastEventID,
	}, nil
}

// admit asks whether the caller may use the root fields.
func (e *Engine) admit(ctx context.Context, d *document, simple bool) gqlerror.List {
	for i, field := range d.roots {
		if isMeta(field) {
			if isIntrospection(field) && !e.introspection {
				return refuse(CodeValidationFailed, "introspection is switched off on this server")
			}
			continue
		}
		if err := e.authorize(ctx, d.coordinates[i]); err != nil {
			return gqlerror.List{e.present(ctx, err)}
		}
		if simple {
			return gqlerror.List{e.present(ctx, errSimple)}
		}
	}
	return nil
}

// measure holds the operation to the limits. A document that is known was
// found within those that do not depend on variables or on the caller.
func (e *Engine) measure(ctx context.Context, d *document, variables map[string]any, known bool) (cost int, errs gqlerror.List) {
	cost = d.cost
	if !known || d.dynamic {
		m := measurer{schema: e.schema, limits: &e.limits, doc: d.doc, op: d.op, variables: variables}
		total := m.operation()
		cost = total.of(e.limits.List)
		if !known {
			if errs := e.fits(d, total); errs != nil {
				return 0, errs
			}
			d.cost, d.fields, d.dynamic = cost, total.fields, m.dynamic
		}
	}
	if limit := e.costLimit(ctx); cost > limit {
		return cost, refuse(CodeTooComplex,
			"the operation may cost at most %d objects and costs %s: ask for smaller pages (first, last) or fewer fields", limit, amount(cost))
	}
	return cost, nil
}

func (e *Engine) validate(d *document) (errs gqlerror.List) {
	dropDuplicates(d.doc)
	if d.notNull, errs = e.validator.validate(d.doc); errs != nil {
		return errs
	}
	d.settle(e.schema)
	if e.compile != nil {
		d.compiled = e.compile(d.op)
	}
	return nil
}

// Documents is what the document cache holds.
func (e *Engine) Documents() (documents, bytes int) { return e.documents.size() }
