package main

import "net/http"

// newFynoAsker asks Fyno's dialect, with the secret key of an environment. The
// path names the app and the version, which must be the key's.
func newFynoAsker(url string) backAsker {
	return backAsker{
		url: url, routes: fynoRoutes, root: func(t *tenant) string { return "/v1/" + t.app },
		sign: func(t *tenant) http.Header { return http.Header{"Authorization": {"Bearer " + t.keys.SecretKey}} },
	}
}

// channels are destinations of a profile.
func (w *spotWriter) channels() object {
	return object{"email": w.text + "@example.com", "slack": w.text, "push": []object{{"token": "fcm_token:" + w.text + w.name("")}}}
}

var fynoRoutes = append(bothVersions([]spotRoute{
	{"POST", "/profiles", func(w *spotWriter) any { return object{"distinct_id": w.name("x"), "name": w.shared()} }},
	{"GET", "/profiles/{u}", nil},
	{"PUT", "/profiles/{u}", func(w *spotWriter) any { return object{"name": w.text + " " + w.text, "status": 1} }},
	{"PATCH", "/profiles/{x}/merge/{y}", nil},
	{"POST", "/profiles/delete", func(w *spotWriter) any { return object{"distinct_id": []string{w.name("x")}} }},
	{"PATCH", "/profiles/{u}/channel", func(w *spotWriter) any { return object{"channel": w.channels()} }},
	{"POST", "/profiles/{u}/channel/delete", func(*spotWriter) any { return object{"channel": []string{"slack"}} }},
	{"POST", "/profiles/properties/set", func(w *spotWriter) any {
		return object{"distinct_id": w.user, "$set": object{"note": w.text}}
	}},
	{"POST", "/profiles/properties/batch", func(w *spotWriter) any {
		return object{"batch": []object{{"distinct_id": w.user, "action": object{"$append": object{"notes": w.text}}}}}
	}},
	{"GET", "/subscriptions/preference?distinct_id={u}&event_list=true", nil},
	{"PUT", "/subscriptions/preference?distinct_id={u}", func(w *spotWriter) any {
		return object{"user_preference": object{w.name("c"): object{"email": "opted-in"}}}
	}},
	{"POST", "/subscriptions/list/{c}/user", func(w *spotWriter) any {
		return object{"distinct_id": w.user, "channel": "email", "status": "opted-in"}
	}},
	{"POST", "/event", func(w *spotWriter) any {
		return object{"event": w.name("m"), "distinct_id": w.user, "to": object{"email": w.text + "@example.com"}, "data": object{"a": w.text}}
	}},
	{"POST", "/event/bulk", func(w *spotWriter) any {
		return object{"event": w.name("m"), "batch": []object{{"distinct_id": w.user, "data": object{"a": w.text}}, {"to": object{"slack": w.shared()}}}}
	}},
}),
	spotRoute{"GET", "/suppressions", nil},
	spotRoute{"POST", "/suppressions", func(w *spotWriter) any {
		return object{"channel": "slack", "destination": w.shared(), "description": w.shared()}
	}},
	spotRoute{"DELETE", "/suppressions?distinct_id={u}", nil},
)

// bothVersions asks for each route as of test and as of live; only what is the
// key's is answered.
func bothVersions(routes []spotRoute) (out []spotRoute) {
	for _, r := range routes {
		for _, version := range []string{"/test", "/live"} {
			out = append(out, spotRoute{r.method, version + r.path, r.body})
		}
	}
	return out
}
