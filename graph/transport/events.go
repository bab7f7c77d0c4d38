package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"carillon/graph/operation"
	"carillon/internal/websocket"
	"carillon/model"
)

// serveEvents answers a request as an event stream. What is wrong with the
// document is told in an event, as graphql-sse wants it; what keeps the stream
// from being opened is a plain answer with its status.
func (h *Handler) serveEvents(w http.ResponseWriter, r *http.Request, p operation.Params) {
	ctx, cancel := context.WithTimeout(r.Context(), h.settings.RequestTimeout)
	defer cancel()
	o, errs := h.engine.Prepare(ctx, p)
	if errs != nil {
		h.refuseEvents(w, r, errs)
		return
	}
	if wrong := wrongMethod(r, o, true); wrong != nil {
		w.Header().Set("Allow", http.MethodPost)
		h.refuse(w, r, wrong)
		return
	}
	if o.Kind() == ast.Subscription {
		h.follow(w, r, o)
		return
	}
	e := h.beginEvents(w)
	e.whole(h.engine.Execute(ctx, o))
}

// refuseEvents answers with request errors.
func (h *Handler) refuseEvents(w http.ResponseWriter, r *http.Request, errs gqlerror.List) {
	if !ofDocument(errs) {
		h.refuse(w, r, errs...)
		return
	}
	e := h.beginEvents(w)
	e.whole(operation.Refused(errs))
}

var (
	comment  = []byte(":\n\n")
	complete = []byte("event: complete\ndata: \n\n")
)

// sink is where an event stream is written to. A part is written whole, and
// goes out at once when it is flushed.
type sink interface {
	io.Writer
	SetWriteDeadline(at time.Time) error
	Flush() error
}

// events writes an event stream.
type events struct {
	to      sink
	timeout time.Duration
	stats   *Stats
	err     error // the first; nothing is written after it
}

// eventHeader is the header of an event stream.
func eventHeader(header http.Header) {
	header["Content-Type"] = contentTypes[mediaEvents]
	header.Set("Cache-Control", "no-store, no-transform")
	header.Set("X-Accel-Buffering", "no")
}

// response is a sink within a request.
type response struct {
	http.ResponseWriter
	*http.ResponseController
}

// beginEvents sends the header and one comment, since some browsers do not
// take a stream for open before there is a body.
func (h *Handler) beginEvents(w http.ResponseWriter) *events {
	eventHeader(w.Header())
	w.WriteHeader(http.StatusOK)
	e := h.eventsTo(response{w, http.NewResponseController(w)})
	e.write(comment)
	return e
}

func (h *Handler) eventsTo(to sink) *events {
	return &events{to: to, timeout: h.settings.WriteTimeout, stats: &h.stats}
}

// step writes the next event, if there is one. It reports whether there may be
// more at once, and whether the stream goes on.
func (e *events) step(ctx context.Context, h *Handler, stream *operation.Stream) (more, goesOn bool) {
	answer, id, ok, err := stream.Next(h.patience.Context(ctx))
	switch {
	case errors.Is(err, io.EOF):
		e.write(complete)
		return false, false
	case err != nil && model.KindOf(err) == model.KindUnavailable:
		return false, false // the client comes back with its position
	case err != nil:
		e.whole(operation.Refused(h.engine.Present(ctx, err)))
		return false, false
	case ok:
		e.next(answer, id)
	}
	return ok, true
}

// whole writes an answer that is the only one, or the last.
func (e *events) whole(resp *operation.Response) {
	e.next(resp.AppendJSON(nil), "")
	e.write(complete)
}

func (e *events) next(answer []byte, id string) {
	buffer := getBuffer()
	defer putBuffer(buffer)
	b := append((*buffer)[:0], "event: next\n"...)
	if id != "" && !strings.ContainsAny(id, "\r\n\x00") {
		b = append(append(append(b, "id: "...), id...), '\n')
	}
	b = append(b, "data: "...)
	b = appendLine(b, answer)
	b = append(b, "\n\n"...)
	*buffer = b
	e.write(b)
}

// appendLine appends JSON without the line breaks that a value passed through
// from outside may have between its tokens.
func appendLine(to, answer []byte) []byte {
	if !bytes.ContainsAny(answer, "\r\n") {
		return append(to, answer...)
	}
	var line bytes.Buffer
	if err := json.Compact(&line, answer); err != nil {
		return append(to, "null"...)
	}
	return append(to, line.Bytes()...)
}

func (e *events) write(text []byte) {
	if e.err != nil {
		return
	}
	_ = e.to.SetWriteDeadline(time.Now().Add(e.timeout)) // a connection without deadlines fails by itself
	if _, e.err = e.to.Write(text); e.err == nil {
		e.err = e.to.Flush()
	}
	if websocket.IsTimeout(e.err) {
		e.stats.SlowReaders.Add(1)
	}
	e.stats.Frames.Add(1)
	_ = e.to.SetWriteDeadline(time.Time{})
}
