// Package door turns requests away at their first bytes, before net/http has read
// them. A server that is asked for several times what it can do answers most
// requests with a refusal, so what it can do for the others depends on what a
// refusal costs: here a read, a look and a write.
//
// A connection has to know where requests begin and end. Once that is not quite
// plain, since a head came in pieces, a body has no length beforehand, or one request
// before another was answered, it leaves everything to net/http.
package door

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// Keeper says who is turned away. It is asked by many connections at once.
type Keeper interface {
	// Busy reports whether anybody may have to be turned away. It is asked
	// before each request.
	Busy() bool
	// TurnsAway is the whole answer to a request that is turned away; nil lets
	// it in. The answer says that the connection is closed after it if the
	// request does.
	TurnsAway(r *Request) (answer []byte)
}

// Largest is the size in bytes of the largest body that is read and thrown away when
// its request is turned away.
const Largest = 64 << 10

const (
	// patience is how long an answer may take to be taken.
	patience = 10 * time.Second
	// parting is how long it may take once the server wants to be gone.
	parting = time.Second
)

// Listener accepts connections with a door. Its server must tell it what becomes
// of them: see [Listener.Track].
type Listener struct {
	net.Listener
	keeper     Keeper
	idle, head time.Duration
}

// Listen puts a door into the connections that l accepts. A client that was turned
// away may leave its connection unused for as long as idle; the head of what it asks
// next may take as long as head. Both are as the server has them.
func Listen(l net.Listener, keeper Keeper, idle, head time.Duration) *Listener {
	return &Listener{Listener: l, keeper: keeper, idle: idle, head: head}
}

// Accept waits for a connection.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		return &conn{TCPConn: tcp, listener: l, begins: true, knows: true}, nil
	}
	return c, err
}

// Track is told by the server's ConnState.
func (l *Listener) Track(c net.Conn, state http.ConnState) {
	if c, ok := c.(*conn); ok && state == http.StateIdle {
		c.begins = c.knows && c.left >= -1
	}
}

// conn is a connection with a door. Reads come from one goroutine at a time.
type conn struct {
	*net.TCPConn
	listener *Listener

	knows   bool // where requests begin and end
	begins  bool // what is read next begins a request
	left    int  // bytes of a request that was let in and that the server has not read; -1: it has read one more
	ahead   byte // the one more
	skip    int  // bytes of one that was turned away and that have not come
	closes  bool // after what is skipped
	renewed time.Time

	answering sync.Mutex // held while one is turned away
}

// Close lets the one be answered who is being turned away: on shutdown the server
// closes what it takes for unused.
func (c *conn) Close() error {
	if !c.answering.TryLock() {
		_ = c.SetWriteDeadline(time.Now().Add(parting)) // it is closed next, in time or not
		c.answering.Lock()
	}
	defer c.answering.Unlock()
	return c.TCPConn.Close()
}

// Read gives what the server is to see.
func (c *conn) Read(p []byte) (n int, err error) {
	for {
		if n, err = c.TCPConn.Read(p); n == 0 {
			return n, err
		}
		if !c.begins {
			// Below zero the server has read on, to see whether the client is still there.
			if c.left -= n; c.left == -1 {
				c.ahead = p[n-1]
			}
			return n, err
		}
		if n, err = c.attend(p[:n]); n > 0 || err != nil {
			return n, err
		}
	}
}

// attend looks at what has come where a request begins, or where one goes on that
// was turned away, and says how much of it is for the server.
func (c *conn) attend(p []byte) (n int, err error) {
	if c.skip > 0 {
		skipped := min(c.skip, len(p))
		c.skip -= skipped
		p = p[:copy(p, p[skipped:])]
	}
	if c.left < 0 {
		return len(p), c.goOn(p)
	}
	if len(p) > 0 && !c.closes {
		r, size, ok := parse(p)
		c.knows = ok && size >= len(p)
		if away, err := c.turnsAway(&r); !away {
			return len(p), c.letIn(size - len(p))
		} else if err != nil {
			return 0, err
		}
		c.skip, c.closes = size-len(p), r.Closes
	}
	if c.closes && c.skip == 0 {
		return 0, io.EOF
	}
	return 0, nil
}

// goOn looks at a request whose first byte the server has. It cannot be turned away
// here any more.
func (c *conn) goOn(p []byte) error {
	whole := append([]byte{c.ahead}, p...)
	_, size, ok := parse(whole)
	c.knows = ok && size >= len(whole)
	return c.letIn(size - len(whole))
}

// turnsAway answers a request that is turned away.
func (c *conn) turnsAway(r *Request) (away bool, err error) {
	if !c.knows || r.Length > Largest || !c.listener.keeper.Busy() {
		return false, nil
	}
	c.answering.Lock()
	defer c.answering.Unlock()
	answer := c.listener.keeper.TurnsAway(r)
	if answer == nil {
		return false, nil
	}
	return true, c.answer(answer)
}

// answer writes an answer, and has the connection stay open a while longer.
func (c *conn) answer(answer []byte) error {
	if now := time.Now(); now.Sub(c.renewed) > patience/2 {
		c.renewed = now
		if err := c.SetReadDeadline(now.Add(c.listener.idle)); err != nil {
			return err
		}
		if err := c.SetWriteDeadline(now.Add(patience)); err != nil {
			return err
		}
	}
	_, err := c.Write(answer)
	return err
}

// letIn has the server go on as if nobody had been turned away before.
func (c *conn) letIn(left int) error {
	c.begins, c.left = false, left
	if c.renewed.IsZero() {
		return nil
	}
	c.renewed = time.Time{}
	// The server sets it anew once it has the head.
	return errors.Join(c.SetReadDeadline(time.Now().Add(c.listener.head)), c.SetWriteDeadline(time.Time{}))
}
