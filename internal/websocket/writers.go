package websocket

import "sync"

// Writers write to sockets: a few goroutines, there only while something is to
// be written, that take sockets in the order in which they became ready. A
// stream is read by the writer, so they also bound how many read the database
// at once when everyone comes back after a break.
type Writers struct {
	Max int // goroutines

	mu      sync.Mutex
	first   *Place
	last    *Place
	running int
}

// Place is a socket's place in the queue; it is a part of the socket.
type Place struct {
	// Socket writes what it has to say, and never waits for its peer.
	Socket interface{ Write(t *Try) }

	next *Place
}

// Add queues a socket, which must not be in the queue already.
func (w *Writers) Add(p *Place) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last == nil {
		w.first = p
	} else {
		w.last.next = p
	}
	w.last = p
	if w.running < w.Max {
		w.running++
		go w.work()
	}
}

// take returns the place whose turn it is; nil ends the writer.
func (w *Writers) take() *Place {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.first
	if p == nil {
		w.running--
		return nil
	}
	if w.first = p.next; w.first == nil {
		w.last = nil
	}
	p.next = nil
	return p
}

func (w *Writers) work() {
	try := NewTry()
	for p := w.take(); p != nil; p = w.take() {
		p.Socket.Write(try)
	}
}
