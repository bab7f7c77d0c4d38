package transport

import (
	"net/http"
	"strings"
)

// The headers that a page of another origin may send and read. None of them
// goes with a cookie: Access-Control-Allow-Origin is * and stays without
// credentials, so a page can do here what it could do from its own server.
var (
	allowedHeaders = strings.Join([]string{
		"Accept", "Authorization", "Cache-Control", "Content-Type", "Idempotency-Key", "Last-Event-ID", "Traceparent", "Tracestate",
		"X-Carillon-Key", "X-Carillon-Signature", "X-Carillon-User", "X-Request-Id", "X-Requested-With",
		"Apollo-Require-Preflight", "ApolloGraphQL-Client-Name", "ApolloGraphQL-Client-Version", "GraphQL-Require-Preflight",
		"X-Apollo-Operation-Name", "*",
	}, ", ")
)

const allowedMethods = "GET, HEAD, POST, OPTIONS"

// Values that every answer has, made once. They have no room behind them, so
// that whoever adds to a header gets a slice of its own.
var (
	anyOrigin = []string{"*"}
	exposed   = []string{"Retry-After, X-Request-Id"}
	noStore   = []string{"no-store"}
	vary      = []string{"Accept, Accept-Encoding"}
	noSniff   = []string{"nosniff"}

	contentTypes = map[string][]string{
		mediaJSON:    {mediaJSON + "; charset=utf-8"},
		mediaGraphQL: {mediaGraphQL + "; charset=utf-8"},
		mediaEvents:  {mediaEvents + "; charset=utf-8"},
	}
)

// open lets pages of any origin read the answer.
func open(header http.Header) {
	header["Access-Control-Allow-Origin"] = anyOrigin
	header["Access-Control-Expose-Headers"] = exposed
	header["Cache-Control"] = noStore
	header["Vary"] = vary
	header["X-Content-Type-Options"] = noSniff
}

// preflight answers OPTIONS, from a browser or from anyone.
func preflight(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Access-Control-Allow-Methods", allowedMethods)
	header.Set("Access-Control-Allow-Headers", allowedHeaders)
	header.Set("Access-Control-Max-Age", "7200")
	header.Set("Allow", allowedMethods)
	w.WriteHeader(http.StatusNoContent)
}

// proofs are headers that a browser sends to another origin only after it
// asked: a request that has one was not made by a page behind our back.
var proofs = []string{
	"Authorization", "X-Carillon-Key", "X-Carillon-User", "X-Carillon-Signature", "GraphQL-Require-Preflight",
	"Apollo-Require-Preflight", "X-Apollo-Operation-Name", "X-Requested-With",
}

// simple reports whether any page could have made a browser send the request.
// A POST is never simple: its content type must be application/json.
func simple(r *http.Request) bool {
	if r.Method == http.MethodPost {
		return false
	}
	for _, name := range proofs {
		if r.Header.Get(name) != "" {
			return false
		}
	}
	return !isJSON(r.Header.Get("Content-Type"))
}
