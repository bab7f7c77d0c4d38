package main

import (
	"net/http"

	"carillon/auth"
	"carillon/rest"
	"carillon/rest/engage"
	"carillon/rest/engagespot"
	"carillon/rest/engagespot/socketio"
	"carillon/rest/fyno"
	"carillon/rest/people"
	"carillon/rest/receipts"
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
	engage.New(engage.Config{
		Users: p.users, Topics: p.audience, Segments: p.segments, Sends: p.sends,
		Gate: &auth.Gate{Service: p.auth, Limiter: s.limiter}, Admission: s.desk, Timeout: s.cfg.Timeout, Log: s.log,
	}).Mount(router)
	fyno.New(fyno.Config{
		Users: p.users, Categories: p.catalog, Suppressions: p.delivery, Sends: p.sends,
		Gate: &auth.Gate{Service: p.auth, Limiter: s.limiter}, Admission: s.desk, Timeout: s.cfg.Timeout, Log: s.log,
	}).Mount(router)
	receipts.New(receipts.Config{Deliveries: p.delivery, Admission: s.desk, Timeout: s.cfg.Timeout, Log: s.log}).Mount(router)
	people.New(people.Config{
		Users: p.users, Gate: &auth.Gate{Service: p.auth, Limiter: s.limiter}, Admission: s.desk, Log: s.log,
	}).Mount(router)
	return router
}

// openRealtime makes the endpoint of Engagespot's live updates.
func (s *server) openRealtime() *socketio.Handler {
	return engagespot.NewRealtime(engagespot.RealtimeConfig{
		Streams: s.parts.inboxes, Catalog: s.parts.catalog,
		Gate: &auth.Gate{Service: s.parts.auth, Limiter: s.limiter}, Sessions: s.parts.sessions, Log: s.log,
		Settings: socketio.Settings{Connections: s.cfg.MaxConnections, UserConnections: s.cfg.MaxUserConns},
	})
}

// mountLive serves what Engagespot's clients look for outside of their API.
func (s *server) mountLive(mux *http.ServeMux) {
	mux.Handle("/socket.io/", s.realtime)
	mux.HandleFunc("GET "+engagespot.WorkerPath, engagespot.Worker)
}
