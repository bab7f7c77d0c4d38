package graph_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/vektah/gqlparser/v2/ast"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

var thorough = flag.Bool("thorough", false, "try every hostile value at every place, not the worst and one in sixteen of the others")

// TestAbuse puts every hostile value in the place of every argument of every
// field, as a variable and as a literal, with a secret key and with a
// user's credential. Whatever is sent, the answer is an error that names the
// argument, and nothing has changed; or a success, and what was sent is what is
// read. No answer shows, and no call changes, what is not the caller's.
func TestAbuse(t *testing.T) {
	t.Parallel()
	schema := loadSchema(t, "../schema.graphqls")
	for _, def := range own(schema) {
		for _, f := range def.Fields {
			attacked := slices.ContainsFunc(abuseCalls, func(c abuseCall) bool {
				return c.field == f.Name && (c.on == def.Name || c.on == "" && (def == schema.Query || def == schema.Mutation || def == schema.Subscription))
			})
			if len(f.Arguments) > 0 && !strings.HasPrefix(f.Name, "__") && !attacked {
				t.Errorf("abuseCalls has no call of %s.%s", def.Name, f.Name)
			}
		}
	}
	storetest.EachURL(t, func(t *testing.T, url string) {
		for i, call := range abuseCalls {
			t.Run(fmt.Sprintf("%s-%d", call.field, i), func(t *testing.T) {
				t.Parallel()
				if underRace && i%3 != 0 && store.IsPostgres(url) {
					return // its schemas, one for each call, take most of the time; SQLite has all calls
				}
				newAbuse(t, schema, call, another(t, url)).run(t)
			})
		}
	})
}

// abuse is the attack on one call, in a world of its own.
type abuse struct {
	w      *world
	peek   *peek
	schema *ast.Schema
	call   abuseCall
	op     ast.Operation
	field  *ast.FieldDefinition
	within string

	as       string // who attacks
	canaries []string
	theirs   func(table, row string) bool // what is not the attacker's to change
	socket   *socket                      // for subscriptions
	now      rows                         // what is in the database
	count    int
	made     string // what the call before answered; "" when it was used up
}

func newAbuse(t *testing.T, schema *ast.Schema, call abuseCall, url string) *abuse {
	a := &abuse{w: newWorld(t, url), schema: schema, call: call}
	shop := a.w.envs["shop"]
	must(a.w.users.Identify(t.Context(), shop.ID, model.Once{}, model.IdentifyInput{Identifier: "bob", Attributes: json.RawMessage(`{"note":"bobs-secret"}`)}))(t)
	a.w.send(shop, "letter", "", model.Content{Title: "bobs-letter"}, "bob")
	a.peek = newPeek(t, url)
	a.within = call.within
	switch {
	case call.on == schema.Subscription.Name: // where a query has the same name
		a.within, a.op, a.field = alone, ast.Subscription, schema.Subscription.Fields.ForName(call.field)
	case call.on != "":
		a.op, a.field = ast.Query, schema.Types[call.on].Fields.ForName(call.field)
	default:
		a.within = alone
		a.op, a.field = rootField(schema, call.field)
	}
	return a
}

func rootField(schema *ast.Schema, name string) (ast.Operation, *ast.FieldDefinition) {
	for _, op := range []ast.Operation{ast.Query, ast.Mutation, ast.Subscription} {
		if f := map[ast.Operation]*ast.Definition{ast.Query: schema.Query, ast.Mutation: schema.Mutation, ast.Subscription: schema.Subscription}[op].Fields.ForName(name); f != nil {
			return op, f
		}
	}
	panic("no root field " + name)
}

func (a *abuse) run(t *testing.T) {
	env := fmt.Sprintf("env_id=%d ", a.w.envs["shop"].ID)
	elsewhere := []string{"Elsewhere", "Another", "Comments elsewhere", "News elsewhere"}
	a.as, a.canaries = "shop", elsewhere
	a.theirs = func(_, row string) bool { return !strings.Contains(row, env) }
	a.attack(t, a.call.args, func(p place) []hostile { return slices.Concat(hostileValues(), a.w.foreignValues(p.t.Name())) })

	_, ada, _ := strings.Cut(a.w.names["shop/ada"], "_")
	own := regexp.MustCompile(`\b(user_id=` + ada + `|actor=` + ada + `|actor=-[0-9]+) `) // below zero: somebody who may not be known yet
	a.as, a.canaries = "shop/ada", append(elsewhere, "bobs-")
	a.theirs = func(table, row string) bool {
		return !strings.Contains(row, env) || !own.MatchString(row) && (table != "users" || !strings.Contains(row, " id="+ada+" "))
	}
	if !a.call.user {
		a.forbidden(t)
		return
	}
	args := a.call.userArgs
	if args == "" {
		args = a.call.args
	}
	a.attack(t, args, func(p place) []hostile {
		return append([]hostile{{"absent", ""}, {"null", "null"}}, a.w.foreignValues(p.t.Name())...)
	})
}

// forbidden makes a call of the application as a user.
func (a *abuse) forbidden(t *testing.T) {
	args := a.prepared(t, a.call.args)
	a.listen(t)
	status, body := a.send(t, args)
	if got := a.verdict(t, body); status != http.StatusForbidden && a.socket == nil || !slices.Contains(got.codes, "FORBIDDEN") {
		t.Errorf("a user's call is answered %d %s, want 403 FORBIDDEN", status, body)
	}
	if list := changed(a.now, a.peek.all(t), anything); len(list) > 0 {
		t.Errorf("a forbidden call changed %q", list)
	}
}

func anything(string, string) bool { return true }

// listen opens the socket that a subscription needs.
func (a *abuse) listen(t *testing.T) {
	if a.op == ast.Subscription {
		a.socket = a.w.open(t, a.as)
	}
}

// attack makes the call as it should be, then with every value at every place.
func (a *abuse) attack(t *testing.T, args string, values func(place) []hostile) {
	a.listen(t)
	status, body := a.send(t, a.prepared(t, args))
	a.made = ""
	if got := a.verdict(t, body); status != http.StatusOK || !got.ok || len(got.problems) > 0 {
		t.Fatalf("as %s, the call that should work is answered %d %s", a.as, status, body)
	}
	a.now = a.peek.all(t)
	for _, p := range places(a.schema, a.field, object(args)) {
		for _, v := range values(p) {
			words := []string{a.call.field, p.String(), v.name}
			switch {
			case underRace && !sampled(40, words), !*thorough && !always[v.name] && !sampled(16, append(words, a.w.store.Database())):
				continue
			case a.call.field == "rotateCredential" && v.name == "@shop.secretKey":
				continue // that would end the credential that it is tried with
			case a.socket != nil && (!utf8.ValidString(v.raw) || strings.HasPrefix(v.name, "70 ")):
				continue // the socket closes: that is the transport's to test
			}
			a.try(t, p, v, with(object(a.prepared(t, args)), p.path, v.raw), "")
			if a.socket == nil && sampled(5, words) && canBeLiteral(v.raw) {
				mutated := object(with(object(a.prepared(t, args)), p.path, v.raw))
				a.try(t, p, v, "{}", inline(a.schema, a.op, a.field, a.within, mutated))
			}
		}
	}
}

// sampled picks one case in n, always the same ones.
func sampled(n uint32, words []string) bool {
	h := fnv.New32a()
	_, _ = io.WriteString(h, strings.Join(words, "\n"))
	return h.Sum32()%n == 0
}

// canBeLiteral leaves out what a document cannot hold: member names that are
// no names, and what is more than a document may be.
func canBeLiteral(raw string) bool {
	return len(raw) < 5000 && utf8.ValidString(raw) && (raw == "" || json.Valid([]byte(raw))) && !strings.ContainsAny(raw, "{}") && !strings.Contains(raw, `\ud`)
}

// prepared fills ids and numbers into arguments, and makes what the call uses
// up.
func (a *abuse) prepared(t *testing.T, args string) string {
	if a.made == "" {
		a.count++
	}
	fill := func(s string) string { return a.w.filled(t, strings.ReplaceAll(s, "#", strconv.Itoa(a.count)), nil) }
	if a.call.before == "" {
		return fill(args)
	}
	op, field := rootField(a.schema, a.call.before)
	if a.made == "" {
		_, body := a.w.rawPost(t, "shop", document(a.schema, op, field, alone), fill(a.call.beforeArgs))
		if a.made = string(body); strings.Contains(a.made, `"code"`) {
			t.Fatalf("%s is answered %s", a.call.before, body)
		}
		a.now = a.peek.all(t)
	}
	if a.call.path != "" {
		args = strings.ReplaceAll(args, `"$"`, quoted(pointed(t, object(a.made), "data/"+field.Name+"/"+a.call.path).(string)))
	}
	return fill(args)
}

// send makes the call with variables as raw JSON.
func (a *abuse) send(t *testing.T, variables string) (status int, body []byte) {
	query := document(a.schema, a.op, a.field, a.within)
	if a.socket == nil {
		return a.w.rawPost(t, a.as, query, variables)
	}
	a.count++
	id := strconv.Itoa(a.count)
	a.socket.say(message{ID: id, Type: "subscribe", Payload: json.RawMessage(`{"query":` + quoted(query) + `,"variables":` + variables + `}`)})
	for {
		switch m := a.socket.hear(); {
		case m.Type == "close":
			t.Fatalf("the socket closed with %s after %s", m.Payload, variables)
		case m.ID == id && m.Type == "next":
			a.socket.say(message{ID: id, Type: "complete"})
			return http.StatusOK, m.Payload
		case m.ID == id:
			return http.StatusOK, []byte(`{"errors":` + string(m.Payload) + `}`)
		}
	}
}
