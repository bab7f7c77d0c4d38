package engagespot

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"carillon/model"
	"carillon/rest"
)

// wrong is Engagespot's envelope of an error: message is a list of sentences
// for a request that must be changed, and text otherwise.
type wrong struct {
	Status    string `json:"status"`
	Message   any    `json:"message"`
	Code      string `json:"code"`
	RequestID string `json:"requestId,omitempty"`
}

func envelope(_ *http.Request, f *rest.Failure) any {
	out := wrong{Status: "error", Message: f.Message, Code: f.Code, RequestID: f.RequestID}
	if f.Status == http.StatusBadRequest {
		out.Message = f.Texts()
	}
	return out
}

// named puts the paths of problems into the caller's words: the first of
// words that a path begins with is replaced.
func named(err error, words ...[2]string) error {
	e, ok := errors.AsType[*model.Error](err)
	if !ok || len(e.Problems) == 0 {
		return err
	}
	out := *e
	out.Problems = slices.Clone(e.Problems)
	for i, p := range out.Problems {
		field := p.Field()
		for _, w := range words {
			if field == w[0] || strings.HasPrefix(field, w[0]+".") || w[0] == "" {
				out.Problems[i].Path = []string{strings.Trim(w[1]+strings.TrimPrefix(field, w[0]), ".")}
				break
			}
		}
	}
	return &out
}

// gone is the error for a notification that is not there, or not the caller's:
// the same for both.
func gone() error { return model.Errorf(model.KindNotFound, "there is no such notification") }

// otherwise replaces a KindNotFound error.
func otherwise(err, instead error) error {
	if model.KindOf(err) == model.KindNotFound {
		return instead
	}
	return err
}
