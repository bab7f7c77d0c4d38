package graph

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"carillon/auth"
	"carillon/graph/generated"
	"carillon/graph/operation"
	"carillon/graph/transport"
	"carillon/internal/admission"
	"carillon/internal/reqlog"
)

// Config is what the GraphQL surface is made of. The services, Auth and
// Sessions are required.
type Config struct {
	Users      Users
	Categories Categories
	Topics     Topics
	Segments   Segments
	Templates  Templates
	Layouts    Layouts
	Apps       Apps
	Inbox      Inbox
	Sends      Sends
	Deliveries Deliveries
	Webhooks   Webhooks

	Auth     *auth.Service
	Sessions *auth.Sessions // whoever starts the server runs it
	Limiter  *auth.Limiter  // of wrong credentials; nil: they are not limited
	// Source says where a request comes from; nil means auth.SourceOf.
	Source func(*http.Request) auth.Source

	Limits   operation.Limits
	Settings transport.Settings
	// UserCost and ApplicationCost bound one operation of a user's credential
	// (5000) and of a secret key (20000), in objects.
	UserCost, ApplicationCost int
	// Admission bounds how often callers ask and how much is worked on at
	// once; nil bounds nothing.
	Admission *admission.Desk
	// AnswerCache is how many bytes of answers to the inbox query are kept to be
	// given again while nothing has changed; zero: none.
	AnswerCache int
	// Unplanned has the generated executor answer everything, for comparison.
	Unplanned bool
	// NoIntrospection hides the schema, also from error messages.
	NoIntrospection bool

	// Status is what Query.serverStatus says; nil: nothing is known.
	Status func(context.Context) Status
	Log    *slog.Logger // nil: slog's default
}

// API is the GraphQL surface: one handler for requests, WebSockets and event
// streams, which authenticates by itself.
type API struct {
	handler   http.Handler
	transport *transport.Handler
	engine    *operation.Engine
	desk      *admission.Desk
	source    func(*http.Request) auth.Source
}

// Path is where the surface is served.
const Path = "/graphql"

// New returns the surface, or an error when a part is missing. Nothing runs
// until there is a request.
func New(c Config) (*API, error) {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return nil, err
	}
	r := &Resolver{
		Users: c.Users, Categories: c.Categories, Topics: c.Topics, Segments: c.Segments, Templates: c.Templates, Layouts: c.Layouts, Apps: c.Apps, Inbox: c.Inbox, Sends: c.Sends, Deliveries: c.Deliveries, Webhooks: c.Webhooks,
		Sessions: c.Sessions, Memory: c.Auth, Status: c.Status, Log: c.Log,
	}
	gate := &auth.Gate{Service: c.Auth, Limiter: c.Limiter, Source: c.Source}
	api := &API{engine: newEngine(c, r), desk: c.Admission, source: c.Source}
	api.transport = transport.New(api.engine, &sessions{gate, c.Sessions}, c.Settings, c.Log)
	gate.Refuse = api.transport.Refuse
	api.handler = gate.Middleware(api.note(api.transport))
	return api, nil
}

func (c Config) withDefaults() Config {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Source == nil {
		c.Source = auth.SourceOf
	}
	if c.Status == nil {
		c.Status = func(context.Context) Status { return Status{} }
	}
	if c.UserCost == 0 {
		c.UserCost = 5_000
	}
	if c.ApplicationCost == 0 {
		c.ApplicationCost = 20_000
	}
	return c
}

// check names the parts that are missing.
func (c Config) check() error {
	var missing []error
	for name, there := range map[string]bool{
		"Users": c.Users != nil, "Categories": c.Categories != nil, "Topics": c.Topics != nil, "Segments": c.Segments != nil, "Templates": c.Templates != nil, "Layouts": c.Layouts != nil, "Apps": c.Apps != nil, "Inbox": c.Inbox != nil, "Sends": c.Sends != nil, "Deliveries": c.Deliveries != nil, "Webhooks": c.Webhooks != nil,
		"Auth": c.Auth != nil, "Sessions": c.Sessions != nil,
	} {
		if !there {
			missing = append(missing, fmt.Errorf("graph: %s is missing", name))
		}
	}
	return errors.Join(missing...)
}

func newEngine(c Config, r *Resolver) *operation.Engine {
	config := generated.Config{Resolvers: root{r}}
	config.Schema = operation.Served(generated.NewExecutableSchema(config).Schema())
	c.Limits.Costs = costs
	planned := compile
	if c.Unplanned {
		planned = nil
	}
	return operation.New(operation.Config{
		Compile: planned, Shortcut: &shortcut{r, newAnswers(c.AnswerCache)},
		Schema: generated.NewExecutableSchema(config), Limits: c.Limits, Introspection: !c.NoIntrospection,
		CostLimit: c.costLimit, Authorize: authorize, Admit: admit(c.Admission), Recover: recovered, Subscriptions: r.subscriptions(),
		Present: func(ctx context.Context, err error) *gqlerror.Error { return present(ctx, c.Log, err) },
	})
}

// costLimit is what the caller may ask in one operation.
func (c Config) costLimit(ctx context.Context) int {
	if caller, ok := auth.FromContext(ctx); ok && caller.Kind == auth.Secret {
		return c.ApplicationCost
	}
	return c.UserCost
}

// ServeHTTP serves requests, WebSockets and event streams.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	reqlog.SetRoute(r.Context(), Path)
	a.handler.ServeHTTP(w, r.WithContext(withAddress(r.Context(), a.source(r).Address)))
}

// Drain ends every open connection so that its client comes back elsewhere,
// and refuses new ones; see [transport.Handler.Drain]. It is called once.
func (a *API) Drain(ctx context.Context) error { return a.transport.Drain(ctx) }

// Stats counts connections and what is written to them, for metrics.
func (a *API) Stats() *transport.Stats { return a.transport.Stats() }

// Documents is how many documents are remembered, and their size in bytes.
func (a *API) Documents() (documents, bytes int) { return a.engine.Documents() }
