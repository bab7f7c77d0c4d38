package transport

import (
	"context"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"carillon/graph/operation"
	"carillon/internal/websocket"
)

// phase is how far a socket has come.
type phase uint8

const (
	phaseNew        phase = iota // no connection_init yet
	phaseConnecting              // being authenticated
	phaseOpen                    // acknowledged
	phaseClosing                 // the close frame is on its way, or was sent
	phaseDead                    // the connection is gone
)

// socket is one WebSocket. Its reader is a goroutine of its own; whatever it
// writes is written by one writer at a time, which is decided by writing.
type socket struct {
	h      *Handler
	conn   net.Conn
	raw    syscall.RawConn // nil when a write cannot be tried without waiting
	opened time.Time
	heard  atomic.Int64    // when the last whole frame came; UTC nanoseconds since 1970
	in     websocket.Input // the reader's

	mu      sync.Mutex
	phase   phase
	ctx     context.Context // values for everything that runs here: the caller's, once it is open. It never ends
	upgrade *http.Request   // until the socket is open
	session Session
	owner   any
	counted bool // whether the handler's open has it

	operations []*running
	flight     int // of operations that run, and results that wait
	streams    int // of operations that are subscriptions
	queued     []queued

	out     []byte   // control frames and short messages, whole frames one behind the other
	results []result // of queries and mutations, and errors
	turn    int      // where in operations the next writer looks first
	writing bool     // a writer has the socket, or it stands in their queue
	drained chan struct{}
	place   websocket.Place // in the writers' queue; theirs

	leaving    bool // closes when nothing runs any more
	renewing   bool
	pinged     time.Time
	code       closeCode
	reason     string
	closingAt  time.Time
	closeSent  bool
	peerClosed bool
}

// running is an operation of a socket, from its subscribe message on.
type running struct {
	socket *socket
	id     string

	ready atomic.Bool // the stream may have something

	// The rest is guarded by socket.mu.
	cancel  context.CancelFunc // of what runs; nil when nothing does
	mutates bool
	stream  *operation.Stream // nil: not a subscription, or not open yet
	busy    bool              // a writer asks the stream
	gone    bool              // nobody listens any more
}

// result is a frame that waits for its turn.
type result struct {
	frame  []byte
	buffer *[]byte // that the frame is a part of, to be put back when it is written
}

// maxOut is how much may wait to be written before the socket is read on. A
// peer that asks and does not read is left to wait.
const maxOut = 64 << 10 // bytes

// say queues whole frames. s.mu is held.
func (s *socket) say(frames []byte) {
	if s.phase >= phaseClosing {
		return
	}
	s.out = append(s.out, frames...)
	s.schedule()
}

// schedule sees to it that a writer comes. s.mu is held.
func (s *socket) schedule() {
	if !s.writing && s.phase != phaseDead {
		s.writing = true
		s.h.writers.Add(&s.place)
	}
}

// wake says that an operation's stream may have something.
func (o *running) wake() {
	if o.ready.Swap(true) {
		return // a writer is on its way, or there is no stream yet
	}
	s := o.socket
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.stream != nil {
		s.schedule()
	}
}

// close begins to close the socket: nothing more is read or begun, and the
// close frame goes out behind the frame that is being written.
func (s *socket) close(code closeCode, reason string) {
	s.mu.Lock()
	streams := s.beginClose(code, reason)
	s.mu.Unlock()
	closeAll(streams)
}

// beginClose is close with s.mu held. The caller closes what it returns.
func (s *socket) beginClose(code closeCode, reason string) []*operation.Stream {
	if s.phase >= phaseClosing {
		return nil
	}
	s.phase, s.code, s.reason, s.closingAt = phaseClosing, code, reason, time.Now()
	streams := s.dropAll()
	s.goOn()
	s.schedule()
	return streams
}

// goOn lets a reader go on that was held back. s.mu is held.
func (s *socket) goOn() {
	if s.drained != nil {
		close(s.drained)
		s.drained = nil
	}
}

// dropAll forgets every operation and returns the streams to close, but for
// one that a writer is asking: that writer closes it.
func (s *socket) dropAll() []*operation.Stream {
	var streams []*operation.Stream
	for _, o := range s.operations {
		if o.cancel != nil {
			o.cancel()
		}
		if stream := s.forget(o); stream != nil {
			streams = append(streams, stream)
		}
	}
	s.operations, s.queued = nil, nil
	return streams
}

// forget marks an operation as gone and returns its stream when the caller is
// to close it. s.mu is held.
func (s *socket) forget(o *running) *operation.Stream {
	o.gone = true
	if o.stream == nil {
		return nil
	}
	s.streams--
	s.h.stats.Subscriptions.Add(-1)
	if o.busy {
		return nil
	}
	return o.stream
}

// remove takes an operation out and returns the stream to close, if any. It
// reports false when the operation is gone already. s.mu is held.
func (s *socket) remove(o *running) (stream *operation.Stream, ok bool) {
	i := slices.Index(s.operations, o)
	if i < 0 {
		return nil, false
	}
	s.operations = slices.Delete(s.operations, i, i+1)
	return s.forget(o), true
}

// find is the operation with an id; nil when there is none. s.mu is held.
func (s *socket) find(id string) *running {
	for _, o := range s.operations {
		if o.id == id {
			return o
		}
	}
	return nil
}

func closeAll(streams []*operation.Stream) {
	for _, stream := range streams {
		stream.Close()
	}
}

// leave closes the socket once nothing runs on it, for a shutdown.
func (s *socket) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaving, s.queued = true, nil
	s.schedule() // the writer closes it when there is nothing else to say
}

// cut ends the connection without a close frame; the reader sees it and cleans
// up.
func (s *socket) cut() {
	s.mu.Lock()
	streams := s.beginClose(closeNormal, "")
	s.closeSent = true
	s.goOn()
	s.mu.Unlock()
	closeAll(streams)
	s.conn.Close()
}

// buried ends what the socket held, when its reader is done. Nothing is
// scheduled any more.
func (s *socket) buried() {
	s.conn.Close()
	s.mu.Lock()
	s.phase = phaseDead
	streams := s.dropAll()
	session, owner, counted := s.session, s.owner, s.counted
	s.session, s.owner, s.upgrade, s.out = nil, nil, nil, nil
	for _, r := range s.results {
		putBuffer(r.buffer)
		s.landed()
	}
	s.results = nil
	s.mu.Unlock()

	closeAll(streams)
	if session != nil {
		session.Close()
	}
	s.h.disown(owner)
	s.h.mu.Lock()
	delete(s.h.sockets, s)
	s.h.mu.Unlock()
	s.h.stats.Sockets.Add(-1)
	if counted {
		s.h.leave()
	}
}

// closeFrame is the frame that closes the socket.
func (s *socket) closeFrame() []byte {
	return websocket.AppendClose(nil, s.code, s.reason)
}
