package transport

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"carillon/graph/operation"
	"carillon/internal/websocket"
	"carillon/model"
)

// Handler serves one GraphQL schema at one address. Whoever mounts it has
// authenticated the request already: the caller, if there is one, is in its
// context.
type Handler struct {
	engine   *operation.Engine
	auth     Authenticator
	settings Settings
	log      *slog.Logger
	stats    Stats
	writers  *websocket.Writers
	patience *websocket.Patience
	turned   sync.Map // the answers to those who are turned away, by reason

	mu       sync.Mutex
	sockets  map[*socket]struct{}
	keeping  bool // whether the keeper runs
	tails    map[*tail]struct{}
	tending  bool // whether the tails' keeper runs
	open     int  // sockets and event streams
	owners   map[any]int
	draining bool
	leaving  chan struct{} // closed when draining begins
	empty    chan struct{} // closed when draining and nothing is open
}

// New returns a handler. Nothing runs until there is a connection.
func New(engine *operation.Engine, auth Authenticator, settings Settings, log *slog.Logger) *Handler {
	settings = settings.withDefaults()
	return &Handler{
		engine: engine, auth: auth, settings: settings, log: log,
		writers: &websocket.Writers{Max: settings.Writers}, patience: &websocket.Patience{AtLeast: settings.RequestTimeout},
		sockets: map[*socket]struct{}{}, tails: map[*tail]struct{}{}, owners: map[any]int{},
		leaving: make(chan struct{}), empty: make(chan struct{}),
	}
}

// Stats counts what the handler does, while it does it.
func (h *Handler) Stats() *Stats { return &h.stats }

// ServeHTTP serves requests, event streams and WebSockets alike.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	open(w.Header())
	switch {
	case r.Method == http.MethodOptions:
		preflight(w)
	case websocket.Asked(r):
		h.upgrade(w, r)
	case r.Method == http.MethodPost:
		p, errs := h.postParams(w, r)
		h.serve(w, r, p, errs)
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		p, err := getParams(r)
		if err != nil {
			h.malformed(w, r, operation.NewError(operation.CodeBadUserInput, "%s", err))
			return
		}
		h.serve(w, r, p, nil)
	default:
		w.Header().Set("Allow", allowedMethods)
		h.refuse(w, r, operation.NewError(codeMethod, "send GraphQL requests by POST, or queries by GET"))
	}
}

// serve answers a request whose parameters were read.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, p operation.Params, errs gqlerror.List) {
	media := negotiate(r.Header["Accept"])
	if media == "" {
		h.refuse(w, r, operation.NewError(codeNotAcceptable,
			"the answer can be %s, %s or %s: the header Accept admits none of them", mediaGraphQL, mediaJSON, mediaEvents))
		return
	}
	if errs != nil {
		h.malformed(w, r, errs...)
		return
	}
	var err *gqlerror.Error
	if p.IdempotencyKey, err = once(r, "Idempotency-Key"); err != nil {
		h.malformed(w, r, err)
		return
	}
	if p.LastEventID, err = once(r, "Last-Event-Id"); err != nil {
		h.malformed(w, r, err)
		return
	}
	if media == mediaEvents && r.Method != http.MethodHead {
		h.serveEvents(w, r, p)
		return
	}

	ctx, cancel := context.WithTimeout(r.Context(), h.settings.RequestTimeout)
	defer cancel()
	o, errs := h.engine.Prepare(ctx, p)
	if errs != nil {
		h.refuse(w, r, errs...)
		return
	}
	if wrong := wrongMethod(r, o, false); wrong != nil {
		w.Header().Set("Allow", http.MethodPost)
		h.refuse(w, r, wrong)
		return
	}
	h.answer(w, r, media, 0, h.engine.Execute(ctx, o))
}

// wrongMethod says that an operation must not be asked for by GET.
func wrongMethod(r *http.Request, o *operation.Operation, events bool) *gqlerror.Error {
	switch {
	case r.Method == http.MethodPost || o.Kind() == ast.Query || o.Kind() == ast.Subscription && events:
		return nil
	case o.Kind() == ast.Subscription:
		return operation.NewError(codeMethod, "a subscription needs a WebSocket, or the header Accept: %s", mediaEvents)
	default:
		return operation.NewError(codeMethod, "a mutation must be sent by POST")
	}
}

// enter counts a connection that stays open. The caller leaves with [Handler.leave].
func (h *Handler) enter() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.draining:
		return &model.Error{Kind: model.KindUnavailable, Message: "the server is shutting down: connect again", RetryAfter: time.Second}
	case h.open >= h.settings.Connections:
		return &model.Error{Kind: model.KindUnavailable, Message: "the server has as many open connections as it may have", RetryAfter: 5 * time.Second}
	}
	h.open++
	return nil
}

// own counts an open connection for its owner.
func (h *Handler) own(owner any) error {
	if owner == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.owners[owner] >= h.settings.UserConnections {
		return &model.Error{
			Kind: model.KindRateLimited, RetryAfter: 5 * time.Second,
			Message: "one user may have only so many open connections: close some, or share one between subscriptions",
		}
	}
	h.owners[owner]++
	return nil
}

// disown takes back what own counted.
func (h *Handler) disown(owner any) {
	if owner == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.owners[owner]--; h.owners[owner] == 0 {
		delete(h.owners, owner)
	}
}

// leave takes back what enter counted.
func (h *Handler) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open--; h.open == 0 && h.draining {
		close(h.empty)
	}
}

// Drain ends every open connection so that its client comes back elsewhere:
// sockets finish the operations that run and close with 1001, event streams
// end. New ones are refused with 503. It returns when all are gone, or cuts
// off what is left when ctx is done and returns its error. Plain requests go
// on; they are the HTTP server's to wait for.
func (h *Handler) Drain(ctx context.Context) error {
	h.mu.Lock()
	if !h.draining {
		h.draining = true
		close(h.leaving)
		if h.open == 0 {
			close(h.empty)
		}
	}
	sockets := h.list(nil)
	h.mu.Unlock()
	for _, s := range sockets {
		s.leave()
	}
	select {
	case <-h.empty:
		return nil
	case <-ctx.Done():
	}
	h.mu.Lock()
	sockets = h.list(sockets[:0])
	h.mu.Unlock()
	for _, s := range sockets {
		s.cut()
	}
	return ctx.Err()
}

// list appends the open sockets. h.mu is held.
func (h *Handler) list(to []*socket) []*socket {
	for s := range h.sockets {
		to = append(to, s)
	}
	return to
}
