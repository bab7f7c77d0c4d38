package main

import (
	"net/http"

	"carillon/auth"
	"carillon/rest"
	"carillon/rest/engagespot"
)

// dialects serves the REST dialects, and hands the rest to next. The router
// stands before net/http's: that one redirects doubled slashes.
func (s *server) dialects(next http.Handler) http.Handler {
	router := &rest.Router{Next: next}
	p := s.parts
	engagespot.New(engagespot.Config{
		Inbox: p.inboxes, Sends: p.sends, Users: p.users, Catalog: p.catalog, Topics: p.audience, Apps: p.apps,
		Gate: &auth.Gate{Service: p.auth, Limiter: s.limiter}, Admission: s.desk, Timeout: s.cfg.Timeout, Log: s.log,
	}).Mount(router)
	return router
}
