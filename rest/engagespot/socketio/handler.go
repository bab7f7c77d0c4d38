package socketio

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"carillon/internal/id"
	"carillon/internal/websocket"
	"carillon/model"
)

// Handler serves sockets at one address.
type Handler struct {
	opener   Opener
	settings Settings
	log      *slog.Logger
	stats    Stats
	ids      id.Source
	writers  *websocket.Writers
	patience *websocket.Patience

	mu       sync.Mutex
	sockets  map[*socket]struct{}
	keeping  bool // whether the keeper runs
	owners   map[any]int
	draining bool
	empty    chan struct{} // closed when draining and nothing is open
}

// New returns a handler. Nothing runs until there is a socket.
func New(opener Opener, settings Settings, log *slog.Logger) *Handler {
	settings = settings.withDefaults()
	return &Handler{
		opener: opener, settings: settings, log: log,
		writers:  &websocket.Writers{Max: settings.Writers},
		patience: &websocket.Patience{AtLeast: settings.OpenTimeout},
		sockets:  map[*socket]struct{}{}, owners: map[any]int{}, empty: make(chan struct{}),
	}
}

// Stats counts what the handler does, while it does it.
func (h *Handler) Stats() *Stats { return &h.stats }

// The codes of Engine.IO for requests that open no socket.
const (
	codeTransport = 0 // transport unknown
	codeSession   = 1 // session id unknown
	codeMethod    = 2 // bad handshake method
	codeRequest   = 3 // bad request
	codeForbidden = 4
	codeVersion   = 5 // unsupported protocol version
)

// ServeHTTP opens a socket, or says why not in the form that clients of
// Engine.IO know.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Access-Control-Allow-Origin", "*")
	header.Set("Cache-Control", "no-store")
	query := r.URL.Query()
	switch {
	case r.Method == http.MethodOptions:
		header.Set("Access-Control-Allow-Methods", "GET")
		header.Set("Access-Control-Allow-Headers", "*")
		w.WriteHeader(http.StatusNoContent)
	case r.Method != http.MethodGet && r.Method != http.MethodPost:
		header.Set("Allow", "GET")
		refuse(w, http.StatusMethodNotAllowed, codeMethod, "open a socket with GET")
	case query.Get("EIO") != "4":
		refuse(w, http.StatusBadRequest, codeVersion, "this server speaks Engine.IO 4 (socket.io clients of version 3 and later): the query must have EIO=4")
	case query.Get("transport") != "websocket":
		refuse(w, http.StatusBadRequest, codeTransport, `this server has no polling: open the socket with the option transports: ["websocket"]`)
	case query.Get("sid") != "":
		refuse(w, http.StatusBadRequest, codeSession, "this server has no sessions to upgrade: open a socket without sid")
	case !websocket.Asked(r):
		header.Set("Upgrade", "websocket")
		refuse(w, http.StatusUpgradeRequired, codeRequest, "a WebSocket is opened with the headers Connection: Upgrade and Upgrade: websocket; a proxy may have removed them")
	default:
		h.upgrade(w, r)
	}
}

// refuse answers a request that opens no socket.
func refuse(w http.ResponseWriter, status, code int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(struct { // or the client has gone
		Code    int    `json:"code"`
		Message string `json:"message"`
	}{code, message})
}

// upgrade makes a socket of a request. The handler returns while the socket
// lives on, so that nothing of the request is held for it.
func (h *Handler) upgrade(w http.ResponseWriter, r *http.Request) {
	if wrong := websocket.BadHandshake(w, r); wrong != "" {
		refuse(w, http.StatusBadRequest, codeRequest, wrong)
		return
	}
	if busy := h.busy(); busy != nil {
		w.Header().Set("Retry-After", strconv.Itoa(int(busy.RetryAfter.Seconds())))
		refuse(w, http.StatusServiceUnavailable, codeForbidden, busy.Message)
		return
	}
	peer := h.opener.Peer(r)
	conn, in, _, err := websocket.Upgrade(w, r, h.settings.WriteTimeout, "")
	if err != nil {
		return
	}
	s := &socket{h: h, conn: conn, raw: websocket.Raw(conn), in: in, peer: peer, alone: time.Now()}
	// The request's context ends with the request; its values stay good.
	s.ctx = context.WithoutCancel(r.Context())
	s.place.Socket = s
	s.pinged = s.alone
	s.heard.Store(s.alone.UnixNano())
	if !h.enter(s) { // since it was asked above
		s.close(websocket.CodeComeBack, "try again later")
	}
	s.mu.Lock()
	s.say(textFrame(h.openPacket(h.ids.New())))
	s.mu.Unlock()
	go s.read()
}

// busy says why no socket may be opened now; nil when one may.
func (h *Handler) busy() *model.Error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.draining:
		return &model.Error{Kind: model.KindUnavailable, Message: "the server is shutting down: connect again", RetryAfter: time.Second}
	case len(h.sockets) >= h.settings.Connections:
		return &model.Error{Kind: model.KindUnavailable, Message: "the server has as many open connections as it may have", RetryAfter: 5 * time.Second}
	}
	return nil
}

// enter enters a socket, and reports false when it must go at once.
func (h *Handler) enter(s *socket) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	full := h.draining || len(h.sockets) >= h.settings.Connections
	h.sockets[s] = struct{}{}
	h.stats.Sockets.Add(1)
	if !h.keeping {
		h.keeping = true
		go h.keep()
	}
	return !full
}

// leave takes a socket out.
func (h *Handler) leave(s *socket) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.sockets, s)
	h.stats.Sockets.Add(-1)
	if h.draining && len(h.sockets) == 0 {
		close(h.empty)
	}
}

// own counts an open namespace for its owner, and reports false when they have
// as many as they may have.
func (h *Handler) own(owner any) bool {
	if owner == nil {
		return true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.owners[owner] >= h.settings.UserConnections {
		return false
	}
	h.owners[owner]++
	return true
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

// Drain closes every socket so that its client comes back elsewhere, and
// refuses new ones with 503. It returns when all are gone, or cuts off what is
// left when ctx is done and returns its error.
func (h *Handler) Drain(ctx context.Context) error {
	h.mu.Lock()
	if !h.draining {
		h.draining = true
		if len(h.sockets) == 0 {
			close(h.empty)
		}
	}
	sockets := h.list(nil)
	h.mu.Unlock()
	for _, s := range sockets {
		s.close(websocket.CodeGoingAway, "the server is shutting down: connect again")
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
