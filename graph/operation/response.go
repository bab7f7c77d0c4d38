package operation

import (
	"encoding/json"

	"github.com/vektah/gqlparser/v2/gqlerror"
)

// Response is the answer to an operation. Data is nil when nothing ran, and
// "null" when what ran failed as a whole.
type Response struct {
	Data   json.RawMessage
	Errors gqlerror.List
}

// Refused is the answer to a request with request errors.
func Refused(errs gqlerror.List) *Response { return &Response{Errors: errs} }

// AppendJSON appends the answer as the specification writes it: errors first,
// and no data unless something ran.
func (r *Response) AppendJSON(to []byte) []byte {
	to = append(to, '{')
	if len(r.Errors) > 0 {
		to = append(to, `"errors":`...)
		to = AppendErrors(to, r.Errors)
	}
	if r.Data != nil {
		if len(r.Errors) > 0 {
			to = append(to, ',')
		}
		to = append(to, `"data":`...)
		to = append(to, r.Data...)
	}
	return append(to, '}')
}

// AppendErrors appends errors as a JSON list.
func AppendErrors(to []byte, errs gqlerror.List) []byte {
	text, err := json.Marshal(errs)
	if err != nil { // an extension that is not JSON
		return append(to, `[{"message":"internal error","extensions":{"code":"INTERNAL"}}]`...)
	}
	return append(to, text...)
}
