package graph_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"carillon/model"
)

// rawPost posts one request whose variables need not be JSON.
func (w *world) rawPost(t *testing.T, as, query, variables string) (status int, body []byte) {
	t.Helper()
	req := must(http.NewRequestWithContext(t.Context(), http.MethodPost, w.http.URL, strings.NewReader(`{"query":`+quoted(query)+`,"variables":`+variables+`}`)))(t)
	req.Header.Set("Content-Type", "application/json")
	w.authenticate(req.Header, as)
	resp, err := w.http.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode, must(io.ReadAll(resp.Body))(t)
}

// outcome is what an answer says.
type outcome struct {
	ok       bool     // the call did what it does
	codes    []string // of errors for the whole request
	problems []string // what must be mended, as text
	said     string   // all of it, as text
}

// verdict reads an answer.
func (a *abuse) verdict(t *testing.T, body []byte) outcome {
	t.Helper()
	var answer struct {
		Data   json.RawMessage
		Errors []struct {
			Message    string
			Extensions map[string]any
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatalf("the answer is not JSON: %v: %s", err, body)
	}
	out := outcome{ok: len(answer.Errors) == 0}
	for _, e := range answer.Errors {
		code, _ := e.Extensions["code"].(string)
		out.codes = append(out.codes, code)
		out.problems = append(out.problems, e.Message+" "+encoded(e.Extensions))
	}
	payload := map[string]any{}
	if len(answer.Data) > 0 && string(answer.Data) != "null" {
		payload, _ = object(string(answer.Data))[a.call.field].(map[string]any)
	}
	if list, _ := payload["userErrors"].([]any); len(list) > 0 {
		out.ok = false
		out.problems = append(out.problems, encoded(list))
	}
	results, _ := payload["results"].([]any)
	for _, r := range results {
		if list, _ := r.(map[string]any)["userErrors"].([]any); len(list) > 0 {
			out.problems = append(out.problems, encoded(list))
		}
	}
	out.said = strings.Join(out.problems, "\n")
	return out
}

// wholeBody are errors about a request that cannot be read as far as its
// arguments.
var wholeBody = regexp.MustCompile(`not valid UTF-8|nests more than 64 levels|nests objects and lists too deeply|variables that are not valid JSON`)

// try sends one value, as a variable or within a query, and holds the answer
// to what the test is about.
func (a *abuse) try(t *testing.T, p place, v hostile, variables, query string) {
	t.Helper()
	x := trial{place: p, hostile: v}
	if query != "" {
		x.status, x.body = a.w.rawPost(t, a.as, query, variables)
	} else {
		x.status, x.body = a.send(t, variables)
	}
	x.outcome = a.verdict(t, x.body)
	if x.ok {
		a.made = ""
	}
	complaints := slices.Concat(x.answer(query != ""), a.secrets(x), a.changes(t, x))
	for _, c := range complaints {
		t.Errorf("as %s, %s = %s (%.120s): %s\n%d %.600s", a.as, p, v.name, v.raw, c, x.status, x.body)
	}
	a.takeBack(t, x.outcome, x.body)
}

// trial is one value at one place, and what came of it.
type trial struct {
	place
	hostile
	outcome
	status int
	body   []byte
}

// answer lists what is wrong with the answer by itself.
func (x trial) answer(inline bool) (wrong []string) {
	if x.status != http.StatusOK && x.status != http.StatusBadRequest {
		wrong = append(wrong, fmt.Sprintf("the status is %d", x.status))
	}
	for _, code := range x.codes {
		switch code {
		case "BAD_USER_INPUT", "NOT_FOUND", "GRAPHQL_VALIDATION_FAILED", "GRAPHQL_PARSE_FAILED", "QUERY_TOO_COMPLEX":
		default:
			wrong = append(wrong, fmt.Sprintf("the code is %q", code))
		}
	}
	located := inline && slices.Contains(x.codes, "GRAPHQL_VALIDATION_FAILED") && strings.Contains(string(x.body), `"locations"`)
	if len(x.problems) > 0 && !x.namedIn(x.said) && !wholeBody.MatchString(x.said) && !located {
		wrong = append(wrong, "the error does not name "+x.place.name())
	}
	return wrong
}

// secrets lists what the answer shows of others.
func (a *abuse) secrets(x trial) (wrong []string) {
	for _, canary := range a.canaries {
		if strings.Contains(string(x.body), canary) && !strings.Contains(x.raw, canary) {
			wrong = append(wrong, fmt.Sprintf("the answer shows %q", canary))
		}
	}
	return wrong
}

// changes lists what changed and should not have, and what was sent and is not
// there.
func (a *abuse) changes(t *testing.T, x trial) (wrong []string) {
	t.Helper()
	before := a.now
	a.now = a.peek.all(t)
	mind := anything
	if x.ok && a.op == ast.Mutation {
		mind = a.theirs
	}
	if list := changed(before, a.now, mind); len(list) > 0 {
		wrong = append(wrong, fmt.Sprintf("ok is %v and there changed %.2000q", x.ok, list))
	}
	if x.ok && len(x.problems) == 0 && a.op == ast.Mutation && a.as == "shop" && !reflect.DeepEqual(before, a.now) {
		if _, state := a.w.rawPost(t, "shop", stateQuery, "{}"); !a.shown(t, x, state) {
			wrong = append(wrong, fmt.Sprintf("what was sent is not what is read: %.2000s", state))
		}
	}
	return wrong
}

// takeBack undoes a call that makes what there may only be so many of.
func (a *abuse) takeBack(t *testing.T, got outcome, body []byte) {
	t.Helper()
	if a.call.undo == "" || !got.ok {
		return
	}
	answer := any(object(string(body)))
	op, field := rootField(a.schema, a.call.undo)
	id := pointed(t, answer, "data/"+a.call.field+"/"+a.call.undoPath).(string)
	if _, body := a.w.rawPost(t, "shop", document(a.schema, op, field, alone), `{"input":{"id":`+quoted(id)+`}}`); strings.Contains(string(body), `"code"`) {
		t.Fatalf("%s is answered %s", a.call.undo, body)
	}
	a.now = a.peek.all(t)
}

// gone are calls after which what they named is not to be seen.
var gone = regexp.MustCompile(`^(delete|remove|subscribe|unsubscribe)`)

// shown reports whether an answer has a text or an object as it was sent.
func (a *abuse) shown(t *testing.T, x trial, body []byte) bool {
	text := x.t.Name() == "String" && strings.HasPrefix(x.raw, `"`)
	isObject := x.t.Name() == "JSON" && strings.HasPrefix(x.raw, `{"`)
	unsent := strings.Contains(a.call.args, "sendAt") || strings.Contains(a.call.args, "dryRun") || strings.Contains(a.call.args, "topics") // its notifications are yet to come
	if unshown[x.place.name()] || !text && !isObject || unsent && x.place.name() != "title" || gone.MatchString(a.call.field) {
		return true
	}
	got := string(must(model.CanonicalJSON(body))(t))
	if text {
		return strings.Contains(got, string(must(model.CanonicalJSON([]byte(x.raw)))(t)))
	}
	for name, value := range object(x.raw) { // a profile may have others between them
		if !strings.Contains(got, quoted(name)+":"+encoded(value)) {
			return false
		}
	}
	return true
}
