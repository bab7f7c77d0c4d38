package graph

import (
	"net/http"

	"carillon/auth"
	"carillon/internal/door"
)

// Door stands before everything that a request passes on its way to next, and
// turns those away that would be refused for their environment's rate or for want
// of room: unread, unlogged, and for a fraction of what it costs to find that out
// later. They are counted with the others that were refused. It is for those that
// come past the [API.Keeper].
func (a *API) Door(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		credential := r.Header[auth.HeaderAuthorization]
		if len(credential) == 1 && r.ContentLength >= 0 && r.ContentLength <= door.Largest {
			if why := a.refusal(r.Method, r.URL.Path, credential[0]); why != nil {
				a.transport.TurnAway(w, r, why)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// refusal is why a request is turned away at a door; nil lets it in.
func (a *API) refusal(method, path, credential string) error {
	if method != http.MethodPost || path != Path || credential == "" {
		return nil
	}
	return a.desk.Refuses(credential)
}

// Keeper turns the same requests away before they are requests: at the first bytes
// of what comes over a connection.
func (a *API) Keeper() door.Keeper { return keeper{a} }

type keeper struct{ *API }

// Busy implements [door.Keeper].
func (k keeper) Busy() bool { return k.desk.Busy() }

// TurnsAway implements [door.Keeper].
func (k keeper) TurnsAway(r *door.Request) []byte {
	why := k.refusal(string(r.Method), string(r.Target), string(r.Authorization))
	if why == nil {
		return nil
	}
	return k.transport.TurnedAway(string(r.Accept), r.Closes, why)
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
