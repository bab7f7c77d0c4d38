package transport

import (
	"compress/gzip"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"carillon/graph/operation"
)

// answer writes a whole answer in a media type with a status of its own; zero
// means the one that [statuses] has.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, media string, status int, resp *operation.Response) {
	if media != mediaGraphQL {
		media = mediaJSON // also for what cannot become an event stream
	}
	if status == 0 {
		status = statusOf(media, resp)
	}
	buffer := getBuffer()
	defer putBuffer(buffer)
	*buffer = resp.AppendJSON((*buffer)[:0])

	header := w.Header()
	header["Content-Type"] = contentTypes[media]
	if s := retryAfter(status, resp.Errors); s != "" {
		header.Set("Retry-After", s)
	}
	if status == http.StatusUnauthorized {
		header.Set("WWW-Authenticate", "Bearer")
	}
	h.send(w, r, status, *buffer)
}

// send writes a body with its length, and does not wait for a reader longer
// than the settings say.
func (h *Handler) send(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	control := http.NewResponseController(w)
	// A test's recorder has no deadlines; a connection that has none to set is
	// gone, and the write says so.
	_ = control.SetWriteDeadline(time.Now().Add(h.settings.WriteTimeout))
	defer func() { _ = control.SetWriteDeadline(time.Time{}) }()

	if above := h.settings.CompressAbove; above > 0 && len(body) > above && readsGzip(r.Header["Accept-Encoding"]) {
		compressed := getBuffer()
		defer putBuffer(compressed)
		*compressed = compress((*compressed)[:0], body)
		body = *compressed
		w.Header().Set("Content-Encoding", "gzip")
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if _, err := w.Write(body); err == nil {
		_ = control.Flush() // within the deadline
	}
}

var compressors = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // a level that exists
	return z
}}

// appender is a slice that can be written to.
type appender []byte

func (a *appender) Write(b []byte) (int, error) {
	*a = append(*a, b...)
	return len(b), nil
}

func compress(to, body []byte) []byte {
	out := appender(to)
	z := compressors.Get().(*gzip.Writer)
	defer compressors.Put(z)
	z.Reset(&out)
	_, _ = z.Write(body) // an appender does not fail
	_ = z.Close()
	return out
}

// refuse answers a request in which nothing ran.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, errs ...*gqlerror.Error) {
	h.answer(w, r, negotiate(r.Header["Accept"]), 0, operation.Refused(errs))
}

// malformed answers a request that is not one of GraphQL over HTTP: where the
// code of an error of the document stands for a wrong request around it, the
// status is 400 in every media type.
func (h *Handler) malformed(w http.ResponseWriter, r *http.Request, errs ...*gqlerror.Error) {
	status := 0
	if ofDocument(errs) {
		status = http.StatusBadRequest
	}
	h.answer(w, r, negotiate(r.Header["Accept"]), status, operation.Refused(errs))
}

// Refuse answers a request that was refused before it came here, such as one
// with a wrong credential, in the form and with the status that the same error
// has when it is found here.
func (h *Handler) Refuse(w http.ResponseWriter, r *http.Request, err error) {
	open(w.Header())
	h.refuse(w, r, h.engine.Present(r.Context(), err)...)
}

// buffers are the slices that answers and frames are put together in.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// maxPooled keeps one large answer from being held for ever.
const maxPooled = 64 << 10 // bytes

func getBuffer() *[]byte { return buffers.Get().(*[]byte) }

func putBuffer(b *[]byte) {
	if b != nil && cap(*b) <= maxPooled {
		buffers.Put(b)
	}
}
