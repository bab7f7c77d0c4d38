package transport

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/gobwas/ws"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"carillon/graph/internal/jsonobject"
	"carillon/graph/operation"
	"carillon/internal/websocket"
)

// subprotocol is the one WebSocket subprotocol that is spoken.
const subprotocol = "graphql-transport-ws"

// closeCode is how a WebSocket ends.
type closeCode = websocket.Code

// The codes that this server closes with; doc.go says what they mean.
const (
	closeNormal                = websocket.CodeNormal
	closeGoingAway             = websocket.CodeGoingAway
	closeComeBack              = websocket.CodeComeBack
	closeBadMessage  closeCode = 4400
	closeNotAllowed  closeCode = 4401
	closeExpired     closeCode = 4403
	closeSubprotocol closeCode = 4406
	closeNoInit      closeCode = 4408
	closeDuplicate   closeCode = 4409
	closeSecondInit  closeCode = 4429
	closeBug         closeCode = 4500
)

// maxID bounds the id of an operation, which every message repeats.
const maxID = 128 // bytes

// The types of message.
const (
	typeInit      = "connection_init"
	typePing      = "ping"
	typePong      = "pong"
	typeSubscribe = "subscribe"
	typeComplete  = "complete"
)

// message is what a client says. Its payload is a part of what was read.
type message struct {
	kind    string
	id      string
	payload json.RawMessage // an object; nil when it is absent or null
}

// errBadMessage wraps what is wrong with a message.
var errBadMessage = errors.New("invalid message")

// decodeMessage reads a message of the protocol. data is valid UTF-8.
func decodeMessage(data []byte) (message, error) {
	var m message
	err := jsonobject.Members(data, operation.MaxJSONDepth+1, func(name string, value []byte) error {
		var ok bool
		switch name {
		case "type":
			if m.kind, ok = jsonobject.Text(value); !ok {
				return errors.New("must have text as type")
			}
		case "id":
			if m.id, ok = jsonobject.Text(value); !ok || m.id == "" || len(m.id) > maxID {
				return fmt.Errorf("must have text of 1 to %d bytes as id", maxID)
			}
		case "payload":
			if jsonobject.IsNull(value) {
				return nil
			}
			if !jsonobject.IsObject(value) {
				return errors.New("must have an object as payload")
			}
			m.payload = value
		}
		return nil
	})
	if err != nil {
		return message{}, fmt.Errorf("%w: it %w", errBadMessage, err)
	}
	switch m.kind {
	case typeInit, typePing, typePong:
	case typeSubscribe, typeComplete:
		if m.id == "" {
			return message{}, fmt.Errorf("%w: a %s must have an id", errBadMessage, m.kind)
		}
		if m.kind == typeSubscribe && m.payload == nil {
			return message{}, fmt.Errorf("%w: a subscribe must have a payload", errBadMessage)
		}
	default:
		return message{}, fmt.Errorf("%w: clients do not send the type %.40q", errBadMessage, m.kind)
	}
	return m, nil
}

// renews reports whether the payload of a ping brings a credential.
func renews(payload json.RawMessage) bool {
	if payload == nil {
		return false
	}
	found := false
	_ = jsonobject.Members(payload, operation.MaxJSONDepth, func(name string, _ []byte) error { // a part of a message that was read
		found = found || name == "authorization" || name == "key"
		return nil
	})
	return found
}

// The messages of the server are put together behind websocket.Headroom bytes in buffer,
// and returned as frames that are parts of it.

func nextFrame(buffer *[]byte, id string, answer []byte) []byte {
	b := begin(buffer, "next", id)
	b = append(append(b, `,"payload":`...), answer...)
	return finish(buffer, b)
}

// answerFrames is a result and the complete behind it.
func answerFrames(buffer *[]byte, id string, resp *operation.Response) []byte {
	b := begin(buffer, "next", id)
	b = resp.AppendJSON(append(b, `,"payload":`...))
	frame := finish(buffer, b)
	from := len(*buffer) - len(frame)
	second := getBuffer()
	defer putBuffer(second)
	*buffer = append(*buffer, completeFrame(second, id)...)
	return (*buffer)[from:]
}

func errorFrame(buffer *[]byte, id string, errs gqlerror.List) []byte {
	b := begin(buffer, "error", id)
	b = operation.AppendErrors(append(b, `,"payload":`...), errs)
	return finish(buffer, b)
}

func completeFrame(buffer *[]byte, id string) []byte {
	return finish(buffer, begin(buffer, typeComplete, id))
}

func begin(buffer *[]byte, kind, id string) []byte {
	b := append((*buffer)[:0], make([]byte, websocket.Headroom)...)
	b = append(append(b, `{"type":"`...), kind...)
	b = append(b, `","id":`...)
	return appendText(b, id)
}

func finish(buffer *[]byte, b []byte) []byte {
	*buffer = append(b, '}')
	return websocket.Seal(*buffer)
}

// appendText appends JSON text, which an id nearly always is as it stands.
func appendText(to []byte, s string) []byte {
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			text, _ := json.Marshal(s) // text always can
			return append(to, text...)
		}
	}
	return append(append(append(to, '"'), s...), '"')
}

// ackFrame acknowledges a connection and says what it may do.
func (h *Handler) ackFrame(s Session) []byte {
	payload := fmt.Sprintf(`"maxMessageBytes":%d,"maxSubscriptions":%d,"maxOperations":%d,"pingSeconds":%d`,
		h.settings.Message, h.settings.Subscriptions, h.settings.InFlight, int(h.settings.PingInterval.Seconds()))
	if exp := s.Expires(); !exp.IsZero() {
		payload += `,"exp":` + strconv.FormatInt(exp.Unix(), 10)
	}
	return websocket.AppendFrame(nil, ws.OpText, []byte(`{"type":"connection_ack","payload":{`+payload+`}}`))
}

// pongFrame answers a ping with its payload; one that is longer than a ping's
// has reason to be is left out.
func pongFrame(payload json.RawMessage) []byte {
	const most = 1 << 10
	if payload == nil || len(payload) > most {
		return websocket.AppendFrame(nil, ws.OpText, []byte(`{"type":"pong"}`))
	}
	return websocket.AppendFrame(nil, ws.OpText, []byte(`{"type":"pong","payload":`+string(payload)+`}`))
}

// renewedFrame answers a ping that brought a credential.
func renewedFrame(s Session) []byte {
	if exp := s.Expires(); !exp.IsZero() {
		return pongFrame(json.RawMessage(`{"exp":` + strconv.FormatInt(exp.Unix(), 10) + `}`))
	}
	return pongFrame(nil)
}
