package graph

import (
	"net/http"

	"carillon/auth"
)

// doorMost is the size in bytes of the largest body that is left unread when its
// request is turned away.
const doorMost = 64 << 10

// Door stands before everything that a request passes on its way to next, and
// turns those away that would be refused for want of room: unread, unlogged, and
// for a fraction of what it costs to find that out later. They are counted
// with the others that were refused.
func (a *API) Door(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == Path && r.Method == http.MethodPost && r.ContentLength >= 0 && r.ContentLength <= doorMost {
			credential := r.Header[auth.HeaderAuthorization]
			if len(credential) == 1 && a.desk.TurnsAway(credential[0]) {
				a.transport.TurnAway(w, r)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// note remembers whose the credentials are that have got in.
func (a *API) note(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		credential := r.Header[auth.HeaderAuthorization]
		if caller, ok := auth.FromContext(r.Context()); ok && len(credential) == 1 {
			a.desk.Note(credential[0], caller.Env.ID)
		}
		next.ServeHTTP(w, r)
	})
}
