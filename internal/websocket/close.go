package websocket

import (
	"errors"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// Code is how a WebSocket ends.
type Code uint16

// The codes that every protocol over WebSockets has.
const (
	CodeNormal    Code = 1000
	CodeGoingAway Code = 1001
	CodeProtocol  Code = 1002
	CodeNotText   Code = 1003
	CodeNotUTF8   Code = 1007
	CodeTooBig    Code = 1009
	CodeComeBack  Code = 1013
)

// CloseError says why and how a socket must close.
type CloseError struct {
	Code   Code
	Reason string
}

func (e *CloseError) Error() string { return e.Reason }

// Close makes a CloseError.
func Close(code Code, reason string) error { return &CloseError{Code: code, Reason: reason} }

// The reasons for which reading a message fails, each with its close code.
var (
	ErrHuge    = Close(CodeTooBig, "the message is too large")
	ErrNotUTF8 = Close(CodeNotUTF8, "the message is not UTF-8")
	ErrBinary  = Close(CodeNotText, "messages must be text frames")
	ErrFraming = Close(CodeProtocol, "not a WebSocket frame")
)

// ErrPeerClosed says that the peer sent a close frame.
var ErrPeerClosed = errors.New("closed by the peer")

// CheckClose is what a close frame with a payload comes to: ErrPeerClosed, or
// ErrFraming when it is malformed.
func CheckClose(payload []byte) error {
	if len(payload) == 1 {
		return ErrFraming
	}
	if code, reason := ws.ParseCloseFrameData(payload); !code.Empty() && ws.CheckCloseFrameData(code, reason) != nil {
		return ErrFraming
	}
	return ErrPeerClosed
}

// maxReason is what a close frame has room for.
const maxReason = 123 // bytes

// AppendClose appends the frame that closes a socket, with as much of the
// reason as there is room for.
func AppendClose(to []byte, code Code, reason string) []byte {
	for len(reason) > maxReason || !utf8.ValidString(reason) {
		reason = reason[:min(len(reason)-1, maxReason)]
	}
	return AppendFrame(to, ws.OpClose, ws.NewCloseFrameBody(ws.StatusCode(code), reason))
}
