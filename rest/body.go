package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strings"

	"carillon/model"
)

// Limits of request bodies, in bytes.
const (
	MaxBody      = 1 << 20
	MaxBulkBody  = 15 << 20
	maxFormField = 200 // fields of a form
)

type writerKey struct{}

// withWriter lets Body close the connection of a body that is too large.
func withWriter(r *http.Request, w http.ResponseWriter) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), writerKey{}, w))
}

// Body reads the body of a request: one JSON value of at most limit bytes, as
// [model.CheckJSON] wants it, or nil when there is none, whatever content type
// was announced.
func Body(r *http.Request, limit int64) (json.RawMessage, error) { return readBody(r, limit, false) }

// BodyOrForm is Body, and takes a form too: its fields are then members with
// text. It is for routes that a form of a page can do no harm to, since no
// browser sends their credentials by itself.
func BodyOrForm(r *http.Request, limit int64) (json.RawMessage, error) {
	return readBody(r, limit, true)
}

// Raw reads the body of a request as it is, at most limit bytes: for what is
// signed.
func Raw(r *http.Request, limit int64) ([]byte, error) {
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return nil, &Error{Status: http.StatusUnsupportedMediaType, Message: "the body must not be compressed: send it without Content-Encoding"}
	}
	w, _ := r.Context().Value(writerKey{}).(http.ResponseWriter)
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		return nil, unread(err)
	}
	return raw, nil
}

func readBody(r *http.Request, limit int64, forms bool) (json.RawMessage, error) {
	raw, err := Raw(r, limit)
	if err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil, nil
	}
	form, err := mediaType(r.Header.Values("Content-Type"), forms)
	if err != nil {
		return nil, err
	}
	if form {
		return formBody(raw)
	}
	if m := model.CheckJSON(raw, len(raw), model.MaxDataDepth); m != "" {
		return nil, model.Errorf(model.KindInvalid, "the body %s", m)
	}
	return raw, nil
}

// unread says why a body did not arrive.
func unread(err error) error {
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &Error{Status: http.StatusRequestEntityTooLarge, Message: fmt.Sprintf("the body must have at most %d bytes", tooLarge.Limit)}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &Error{Status: http.StatusRequestTimeout, Message: "the body took too long to arrive"}
	}
	return &Error{Status: http.StatusBadRequest, Message: "the body did not arrive whole"}
}

// mediaType says whether a body is a form. No content type is JSON: nothing
// that a page makes a browser send without asking has none and our headers.
func mediaType(values []string, forms bool) (form bool, err error) {
	wanted := "application/json"
	if forms {
		wanted += " or application/x-www-form-urlencoded"
	}
	refused := &Error{Status: http.StatusUnsupportedMediaType, Message: "Content-Type must be " + wanted + ", in UTF-8"}
	if len(values) == 0 || len(values) == 1 && values[0] == "" {
		return false, nil
	}
	if len(values) > 1 {
		return false, refused
	}
	kind, params, err := mime.ParseMediaType(values[0])
	if err != nil {
		return false, refused
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "us-ascii") {
		return false, refused
	}
	switch {
	case kind == "application/json", strings.HasPrefix(kind, "application/") && strings.HasSuffix(kind, "+json"):
		return false, nil
	case forms && kind == "application/x-www-form-urlencoded":
		return true, nil
	}
	return false, refused
}

// formBody is a form as JSON. Of a field that is there twice the last counts, as
// of a member.
func formBody(raw []byte) (json.RawMessage, error) {
	fields, err := url.ParseQuery(string(raw))
	if err != nil || len(fields) > maxFormField {
		return nil, model.Errorf(model.KindInvalid, "the body must be a form of at most %d fields", maxFormField)
	}
	members := make(map[string]string, len(fields))
	for name, values := range fields {
		members[name] = values[len(values)-1]
		if m := model.CheckText(name+members[name], len(raw)); m != "" {
			return nil, model.Errorf(model.KindInvalid, "the body %s", m)
		}
	}
	return model.EncodeJSON(members)
}
