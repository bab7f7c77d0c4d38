package main

import (
	"encoding/json"
	"net/http"
	"path"
	"strings"
)

// front stands before the routes and answers, in JSON, what they leave open:
// paths that lead nowhere, methods that a path does not have, and OPTIONS.
type front struct {
	mux        *http.ServeMux
	api        bool // the API is among the routes
	playground bool // and so is the playground
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case f.playground && r.URL.Path == "/graphql" && byBrowser(r):
		w.Header().Set("Vary", "Accept")
		http.Redirect(w, r, "/", http.StatusSeeOther)
	case !clean(r.URL.Path): // the mux would send HTML, and the client somewhere else
		f.lost(w, r)
	case f.leads(r, r.Method, r.URL.Path):
		f.mux.ServeHTTP(w, r)
	default:
		f.lost(w, r)
	}
}

// byBrowser reports whether somebody has typed the address: a page is asked
// for, and no query.
func byBrowser(r *http.Request) bool {
	accept := r.Header.Get("Accept")
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.URL.RawQuery == "" &&
		(strings.HasPrefix(accept, "text/html") || strings.HasPrefix(accept, "application/xhtml+xml"))
}

// clean reports whether a path has neither doubled slashes nor dots to follow.
func clean(p string) bool { return p == "*" || path.Clean(p) == strings.TrimSuffix(p, "/") || p == "/" }

// leads reports whether a route is there for a method and a path.
func (f *front) leads(r *http.Request, method, to string) bool {
	asked := r.Clone(r.Context())
	asked.Method, asked.URL.Path, asked.URL.RawPath = method, to, ""
	_, pattern := f.mux.Handler(asked)
	return pattern != ""
}

// methods are those that a path has, besides OPTIONS.
func (f *front) methods(r *http.Request) (list []string) {
	for _, m := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		if clean(r.URL.Path) && f.leads(r, m, r.URL.Path) {
			list = append(list, m)
		}
	}
	return list
}

// lost answers a request that no route is for.
func (f *front) lost(w http.ResponseWriter, r *http.Request) {
	methods := f.methods(r)
	if len(methods) == 0 {
		refuse(w, http.StatusNotFound, "NOT_FOUND", "nothing is served at this path; "+f.hint(r))
		return
	}
	w.Header().Set("Allow", strings.Join(append(methods, http.MethodOptions), ", "))
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	refuse(w, http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED", "this path takes "+strings.Join(methods, ", "))
}

// hint says where to go instead.
func (f *front) hint(r *http.Request) string {
	near := path.Clean(strings.ToLower("/" + r.URL.Path))
	switch {
	case near != r.URL.Path && len(near) < 100 && f.leads(r, http.MethodGet, near):
		return "did you mean " + near + "?"
	case !f.api:
		return "this process works in the background and has no API: another one does"
	case f.playground:
		return "the API is at /graphql, and a playground at /"
	default:
		return "the API is at /graphql"
	}
}

// refuse answers with an error in the form that GraphQL clients read.
func refuse(w http.ResponseWriter, status int, code, message string) {
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	type extensions struct {
		Code string `json:"code"`
	}
	type problem struct {
		Message    string     `json:"message"`
		Extensions extensions `json:"extensions"`
	}
	_ = json.NewEncoder(w).Encode(map[string][]problem{"errors": {{message, extensions{code}}}}) // a client that is gone needs no answer
}
