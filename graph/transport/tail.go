package transport

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"carillon/graph/operation"
)

// tail is an event stream that goes on when its request has been answered as
// far as HTTP's server is concerned: so nothing of that is held while the
// stream is quiet. One goroutine waits for the client to go; another one writes
// while there is something to write.
type tail struct {
	h       *Handler
	ctx     context.Context // values for everything that runs here. It never ends
	out     *events
	conn    net.Conn // nil: the request's handler waits for the end, and cleans up
	stream  *operation.Stream
	session Session
	owner   any
	ended   chan struct{} // closed at the end, for a handler that waits; else nil
	wrote   atomic.Int64  // when, in UTC nanoseconds since 1970

	mu      sync.Mutex
	pouring bool // a goroutine asks the stream and writes, or is about to
	again   bool // it is to look once more
	quiet   bool // it is to write a comment
	over    bool // it is to end
}

// follow streams a subscription until it is complete, or the client or the
// server has to go.
func (h *Handler) follow(w http.ResponseWriter, r *http.Request, o *operation.Operation) {
	refuse := func(err error) { h.refuse(w, r, h.engine.Present(r.Context(), err)...) }
	if err := h.enter(); err != nil {
		refuse(err)
		return
	}
	t := &tail{h: h, ctx: context.WithoutCancel(r.Context()), pouring: true}
	kept := false
	defer func() {
		if !kept {
			t.letGo()
		}
	}()
	session, err := h.auth.Watch(r.Context(), func(string) { t.end() })
	if err != nil {
		refuse(err)
		return
	}
	t.session = session
	if err := h.own(session.Owner()); err != nil {
		refuse(err)
		return
	}
	t.owner = session.Owner()

	ctx, cancel := context.WithTimeout(r.Context(), h.settings.RequestTimeout)
	stream, errs := h.engine.Subscribe(ctx, o, t.wake)
	cancel()
	if errs != nil {
		h.refuseEvents(w, r, errs)
		return
	}
	t.stream, kept = stream, true
	t.begin(w, r)
}

// begin sends the header and lets the stream go on by itself or, where the
// connection is not one stream's alone, waits for its end.
func (t *tail) begin(w http.ResponseWriter, r *http.Request) {
	t.h.stats.Streams.Add(1)
	t.h.stats.Subscriptions.Add(1)
	conn, head := t.h.takeOver(w, r)
	if conn == nil {
		t.ended = make(chan struct{})
		stop := context.AfterFunc(r.Context(), t.end)
		defer stop()
		t.out = t.h.beginEvents(w)
		t.h.tend(t)
		t.pour()
		<-t.ended
		return
	}
	t.conn, t.out = conn, t.h.eventsTo(&chunks{conn, head})
	t.out.write(comment)
	t.h.tend(t)
	go t.watch()
	go t.pour()
}

// takeOver takes a connection from HTTP's server, with the head of the answer,
// which is yet to be sent. It returns no connection when it cannot be had.
func (h *Handler) takeOver(w http.ResponseWriter, r *http.Request) (conn net.Conn, head []byte) {
	if r.ProtoMajor != 1 || r.ProtoMinor < 1 {
		return nil, nil
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil
	}
	_ = conn.SetDeadline(time.Time{}) // one that is gone says so when it is written to
	header := w.Header()
	eventHeader(header)
	header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	header.Set("Connection", "close")
	header.Set("Transfer-Encoding", "chunked")
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 200 OK\r\n")
	_ = header.Write(&b) // a buffer does not fail
	b.WriteString("\r\n")
	return conn, b.Bytes()
}

// chunks is a sink that is a connection: a part is a chunk of the body. The
// head of the answer goes out with the first one.
type chunks struct {
	net.Conn
	head []byte
}

func (c *chunks) Write(part []byte) (int, error) {
	buffer := getBuffer()
	defer putBuffer(buffer)
	b := append((*buffer)[:0], c.head...)
	b = strconv.AppendInt(b, int64(len(part)), 16)
	b = append(append(append(b, "\r\n"...), part...), "\r\n"...)
	*buffer, c.head = b, nil
	_, err := c.Conn.Write(b)
	return len(part), err
}

func (c *chunks) Flush() error { return nil }

// watch waits for the client to go. What it says meanwhile is not heard: it was
// told that the connection ends with the stream.
func (t *tail) watch() {
	var some [64]byte
	for {
		if _, err := t.conn.Read(some[:]); err != nil {
			t.end()
			return
		}
	}
}

// wake says that the stream may have something.
func (t *tail) wake() { t.look(&t.again) }

// end ends the stream before it is complete.
func (t *tail) end() { t.look(&t.over) }

// look sets one of the things that pour asks for, and sees to it that it does.
func (t *tail) look(what *bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*what = true
	if !t.pouring {
		t.pouring = true
		go t.pour()
	}
}

// pour writes what the stream has, and ends it when that is to be.
func (t *tail) pour() {
	for more := true; ; {
		t.mu.Lock()
		over, quiet := t.over, t.quiet
		if t.again {
			more = true
		}
		if !over && !quiet && !more {
			t.pouring = false
			t.mu.Unlock()
			return
		}
		t.again, t.quiet = false, false
		t.mu.Unlock()

		if quiet {
			t.out.write(comment)
		}
		goesOn := !over
		if goesOn && more {
			more, goesOn = t.out.step(t.ctx, t.h, t.stream)
		}
		t.wrote.Store(time.Now().UnixNano())
		if !goesOn || t.out.err != nil {
			t.finish()
			return
		}
	}
}

// finish ends the answer. Nothing pours any more: pouring stays set.
func (t *tail) finish() {
	t.h.mu.Lock()
	delete(t.h.tails, t)
	t.h.mu.Unlock()
	if t.conn != nil {
		t.out.write(nil) // the empty chunk is the last one
		t.conn.Close()
	}
	t.h.stats.Streams.Add(-1)
	t.h.stats.Subscriptions.Add(-1)
	t.letGo()
	if t.ended != nil {
		close(t.ended)
	}
}

// letGo takes back what the stream was counted for and watched by.
func (t *tail) letGo() {
	if t.stream != nil {
		t.stream.Close()
	}
	if t.session != nil {
		t.session.Close()
	}
	t.h.disown(t.owner)
	t.h.leave()
}

// tend has a stream told when it has been quiet for long, and when the server
// is shutting down.
func (h *Handler) tend(t *tail) {
	t.wrote.Store(time.Now().UnixNano())
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tails[t] = struct{}{}
	if !h.tending {
		h.tending = true
		go h.tendAll()
	}
}

// tendAll looks after all event streams until there are none.
func (h *Handler) tendAll() {
	period := min(time.Second, h.settings.KeepAlive/4)
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	leaving := h.leaving
	var tails []*tail
	for {
		select {
		case <-ticker.C:
		case <-leaving:
			leaving = nil // from here on the ticker will do, for those that come late
		}
		h.mu.Lock()
		draining := h.draining
		for t := range h.tails {
			tails = append(tails, t)
		}
		h.tending = len(tails) > 0
		h.mu.Unlock()
		if len(tails) == 0 {
			return
		}
		soon := time.Now().Add(period - h.settings.KeepAlive).UnixNano()
		for _, t := range tails {
			switch {
			case draining:
				t.end()
			case t.wrote.Load() <= soon:
				t.look(&t.quiet)
			}
		}
		clear(tails)
		tails = tails[:0]
	}
}
