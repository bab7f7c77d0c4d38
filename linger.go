package main

import (
	"errors"
	"io"
	"net/http"
	"time"
)

const (
	// lingerOver is the size of a body that net/http itself reads to its end when
	// a handler has not.
	lingerOver = 256 << 10
	// lingerMost and lingerFor bound what is read of a body that was refused: a
	// whole bulk request, as long as its client keeps sending.
	lingerMost = 16 << 20
	lingerFor  = 5 * time.Second
)

// linger reads what handlers leave of large bodies and throws it away. A
// connection that is closed while its client still sends is reset, and many
// clients then never read the answer that says what was wrong.
//
// net/http leaves such bodies alone then, and takes what remains of them for the
// next request. So an answer that goes out before the body was read to its end
// says that the connection is closed after it.
func linger(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		large := r.ContentLength < 0 || r.ContentLength > lingerOver || r.Close && r.ContentLength > 0
		control := http.NewResponseController(w)
		// With an upgrade, the connection may be another's by then.
		if !large || r.Header.Get("Upgrade") != "" || control.EnableFullDuplex() != nil {
			next.ServeHTTP(w, r)
			return
		}
		body := &remaining{ReadCloser: r.Body}
		inner := *r // net/http looks into the body of the request that it made
		inner.Body = body
		answer := &answering{ResponseWriter: w, body: body}
		next.ServeHTTP(answer, &inner)
		answer.begin()
		body.discard(control, r.Header.Get("Expect") != "")
	})
}

// remaining is a body that knows what was read of it.
type remaining struct {
	io.ReadCloser
	begun bool
	ended bool // there is no more, or it cannot be read
	whole bool // it was read to its end
}

func (b *remaining) Read(p []byte) (int, error) {
	b.begun = true
	n, err := b.ReadCloser.Read(p)
	b.ended = b.ended || err != nil
	b.whole = b.whole || errors.Is(err, io.EOF)
	return n, err
}

// answering closes the connection after an answer that did not wait for the end
// of the body.
type answering struct {
	http.ResponseWriter
	body  *remaining
	begun bool
}

func (a *answering) begin() {
	if !a.begun && !a.body.whole {
		a.Header().Set("Connection", "close")
	}
	a.begun = true
}

func (a *answering) WriteHeader(status int) {
	a.begin()
	a.ResponseWriter.WriteHeader(status)
}

func (a *answering) Write(p []byte) (int, error) {
	a.begin()
	return a.ResponseWriter.Write(p)
}

// FlushError sends what is held back, the head too.
func (a *answering) FlushError() error {
	a.begin()
	return http.NewResponseController(a.ResponseWriter).Flush()
}

// Unwrap lets [http.ResponseController] reach what is beneath.
func (a *answering) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// discard sends the answer off and reads on, within bounds. A client that waits
// to be told to send has nothing on its way.
func (b *remaining) discard(control *http.ResponseController, waits bool) {
	if b.ended || waits && !b.begun || control.Flush() != nil {
		return
	}
	_ = control.SetReadDeadline(time.Now().Add(lingerFor)) // a connection that has none to set is gone
	if _, err := io.CopyN(io.Discard, b, lingerMost); errors.Is(err, io.EOF) {
		_ = control.SetReadDeadline(time.Time{})
	}
}
