package transport

import (
	"math"
	"net/http"
	"strconv"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"carillon/graph/operation"
	"carillon/model"
)

// The codes of requests that HTTP alone refuses.
const (
	codeMethod        = "METHOD_NOT_ALLOWED"
	codeMediaType     = "UNSUPPORTED_MEDIA_TYPE"
	codeNotAcceptable = "NOT_ACCEPTABLE"
	codeTimeout       = "REQUEST_TIMEOUT"
)

// statuses is the HTTP status of an answer in which nothing ran, by the code
// of its first error: as application/json, and as the GraphQL media type. A
// code that is not here counts as an error of the document.
//
// This is where the two differ. Clients that ask for application/json look at
// the status first and hide the errors of anything but 200, so what is wrong
// with the document alone is 200 there, as it was before there was another
// media type. What no GraphQL client could mend has its status in both.
var statuses = map[string]struct{ json, graphql int }{
	operation.CodeParseFailed:      {http.StatusOK, http.StatusBadRequest},
	operation.CodeValidationFailed: {http.StatusOK, http.StatusBadRequest},
	operation.CodeBadUserInput:     {http.StatusOK, http.StatusBadRequest},
	operation.CodePersistedQuery:   {http.StatusOK, http.StatusOK}, // a step of Apollo's protocol
	operation.CodeTooComplex:       {http.StatusBadRequest, http.StatusBadRequest},
	operation.CodeTooLarge:         {http.StatusRequestEntityTooLarge, http.StatusRequestEntityTooLarge},

	string(model.KindUnauthenticated): {http.StatusUnauthorized, http.StatusUnauthorized},
	string(model.KindForbidden):       {http.StatusForbidden, http.StatusForbidden},
	string(model.KindRateLimited):     {http.StatusTooManyRequests, http.StatusTooManyRequests},
	string(model.KindUnavailable):     {http.StatusServiceUnavailable, http.StatusServiceUnavailable},
	string(model.KindInternal):        {http.StatusInternalServerError, http.StatusInternalServerError},

	codeMethod:        {http.StatusMethodNotAllowed, http.StatusMethodNotAllowed},
	codeMediaType:     {http.StatusUnsupportedMediaType, http.StatusUnsupportedMediaType},
	codeNotAcceptable: {http.StatusNotAcceptable, http.StatusNotAcceptable},
	codeTimeout:       {http.StatusRequestTimeout, http.StatusRequestTimeout},
}

// statusOf is the status of an answer. What ran is 200 with its errors beside
// its data, unless all of it failed for want of something that comes back.
func statusOf(media string, resp *operation.Response) int {
	if resp.Data != nil && !(string(resp.Data) == "null" && passing(resp.Errors)) {
		return http.StatusOK
	}
	if len(resp.Errors) == 0 {
		return http.StatusOK
	}
	status, ok := statuses[operation.CodeOf(resp.Errors[0])]
	if !ok {
		status = statuses[operation.CodeValidationFailed]
	}
	if media == mediaJSON {
		return status.json
	}
	return status.graphql
}

// passing reports whether waiting mends every one of the errors.
func passing(errs gqlerror.List) bool {
	for _, err := range errs {
		switch operation.CodeOf(err) {
		case string(model.KindUnavailable), string(model.KindRateLimited):
		default:
			return false
		}
	}
	return len(errs) > 0
}

// ofDocument reports whether the errors are about the document or its input,
// which an event stream reports as an event.
func ofDocument(errs gqlerror.List) bool {
	status, ok := statuses[operation.CodeOf(errs[0])]
	return !ok || status.graphql == http.StatusBadRequest || status.graphql == http.StatusOK
}

// retryAfter is the header for a status that asks to come back; empty for
// others.
func retryAfter(status int, errs gqlerror.List) string {
	if status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable {
		return ""
	}
	for _, err := range errs {
		switch s := err.Extensions["retryAfterSeconds"].(type) {
		case int:
			return strconv.Itoa(max(1, s))
		case float64:
			return strconv.Itoa(max(1, int(math.Ceil(s))))
		}
	}
	return "1"
}
