package socketio

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/gobwas/ws"

	"carillon/internal/websocket"
)

// The types of Engine.IO packet that a client may send, each the first byte of
// a message.
const (
	engineClose   = '1'
	enginePing    = '2' // a probe of clients that would upgrade from polling
	enginePong    = '3'
	engineMessage = '4'
	engineNoop    = '6'
)

// The types of socket.io packet, each the byte after engineMessage.
const (
	typeConnect     = '0'
	typeDisconnect  = '1'
	typeEvent       = '2'
	typeAck         = '3'
	typeBinaryEvent = '5'
	typeBinaryAck   = '6'
)

// maxNamespace bounds the name of a namespace, which is written with every
// event.
const maxNamespace = 128 // bytes

// mainNamespace is the one that needs no name.
const mainNamespace = "/"

// packet is what a client says. data is a part of the message.
type packet struct {
	engine    byte
	kind      byte // of an engineMessage
	namespace string
	data      json.RawMessage // of typeConnect: an object, or nil; of others it is not looked at
}

// errPacket wraps what is wrong with a packet.
var errPacket = errors.New("not a packet of socket.io")

// decode reads a message. It is valid UTF-8.
func decode(message []byte) (packet, error) {
	if len(message) == 0 {
		return packet{}, fmt.Errorf("%w: it is empty", errPacket)
	}
	p := packet{engine: message[0]}
	rest := message[1:]
	switch p.engine {
	case engineClose, enginePing, enginePong, engineNoop:
		return p, nil
	case engineMessage:
	default:
		return packet{}, fmt.Errorf("%w: clients send no packet of type %q", errPacket, p.engine)
	}
	if len(rest) == 0 {
		return packet{}, fmt.Errorf("%w: the message is empty", errPacket)
	}
	p.kind, rest = rest[0], rest[1:]
	switch p.kind {
	case typeConnect, typeDisconnect, typeEvent, typeAck:
	case typeBinaryEvent, typeBinaryAck:
		return packet{}, fmt.Errorf("%w: binary data is not taken", errPacket)
	default:
		return packet{}, fmt.Errorf("%w: clients send no message of type %q", errPacket, p.kind)
	}
	var err error
	if p.namespace, rest, err = namespaceOf(rest); err != nil {
		return packet{}, err
	}
	if p.kind != typeConnect {
		return p, nil
	}
	if rest = bytes.TrimSpace(rest); len(rest) > 0 {
		if rest[0] != '{' || !json.Valid(rest) {
			return packet{}, fmt.Errorf("%w: what comes with a connect must be a JSON object", errPacket)
		}
		p.data = rest
	}
	return p, nil
}

// namespaceOf reads the name that a message may begin with. Clients of old add
// a query, which belongs to no name.
func namespaceOf(message []byte) (name string, rest []byte, err error) {
	if len(message) == 0 || message[0] != '/' {
		return mainNamespace, message, nil
	}
	text, rest, _ := bytes.Cut(message, []byte(","))
	text, _, _ = bytes.Cut(text, []byte("?"))
	if len(text) > maxNamespace {
		return "", nil, fmt.Errorf("%w: a namespace may have %d bytes", errPacket, maxNamespace)
	}
	return string(text), rest, nil
}

// openPacket tells a client the rules of the connection.
func (h *Handler) openPacket(id string) []byte {
	return fmt.Appendf(nil, `0{"sid":%q,"upgrades":[],"pingInterval":%d,"pingTimeout":%d,"maxPayload":%d}`,
		id, h.settings.PingInterval.Milliseconds(), h.settings.PingTimeout.Milliseconds(), h.settings.Message)
}

// appendPacket appends a message of socket.io: its type, its namespace, and
// data, which may be nil.
func appendPacket(to []byte, kind byte, namespace string, data []byte) []byte {
	to = append(to, engineMessage, kind)
	if namespace != mainNamespace {
		to = append(append(to, namespace...), ',')
	}
	return append(to, data...)
}

func connectPacket(namespace, id string) []byte {
	return appendPacket(nil, typeConnect, namespace, fmt.Appendf(nil, `{"sid":%q}`, id))
}

func disconnectPacket(namespace string) []byte {
	return appendPacket(nil, typeDisconnect, namespace, nil)
}

// refusalPacket tells a client to stay out of a namespace, and why.
func refusalPacket(namespace, why string) []byte {
	const typeConnectError = '4'
	data, _ := json.Marshal(struct { // text always can be encoded
		Message string `json:"message"`
	}{why})
	return appendPacket(nil, typeConnectError, namespace, data)
}

// eventFrame is an event as a whole frame, which is a part of buffer.
func eventFrame(buffer *[]byte, namespace string, e Event) []byte {
	b := append((*buffer)[:0], make([]byte, websocket.Headroom)...)
	b = appendPacket(b, typeEvent, namespace, nil)
	b = append(append(append(b, `["`...), e.Name...), '"', ',')
	*buffer = append(append(b, e.Payload...), ']')
	return websocket.Seal(*buffer)
}

// textFrame is a packet as a whole frame.
func textFrame(packet []byte) []byte { return websocket.AppendFrame(nil, ws.OpText, packet) }
