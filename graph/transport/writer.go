package transport

import (
	"errors"
	"io"
	"runtime/debug"
	"time"

	"carillon/graph/operation"
	"carillon/internal/websocket"
	"carillon/model"
)

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
	over := s.closeSent
	s.mu.Unlock()
	if !over {
		return
	}
	if half, ok := s.conn.(interface{ CloseWrite() error }); ok {
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
			s.h.stats.closed(s.code)
			frame, s.out = append(s.out, s.closeFrame()...), nil
			return frame, nil
		case len(s.out) > 0:
			frame, s.out = s.out, nil
			s.goOn()
			return frame, nil
		case len(s.results) > 0:
			r := s.results[0]
			if s.results = s.results[1:]; len(s.results) == 0 {
				s.results = nil
			}
			s.landed()
			return r.frame, r.buffer
		case s.leaving && s.flight == 0:
			streams := s.beginClose(closeGoingAway, "the server is shutting down: connect again")
			s.mu.Unlock()
			closeAll(streams)
			s.mu.Lock()
			continue
		}
		o := s.readyOne()
		if o == nil {
			s.writing = false
			return nil, nil
		}
		if frame, buffer := s.ask(o); frame != nil {
			return frame, buffer
		}
	}
}

// readyOne is the next operation in turn whose stream may have something; nil
// when there is none. s.mu is held.
func (s *socket) readyOne() *running {
	for i := range s.operations {
		at := (s.turn + i) % len(s.operations)
		if o := s.operations[at]; o.stream != nil && o.ready.Load() {
			s.turn = at + 1
			return o
		}
	}
	return nil
}

// ask asks a stream for its next event. s.mu is held, but not meanwhile. It
// returns nothing when there is none, or when nobody listens any more.
func (s *socket) ask(o *running) (frame []byte, buffer *[]byte) {
	o.busy = true
	stream, ctx := o.stream, s.h.patience.Context(s.ctx)
	s.mu.Unlock()

	o.ready.Store(false) // whoever wakes from here on is heard
	answer, _, ok, err := stream.Next(ctx)
	buffer = getBuffer()
	switch {
	case ok:
		o.ready.Store(true) // there may be more
		frame = nextFrame(buffer, o.id, answer)
	case errors.Is(err, io.EOF):
		frame = completeFrame(buffer, o.id)
	case err != nil:
		frame = errorFrame(buffer, o.id, s.h.engine.Present(ctx, err))
	}

	s.mu.Lock()
	o.busy = false
	var closing []*operation.Stream
	switch {
	case o.gone:
		closing, frame = []*operation.Stream{stream}, nil
	case model.KindOf(err) == model.KindUnavailable:
		// The socket ends with all its streams: clients come back, each with
		// its position, which no error on one id would make them do.
		closing, frame = s.beginClose(closeComeBack, "the database is away: try again later"), nil
	case err != nil:
		s.remove(o)
		closing = []*operation.Stream{stream}
	}
	if closing != nil {
		s.mu.Unlock()
		closeAll(closing)
		s.mu.Lock()
	}
	if frame == nil {
		putBuffer(buffer)
		return nil, nil
	}
	return frame, buffer
}
