package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

// graphAsker asks every operation of the schema, with arguments made from their
// names and types, and for all fields of the answer.
type graphAsker struct {
	schema     *ast.Schema
	url        string
	operations []operation
}

// operation is a root field.
type operation struct {
	kind  string // "query", "mutation" or "subscription"
	field *ast.FieldDefinition
}

func newGraphAsker(all *tenants) (*graphAsker, error) {
	text, err := schemaText()
	if err != nil {
		return nil, err
	}
	schema, err := gqlparser.LoadSchema(&ast.Source{Name: "schema.graphqls", Input: text})
	if err != nil {
		return nil, err
	}
	g := &graphAsker{schema: schema, url: all.world.servers[0].URL + "/graphql"}
	for kind, def := range map[string]*ast.Definition{"query": schema.Query, "mutation": schema.Mutation, "subscription": schema.Subscription} {
		for _, f := range def.Fields {
			if strings.HasPrefix(f.Name, "__") {
				continue
			}
			times := map[string]int{"query": 6, "mutation": 6, "subscription": 1}[kind] // how often among the others
			if destroys(f.Name) {
				times = 2
			}
			for range times {
				g.operations = append(g.operations, operation{kind, f})
			}
		}
	}
	slices.SortFunc(g.operations, func(a, b operation) int { return strings.Compare(a.kind+a.field.Name, b.kind+b.field.Name) })
	return g, nil
}

// destroys reports whether an operation takes away what others ask for.
func destroys(operation string) bool {
	return strings.HasPrefix(operation, "delete") || strings.HasPrefix(operation, "remove") || strings.HasPrefix(operation, "erase")
}

// schemaText reads the schema from the root of the module.
func schemaText() (string, error) {
	mod, err := exec.Command("go", "env", "GOMOD").Output() //nolint:noctx // it asks nobody
	if err != nil {
		return "", err
	}
	b, err := os.ReadFile(filepath.Join(filepath.Dir(strings.TrimSpace(string(mod))), "schema.graphqls"))
	return string(b), err
}

func (g *graphAsker) next(ctx context.Context, random *rand.Rand, a *actor) (*http.Request, string, error) {
	op := g.operations[random.IntN(len(g.operations))]
	w := &graphWriter{schema: g.schema, random: random, actor: a, operation: op.field.Name, users: map[string]bool{}}
	text := op.kind + " { " + op.field.Name + w.arguments(op.field.Arguments) + w.selection(op.field.Type, 4) + " }"
	user := ""
	if len(w.users) == 1 && !w.many {
		for user = range w.users {
		}
	}
	text = strings.ReplaceAll(text, markHere, a.mine(user))
	body, err := json.Marshal(map[string]string{"query": text})
	if err != nil {
		return nil, "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url, bytes.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/graphql-response+json")
	if op.kind == "subscription" {
		req.Header.Set("Accept", "text/event-stream")
	}
	return req, op.field.Name, nil
}

func (g *graphAsker) credentials(a *actor) []http.Header { return a.headers }

func (g *graphAsker) judge(_ *actor, status int, body []byte) (bool, error) {
	if status >= http.StatusInternalServerError || bytes.Contains(body, []byte(`"code":"INTERNAL"`)) {
		return false, fmt.Errorf("an answer %d", status)
	}
	if status == http.StatusUnauthorized {
		return false, errors.New("a good credential was refused")
	}
	if bytes.Contains(body, []byte(`"exportUser":{`)) { // without types
		return true, nil
	}
	return bytes.Contains(body, []byte(`"__typename"`)) && !bytes.Contains(body, []byte(`"userErrors":[{`)), nil
}

func (g *graphAsker) harvest(a *actor, body []byte) { a.ids.harvest(body) }

// markHere stands for the mark until it is known about whom the text is.
const markHere = "HERE"

// graphWriter writes one operation.
type graphWriter struct {
	schema    *ast.Schema
	random    *rand.Rand
	actor     *actor
	operation string
	users     map[string]bool // whom it is about
	many      bool            // or about more than can be said
}

func (w *graphWriter) chance(percent int) bool { return w.random.IntN(100) < percent }

func (w *graphWriter) arguments(args ast.ArgumentDefinitionList) string {
	var parts []string
	for _, arg := range args {
		if arg.Type.NonNull || w.chance(w.liking(arg.Name)) {
			parts = append(parts, arg.Name+": "+w.value(arg.Name, arg.Type, 0))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

// liking is how often, of a hundred times, something is given that may be left
// out.
func (w *graphWriter) liking(name string) int {
	switch name {
	case "last", "before", "after", "email", "phoneNumber", "locale", "timeZone", "expectedVersion", "channels", "jsonPatch", "icon", "url", "expiresAt":
		return 8
	case "newIdentifier": // then nobody could tell any more who is who
		return 0
	case "everyone", "topics", "inlineUsers", "segments":
		return 6
	case "title", "users", "first", "name":
		return 85
	default:
		return 35
	}
}

func (w *graphWriter) value(name string, t *ast.Type, depth int) string {
	if t.Elem != nil {
		n := 1
		if w.chance(30) {
			n = w.random.IntN(4)
		}
		items := make([]string, n)
		for i := range items {
			items[i] = w.value(name, t.Elem, depth)
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	def := w.schema.Types[t.NamedType]
	switch def.Kind {
	case ast.Enum:
		return def.EnumValues[w.random.IntN(len(def.EnumValues))].Name
	case ast.InputObject:
		return w.object(def, depth)
	default:
		return w.scalar(name, t.NamedType)
	}
}

func (w *graphWriter) object(def *ast.Definition, depth int) string {
	if def.Name == "SegmentRule" { // it says one thing, and must make sense
		return "{enabled: " + w.boolean("") + "}"
	}
	var parts []string
	for _, f := range def.Fields {
		if f.Type.NonNull && f.DefaultValue == nil || depth < 4 && w.chance(w.liking(f.Name)) {
			parts = append(parts, f.Name+": "+w.value(f.Name, f.Type, depth+1))
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func (w *graphWriter) scalar(name, kind string) string {
	switch kind {
	case "Int":
		return strconv.Itoa(1 + w.random.IntN(4))
	case "Float":
		return "1.5"
	case "Boolean":
		return w.boolean(name)
	case "DateTime":
		return strconv.Quote(time.Now().Add(time.Duration(w.random.IntN(600)) * time.Second).UTC().Format(time.RFC3339))
	case "JSON":
		return `{note: "` + markHere + `"}`
	case "PageCursor":
		return strconv.Quote(w.known("cursor"))
	case "InboxPosition", "DeliveryPosition": // one of the other is refused
		return strconv.Quote(w.known("position"))
	case "ID":
		return strconv.Quote(w.id(name))
	default:
		return strconv.Quote(w.text(name))
	}
}

func (w *graphWriter) boolean(name string) string {
	if name == "everyone" {
		w.many = true
	}
	return strconv.FormatBool(w.chance(50) || w.operation == "setUserEnabled")
}

// ends are operations after which there would be nobody left to ask: they are
// tried on others' things only.
var ends = []string{"revokeCredential", "rotateCredential", "deleteEnvironment", "deleteApp"}

func (w *graphWriter) known(kind string) string {
	if id := w.actor.some(w.random, kind, !slices.Contains(ends, w.operation)); id != "" {
		return id
	}
	return "none"
}

// kindsOfIDs are types by what names of operations and arguments say of them.
var kindsOfIDs = []struct{ word, kind string }{
	{"webhookevent", "WebhookEvent"},
	{"webhook", "WebhookEndpoint"},
	{"erasure", "Erasure"},
	{"import", "Import"},
	{"notification", "Notification"},
	{"send", "Send"},
	{"credential", "Credential"},
	{"topic", "Topic"},
	{"category", "Category"},
	{"segment", "Segment"},
	{"template", "Template"},
	{"layout", "Layout"},
	{"provider", "Provider"},
	{"delivery", "Delivery"},
	{"address", "Address"},
	{"suppression", "Suppression"},
	{"user", "User"},
}

// id picks one of a type that the operation's or the argument's name tells of,
// or of any.
func (w *graphWriter) id(name string) string {
	about := strings.ToLower(w.operation + " " + name)
	if strings.Contains(about, "notification") && w.operation != "sendNotification" && w.chance(30) {
		if id := w.actor.baited(w.random); id != "" {
			return id
		}
	}
	for _, k := range kindsOfIDs {
		if strings.Contains(about, k.word) && w.chance(85) {
			return w.known(k.kind)
		}
	}
	return w.known("id")
}

// text is a name of something, or marked text.
func (w *graphWriter) text(name string) string {
	n := strconv.Itoa(w.random.IntN(tenancyUsers))
	lower, about := strings.ToLower(name), strings.ToLower(w.operation)
	switch {
	case lower == "idempotencykey":
		return "k" + strconv.Itoa(w.random.IntN(1000))
	case strings.HasSuffix(lower, "prefix"):
		return "u"
	case strings.HasSuffix(lower, "id") && lower != "id":
		return "d" + n
	case strings.HasPrefix(lower, "topic"), lower == "identifier" && strings.Contains(about, "topic") && !strings.Contains(about, "subscribe"):
		w.many = true
		return "t" + n
	case strings.HasPrefix(lower, "categor"), lower == "identifier" && strings.Contains(about, "category"):
		return "c" + n
	case lower == "segment", lower == "segments", lower == "identifier" && strings.Contains(about, "segment"):
		w.many = true
		return "s" + n
	case lower == "template", lower == "identifier" && strings.Contains(about, "template"):
		return "m" + n
	case (lower == "html" || lower == "text") && strings.Contains(about, "layout"):
		return markHere + " {{content}}"
	case lower == "layout", lower == "identifier" && strings.Contains(about, "layout"):
		return "l" + n
	case lower == "user", lower == "users", lower == "identifier", strings.HasSuffix(lower, "user"), lower == "from", lower == "into":
		return w.user(about, n)
	case lower == "account":
		return "a" + n
	case lower == "kind":
		return "log"
	case lower == "email":
		return markHere + "@example.com"
	case strings.HasPrefix(lower, "phone"):
		return "+1555010" + strconv.Itoa(1000+w.random.IntN(9000))
	case lower == "locale":
		return "en"
	case lower == "timezone":
		return "Europe/Paris"
	case strings.Contains(lower, "url"), lower == "icon", lower == "link", lower == "src":
		return "https://example.com/" + markHere
	case strings.Contains(lower, "secret"):
		return markHere + strings.Repeat("0123456789", 4)
	default:
		return markHere + " " + n
	}
}

// user names one of those that everybody asks for, or one that comes and goes.
func (w *graphWriter) user(about, n string) string {
	name := "u" + n
	if strings.Contains(about, "delete") && strings.Contains(about, "user") || strings.Contains(about, "merge") || w.chance(10) {
		name = "x" + n
	}
	w.users[name] = true
	return name
}

// selection asks for everything that a type has, to a depth.
func (w *graphWriter) selection(t *ast.Type, depth int) string {
	def := w.schema.Types[t.Name()]
	switch def.Kind {
	case ast.Scalar, ast.Enum:
		return ""
	case ast.Interface, ast.Union:
		parts := []string{"__typename"}
		for _, possible := range w.schema.GetPossibleTypes(def) {
			parts = append(parts, "... on "+possible.Name+" "+w.fields(possible, depth-1, true))
		}
		return " { " + strings.Join(parts, " ") + " }"
	default:
		return " " + w.fields(def, depth, false)
	}
}

// fields are those of one type. Within one of several, only plain ones without
// arguments: fields of one name must not differ.
func (w *graphWriter) fields(def *ast.Definition, depth int, plain bool) string {
	parts := []string{"__typename"}
	for _, f := range def.Fields {
		leaf := w.schema.Types[f.Type.Name()].IsLeafType()
		if strings.HasPrefix(f.Name, "__") || !leaf && f.Name != "userErrors" && (plain || depth <= 0 || f.Name == "edges" || w.chance(40)) {
			continue
		}
		if plain && f.Name != "id" && f.Name != "identifier" && f.Name != "title" && f.Name != "name" {
			continue
		}
		args := ""
		if slices.ContainsFunc(f.Arguments, func(a *ast.ArgumentDefinition) bool { return a.Name == "first" }) {
			args = "(first: " + strconv.Itoa(1+w.random.IntN(3)) + ")"
		}
		if len(f.Arguments) > 0 && args == "" {
			args = w.arguments(f.Arguments)
		}
		inner := ""
		if !leaf {
			inner = w.selection(f.Type, depth-1)
		}
		parts = append(parts, f.Name+args+inner)
	}
	if i := slices.Index(parts, "id"); i > 0 { // the two beside each other, for the harvest
		parts = slices.Insert(slices.Delete(parts, i, i+1), 1, "id")
	}
	return "{ " + strings.Join(parts, " ") + " }"
}
