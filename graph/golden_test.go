package graph_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"carillon/auth/authtest"
	"carillon/graph/view"
	"carillon/internal/cursor"
	"carillon/store/storetest"
)

var update = flag.Bool("update", false, "write the answers of the golden operations")

// TestOperations runs the operations in testdata through the real handler on
// both databases and compares the answers, as text, with those kept beside
// them. -update writes the answers: read the difference before you commit it.
//
// An operation is testdata/<area>/<case>.graphql. Comments in front of it say
// how it is sent:
//
//	# as: shop            with the secret key of the seeded app shop (the default)
//	# as: shop/ada        as a user of it; of vault by token, else by public key
//	# as: nobody          without a credential
//	# header: NAME: VALUE with one header more
//	# pass: 72h           after so much time
//	# expand: all         after all large sends have been expanded
//
// A line "# ---" begins another request in the same world. "@name" stands for
// the id of something seeded (see world_test.go), and "@1/data/…" for a value
// in the answer to the first request, in documents, headers and variables.
// Variables are in <case>.vars.json: one object, or a list with one for each
// request.
func TestOperations(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*/*.graphql")
	if err != nil || len(files) == 0 {
		t.Fatalf("no operations: %v", err)
	}
	storetest.EachURL(t, func(t *testing.T, url string) {
		shared := newWorld(t, url) // for all that only read
		for _, file := range files {
			name := strings.TrimSuffix(strings.TrimPrefix(file, "testdata/"), ".graphql")
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				requests := parseRequests(t, file)
				w := shared
				if slices.ContainsFunc(requests, func(r request) bool { return !r.reads }) {
					w = newWorld(t, another(t, url))
				}
				compare(t, strings.TrimSuffix(file, ".graphql")+".json", strings.HasPrefix(url, "postgres"), w.play(t, requests))
			})
		}
	})
}

// another is a fresh database of the same kind.
func another(t *testing.T, url string) string {
	if strings.HasPrefix(url, "postgres") {
		return storetest.Postgres(t)
	}
	return storetest.SQLite(t)
}

// request is one request of a case.
type request struct {
	as        string
	headers   []string
	pass      string
	expand    bool
	query     string
	variables json.RawMessage
	reads     bool // it changes nothing and depends on nothing before it
}

func parseRequests(t *testing.T, file string) []request {
	t.Helper()
	text := must(os.ReadFile(file))(t)
	var out []request
	for _, part := range regexp.MustCompile(`(?m)^# ---\n`).Split(string(text), -1) {
		r := request{as: "shop", query: part}
		for line := range strings.Lines(part) {
			key, value, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "#")), ": ")
			switch key {
			case "as":
				r.as = value
			case "header":
				r.headers = append(r.headers, value)
			case "pass":
				r.pass = value
			case "expand":
				r.expand = true
			}
			if !strings.HasPrefix(line, "#") {
				break
			}
		}
		r.reads = r.pass == "" && !r.expand && !strings.Contains(part, "mutation")
		out = append(out, r)
	}
	vars, err := os.ReadFile(strings.TrimSuffix(file, ".graphql") + ".vars.json")
	if err != nil {
		return out
	}
	var list []json.RawMessage
	if json.Unmarshal(vars, &list) != nil {
		list = slices.Repeat([]json.RawMessage{vars}, len(out))
	}
	for i := range out {
		if i < len(list) {
			out[i].variables = list[i]
		}
	}
	return out
}

// play sends the requests of a case one after the other and returns the
// answers as they are kept.
func (w *world) play(t *testing.T, requests []request) string {
	t.Helper()
	var answers []any
	n := &normal{world: w, seen: map[string]string{}}
	var out strings.Builder
	for i, r := range requests {
		if r.pass != "" {
			w.clock.pass(must(time.ParseDuration(r.pass))(t))
		}
		if r.expand {
			if err := w.sends.ExpandAll(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		status, body := w.post(t, r, answers)
		var decoded any
		if err := json.Unmarshal(body, &decoded); err != nil {
			t.Fatalf("answer %d is not JSON: %s", i+1, body)
		}
		answers = append(answers, decoded)
		body = inOrder(t, body)
		var indented bytes.Buffer
		if err := json.Indent(&indented, []byte(n.text(string(body))), "", "  "); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%d %s\n%s\n", status, http.StatusText(status), &indented)
	}
	return out.String()
}

// inOrder puts the errors of an answer in the order of their paths: fields are
// resolved side by side, so any of them may fail first.
func inOrder(t *testing.T, body []byte) []byte {
	t.Helper()
	var answer struct{ Errors json.RawMessage }
	var list []json.RawMessage
	if json.Unmarshal(body, &answer) != nil || len(answer.Errors) == 0 || json.Unmarshal(answer.Errors, &list) != nil || len(list) < 2 {
		return body
	}
	path := func(e json.RawMessage) string {
		var at struct{ Path json.RawMessage }
		if err := json.Unmarshal(e, &at); err != nil {
			t.Fatal(err)
		}
		return string(at.Path)
	}
	slices.SortStableFunc(list, func(a, b json.RawMessage) int { return strings.Compare(path(a), path(b)) })
	return bytes.Replace(body, answer.Errors, must(json.Marshal(list))(t), 1)
}

// post sends one request. answers are what came before.
func (w *world) post(t *testing.T, r request, answers []any) (status int, body []byte) {
	t.Helper()
	payload := map[string]any{"query": w.filled(t, r.query, answers)}
	if r.variables != nil {
		payload["variables"] = json.RawMessage(w.filled(t, string(r.variables), answers))
	}
	req := must(http.NewRequestWithContext(t.Context(), http.MethodPost, w.http.URL, bytes.NewReader(must(json.Marshal(payload))(t))))(t)
	req.Header.Set("Content-Type", "application/json")
	w.authenticate(req.Header, r.as)
	for _, h := range r.headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, strings.Trim(w.filled(t, strconv.Quote(value), answers), `"`))
	}
	resp, err := w.http.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode, must(io.ReadAll(resp.Body))(t)
}

// authenticate puts the credential of who is named into headers: an app, or
// app/user.
func (w *world) authenticate(h http.Header, as string) {
	name, user, isUser := strings.Cut(as, "/")
	e := w.envs[name]
	switch {
	case e == nil: // nobody
	case !isUser:
		authtest.SetHeaders(h, authtest.Bearer(e.secret))
	case name == "vault":
		authtest.SetHeaders(h, authtest.Bearer(w.token(e, user)))
	default:
		h.Set("X-Carillon-Key", e.APIKey)
		h.Set("X-Carillon-User", user)
	}
}

var placeholder = regexp.MustCompile(`"@[^"]+"`)

// filled puts ids where names are.
func (w *world) filled(t *testing.T, text string, answers []any) string {
	t.Helper()
	return placeholder.ReplaceAllStringFunc(text, func(quoted string) string {
		name := strings.Trim(quoted, `"@`)
		if id, ok := w.names[name]; ok {
			return strconv.Quote(id)
		}
		first, path, ok := strings.Cut(name, "/")
		i, err := strconv.Atoi(first)
		if !ok || err != nil || i < 1 || i > len(answers) {
			t.Fatalf("%s names nothing", quoted)
		}
		return string(must(json.Marshal(pointed(t, answers[i-1], path)))(t))
	})
}

// pointed follows a path into JSON.
func pointed(t *testing.T, v any, path string) any {
	t.Helper()
	for step := range strings.SplitSeq(path, "/") {
		switch at := v.(type) {
		case map[string]any:
			v = at[step]
		case []any:
			v = at[must(strconv.Atoi(step))(t)]
		default:
			t.Fatalf("%s leads nowhere", path)
		}
	}
	return v
}

// normal replaces in answers what differs from run to run: ids of what was
// seeded by their names, others by how many came before, positions and cursors
// by what they say.
type normal struct {
	world *world
	seen  map[string]string
	count map[string]int
}

var (
	stringLiteral = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	uuid          = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	textID        = regexp.MustCompile(`^[0-9a-v]{20}$`)
	secret        = regexp.MustCompile(`^(sk_test_)?[A-Za-z0-9_-]{43}$`)
	digits        = regexp.MustCompile(`^[0-9]{4,}$`)
)

func (n *normal) text(body string) string {
	return stringLiteral.ReplaceAllStringFunc(body, func(quoted string) string {
		s := quoted[1 : len(quoted)-1]
		if shown := n.value(s); shown != s {
			return strconv.Quote(shown)
		}
		return quoted
	})
}

func (n *normal) value(s string) string {
	for name, id := range n.world.names {
		if s == id {
			return "@" + name
		}
		if _, number, _ := strings.Cut(id, "_"); s == number {
			return "number of @" + name
		}
	}
	if ref, ok := view.ParseRef(s); ok {
		return n.another(string(ref.Kind), s)
	}
	for _, prefix := range []string{"whk", "whe"} {
		if rest, ok := strings.CutPrefix(s, prefix+"_"); ok && view.IsTextID(rest) {
			return n.another(prefix, s)
		}
	}
	if p, err := cursor.DecodePosition(s); err == nil {
		return fmt.Sprintf("position %d of %s", p.Seq, n.value(view.UserID(p.User)))
	}
	if b, err := base64.RawURLEncoding.DecodeString(s); err == nil && len(b) > 2 && b[0] == 2 {
		if k, err := cursor.DecodePage(b[1], s); err == nil {
			return fmt.Sprintf("cursor %c %s %s%s", b[1], k.At.Format("01-02T15:04:05"), n.value(strconv.FormatInt(k.ID, 10)), k.Text)
		}
	}
	switch {
	case uuid.MatchString(s):
		return n.another("uuid", s)
	case textID.MatchString(s):
		return n.another("text id", s)
	case secret.MatchString(s):
		return n.another("secret", s)
	case digits.MatchString(s):
		return n.another("number", s)
	}
	return s
}

// another tells things without names apart, within one case.
func (n *normal) another(kind, s string) string {
	if shown, ok := n.seen[s]; ok {
		return shown
	}
	if n.count == nil {
		n.count = map[string]int{}
	}
	n.count[kind]++
	n.seen[s] = fmt.Sprintf("%s #%d", kind, n.count[kind])
	return n.seen[s]
}

// compare holds got to the file, or writes it.
func compare(t *testing.T, file string, postgres bool, got string) {
	t.Helper()
	if *update && !postgres {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if *update {
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; run the test with -update to write it", err)
	}
	if got != string(want) {
		t.Errorf("%s:\n%s", file, difference(string(want), got))
	}
}

// difference shows two texts from the first line on in which they differ.
func difference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	from := max(0, i-5)
	return fmt.Sprintf("they differ in line %d\nwant:\n%s\ngot:\n%s", i+1, strings.Join(a[from:min(len(a), i+25)], "\n"), strings.Join(b[from:min(len(b), i+25)], "\n"))
}

// TestEveryRootFieldHasAnOperation keeps the golden operations complete.
func TestEveryRootFieldHasAnOperation(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	for _, file := range must(filepath.Glob("testdata/*/*.graphql"))(t) {
		all.Write(must(os.ReadFile(file))(t))
	}
	s := loadSchema(t, "../schema.graphqls")
	for _, f := range append(s.Query.Fields, s.Mutation.Fields...) {
		if !strings.HasPrefix(f.Name, "__") && !regexp.MustCompile(`\b`+f.Name+`\b[ ({]`).MatchString(all.String()) {
			t.Errorf("no operation of testdata asks for %s", f.Name)
		}
	}
}
