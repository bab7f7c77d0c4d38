package socketio

import (
	"context"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"carillon/internal/websocket"
)

// The codes besides those of every WebSocket.
const (
	codePolicy    websocket.Code = 1008
	codeBug       websocket.Code = 1011
	codeBadPacket websocket.Code = 4400
)

// phase is how far a socket has come.
type phase uint8

const (
	phaseOpen    phase = iota
	phaseClosing       // the close frame is on its way, or was sent
	phaseDead          // the connection is gone
)

// socket is one WebSocket. Its reader is a goroutine of its own; whatever it
// writes is written by one writer at a time, which is decided by writing.
type socket struct {
	h      *Handler
	conn   net.Conn
	raw    syscall.RawConn // nil when a write cannot be tried without waiting
	heard  atomic.Int64    // when the last packet came; UTC nanoseconds since 1970
	in     websocket.Input // the reader's
	minute int64           // the reader's: since 1970
	spent  int             // the reader's: packets of that minute

	mu     sync.Mutex
	phase  phase
	ctx    context.Context // values for everything that runs here. It never ends
	peer   any
	spaces []*space
	turn   int       // where in spaces the next writer looks first
	alone  time.Time // since when there is no namespace

	out     []byte // whole frames one behind the other
	writing bool   // a writer has the socket, or it stands in their queue
	drained chan struct{}
	place   websocket.Place

	pinged     time.Time
	code       websocket.Code
	reason     string
	closingAt  time.Time
	closeSent  bool
	peerClosed bool
}

// space is a namespace of a socket, from its connect on.
type space struct {
	socket *socket
	name   string
	ready  atomic.Bool // the session may have an event

	// The rest is guarded by socket.mu.
	session Session // nil: not open yet
	busy    bool    // a writer asks the session
	gone    bool    // nobody listens any more
}

// maxOut is how much may wait to be written before the socket is read on. A
// peer that asks and does not read is left to wait.
const maxOut = 64 << 10 // bytes

// say queues whole frames. s.mu is held.
func (s *socket) say(frames []byte) {
	if s.phase == phaseOpen {
		s.out = append(s.out, frames...)
		s.schedule()
	}
}

// schedule sees to it that a writer comes. s.mu is held.
func (s *socket) schedule() {
	if !s.writing && s.phase != phaseDead {
		s.writing = true
		s.h.writers.Add(&s.place)
	}
}

// wake says that the session may have an event.
func (n *space) wake() {
	if n.ready.Swap(true) {
		return // a writer is on its way, or the session is not open yet
	}
	s := n.socket
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.session != nil {
		s.schedule()
	}
}

// end ends a namespace whose session must end.
func (n *space) end(how How) {
	s := n.socket
	if how == ComeBack {
		s.close(websocket.CodeNormal, "the credential has expired: connect again with a fresh one")
		return
	}
	s.mu.Lock()
	session, there := s.remove(n)
	if there {
		s.say(textFrame(disconnectPacket(n.name)))
	}
	s.mu.Unlock()
	s.release(session)
}

// remove takes a namespace out, and reports whether it was there. The caller
// releases its session, if it returns one. s.mu is held.
func (s *socket) remove(n *space) (session Session, there bool) {
	i := slices.Index(s.spaces, n)
	if i < 0 {
		return nil, false
	}
	if s.spaces = slices.Delete(s.spaces, i, i+1); len(s.spaces) == 0 {
		s.alone = time.Now() // it may open another one, and must in time
	}
	return n.forget(), true
}

// forget marks a namespace as gone and returns its session when the caller is
// to release it: one that a writer is asking, that writer releases. The
// socket's mu is held.
func (n *space) forget() Session {
	n.gone = true
	if n.busy {
		return nil
	}
	return n.session
}

// release closes sessions of namespaces that were taken out; nil is none.
func (s *socket) release(sessions ...Session) {
	for _, session := range sessions {
		if session == nil {
			continue
		}
		session.Close()
		s.h.disown(session.Owner())
		s.h.stats.Sessions.Add(-1)
	}
}

// find is the namespace of a name; nil when there is none. s.mu is held.
func (s *socket) find(name string) *space {
	for _, n := range s.spaces {
		if n.name == name {
			return n
		}
	}
	return nil
}

// close begins to close the socket: nothing more is read or said, and the close
// frame goes out behind the frame that is being written.
func (s *socket) close(code websocket.Code, reason string) {
	s.mu.Lock()
	sessions := s.beginClose(code, reason)
	s.mu.Unlock()
	s.release(sessions...)
}

// beginClose is close with s.mu held. The caller releases what it returns.
func (s *socket) beginClose(code websocket.Code, reason string) []Session {
	if s.phase != phaseOpen {
		return nil
	}
	s.phase, s.code, s.reason, s.closingAt = phaseClosing, code, reason, time.Now()
	sessions := s.dropAll()
	s.goOn()
	s.schedule()
	return sessions
}

// dropAll forgets every namespace. The caller releases what it returns.
func (s *socket) dropAll() []Session {
	var sessions []Session
	for _, n := range s.spaces {
		sessions = append(sessions, n.forget())
	}
	s.spaces = nil
	return sessions
}

// goOn lets a reader go on that was held back. s.mu is held.
func (s *socket) goOn() {
	if s.drained != nil {
		close(s.drained)
		s.drained = nil
	}
}

// cut ends the connection without a close frame; the reader sees it and cleans
// up.
func (s *socket) cut() {
	s.mu.Lock()
	sessions := s.beginClose(websocket.CodeNormal, "")
	s.closeSent = true
	s.mu.Unlock()
	s.release(sessions...)
	s.conn.Close()
}

// buried ends what the socket held, when its reader is done.
func (s *socket) buried() {
	s.conn.Close()
	s.mu.Lock()
	s.phase = phaseDead
	sessions := s.dropAll()
	s.peer, s.out = nil, nil
	s.mu.Unlock()
	s.release(sessions...)
	s.h.leave(s)
}
