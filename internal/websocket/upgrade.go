package websocket

import (
	"bytes"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/gobwas/ws"
)

// Asked reports whether a request asks for a WebSocket.
func Asked(r *http.Request) bool {
	if r.Method != http.MethodGet || !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		return false
	}
	for _, value := range r.Header["Connection"] {
		for _, token := range strings.Split(value, ",") {
			if strings.EqualFold(strings.TrimSpace(token), "upgrade") {
				return true
			}
		}
	}
	return false
}

// BadHandshake says what is wrong with a request for a WebSocket; empty when
// nothing is.
func BadHandshake(w http.ResponseWriter, r *http.Request) string {
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

// Upgrade takes the connection of a request over. protocol is the subprotocol
// that is spoken, when the client offers it, and the returned one what was
// agreed on. It has answered the request when it fails.
func Upgrade(w http.ResponseWriter, r *http.Request, within time.Duration, protocol string) (conn net.Conn, in Input, agreed string, err error) {
	upgrader := ws.HTTPUpgrader{Timeout: within}
	if protocol != "" {
		upgrader.Protocol = func(p string) bool { return p == protocol }
	}
	conn, rw, handshake, err := upgrader.Upgrade(r, w)
	if err != nil {
		if conn != nil {
			conn.Close()
		}
		return nil, Input{}, "", err
	}
	var early []byte
	if n := rw.Reader.Buffered(); n > 0 {
		b, _ := rw.Reader.Peek(n) // that many are there
		early = bytes.Clone(b)
	}
	return conn, NewInput(conn, early), handshake.Protocol, nil
}

// Raw is the connection for a [Try]; nil when a write cannot be tried without
// waiting.
func Raw(conn net.Conn) syscall.RawConn {
	if c, ok := conn.(syscall.Conn); ok {
		if raw, err := c.SyscallConn(); err == nil {
			return raw
		}
	}
	return nil
}
