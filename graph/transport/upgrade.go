package transport

import (
	"context"
	"net"
	"net/http"
	"time"

	"carillon/graph/operation"
	"carillon/internal/websocket"
	"carillon/model"
)

// upgrade makes a socket of a request. The handler returns while the socket
// lives on, so that nothing of the request is held for it.
func (h *Handler) upgrade(w http.ResponseWriter, r *http.Request) {
	if refused := websocket.BadHandshake(w, r); refused != "" {
		h.malformed(w, r, operation.NewError(operation.CodeBadUserInput, "%s", refused))
		return
	}
	err := h.enter()
	if err != nil && model.KindOf(err) == model.KindUnavailable && h.isDraining() {
		h.refuse(w, r, h.engine.Present(r.Context(), err)...)
		return
	}
	full := err != nil
	conn, in, protocol, err := websocket.Upgrade(w, r, h.settings.WriteTimeout, subprotocol)
	if err != nil {
		if !full {
			h.leave()
		}
		return
	}
	s := newSocket(h, conn, in, r)
	s.counted = !full
	h.mu.Lock()
	h.sockets[s] = struct{}{}
	if !h.keeping {
		h.keeping = true
		go h.keep()
	}
	draining := h.draining
	h.mu.Unlock()
	h.stats.Sockets.Add(1)

	switch {
	case full:
		s.close(closeComeBack, "too many connections: try again later")
	case protocol != subprotocol:
		s.close(closeSubprotocol, "Subprotocol not acceptable")
	case draining: // since it was asked above
		s.leave()
	}
	go s.read()
}

func (h *Handler) isDraining() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.draining
}

func newSocket(h *Handler, conn net.Conn, in websocket.Input, r *http.Request) *socket {
	s := &socket{h: h, conn: conn, raw: websocket.Raw(conn), in: in, upgrade: r, opened: time.Now()}
	s.place.Socket = s
	// The request's context ends with the request; its values stay good.
	s.ctx = context.WithoutCancel(r.Context())
	s.heard.Store(s.opened.UnixNano())
	return s
}
