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

// follow streams a subscription until it is complete, or the client or the
// server has to go.
func (h *Handler) follow(w http.ResponseWriter, r *http.Request, o *operation.Operation) {
	refuse := func(err error) { h.refuse(w, r, h.engine.Present(r.Context(), err)...) }
	if err := h.enter(); err != nil {
		refuse(err)
		return
	}
	defer h.leave()
	ended, woken := make(chan struct{}, 1), make(chan struct{}, 1)
	session, err := h.auth.Watch(r.Context(), func(string) { signal(ended) })
	if err != nil {
		refuse(err)
		return
	}
	defer session.Close()
	if err := h.own(session.Owner()); err != nil {
		refuse(err)
		return
	}
	defer h.disown(session.Owner())

	ctx, cancel := context.WithTimeout(r.Context(), h.settings.RequestTimeout)
	stream, errs := h.engine.Subscribe(ctx, o, func() { signal(woken) })
	cancel()
	if errs != nil {
		h.refuseEvents(w, r, errs)
		return
	}
	defer stream.Close()
	h.stats.Streams.Add(1)
	h.stats.Subscriptions.Add(1)
	defer h.stats.Streams.Add(-1)
	defer h.stats.Subscriptions.Add(-1)
	h.pour(r.Context(), h.beginEvents(w), stream, woken, ended)
}

// pour writes what a stream has, and whenever it is woken again, until it is
// complete or somebody has to go.
func (h *Handler) pour(ctx context.Context, e *events, stream *operation.Stream, woken, ended <-chan struct{}) {
	quiet := time.NewTimer(h.settings.KeepAlive)
	defer quiet.Stop()
	more := true
	for e.err == nil {
		look := woken
		if more {
			look = closed
		}
		select { // the reasons to end come before the next event
		case <-ended:
			return
		case <-h.leaving:
			return
		default:
		}
		select {
		case <-look:
			var goesOn bool
			if more, goesOn = e.step(ctx, h, stream); !goesOn {
				return
			}
		case <-quiet.C:
			e.write(comment)
		case <-ended:
			return
		case <-h.leaving:
			return
		case <-ctx.Done():
			return
		}
		quiet.Reset(h.settings.KeepAlive)
	}
}

// closed is always ready.
var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

var (
	comment  = []byte(":\n\n")
	complete = []byte("event: complete\ndata: \n\n")
)

// signal tells a receiver that looks for itself what there is.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// events writes an event stream.
type events struct {
	w       http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
	stats   *Stats
	err     error // the first; nothing is written after it
}

// beginEvents sends the header and one comment, since some browsers do not
// take a stream for open before there is a body.
func (h *Handler) beginEvents(w http.ResponseWriter) *events {
	header := w.Header()
	header["Content-Type"] = contentTypes[mediaEvents]
	header.Set("Cache-Control", "no-store, no-transform")
	header.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	e := &events{w: w, control: http.NewResponseController(w), timeout: h.settings.WriteTimeout, stats: &h.stats}
	e.write(comment)
	return e
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
	_ = e.control.SetWriteDeadline(time.Now().Add(e.timeout)) // a connection without deadlines fails by itself
	if _, e.err = e.w.Write(text); e.err == nil {
		e.err = e.control.Flush()
	}
	if websocket.IsTimeout(e.err) {
		e.stats.SlowReaders.Add(1)
	}
	e.stats.Frames.Add(1)
	_ = e.control.SetWriteDeadline(time.Time{})
}
