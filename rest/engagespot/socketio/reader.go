package socketio

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"runtime/debug"
	"time"

	"github.com/gobwas/ws"

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
			s.close(codeBug, "internal error")
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
	for _, n := range s.spaces {
		if n.session != nil {
			return s.h.settings.Message
		}
	}
	return s.h.settings.InitMessage
}

// failed ends the reading: at once when the connection is gone or both sides
// have said so, or else with a close frame. What still comes is then read and
// dropped, for a connection that is closed with something unread in it loses
// what was sent.
func (s *socket) failed(err error) (goesOn bool) {
	refused, ok := errors.AsType[*websocket.CloseError](err)
	switch {
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
		s.close(websocket.CodeNormal, "")
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

// control handles a control frame of the WebSocket.
func (s *socket) control(op ws.OpCode, payload []byte) error {
	switch op {
	case ws.OpPing:
		if err := s.spend(); err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.say(websocket.AppendFrame(nil, ws.OpPong, payload))
	case ws.OpClose:
		return websocket.CheckClose(payload)
	}
	return nil
}

// spend counts a packet, and refuses one that is too many.
func (s *socket) spend() error {
	if minute := time.Now().Unix() / 60; minute != s.minute {
		s.minute, s.spent = minute, 0
	}
	if s.spent++; s.spent > s.h.settings.Packets {
		return websocket.Close(codePolicy, "too many packets")
	}
	return nil
}

// holdBack waits while a peer that asks for much does not read the answers.
func (s *socket) holdBack() {
	s.mu.Lock()
	for len(s.out) > maxOut && s.phase == phaseOpen {
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

// handle does what a packet asks. What clients tell is not listened to.
func (s *socket) handle(data []byte) error {
	s.heard.Store(time.Now().UnixNano())
	if err := s.spend(); err != nil {
		return err
	}
	p, err := decode(data)
	if err != nil {
		return websocket.Close(codeBadPacket, err.Error())
	}
	switch {
	case p.engine == engineClose:
		return websocket.Close(websocket.CodeNormal, "")
	case p.engine == enginePing:
		s.mu.Lock()
		defer s.mu.Unlock()
		s.say(textFrame(append([]byte{enginePong}, data[1:min(len(data), 64)]...)))
	case p.engine != engineMessage:
		return nil // a pong says that the peer lives, and that was noted
	case p.kind == typeConnect:
		return s.connect(p)
	case p.kind == typeDisconnect:
		s.disconnect(p.namespace)
	}
	return nil
}

// connect opens a namespace, aside, so that heartbeats go on meanwhile.
func (s *socket) connect(p packet) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.phase != phaseOpen:
		return nil
	case s.find(p.namespace) != nil:
		return websocket.Close(codeBadPacket, "a second connect to one namespace")
	case len(s.spaces) >= s.h.settings.Namespaces:
		s.refuse(p.namespace, "one socket may have only so many namespaces")
		return nil
	}
	n := &space{socket: s, name: p.namespace}
	s.spaces = append(s.spaces, n)
	ctx, peer, auth := s.ctx, s.peer, json.RawMessage(bytes.Clone(p.data))
	go s.aside(func() { s.open(ctx, n, peer, auth) })
	return nil
}

// refuse tells the client to stay out of a namespace. s.mu is held.
func (s *socket) refuse(namespace, why string) {
	s.h.stats.Refused.Add(1)
	s.say(textFrame(refusalPacket(namespace, why)))
}

// open asks whether the peer may come in.
func (s *socket) open(ctx context.Context, n *space, peer any, auth json.RawMessage) {
	ctx, cancel := context.WithTimeout(ctx, s.h.settings.OpenTimeout)
	defer cancel()
	session, err := s.h.opener.Open(ctx, peer, auth, n.wake, n.end)
	if err != nil {
		s.shut(ctx, n, err)
		return
	}
	if !s.h.own(session.Owner()) {
		session.Close()
		s.shut(ctx, n, model.Errorf(model.KindRateLimited, "one user may have only so many open sockets: close some"))
		return
	}
	s.h.stats.Sessions.Add(1)
	s.mu.Lock()
	if n.gone {
		s.mu.Unlock()
		s.release(session)
		return
	}
	n.session = session
	s.say(textFrame(connectPacket(n.name, s.h.ids.New())))
	n.ready.Store(true) // it is asked once without being woken
	s.schedule()
	s.mu.Unlock()
}

// shut refuses a namespace.
func (s *socket) shut(ctx context.Context, n *space, err error) {
	refused, ok := errors.AsType[*model.Error](err)
	switch {
	case !ok || refused.Kind == model.KindInternal:
		s.h.log.ErrorContext(ctx, "opening a socket", "error", err)
		s.close(codeBug, "internal error")
		return
	case refused.Kind == model.KindUnavailable:
		s.close(websocket.CodeComeBack, "the database is away: try again later")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.remove(n); there {
		s.refuse(n.name, refused.Message)
	}
}

// disconnect ends a namespace that the client has enough of.
func (s *socket) disconnect(namespace string) {
	s.mu.Lock()
	var session Session
	if n := s.find(namespace); n != nil {
		session, _ = s.remove(n)
	}
	s.mu.Unlock()
	s.release(session)
}

// aside runs f on a goroutine that must not take the process with it.
func (s *socket) aside(f func()) {
	defer func() {
		if p := recover(); p != nil {
			s.h.log.Error("serving a socket", "error", p, "stack", string(debug.Stack()))
			s.close(codeBug, "internal error")
		}
	}()
	f()
}
