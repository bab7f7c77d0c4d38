package rest

import (
	"crypto/sha256"
	"encoding/json"
	"net/http"

	"carillon/auth"
	"carillon/model"
)

// HeaderIdempotencyKey makes a write happen at most once.
const HeaderIdempotencyKey = "Idempotency-Key"

// Once is what makes a write of this request happen at most once when it
// carries an Idempotency-Key: operation is the word that every surface has for
// the write. Two requests are the same when their routes, paths and queries are,
// and their bodies say the same.
func Once(r *http.Request, caller auth.Caller, operation string, body json.RawMessage) (model.Once, error) {
	values := r.Header.Values(HeaderIdempotencyKey)
	if len(values) == 0 {
		return model.Once{}, nil
	}
	key := values[0]
	wrong := model.CheckIdentifier(key)
	if len(values) > 1 {
		wrong = "must be there once"
	}
	if wrong != "" {
		return model.Once{}, &model.Error{Kind: model.KindInvalid, Message: "invalid input", Problems: []model.Problem{
			{Code: model.ProblemInvalid, Path: []string{"header " + HeaderIdempotencyKey}, Message: wrong},
		}}
	}
	if len(body) > 0 {
		canonical, err := model.CanonicalJSON(body)
		if err != nil {
			return model.Once{}, err
		}
		body = canonical
	}
	h := sha256.New()
	for _, part := range [][]byte{[]byte(r.Method), []byte(r.URL.EscapedPath()), []byte(r.URL.RawQuery), body} {
		h.Write(part)
		h.Write([]byte{0})
	}
	return model.Once{Actor: caller.Actor(), Operation: operation, Key: key, Hash: [32]byte(h.Sum(nil))}, nil
}
