package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/gobwas/ws"

	"carillon/graph/operation"
	"carillon/internal/websocket"
	"carillon/model"
)

// read reads the socket until it ends. Handling a message makes a goroutine's
// stack grow, and it would stay so; so the reader that did it lets a fresh one
// wait for the next.
func (s *socket) read() {
	if err := s.in.Wait(); err != nil {
		s.buried()
		return
	}
	if s.readMessage() {
		go s.read()
	} else {
		s.buried()
	}
}

// readMessage reads and handles one message, and the control frames before and
// inside it. It reports whether the socket goes on.
func (s *socket) readMessage() (goesOn bool) {
	buffer := getBuffer()
	defer putBuffer(buffer)
	defer func() {
		if p := recover(); p != nil {
			s.h.log.Error("reading a socket", "error", p, "stack", string(debug.Stack()))
			s.close(closeBug, "internal error")
			goesOn = true
		}
	}()
	data := (*buffer)[:0]
	for whole := false; !whole; {
		out, control, last, err := s.in.Frame(data, s.maxMessage())
		*buffer = out
		if err != nil {
			return s.failed(err)
		}
		s.heard.Store(time.Now().UnixNano())
		if control != 0 {
			if err := s.control(control, out[len(data):]); err != nil {
				return s.failed(err)
			}
			if len(data) == 0 && !s.in.Between() {
				return true // nothing has begun: wait without a buffer
			}
			continue
		}
		data, whole = out, last
	}
	if err := s.handle(data); err != nil {
		return s.failed(err)
	}
	s.holdBack()
	return true
}

// maxMessage is how large a message may be now.
func (s *socket) maxMessage() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase < phaseOpen {
		return s.h.settings.InitMessage
	}
	return s.h.settings.Message
}

// failed ends the reading: at once when the connection is gone or both sides
// have said so, or else with a close frame. What still comes is then read and
// dropped, for a connection that is closed with something unread in it loses
// what was sent.
func (s *socket) failed(err error) (goesOn bool) {
	refused, ok := errors.AsType[*websocket.CloseError](err)
	switch {
	case errors.Is(err, websocket.ErrBinary):
		s.close(closeBadMessage, refused.Reason)
	case ok:
		s.close(refused.Code, refused.Reason)
	case errors.Is(err, websocket.ErrPeerClosed):
		s.mu.Lock()
		s.peerClosed = true
		done := s.closeSent
		s.mu.Unlock()
		if done {
			return false
		}
		s.close(closeNormal, "")
	default:
		return false
	}
	s.discard()
	return false
}

// discard reads until the connection ends. The keeper sees to it that it does.
func (s *socket) discard() {
	buffer := getBuffer()
	defer putBuffer(buffer)
	b := append((*buffer)[:0], make([]byte, 4<<10)...)
	*buffer = b
	for {
		if _, err := s.conn.Read(b); err != nil {
			return
		}
	}
}

// control handles a control frame.
func (s *socket) control(op ws.OpCode, payload []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch op {
	case ws.OpPing:
		if len(s.out) < maxOut { // else the answer to a later one will do
			s.say(websocket.AppendFrame(nil, ws.OpPong, payload))
		}
	case ws.OpClose:
		return websocket.CheckClose(payload)
	}
	return nil
}

// holdBack waits while a peer that asks for much does not read the answers.
func (s *socket) holdBack() {
	s.mu.Lock()
	for len(s.out) > maxOut && s.phase < phaseClosing {
		if s.drained == nil {
			s.drained = make(chan struct{})
		}
		drained := s.drained
		s.mu.Unlock()
		<-drained
		s.mu.Lock()
	}
	s.mu.Unlock()
}

// handle does what a message asks.
func (s *socket) handle(data []byte) error {
	s.mu.Lock()
	phase := s.phase
	s.mu.Unlock()
	if phase >= phaseClosing {
		return nil
	}
	m, err := decodeMessage(data)
	if err != nil {
		return websocket.Close(closeBadMessage, err.Error())
	}
	switch m.kind {
	case typeInit:
		return s.init(m.payload)
	case typePing:
		return s.ping(m.payload)
	case typeSubscribe:
		return s.subscribe(m.id, m.payload)
	case typeComplete:
		s.unsubscribe(m.id)
	}
	return nil // a pong says that the peer lives, and that was noted
}

// init authenticates the socket, aside, so that pings are answered meanwhile.
func (s *socket) init(payload json.RawMessage) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase != phaseNew {
		return websocket.Close(closeSecondInit, "Too many initialisation requests")
	}
	s.phase = phaseConnecting
	payload = bytes.Clone(payload)
	go s.aside(func() { s.connect(payload) })
	return nil
}

// connect asks who the peer is and opens the socket to them.
func (s *socket) connect(payload json.RawMessage) {
	s.mu.Lock()
	ctx, cancel := context.WithTimeout(s.ctx, s.h.settings.RequestTimeout)
	r := s.upgrade
	s.upgrade = nil
	s.mu.Unlock()
	defer cancel()
	if r == nil {
		return // the socket is gone
	}
	session, err := s.h.auth.Connect(ctx, r, payload, func(why string) { s.close(closeExpired, "the credential "+why) })
	if err != nil {
		code, reason := refusal(err)
		s.close(code, reason)
		return
	}
	if err := s.h.own(session.Owner()); err != nil {
		session.Close()
		code, reason := refusal(err)
		s.close(code, reason)
		return
	}
	if !s.open(session) {
		s.h.disown(session.Owner())
		session.Close()
	}
}

// open lets operations begin. It reports false when the socket has died.
func (s *socket) open(session Session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase == phaseDead {
		return false
	}
	s.session, s.owner = session, session.Owner()
	if s.phase == phaseConnecting {
		s.ctx, s.phase = session.WithCaller(s.ctx), phaseOpen
		s.say(s.h.ackFrame(session))
	}
	return true
}

// aside runs f on a goroutine that must not take the process with it.
func (s *socket) aside(f func()) {
	defer func() {
		if p := recover(); p != nil {
			s.h.log.Error("serving a socket", "error", p, "stack", string(debug.Stack()))
			s.close(closeBug, "internal error")
		}
	}()
	f()
}

// refusal is how a socket closes when its credential is not taken.
func refusal(err error) (closeCode, string) {
	e, ok := errors.AsType[*model.Error](err)
	if !ok {
		return closeBug, "internal error"
	}
	switch e.Kind {
	case model.KindUnauthenticated:
		return closeNotAllowed, e.Message
	case model.KindForbidden:
		return closeExpired, e.Message
	case model.KindRateLimited, model.KindUnavailable:
		return closeComeBack, e.Message
	default:
		return closeBug, "internal error"
	}
}

// ping answers with a pong, and takes a fresh credential when it brings one.
func (s *socket) ping(payload json.RawMessage) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase == phaseOpen && !s.renewing && renews(payload) {
		s.renewing = true
		payload = bytes.Clone(payload)
		ctx, session := s.ctx, s.session
		go s.aside(func() { s.renew(ctx, session, payload) })
		return nil
	}
	s.say(pongFrame(payload))
	return nil
}

func (s *socket) renew(ctx context.Context, session Session, payload json.RawMessage) {
	ctx, cancel := context.WithTimeout(ctx, s.h.settings.RequestTimeout)
	defer cancel()
	if err := session.Renew(ctx, payload); err != nil {
		code, reason := refusal(err)
		if code == closeNotAllowed { // it was, before: a client may try again
			code = closeExpired
		}
		s.close(code, reason)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.renewing = false
	s.say(renewedFrame(session))
}

// subscribe begins an operation.
func (s *socket) subscribe(id string, payload json.RawMessage) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.phase != phaseOpen:
		return websocket.Close(closeNotAllowed, "Unauthorized")
	case s.find(id) != nil:
		return websocket.Close(closeDuplicate, fmt.Sprintf("Subscriber for %s already exists", id))
	}
	p, errs := operation.DecodeParams(payload, "the payload")
	if errs != nil {
		return websocket.Close(closeBadMessage, errs[0].Message)
	}
	o := &running{socket: s, id: id}
	switch {
	case s.leaving:
		s.deny(id, model.KindUnavailable, "the server is shutting down: connect again")
		return nil
	case s.flight < s.h.settings.InFlight:
		s.start(o, p)
	case !s.queue(o, p, len(payload)):
		s.deny(id, model.KindRateLimited, "more operations run and wait on this socket than may: wait for some to end")
		return nil
	}
	s.operations = append(s.operations, o)
	return nil
}

// deny answers a subscribe with an error on its id. s.mu is held.
func (s *socket) deny(id string, kind model.Kind, message string) {
	buffer := getBuffer()
	defer putBuffer(buffer)
	errs := s.h.engine.Present(s.ctx, model.Errorf(kind, "%s", message))
	s.say(errorFrame(buffer, id, errs))
}

// unsubscribe ends an operation that the client has enough of. An id that is
// not there was just completed by this side.
func (s *socket) unsubscribe(id string) {
	s.mu.Lock()
	o := s.find(id)
	if o == nil {
		s.mu.Unlock()
		return
	}
	stream, _ := s.remove(o)
	if o.cancel != nil && !o.mutates { // a change that has begun is brought to its end
		o.cancel()
	}
	s.mu.Unlock()
	if stream != nil {
		stream.Close()
	}
}
