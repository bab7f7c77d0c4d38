package operation_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"carillon/graph/operation"
)

// introspection asks what tools ask of a schema.
const introspection = `query { __schema {
	description queryType { name kind } mutationType { name kind } subscriptionType { name kind }
	types { ...Type } directives { name description isRepeatable locations args(includeDeprecated: true) { ...Value } }
} }
fragment Type on __Type {
	kind name description specifiedByURL isOneOf
	fields(includeDeprecated: true) { name description args(includeDeprecated: true) { ...Value } type { ...Ref } isDeprecated deprecationReason }
	inputFields { ...Value } interfaces { ...Ref } possibleTypes { ...Ref }
	enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
}
fragment Value on __InputValue { name description type { ...Ref } defaultValue isDeprecated deprecationReason }
fragment Ref on __Type {
	kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name
	ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } }
}`

func many(n int, each string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, each, i)
	}
	return b.String()
}

// bombs are documents that cost a naive server far more than their sender.
// Each says which code refuses it; empty: it is cheap and allowed.
func bombs() map[string]struct{ query, want string } {
	spread := func(n int, on, level string, end string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, " fragment F%d on %s { %s }", i, on, fmt.Sprintf(level, i+1, i+1))
		}
		fmt.Fprintf(&b, " fragment F%d on %s { %s }", n, on, end)
		return b.String()
	}
	web := func(n int, field string) string { // every fragment spreads every other
		var b strings.Builder
		b.WriteString("{ ...F0 }")
		for i := range n {
			fmt.Fprintf(&b, " fragment F%d on Query { %s", i, field)
			for j := range n {
				if i != j {
					fmt.Fprintf(&b, " ...F%d", j)
				}
			}
			b.WriteString(" }")
		}
		return b.String()
	}
	type bomb = struct{ query, want string }
	return map[string]bomb{
		"22 doublings":              {"{ user(id: 1) { ...F0 } }" + spread(22, "User", "boss { ...F%d } b: boss { ...F%d }", "id"), "QUERY_TOO_COMPLEX"},
		"30 levels of two children": {"{ user(id: 1) { ...F0 } }" + spread(30, "User", "boss { ...F%d } ... { boss { ...F%d } }", "id"), "QUERY_TOO_COMPLEX"},
		"22 doublings of leaves":    {"{ ...F0 }" + spread(22, "Query", "...F%d ... { ...F%d }", "hello"), "QUERY_TOO_COMPLEX"},
		"90 doublings below a root": {"{ user(id: 1) { ...F0 } }" + spread(90, "User", "...F%d ... { ...F%d }", "id"), ""},
		"22 doublings of a schema":  {"{ __schema { queryType { ...F0 } } }" + spread(22, "__Type", "ofType { ...F%d } ... { ofType { ...F%d } }", "name"), "QUERY_TOO_COMPLEX"},
		"cycles":                    {web(30, ""), "GRAPHQL_VALIDATION_FAILED"},
		"cycles with fields":        {web(28, "hello"), "QUERY_TOO_COMPLEX"},
		"the usual introspection":   {introspection, ""},
		"20 wide introspections":    {"{ " + many(20, "a%d: __schema { types { fields { args { name type { fields { args { name } } } } } } } ") + "}", "QUERY_TOO_COMPLEX"},
		"1,980 equal leaves":        {"{ user(id: 1) { " + strings.Repeat("id ", 1980) + "} }", ""},
		"480 equal objects":         {"{ user(id: 1) { " + strings.Repeat("boss { id } ", 480) + "} }", ""},
		"240 equal connections":     {"{ user(id: 1) { " + strings.Repeat("friends { nodes { id } } ", 240) + "} }", "QUERY_TOO_COMPLEX"},
		"inline fragments, wide":    {"{ user(id: 1) { " + strings.Repeat("... { boss { id } } ", 270) + "} }", ""},
		"deep":                      {strings.Repeat("{ boss ", 900) + strings.Repeat("}", 900), "QUERY_TOO_COMPLEX"},
		"deep literal":              {"{ echo(value: " + strings.Repeat("[", 900) + strings.Repeat("]", 900) + ") }", "QUERY_TOO_COMPLEX"},
		"1,000 aliases":             {"{ " + strings.Repeat("a: hello ", 500) + "}", "QUERY_TOO_COMPLEX"},
		"1,000 directives":          {"{ hello " + strings.Repeat("@a ", 900) + "}", "QUERY_TOO_COMPLEX"},
		"1,900 unknown fields":      {"{ user(id: 1) { " + strings.Repeat("idd ", 1900) + "} }", "GRAPHQL_VALIDATION_FAILED"},
		"200,000 tokens":            {"{" + strings.Repeat("x ", 200_000) + "}", "PAYLOAD_TOO_LARGE"},
		"30,000 tokens":             {"{" + strings.Repeat("x ", 30_000) + "}", "QUERY_TOO_COMPLEX"},
		"10 MB of a name":           {"{" + strings.Repeat("x", 10<<20) + "}", "PAYLOAD_TOO_LARGE"},
		"60 KB of a name":           {"{" + strings.Repeat("x", 60_000) + "}", "GRAPHQL_VALIDATION_FAILED"},
		"60 KB of comment":          {"# " + strings.Repeat("x", 60_000) + "\n{ hello }", ""},
		"60 KB of commas":           {"{" + strings.Repeat(",", 60_000) + " hello }", ""},
	}
}

// TestBombsAreCheap holds every bomb to the promise of 50 ms, with the room
// that a loaded machine needs, and to little memory.
func TestBombsAreCheap(t *testing.T) {
	e := engine()
	for name, b := range bombs() {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := time.Now()
			_, errs := e.Prepare(t.Context(), operation.Params{Query: b.query})
			took := time.Since(began)
			runtime.ReadMemStats(&after)

			got := ""
			if errs != nil {
				got = operation.CodeOf(errs[0])
			}
			if got != b.want {
				t.Errorf("%d bytes: code %q (%v), want %q", len(b.query), got, errs, b.want)
			}
			if took > 2*time.Second {
				t.Errorf("took %v", took)
			}
			allocated := after.TotalAlloc - before.TotalAlloc
			if allocated > 32<<20 {
				t.Errorf("allocated %d MB", allocated>>20)
			}
			t.Logf("%d bytes: %v, %d KB allocated", len(b.query), took, allocated>>10)
		})
	}
}

// TestFragmentsInCyclesOnly asks what the bombs do not: a cycle that the
// operation does not reach.
func TestFragmentsInCyclesOnly(t *testing.T) {
	t.Parallel()
	got := ask(t, engine(), `{ hello } fragment A on Query { ...B } fragment B on Query { ...A }`, "")
	if code(t, got) != "GRAPHQL_VALIDATION_FAILED" {
		t.Errorf("got %s", got)
	}
}

// FuzzPrepare holds the whole way before execution to its promises: it never
// panics, it is quick, and what it lets through is within the limits.
func FuzzPrepare(f *testing.F) {
	for _, b := range bombs() {
		if len(b.query) < 4000 {
			f.Add(b.query, `{}`)
		}
	}
	f.Add(`query($n: Int!, $k: Kind = PLACE) { search(kind: $k, input: {limit: $n, by: {id: 1}}) { id } }`, `{"n": 1, "k": "PERSON"}`)
	f.Add(`query A { hello } mutation B { rename(input: {id: 1, name: "x"}) { key } }`, `{"a": {"b": [1.5e3, null]}}`)
	e := engine()
	f.Fuzz(func(t *testing.T, query, variables string) {
		p := operation.Params{Query: query}
		if p.DecodeVariables([]byte(variables)) != nil {
			return
		}
		began := time.Now()
		o, errs := e.Prepare(t.Context(), p)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
		switch {
		case o != nil && o.Cost() > 5000:
			t.Errorf("let through at a cost of %d", o.Cost())
		case o == nil && (len(errs) == 0 || operation.CodeOf(errs[0]) == ""):
			t.Errorf("refused without a code: %v", errs)
		}
	})
}
