package rest

import (
	"io"
	"net/http"
)

// Stream is the body of an answer that is written as it is made, such as a
// download. An error before the first byte is answered as any other; after it
// the connection is cut, so that the client sees that something is missing.
type Stream struct {
	Type     string // Content-Type
	Filename string // that a browser saves it as; ASCII, without quotes
	Write    func(w io.Writer) error
}

// stream answers with a stream.
func (s *Surface) stream(w http.ResponseWriter, r *http.Request, status int, body Stream) {
	out := &streaming{w: w, control: http.NewResponseController(w), status: status, body: body}
	switch err := body.Write(out); {
	case err == nil:
		out.begin()           // it may have been empty
		writable(out.control) // what is still held back
	case !out.begun:
		s.fail(w, r, err)
	default:
		s.failure(r, err) // which logs what is ours
		panic(http.ErrAbortHandler)
	}
}

// streaming sends the head with the first byte.
type streaming struct {
	w       http.ResponseWriter
	control *http.ResponseController
	status  int
	body    Stream
	begun   bool
}

func (s *streaming) begin() {
	if s.begun {
		return
	}
	s.begun = true
	h := s.w.Header()
	h.Set("Content-Type", s.body.Type)
	h.Set("Content-Disposition", `attachment; filename="`+s.body.Filename+`"`)
	s.w.WriteHeader(s.status)
}

func (s *streaming) Write(p []byte) (int, error) {
	s.begin()
	writable(s.control)
	return s.w.Write(p)
}
