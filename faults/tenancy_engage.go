package main

import (
	"encoding/base64"
	"net/http"
	"regexp"
)

// newEngageAsker asks Engage's dialect, with the key of an environment and its
// secret.
func newEngageAsker(url string) backAsker {
	return backAsker{
		url: url, routes: engageRoutes, root: func(*tenant) string { return "/v1" },
		sign: func(t *tenant) http.Header {
			return http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(t.engageKey+":"+t.engageSecret))}}
		},
		ids: regexp.MustCompile(`"id":"([0-9a-f]{24})","title":`),
	}
}

// person is what may be said of a user.
func (w *spotWriter) person(more object) object {
	out := object{"first_name": w.text, "email": w.text + "@example.com", "meta": object{"note": w.text}}
	for name, value := range more {
		out[name] = value
	}
	return out
}

var engageRoutes = []spotRoute{
	{"POST", "/users", func(w *spotWriter) any { return w.person(object{"id": w.user, "lists": []string{w.list}}) }},
	{"POST", "/users", func(w *spotWriter) any {
		return object{"id": w.user, "accounts": []object{{"id": w.name("a"), "role": w.shared()}}}
	}},
	{"GET", "/users?limit=30", nil},
	{"GET", "/users?limit=2&after_id={e}", nil},
	{"GET", "/users?limit=2&previous_cursor={e}", nil},
	{"GET", "/users?lists[]={l}", nil},
	{"GET", "/users/{u}", nil},
	{"GET", "/users/{u}", nil},
	{"PUT", "/users/{u}", func(w *spotWriter) any {
		return w.person(object{"device_token": w.text + w.name(""), "device_platform": "ios"})
	}},
	{"DELETE", "/users/{x}", nil},
	{"POST", "/users/{u}/events", func(w *spotWriter) any {
		return object{"event": w.text, "value": w.text, "properties": object{"note": w.text}}
	}},
	{"POST", "/users/merge", func(w *spotWriter) any { return object{"source": w.name("x"), "destination": w.name("x")} }},
	{"POST", "/users/{u}/convert", func(*spotWriter) any { return object{"type": "customer"} }},
	{"POST", "/users/{u}/accounts", func(w *spotWriter) any { return object{"accounts": []object{{"id": w.name("a")}}} }},
	{"GET", "/users/{u}/members", nil},
	{"POST", "/users/{u}/lists", func(w *spotWriter) any { return object{"lists": []string{w.list}} }},
	{"DELETE", "/users/{u}/lists", func(w *spotWriter) any { return object{"lists": []string{w.list}} }},
	{"GET", "/data/attributes", nil},
	{"GET", "/account", nil},
	{"POST", "/lists", func(w *spotWriter) any { return object{"title": w.shared(), "description": w.shared()} }},
	{"GET", "/lists?limit=30", nil},
	{"GET", "/lists/{l}", nil},
	{"GET", "/lists/{f}", nil},
	{"PUT", "/lists/{l}", func(w *spotWriter) any { return object{"description": w.shared()} }},
	{"PUT", "/lists/{f}", func(w *spotWriter) any { return object{"description": w.shared()} }},
	{"DELETE", "/lists/{f}", nil},
	{"POST", "/lists/{l}/subscribers", func(w *spotWriter) any { return w.person(nil) }},
	{"POST", "/lists/{f}/subscribers", func(w *spotWriter) any { return w.person(nil) }},
	{"PUT", "/lists/{l}/subscribers/{u}", func(*spotWriter) any { return object{"subscribed": true} }},
	{"DELETE", "/lists/{l}/subscribers/{u}", nil},
	{"DELETE", "/lists/{f}/subscribers/{u}", nil},
	{"POST", "/send/email", func(w *spotWriter) any {
		return object{"to": []string{w.text + "@example.com", "one@example.com"}, "subject": w.text, "html": w.text}
	}},
	{"POST", "/send/sms", func(w *spotWriter) any { return object{"to": "15550100001", "body": w.text} }},
	{"POST", "/batch", func(w *spotWriter) any {
		return object{"data": []object{w.person(object{"id": w.user}), {"uid": w.user, "event": w.text}}}
	}},
}
