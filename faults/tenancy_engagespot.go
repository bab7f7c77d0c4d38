package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// spotAsker asks Engagespot's REST dialect. Its routes stand here by hand: the
// dialect has no schema that could be read.
type spotAsker struct{ url string }

// spotRoute is a route and what goes with it. In the path {n}, {c} and {t}
// stand for a notification, a category and a topic by number, {u} for a user.
type spotRoute struct {
	method, path string
	body         func(w *spotWriter) any // nil: none
}

// spotWriter writes one request.
type spotWriter struct {
	random *rand.Rand
	actor  *actor
	user   string
	text   string // marked with whom it is about

	category int    // by number
	list     string // an Engage list
}

func (w *spotWriter) name(prefix string) string {
	return prefix + strconv.Itoa(w.random.IntN(tenancyUsers))
}

type object = map[string]any

var spotRoutes = []spotRoute{
	{"POST", "/v3/sdk/connect", func(w *spotWriter) any { return object{"deviceType": "browser", "browserType": w.text} }},
	{"POST", "/v3/notifications", func(w *spotWriter) any {
		return object{"notification": object{"title": w.text, "message": w.text, "url": "https://example.com/" + w.text}, "recipients": []string{w.user}, "data": object{"a": w.text}}
	}},
	{"GET", "/v3/notifications?pageNo=1&limit=5", nil},
	{"GET", "/v3/notifications?pageNo=1&limit=3&userIdentifier={u}", nil},
	{"GET", "/v3/notifications/{n}", nil},
	{"DELETE", "/v3/notifications/{n}", nil},
	{"POST", "/v3/notifications/{n}/click", nil},
	{"PATCH", "/v3/notifications/{n}/click", nil},
	{"POST", "/v3/notifications/{n}/views", nil},
	{"DELETE", "/v3/notifications/{n}/views", nil},
	{"DELETE", "/v3/notifications/{n}/reads", nil},
	{"PUT", "/v3/notifications/{n}/state", func(w *spotWriter) any { return object{"state": w.text, "data": object{"b": w.text}} }},
	{"POST", "/v3/notifications/markAllNotificationsAsSeen", nil},
	{"POST", "/v3/notifications/markAllNotificationsAsRead", nil},
	{"POST", "/v3/notifications/markAllNotificationsAsDeleted", nil},
	{"GET", "/v3/profile", nil},
	{"PUT", "/v3/profile", func(w *spotWriter) any { return object{"note": w.text} }},
	{"PATCH", "/v3/profile", func(w *spotWriter) any { return object{"note": w.text} }},
	{"GET", "/v3/preferences", nil},
	{"PATCH", "/v3/preferences", func(w *spotWriter) any {
		return object{"preference": []object{{"categoryId": w.category, "channels": []object{{"channel": "inApp", "enabled": true}}}}}
	}},
	{"GET", "/v3/categories", nil},
	{"POST", "/v3/categories", func(w *spotWriter) any { return object{"identifier": w.name("c"), "name": w.shared()} }},
	{"DELETE", "/v3/categories/{c}", nil},
	{"POST", "/v3/users", func(w *spotWriter) any { return object{"identifier": w.user, "profile": object{"note": w.text}} }},
	{"PUT", "/v3/users/{u}", func(w *spotWriter) any { return object{"note": w.text} }},
	{"DELETE", "/v3/users/{x}", nil},
	{"POST", "/v3/topics", func(w *spotWriter) any { return object{"identifier": w.name("t"), "name": w.shared()} }},
	{"PATCH", "/v3/topics/{t}", func(w *spotWriter) any { return object{"name": w.shared()} }},
	{"DELETE", "/v3/topics/{t}", nil},
	{"POST", "/v3/topics/{t}/users", func(w *spotWriter) any {
		return object{"users": []object{{"identifier": w.user, "channels": []string{"inApp"}}}}
	}},
	{"POST", "/v3/topics/{t}/detachUsers", func(w *spotWriter) any { return object{"users": []string{w.user}} }},
	{"PUT", "/v3/topics/{t}/users/{u}", func(w *spotWriter) any { return object{"channels": []string{"inApp"}} }},
	{"GET", "/v3/topics/subscriptions/{u}", nil},
	{"PATCH", "/v3/workflows/w/cancel-run", func(w *spotWriter) any { return object{"cancellationKey": w.text} }},
	{"GET", "/v3/translations/inapp", nil},
}

// shared is the mark of what all of an environment may see.
func (w *spotWriter) shared() string { return w.actor.mine("") }

func (s spotAsker) next(ctx context.Context, random *rand.Rand, a *actor) (*http.Request, string, error) {
	route := spotRoutes[random.IntN(len(spotRoutes))]
	w := &spotWriter{random: random, actor: a}
	if w.user = w.name("u"); random.IntN(10) == 0 {
		w.user = w.name("x")
	}
	w.text = a.mine(w.user)
	category := number(a.some(random, "Category", true))
	w.category, _ = strconv.Atoi(category)
	notification := a.baited(random)
	if notification == "" || random.IntN(3) > 0 {
		notification = a.some(random, "Notification", true)
	}
	if a.user < 0 && slices.Contains(a.tenant.bait, notification) { // an application may touch all that is its own
		notification = ""
	}
	path := strings.NewReplacer(
		"{n}", number(notification), "{c}", category, "{t}", number(a.some(random, "Topic", true)),
		"{u}", w.user, "{x}", w.name("x"),
	).Replace(route.path)
	var body []byte
	if route.body != nil {
		var err error
		if body, err = json.Marshal(route.body(w)); err != nil {
			return nil, "", err
		}
	}
	req, err := http.NewRequestWithContext(ctx, route.method, s.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, route.method + " " + route.path, nil
}

// number is the number in an id of GraphQL's; 7 for none.
func number(id string) string {
	if _, n, ok := strings.Cut(id, "_"); ok {
		return n
	}
	return "7"
}

func (s spotAsker) credentials(a *actor) []http.Header {
	key := http.Header{"X-Engagespot-Api-Key": {a.tenant.keys.APIKey}}
	if a.user < 0 {
		key.Set("X-Engagespot-Api-Secret", a.tenant.keys.APISecret)
		return []http.Header{key}
	}
	token := key.Clone()
	token.Set("Authorization", a.headers[0].Get("Authorization"))
	if !a.tenant.open {
		return []http.Header{token}
	}
	key.Set("X-Engagespot-User-Id", fmt.Sprintf("u%d", a.user))
	return []http.Header{token, key}
}

func (s spotAsker) judge(_ *actor, status int, _ []byte) (bool, error) {
	if status >= http.StatusInternalServerError {
		return false, fmt.Errorf("an answer %d", status)
	}
	return status < http.StatusMultipleChoices, nil
}

var spotID = regexp.MustCompile(`"id":(\d+),"(title|identifier)":`)

func (s spotAsker) harvest(a *actor, body []byte) {
	for _, m := range spotID.FindAllSubmatch(body, 20) {
		if string(m[2]) == "title" {
			a.ids.add("Notification", "ntf_"+string(m[1]))
		}
	}
}
