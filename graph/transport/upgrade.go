package transport

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/gobwas/ws"

	"carillon/graph/operation"
	"carillon/model"
)

// upgrade makes a socket of a request. The handler returns while the socket
// lives on, so that nothing of the request is held for it.
func (h *Handler) upgrade(w http.ResponseWriter, r *http.Request) {
	if refused := badHandshake(w, r); refused != "" {
		h.malformed(w, r, operation.NewError(operation.CodeBadUserInput, "%s", refused))
		return
	}
	err := h.enter()
	if err != nil && model.KindOf(err) == model.KindUnavailable && h.isDraining() {
		h.refuse(w, r, h.engine.Present(r.Context(), err)...)
		return
	}
	full := err != nil
	upgrader := ws.HTTPUpgrader{Timeout: h.settings.WriteTimeout, Protocol: func(p string) bool { return p == subprotocol }}
	conn, rw, handshake, err := upgrader.Upgrade(r, w)
	if err != nil {
		if conn != nil {
			conn.Close()
		}
		if !full {
			h.leave()
		}
		return
	}
	s := newSocket(h, conn, r)
	s.counted = !full
	if n := rw.Reader.Buffered(); n > 0 {
		early, _ := rw.Reader.Peek(n) // that many are there
		s.in.early = bytes.Clone(early)
	}
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
	case handshake.Protocol != subprotocol:
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

// badHandshake says what is wrong with an upgrade request; empty when nothing
// is.
func badHandshake(w http.ResponseWriter, r *http.Request) string {
	switch {
	case r.ProtoMajor != 1 || r.ProtoMinor < 1:
		return "a WebSocket needs HTTP/1.1"
	case len(r.Header.Get("Sec-WebSocket-Key")) != 24:
		return "the header Sec-WebSocket-Key must have 24 characters"
	case r.Header.Get("Sec-WebSocket-Version") != "13":
		w.Header().Set("Sec-WebSocket-Version", "13")
		return "the header Sec-WebSocket-Version must be 13"
	case r.ContentLength > 0:
		return "an upgrade request has no body"
	default:
		return ""
	}
}

func newSocket(h *Handler, conn net.Conn, r *http.Request) *socket {
	s := &socket{h: h, conn: conn, upgrade: r, opened: time.Now()}
	s.in.conn = conn
	if c, ok := conn.(syscall.Conn); ok {
		s.raw, _ = c.SyscallConn() // nil: writes wait
	}
	// The request's context ends with the request; its values stay good.
	s.ctx = context.WithoutCancel(r.Context())
	s.heard.Store(s.opened.UnixNano())
	return s
}
