package transport

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"carillon/graph/operation"
)

// isJSON reports whether a Content-Type is JSON in UTF-8.
func isJSON(contentType string) bool {
	if contentType == mediaJSON {
		return true
	}
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || media != mediaJSON {
		return false
	}
	charset := params["charset"]
	return charset == "" || strings.EqualFold(charset, "utf-8")
}

// bodies are the buffers that requests are read into; nothing decoded from one
// refers to it.
var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// postParams reads a request from a body.
func (h *Handler) postParams(w http.ResponseWriter, r *http.Request) (p operation.Params, errs gqlerror.List) {
	if contentTypes := r.Header["Content-Type"]; len(contentTypes) != 1 || !isJSON(contentTypes[0]) {
		w.Header().Set("Accept-Post", mediaJSON)
		return p, gqlerror.List{operation.NewError(codeMediaType, "the body must be JSON in UTF-8: send Content-Type: application/json")}
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return p, gqlerror.List{operation.NewError(codeMediaType, "the body must not be compressed")}
	}
	buffer := bodies.Get().(*bytes.Buffer)
	defer func() {
		if buffer.Cap() <= maxPooled {
			buffer.Reset()
			bodies.Put(buffer)
		}
	}()
	if err := h.readBody(w, r, buffer); err != nil {
		return p, gqlerror.List{err}
	}
	if !utf8.Valid(buffer.Bytes()) {
		return p, gqlerror.List{operation.NewError(operation.CodeBadUserInput, "the body is not valid UTF-8")}
	}
	return operation.DecodeParams(buffer.Bytes(), "the body")
}

// readBody reads the body within its limits of size and time.
func (h *Handler) readBody(w http.ResponseWriter, r *http.Request, to *bytes.Buffer) *gqlerror.Error {
	tooLarge := func() *gqlerror.Error {
		return operation.NewError(operation.CodeTooLarge, "the body may have at most %d bytes", h.settings.Body)
	}
	if r.ContentLength > h.settings.Body {
		w.Header().Set("Connection", "close") // nobody will read it
		return tooLarge()
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(h.settings.BodyTimeout)) // a test's recorder has none
	_, err := to.ReadFrom(http.MaxBytesReader(w, r.Body, h.settings.Body))
	_ = control.SetReadDeadline(time.Time{})
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return tooLarge()
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.Header().Set("Connection", "close")
		return operation.NewError(codeTimeout, "the body did not come within %s", h.settings.BodyTimeout)
	default:
		return operation.NewError(operation.CodeBadUserInput, "the body ended early")
	}
}

// getParams reads a request from a URL.
func getParams(r *http.Request) (operation.Params, error) {
	var p operation.Params
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return p, errors.New("the URL has parameters that cannot be read")
	}
	one := func(name string) string {
		values := query[name]
		switch {
		case len(values) > 1:
			err = fmt.Errorf("the URL has the parameter %s twice", name)
			return ""
		case len(values) == 0:
			return ""
		case !utf8.ValidString(values[0]):
			err = fmt.Errorf("the parameter %s is not valid UTF-8", name)
			return ""
		}
		return values[0]
	}
	p.Query, p.OperationName = one("query"), one("operationName")
	variables, extensions := one("variables"), one("extensions")
	if err != nil {
		return p, err
	}
	if err := p.DecodeVariables([]byte(variables)); err != nil {
		return p, inURL(err)
	}
	if err := p.DecodeExtensions([]byte(extensions)); err != nil {
		return p, inURL(err)
	}
	if p.Query == "" && !p.PersistedQuery {
		return p, errors.New("the URL must have the parameter query, a GraphQL document; or send the request by POST, as JSON")
	}
	p.Simple = simple(r)
	return p, nil
}

func inURL(err error) error { return fmt.Errorf("the URL %w", err) }

// once returns a header that must not be there twice.
func once(r *http.Request, name string) (string, *gqlerror.Error) {
	values := r.Header[name]
	if len(values) > 1 {
		return "", operation.NewError(operation.CodeBadUserInput, "the header %s is there twice", name)
	}
	if len(values) == 0 {
		return "", nil
	}
	if !utf8.ValidString(values[0]) || len(values[0]) > 1024 {
		return "", operation.NewError(operation.CodeBadUserInput, "the header %s must be UTF-8 of at most 1024 bytes", name)
	}
	return values[0], nil
}
