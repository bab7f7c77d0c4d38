package rest

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// slowestPart is how long the next part of an upload may take to arrive.
const slowestPart = 30 * time.Second

// Upload is the body of a request as it arrives, of one of the given types, at
// most limit bytes. However long it takes in all, its parts must not be late.
func Upload(r *http.Request, limit int64, types ...string) (io.Reader, error) {
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return nil, &Error{Status: http.StatusUnsupportedMediaType, Message: "the body must not be compressed: send it without Content-Encoding"}
	}
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	wanted := kind == ""
	for _, t := range types {
		wanted = wanted || kind == t
	}
	if !wanted {
		return nil, &Error{Status: http.StatusUnsupportedMediaType, Message: "Content-Type must be " + strings.Join(types, " or ") + ", in UTF-8"}
	}
	w, _ := r.Context().Value(writerKey{}).(http.ResponseWriter)
	if r.ContentLength > limit {
		return nil, unread(&http.MaxBytesError{Limit: limit})
	}
	u := &upload{from: http.MaxBytesReader(w, r.Body, limit)}
	if w != nil {
		u.control = http.NewResponseController(w)
	}
	return u, nil
}

type upload struct {
	from    io.Reader
	control *http.ResponseController // nil in tests
	ended   error                    // what reading ended with
}

func (u *upload) Read(p []byte) (int, error) {
	if u.ended != nil {
		return 0, u.ended // after the body a deadline would end the request
	}
	if u.control != nil {
		_ = u.control.SetReadDeadline(time.Now().Add(slowestPart)) // a writer that cannot is one of a test
	}
	n, err := u.from.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = unread(err)
	}
	u.ended = err
	return n, err
}
