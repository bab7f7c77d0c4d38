package socketio

import (
	"errors"
	"io"
	"runtime/debug"
	"sync"
	"time"

	"carillon/internal/websocket"
	"carillon/model"
)

// buffers are the slices that frames are put together in.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// maxPooled keeps one large frame from being held for ever.
const maxPooled = 64 << 10 // bytes

func getBuffer() *[]byte { return buffers.Get().(*[]byte) }

func putBuffer(b *[]byte) {
	if b != nil && cap(*b) <= maxPooled {
		buffers.Put(b)
	}
}

// turns is how many frames a writer gives one socket before the others are
// looked at again.
const turns = 4

// Write writes what the socket has to say. It never waits for the peer.
func (s *socket) Write(try *websocket.Try) {
	defer func() {
		if p := recover(); p != nil {
			s.h.log.Error("writing to a socket", "error", p, "stack", string(debug.Stack()))
			s.cut()
		}
	}()
	for range turns {
		frame, buffer := s.next()
		if frame == nil {
			return
		}
		n, err := try.Write(s.raw, frame)
		if err != nil {
			putBuffer(buffer)
			s.cut()
			return
		}
		if n < len(frame) {
			s.h.stats.Blocked.Add(1)
			go s.insist(frame[n:], buffer)
			return
		}
		putBuffer(buffer)
		s.wrote()
	}
	s.h.writers.Add(&s.place)
}

// insist writes the rest of a frame to a peer that is slow to read, and drops
// the socket when it takes too long.
func (s *socket) insist(rest []byte, buffer *[]byte) {
	defer s.h.stats.Blocked.Add(-1)
	// Deadlines fail on connections that are gone, as the write then does.
	_ = s.conn.SetWriteDeadline(time.Now().Add(s.h.settings.WriteTimeout))
	_, err := s.conn.Write(rest)
	_ = s.conn.SetWriteDeadline(time.Time{})
	putBuffer(buffer)
	if err != nil {
		if websocket.IsTimeout(err) {
			s.h.stats.SlowReaders.Add(1)
		}
		s.cut()
		return
	}
	s.wrote()
	s.h.writers.Add(&s.place)
}

// wrote notes that a frame is out, and ends the conversation behind the close
// frame: the peer reads it and then the end of the stream.
func (s *socket) wrote() {
	s.h.stats.Frames.Add(1)
	s.mu.Lock()
	over, both := s.closeSent, s.peerClosed
	s.mu.Unlock()
	if !over {
		return
	}
	if half, ok := s.conn.(interface{ CloseWrite() error }); ok && !both {
		_ = half.CloseWrite() // or the connection is gone
	} else {
		s.conn.Close()
	}
}

// next takes what is to be written next, as whole frames. They are a part of
// buffer, which goes back when they are written; it may be nil. It returns
// nothing, and gives the socket back, when there is nothing.
func (s *socket) next() (frame []byte, buffer *[]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.phase == phaseDead || s.closeSent:
			s.writing = false
			return nil, nil
		case s.phase == phaseClosing:
			s.closeSent = true
			frame, s.out = websocket.AppendClose(s.out, s.code, s.reason), nil
			return frame, nil
		case len(s.out) > 0:
			frame, s.out = s.out, nil
			s.goOn()
			return frame, nil
		}
		n := s.readyOne()
		if n == nil {
			s.writing = false
			return nil, nil
		}
		if frame, buffer := s.ask(n); frame != nil {
			return frame, buffer
		}
	}
}

// readyOne is the next namespace in turn whose session may have an event; nil
// when there is none. s.mu is held.
func (s *socket) readyOne() *space {
	for i := range s.spaces {
		at := (s.turn + i) % len(s.spaces)
		if n := s.spaces[at]; n.session != nil && n.ready.Load() {
			s.turn = at + 1
			return n
		}
	}
	return nil
}

// ask asks a session for its next event. s.mu is held, but not meanwhile. It
// returns nothing when there is none, or when nobody listens any more.
func (s *socket) ask(n *space) (frame []byte, buffer *[]byte) {
	n.busy = true
	session, ctx := n.session, s.h.patience.Context(s.ctx)
	s.mu.Unlock()

	n.ready.Store(false) // whoever wakes from here on is heard
	event, ok, err := session.Next(ctx)
	if ok {
		n.ready.Store(true) // there may be more
		buffer = getBuffer()
		frame = eventFrame(buffer, n.name, event)
	}

	s.mu.Lock()
	n.busy = false
	var closing []Session
	switch {
	case n.gone:
		closing, frame = []Session{session}, nil
	case errors.Is(err, io.EOF):
		s.remove(n)
		closing = []Session{session}
		s.say(textFrame(disconnectPacket(n.name)))
	case model.KindOf(err) == model.KindUnavailable:
		closing = s.beginClose(websocket.CodeComeBack, "the database is away: try again later")
	case err != nil:
		s.h.log.ErrorContext(ctx, "reading for a socket", "error", err)
		closing = s.beginClose(codeBug, "internal error")
	}
	if closing != nil {
		s.mu.Unlock()
		s.release(closing...)
		s.mu.Lock()
	}
	if frame == nil {
		putBuffer(buffer)
		return nil, nil
	}
	return frame, buffer
}
