package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// another ends the name of an operation that is only tried on what belongs to
// another environment: it must never work.
const another = " (another's)"

// backAsker asks a dialect that only applications speak; a user's credential gets
// nothing there. In a path {u} stands for a user, {x} and {y} for those who come and go,
// {l} for a list, {f} for a list of another environment, {e} for a user by id.
type backAsker struct {
	url    string
	root   func(*tenant) string // what paths begin with
	routes []spotRoute
	sign   func(*tenant) http.Header
	ids    *regexp.Regexp // of lists, in answers; nil: there are none
}

func (b backAsker) forApplications() {}

func (b backAsker) next(ctx context.Context, random *rand.Rand, a *actor) (*http.Request, string, error) {
	route := b.routes[random.IntN(len(b.routes))]
	w := &spotWriter{random: random, actor: a}
	if w.user = w.name("u"); random.IntN(10) == 0 {
		w.user = w.name("x")
	}
	w.text = a.mine(w.user)
	list, _ := strconv.ParseInt(number(a.some(random, "Topic", true)), 10, 64)
	foreign, _ := strconv.ParseInt(number(a.some(random, "Topic", false)), 10, 64)
	user, _ := strconv.ParseInt(number(a.some(random, "User", random.IntN(2) == 0)), 10, 64)
	w.list = hex24(list)
	fill := strings.NewReplacer("{u}", w.user, "{x}", w.name("x"), "{y}", w.name("x"), "{l}", w.list, "{f}", hex24(foreign), "{e}", hex24(user), "{c}", w.name("c"))
	operation := route.method + " " + route.path
	if strings.Contains(route.path, "{f}") {
		operation += another
	}
	var body []byte
	if route.body != nil {
		var err error
		if body, err = json.Marshal(route.body(w)); err != nil {
			return nil, "", err
		}
	}
	req, err := http.NewRequestWithContext(ctx, route.method, b.url+b.root(a.tenant)+fill.Replace(route.path), bytes.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, operation, nil
}

// hex24 is an id as the dialects write it.
func hex24(id int64) string { return fmt.Sprintf("%024x", id) }

func (b backAsker) credentials(a *actor) []http.Header {
	if a.user < 0 {
		return []http.Header{b.sign(a.tenant)}
	}
	return a.headers
}

func (b backAsker) judge(a *actor, status int, body []byte) (bool, error) {
	if data, err := (spotAsker{}).judge(a, status, body); err != nil || a.user < 0 || !data {
		return data, err
	}
	return false, fmt.Errorf("a user's credential was taken with %d", status)
}

func (b backAsker) harvest(a *actor, body []byte) {
	if b.ids == nil {
		return
	}
	for _, m := range b.ids.FindAllSubmatch(body, 20) {
		if id, err := strconv.ParseInt(string(m[1]), 16, 64); err == nil {
			a.ids.add("Topic", "top_"+strconv.FormatInt(id, 10))
		}
	}
}
