package operation_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"carillon/graph/operation"
)

// few are limits that a test reaches with a short document.
func few(c *operation.Config) {
	c.Limits = operation.Limits{
		Document: 1000, Tokens: 60, Depth: 4, Aliases: 2, RootFields: 3, Mutations: 2, Directives: 2, Introspection: 33, Errors: 3,
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	const tooComplex = "QUERY_TOO_COMPLEX"
	tests := []struct{ name, query, want string }{
		{"Document", `{ hello } #` + strings.Repeat("x", 989), ""},
		{"DocumentOver", `{ hello } #` + strings.Repeat("x", 990), "PAYLOAD_TOO_LARGE"},
		{"Tokens", `{` + strings.Repeat("# \n", 57) + `hello}`, ""},
		{"TokensOver", `{` + strings.Repeat("# \n", 58) + `hello}`, tooComplex},
		{"Depth", `{ user(id: 1) { boss { boss { id } } } }`, ""},
		{"DepthOver", `{ user(id: 1) { boss { boss { boss { id } } } } }`, tooComplex},
		{"DepthThroughFragments", `{ user(id: 1) { ...A } } fragment A on User { boss { ...B } } fragment B on User { ... { boss { boss { id } } } }`, tooComplex},
		{"DepthSkipsIntrospection", `{ __type(name: "User") { ofType { ofType { ofType { ofType { name } } } } } }`, ""},
		{"Aliases", `{ a: hello b: hello }`, ""},
		{"AliasesOver", `{ a: hello b: hello c: hello }`, tooComplex},
		{"AliasesInFragments", `{ user(id: 1) { ...F boss { ...F } } } fragment F on User { a: id b: id }`, tooComplex},
		{"AliasesUnused", `query A { hello } query B { a: hello b: hello c: hello }`, tooComplex},
		{"RootFields", `{ hello who __typename }`, ""},
		{"RootFieldsOver", `{ hello who __typename number(n: 1) }`, tooComplex},
		{"RootFieldsDuplicated", `{ hello hello hello hello }`, tooComplex},
		{"RootFieldsInFragments", `{ ...F ... { ...F } } fragment F on Query { hello who }`, tooComplex},
		{"Mutations", `mutation { __typename rename(input: {id: 1, name: "x"}) { key } }`, ""},
		{"MutationsOver", `mutation { __typename __typename rename(input: {id: 1, name: "x"}) { key } }`, tooComplex},
		{"Directives", `{ hello @skip(if: false) who @include(if: true) }`, ""},
		{"DirectivesOver", `{ hello @skip(if: false) who @include(if: true) ... @skip(if: true) { hello } }`, tooComplex},
		{"DirectivesOnTheOperation", `query @a @b @c { hello }`, tooComplex},
		{"DirectivesOnVariables", `query($a: Int @a @b @c) { hello }`, tooComplex},
		{"DirectivesOnFragments", `{ hello } fragment F on Query @a @b @c { hello }`, tooComplex},
		{"Introspection", `{ __type(name: "User") { name kind fields { name type { name } } } }`, ""},
		{"IntrospectionOver", `{ __type(name: "User") { name kind fields { name type { name kind } } } }`, tooComplex},
		{"IntrospectionOfLists", `{ __schema { types { name kind description } } }`, ""},
		{"IntrospectionOfListsOver", `{ __schema { types { name kind description fields { name } } } }`, tooComplex},
		{"IntrospectionInFragments", `{ __schema { queryType { ...F } mutationType { ...F } } } fragment F on __Type { name fields { name } }`, ""},
		{"IntrospectionInFragmentsOver", `{ __schema { queryType { ...F } mutationType { ...F } } } fragment F on __Type { name fields { name kind: name } }`, tooComplex},
		{"Nesting", `{ echo(value: ` + strings.Repeat("[", 29) + strings.Repeat("]", 29) + `) }`, tooComplex},
	}
	e := engine(few, func(c *operation.Config) { c.Limits.Tokens = 0 })
	tokens := engine(few)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := e
			if strings.HasPrefix(tt.name, "Tokens") {
				e = tokens
			}
			if tt.name == "Nesting" { // its own limit is wider
				tt.query = strings.Replace(tt.query, strings.Repeat("[", 29), strings.Repeat("[", 70), 1)
				tt.query = strings.Replace(tt.query, strings.Repeat("]", 29), strings.Repeat("]", 70), 1)
			}
			name := ""
			if strings.HasPrefix(tt.query, "query A") {
				name = "A"
			}
			got := answer(t, e, operation.Params{Query: tt.query, OperationName: name})
			if code(t, got) != tt.want {
				t.Errorf("%s\n got %s\nwant the code %q", tt.query, got, tt.want)
			}
		})
	}
}

func TestValidationStopsAtTheLimitOfErrors(t *testing.T) {
	t.Parallel()
	var query strings.Builder
	for i := range 300 {
		fmt.Fprintf(&query, "unknown%d ", i)
	}
	e := engine(func(c *operation.Config) { c.Limits.RootFields = 1000 })
	got := ask(t, e, "{"+query.String()+"}", "")
	if n := strings.Count(got, `"message"`); n != 50 {
		t.Errorf("%d errors, want 50", n)
	}
	long := ask(t, e, "{"+strings.Repeat("x", 60_000)+"}", "")
	if len(long) > 1000 {
		t.Errorf("an error quotes the document at length: %d bytes", len(long))
	}
}

func TestCost(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, query, variables string
		want                   int
	}{
		{"Leaves", `{ hello who }`, "", 0},
		{"Object", `{ user(id: 1) { id name } }`, "", 1},
		{"Nested", `{ user(id: 1) { boss { id } } }`, "", 2},
		{"List", `{ search { id } }`, "", 10},
		{"ListOfLists", `{ search { ... on User { devices { id } } } }`, "", 10 * (1 + 10)},
		{"LeafList", `{ user(id: 1) { tags } }`, "", 1},
		{"Connection", `{ users(first: 50) { nodes { id } } }`, "", 1 + 50},
		{"PagedList", `{ latest(first: 50) { devices { id } } }`, "", 50 * (1 + 10)},
		{"ConnectionLast", `{ users(last: 7) { nodes { id } } }`, "", 1 + 7},
		{"ConnectionBoth", `{ users(first: 3, last: 7) { nodes { id } } }`, "", 1 + 7},
		{"ConnectionDefault", `{ users { nodes { id } } }`, "", 1 + 20},
		{"SchemaDefault", `{ user(id: 1) { friends { nodes { id } } } }`, "", 1 + 1 + 20},
		{"NullPage", `{ users(first: null) { nodes { id } } }`, "", 1 + 20},
		{"Edges", `{ users(first: 50) { total edges { node { id } } } }`, "", 1 + 50*2},
		{"OnlyTotal", `{ users(first: 50) { total } }`, "", 1},
		{"Nodes", `{ users(first: 10) { nodes { friends(first: 20) { nodes { id } } } } }`, "", 1 + 10*(1+1+20)},
		{"ListInNodes", `{ users(first: 10) { nodes { devices { id } } } }`, "", 1 + 10*(1+10)},
		{"Fragment", `{ users(first: 50) { ...F } } fragment F on UserConnection { nodes { id } }`, "", 1 + 50},
		{"FragmentWithTwoPages", `{ a: users(first: 5) { ...F } b: users(first: 7) { ...F } } fragment F on UserConnection { nodes { id } }`, "", 1 + 5 + 1 + 7},
		{"SpreadTwice", `{ user(id: 1) { ...F boss { ...F } } } fragment F on User { boss { id } }`, "", 2 + 2},
		{"Aliases", `{ a: users(first: 10) { nodes { id } } b: users(first: 10) { nodes { id } } }`, "", 2 * (1 + 10)},
		{"Skipped", `{ users(first: 10) @skip(if: true) { nodes { id } } }`, "", 1 + 10},
		{"Variable", `query($n: Int) { users(first: $n) { nodes { id } } }`, `{"n": 30}`, 1 + 30},
		{"VariableOtherwise", `query($n: Int) { users(first: $n) { nodes { id } } }`, `{"n": 2e1}`, 1 + 20},
		{"VariableAbsent", `query($n: Int) { users(first: $n) { nodes { id } } }`, ``, 1 + 20},
		{"VariableDefault", `query($n: Int = 40) { users(first: $n) { nodes { id } } }`, ``, 1 + 40},
		{"Negative", `{ users(first: -5) { total } }`, "", 1},
		{"Introspection", `{ __schema { types { name fields { name } } } }`, "", 100},
		{"IntrospectionTwice", `{ __schema { types { name } } __type(name: "User") { name } }`, "", 200},
		{"Typename", `{ __typename }`, "", 0},
		{"MutationPayload", `mutation { rename(input: {id: 1, name: "x"}) { user { id } } }`, "", 2},
	}
	e := engine()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := operation.Params{Query: tt.query}
			if err := p.DecodeVariables([]byte(tt.variables)); err != nil {
				t.Fatal(err)
			}
			for _, known := range []bool{false, true} {
				o, errs := e.Prepare(t.Context(), p)
				if errs != nil {
					t.Fatal(errs)
				}
				if o.Cost() != tt.want {
					t.Errorf("%s costs %d (known %t), want %d", tt.query, o.Cost(), known, tt.want)
				}
			}
		})
	}
}

func TestCostIsHeldToTheCaller(t *testing.T) {
	t.Parallel()
	type rich struct{}
	e := engine(func(c *operation.Config) {
		c.CostLimit = func(ctx context.Context) int {
			if ctx.Value(rich{}) != nil {
				return 1000
			}
			return 100
		}
	})
	query := operation.Params{Query: `query($n: Int) { users(first: $n) { nodes { id } } }`}
	spend := func(ctx context.Context, n string) string {
		p := query
		if err := p.DecodeVariables([]byte(`{"n":` + n + `}`)); err != nil {
			t.Fatal(err)
		}
		if _, errs := e.Prepare(ctx, p); errs != nil {
			return operation.CodeOf(errs[0])
		}
		return ""
	}
	if got := spend(t.Context(), "99"); got != "" {
		t.Errorf("100 of 100: %s", got)
	}
	for _, n := range []string{"100", "5000000000", "1e300", "99999999999999999999999999"} {
		if got := spend(t.Context(), n); got != "QUERY_TOO_COMPLEX" {
			t.Errorf("first: %s as a known document: %q, want QUERY_TOO_COMPLEX", n, got)
		}
	}
	if got := spend(context.WithValue(t.Context(), rich{}, 1), "100"); got != "" {
		t.Errorf("another caller may spend more: %s", got)
	}
	if got := spend(t.Context(), `"100"`); got != "BAD_USER_INPUT" {
		t.Errorf("a page as text: %q, want BAD_USER_INPUT", got)
	}
}
