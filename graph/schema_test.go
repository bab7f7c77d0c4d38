package graph_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

// baseline is the schema of the last release, as clients know it.
const baseline = "testdata/schema.baseline.graphqls"

func loadSchema(t *testing.T, path string) *ast.Schema {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := gqlparser.LoadSchema(&ast.Source{Name: path, Input: string(text)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// own lists the schema's own types by name.
func own(s *ast.Schema) []*ast.Definition {
	var out []*ast.Definition
	for _, d := range s.Types {
		if !d.BuiltIn {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b *ast.Definition) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func TestSchemaKeepsItsHabits(t *testing.T) {
	t.Parallel()
	s := loadSchema(t, "../schema.graphqls")
	for _, complaint := range lint(s) {
		t.Error(complaint)
	}
}

// lint lists where a schema breaks the house rules.
func lint(s *ast.Schema) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	for _, d := range own(s) {
		described(say, d.Name, d.Description)
		for _, v := range d.EnumValues {
			described(say, d.Name+"."+v.Name, v.Description)
			reasoned(say, d.Name+"."+v.Name, v.Directives)
		}
		for _, f := range d.Fields {
			if strings.HasPrefix(f.Name, "__") {
				continue
			}
			at := d.Name + "." + f.Name
			described(say, at, f.Description)
			reasoned(say, at, f.Directives)
			for _, a := range f.Arguments {
				described(say, at+"("+a.Name+":)", a.Description)
			}
			lintField(say, s, d, f)
		}
		if d.Kind == ast.Object && strings.HasSuffix(d.Name, "Connection") {
			lintConnection(say, d)
		}
	}
	for _, f := range s.Mutation.Fields {
		if !strings.HasPrefix(f.Name, "__") {
			lintMutation(say, s, f)
		}
	}
	return out
}

type sayer func(format string, args ...any)

func described(say sayer, at, text string) {
	if strings.TrimSpace(text) == "" {
		say("%s has no description", at)
	}
}

func reasoned(say sayer, at string, ds ast.DirectiveList) {
	d := ds.ForName("deprecated")
	if d == nil {
		return
	}
	if r := d.Arguments.ForName("reason"); r == nil || len(r.Value.Raw) < 10 || r.Value.Raw == "No longer supported" {
		say("%s is deprecated without saying what to use instead", at)
	}
}

// nullableBoolean are the fields of output types that may be an absent yes or
// no. There is none, and none should come.
var nullableBoolean []string

func lintField(say sayer, s *ast.Schema, d *ast.Definition, f *ast.FieldDefinition) {
	at := d.Name + "." + f.Name
	if d.Kind != ast.Object && d.Kind != ast.Interface {
		return
	}
	if f.Type.Elem != nil && (!f.Type.NonNull || !f.Type.Elem.NonNull) {
		say("%s is %s: a list and its items are non-null", at, f.Type)
	}
	if f.Type.Name() == "Boolean" && !f.Type.NonNull && !slices.Contains(nullableBoolean, at) {
		say("%s is a nullable boolean: make it an enum", at)
	}
	if strings.HasSuffix(f.Type.Name(), "Connection") {
		for _, name := range []string{"first", "after"} {
			if f.Arguments.ForName(name) == nil {
				say("%s is a connection without %s", at, name)
			}
		}
	}
	if t := s.Types[f.Type.Name()]; d == s.Subscription && (t.Kind != ast.Object || !f.Type.NonNull) {
		say("%s is %s: a stream yields an object, which can grow", at, f.Type)
	}
}

func lintConnection(say sayer, d *ast.Definition) {
	row := strings.TrimSuffix(d.Name, "Connection")
	want := map[string]string{"edges": "[" + row + "Edge!]!", "pageInfo": "PageInfo!"}
	for name, typ := range want {
		if f := d.Fields.ForName(name); f == nil || f.Type.String() != typ {
			say("%s.%s must be %s", d.Name, name, typ)
		}
	}
	if f := d.Fields.ForName("nodes"); f == nil || f.Type.Elem == nil {
		say("%s.nodes must be a list", d.Name)
	}
}

func lintMutation(say sayer, s *ast.Schema, f *ast.FieldDefinition) {
	pascal := strings.ToUpper(f.Name[:1]) + f.Name[1:]
	if len(f.Arguments) != 1 || f.Arguments[0].Name != "input" || f.Arguments[0].Type.String() != pascal+"Input!" {
		say("Mutation.%s must take one argument, input: %sInput!", f.Name, pascal)
	}
	if f.Type.String() != pascal+"Payload!" {
		say("Mutation.%s must return %sPayload!", f.Name, pascal)
	}
	for name, typ := range map[string]string{"userErrors": "[UserError!]!", "replayed": "Boolean!"} {
		payload := s.Types[f.Type.Name()]
		if p := payload.Fields.ForName(name); p == nil || p.Type.String() != typ {
			say("%s.%s must be %s", payload.Name, name, typ)
		}
	}
	if input := s.Types[f.Arguments[0].Type.Name()]; input.Fields.ForName("idempotencyKey") == nil {
		say("%s must have idempotencyKey", input.Name)
	}
}

func TestLintFindsWhatItShould(t *testing.T) {
	t.Parallel()
	s, err := gqlparser.LoadSchema(&ast.Source{Input: `
		"q" type Query { "x" a(b: Int): [Int] "c" c: ThingConnection! old: Boolean @deprecated }
		"m" type Mutation { "d" doThing(name: String): Boolean! }
		"c" type ThingConnection { "n" nodes: [Int!]! }
		enum E { A }`})
	if err != nil {
		t.Fatal(err)
	}
	s.Mutation.Fields[0].Arguments[0].Type.NamedType = "DoThingInput" // so that the last rule has a type to look at
	s.Types["DoThingInput"] = &ast.Definition{Name: "DoThingInput", Kind: ast.InputObject, BuiltIn: true}
	got := strings.Join(lint(s), "\n")
	for _, want := range []string{
		"E has no description", "E.A has no description", "Query.old has no description", "Query.a(b:) has no description",
		"Query.a is [Int]", "Query.old is a nullable boolean", "Query.old is deprecated without", "Query.c is a connection without first",
		"ThingConnection.edges must be [ThingEdge!]!", "Mutation.doThing must take one argument", "Mutation.doThing must return DoThingPayload!",
		"Boolean.userErrors must be", "DoThingInput must have idempotencyKey",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("lint does not say %q; it says\n%s", want, got)
		}
	}
}

// TestNothingBreaksSilently compares the schema with that of the last release.
// A change that can break a client needs a line under Unreleased in
// CHANGELOG.md that names it (such as `User.nickname`); at a release the
// schema is copied over the baseline.
func TestNothingBreaksSilently(t *testing.T) {
	t.Parallel()
	log, err := os.ReadFile("../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	unreleased := regexp.MustCompile(`(?s)## \[?Unreleased\]?.*?(\n## |$)`).FindString(string(log))
	for _, b := range breaking(loadSchema(t, baseline), loadSchema(t, "../schema.graphqls")) {
		if !strings.Contains(unreleased, "`"+b.at+"`") {
			t.Errorf("%s %s: that can break a client, and CHANGELOG.md has no line about `%s` under Unreleased", b.at, b.what, b.at)
		}
	}
}

type breakage struct{ at, what string }

// breaking lists what a client of the old schema could trip over in the new.
func breaking(before, after *ast.Schema) []breakage {
	var out []breakage
	say := func(at, format string, args ...any) { out = append(out, breakage{at, fmt.Sprintf(format, args...)}) }
	for _, old := range own(before) {
		now := after.Types[old.Name]
		switch {
		case now == nil:
			say(old.Name, "is gone")
			continue
		case now.Kind != old.Kind:
			say(old.Name, "was %s and is %s", old.Kind, now.Kind)
			continue
		}
		for _, v := range old.EnumValues {
			if now.EnumValues.ForName(v.Name) == nil {
				say(old.Name+"."+v.Name, "is gone")
			}
		}
		for _, i := range old.Interfaces {
			if !slices.Contains(now.Interfaces, i) {
				say(old.Name, "no longer implements %s", i)
			}
		}
		breakingFields(say, old, now)
	}
	return out
}

func breakingFields(say func(at, format string, args ...any), old, now *ast.Definition) {
	input := old.Kind == ast.InputObject
	for _, f := range old.Fields {
		at := old.Name + "." + f.Name
		g := now.Fields.ForName(f.Name)
		switch {
		case g == nil:
			say(at, "is gone")
			continue
		case input && !fits(f.Type, g.Type), !input && !fits(g.Type, f.Type):
			say(at, "was %s and is %s", f.Type, g.Type)
		}
		for _, a := range f.Arguments {
			if b := g.Arguments.ForName(a.Name); b == nil || !fits(a.Type, b.Type) {
				say(at, "no longer takes %s: %s", a.Name, a.Type)
			} else if a.DefaultValue.String() != b.DefaultValue.String() {
				say(at, "has another default for %s", a.Name)
			}
		}
		for _, b := range g.Arguments {
			if f.Arguments.ForName(b.Name) == nil && b.Type.NonNull && b.DefaultValue == nil {
				say(at, "now needs %s", b.Name)
			}
		}
	}
	for _, g := range now.Fields {
		if input && old.Fields.ForName(g.Name) == nil && g.Type.NonNull && g.DefaultValue == nil {
			say(now.Name+"."+g.Name, "is new and required")
		}
	}
}

// fits reports whether every value of type a is one of type b.
func fits(a, b *ast.Type) bool {
	if b.NonNull && !a.NonNull {
		return false
	}
	if a.Elem != nil || b.Elem != nil {
		return a.Elem != nil && b.Elem != nil && fits(a.Elem, b.Elem)
	}
	return a.NamedType == b.NamedType
}

func TestBreakingFindsWhatItShould(t *testing.T) {
	t.Parallel()
	load := func(text string) *ast.Schema {
		s, err := gqlparser.LoadSchema(&ast.Source{Input: text})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	before := load(`
		type Query { a: Int! b(x: Int = 1, y: String): [E!]! gone: Int c(i: In): Int same: Old }
		enum E { P Q } input In { f: Int! g: [String!] } type Old { a: Int }`)
	after := load(`
		type Query { a: Int b(x: Int = 2, z: ID!): [E!]! c(i: In): Int! same: Int new(q: ID!): Int }
		enum E { P R } input In { f: Int! g: [String!]! h: ID! i: ID! = "1" }`)
	var got []string
	for _, b := range breaking(before, after) {
		got = append(got, b.at+" "+b.what)
	}
	want := []string{
		"E.Q is gone", "In.g was [String!] and is [String!]!", "In.h is new and required", "Old is gone",
		"Query.a was Int! and is Int", "Query.b has another default for x", "Query.b no longer takes y: String", "Query.b now needs z",
		"Query.gone is gone", "Query.same was Old and is Int",
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
