package operation_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"carillon/graph/internal/testschema"
	"carillon/graph/operation"
	"carillon/model"
)

// engine returns an engine of the test schema, with what the test changes.
func engine(change ...func(*operation.Config)) *operation.Engine {
	c := operation.Config{Schema: testschema.New(), Introspection: true}
	for _, f := range change {
		f(&c)
	}
	return operation.New(c)
}

// ask runs a request and returns the answer as JSON.
func ask(t testing.TB, e *operation.Engine, query, variables string) string {
	t.Helper()
	p := operation.Params{Query: query}
	if err := p.DecodeVariables([]byte(variables)); err != nil {
		t.Fatal(err)
	}
	return answer(t, e, p)
}

func answer(t testing.TB, e *operation.Engine, p operation.Params) string {
	t.Helper()
	o, errs := e.Prepare(t.Context(), p)
	if errs != nil {
		return string(operation.Refused(errs).AppendJSON(nil))
	}
	return string(e.Execute(t.Context(), o).AppendJSON(nil))
}

// code is the code of the first error of an answer; empty when it has none.
func code(t testing.TB, answer string) string {
	t.Helper()
	var a struct {
		Errors []struct{ Extensions struct{ Code string } }
	}
	if err := json.Unmarshal([]byte(answer), &a); err != nil {
		t.Fatalf("%v in %s", err, answer)
	}
	if len(a.Errors) == 0 {
		return ""
	}
	return a.Errors[0].Extensions.Code
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	e := engine()
	tests := []struct{ name, query, variables, want string }{
		{"Default", `{ hello }`, "", `{"data":{"hello":"hello world"}}`},
		{"Variable", `query($n: String!) { hello(name: $n) }`, `{"n":"ada"}`, `{"data":{"hello":"hello ada"}}`},
		{"VariableDefault", `query($n: String = "bob") { hello(name: $n) }`, "", `{"data":{"hello":"hello bob"}}`},
		{"Alias", `{ a: hello b: hello(name: "b") }`, "", `{"data":{"a":"hello world","b":"hello b"}}`},
		{"DuplicatesAreOne", `{ hello hello ...F ...F } fragment F on Query { hello }`, "", `{"data":{"hello":"hello world"}}`},
		{"ManyDuplicates", `{ ` + strings.Repeat("hello ", 15) + ` }`, "", `{"data":{"hello":"hello world"}}`},
		{"Mutation", `mutation { rename(input: {id: 1, name: "x"}) { user { id name } } }`, "", `{"data":{"rename":{"user":{"id":"1","name":"x"}}}}`},
		{
			"List", `{ users(first: 2) { total nodes { id devices { owner { name } } } } }`, "",
			`{"data":{"users":{"total":2,"nodes":[{"id":"0","devices":[{"owner":{"name":"user 0"}}]},{"id":"1","devices":[{"owner":{"name":"user 1"}}]}]}}}`,
		},
		{
			"Interface", `{ search { __typename id ... on User { name } } }`, "",
			`{"data":{"search":[{"__typename":"User","id":"1","name":"user 1"},{"__typename":"Place","id":"2"}]}}`,
		},
		{"Skipped", `query($s: Boolean!) { hello @skip(if: $s) who }`, `{"s":true}`, `{"data":{"who":""}}`},
		{
			"FieldError", `{ hello fail(how: "forbidden") }`, "",
			`{"errors":[{"message":"not for you","path":["fail"],"locations":[{"line":1,"column":9}],"extensions":{"code":"FORBIDDEN"}}],"data":{"hello":"hello world","fail":null}}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for range 2 { // as a new document, and as one that is known
				if got := ask(t, e, tt.query, tt.variables); got != tt.want {
					t.Errorf("%s\n got %s\nwant %s", tt.query, got, tt.want)
				}
			}
		})
	}
}

func TestErrorsHaveCodes(t *testing.T) {
	t.Parallel()
	e := engine(func(c *operation.Config) {
		c.Authorize = func(_ context.Context, field string) error {
			if field == "Query.who" {
				return model.Errorf(model.KindForbidden, "never")
			}
			return nil
		}
	})
	tests := []struct{ name, query, variables, want string }{
		{"Syntax", `{ hello`, "", "GRAPHQL_PARSE_FAILED"},
		{"BadCharacter", `{ hello ? }`, "", "GRAPHQL_PARSE_FAILED"},
		{"Empty", ``, "", "GRAPHQL_PARSE_FAILED"},
		{"OnlyComment", `# nothing`, "", "GRAPHQL_PARSE_FAILED"},
		{"NoOperation", `fragment F on Query { hello }`, "", "GRAPHQL_PARSE_FAILED"},
		{"UnknownField", `{ nothing }`, "", "GRAPHQL_VALIDATION_FAILED"},
		{"Cycle", `{ ...A } fragment A on Query { ...B } fragment B on Query { hello ...A }`, "", "GRAPHQL_VALIDATION_FAILED"},
		{"Defer", `{ hello ... @defer { who2: hello } }`, "", "GRAPHQL_VALIDATION_FAILED"},
		{"IntLiteral", `{ number(n: 2147483648) }`, "", "GRAPHQL_VALIDATION_FAILED"},
		{"HugeLiteral", `{ echo(value: 99999999999999999999) }`, "", "GRAPHQL_VALIDATION_FAILED"},
		{"HugeFloat", `{ number(n: 1, x: 1e999) }`, "", "GRAPHQL_VALIDATION_FAILED"},
		{"WhichOperation", `query A { hello } query B { hello }`, "", "BAD_USER_INPUT"},
		{"MissingVariable", `query($n: Int!) { number(n: $n) }`, "", "BAD_USER_INPUT"},
		{"Forbidden", `{ hello ...F } fragment F on Query { who }`, "", "FORBIDDEN"},
		{"ForbiddenBeforeValid", `{ who(x: 1) { y } }`, "", "FORBIDDEN"},
		{"InvalidArgument", `{ fail(how: "invalid") }`, "", "BAD_USER_INPUT"},
		{"Unavailable", `{ fail(how: "unavailable") }`, "", "UNAVAILABLE"},
		{"Bug", `{ fail(how: "bug") }`, "", "INTERNAL"},
		{"Panic", `{ fail(how: "panic") }`, "", "INTERNAL"},
		{"NullSwitch", `query($s: Boolean = true) { hello @skip(if: $s) }`, `{"s":null}`, "BAD_USER_INPUT"},
		{"NullForDefault", `query($n: String = "x") { hello(name: $n) }`, `{"n":null}`, "BAD_USER_INPUT"},
		{"Subscription", `subscription { counter { n } }`, "", "BAD_USER_INPUT"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := ask(t, e, tt.query, tt.variables)
			if code(t, got) != tt.want {
				t.Errorf("%s\n got %s\nwant the code %s", tt.query, got, tt.want)
			}
			if strings.Contains(got, "secret") {
				t.Errorf("%s shows the inside: %s", tt.query, got)
			}
		})
	}
}

// TestAdmitIsAskedForWhatIsKept has the schema's answer come from the cache:
// the rates count it all the same.
func TestAdmitIsAskedForWhatIsKept(t *testing.T) {
	t.Parallel()
	asked, left := 0, 0
	e := engine(func(c *operation.Config) {
		c.Admit = func(context.Context, *operation.Operation) (func(), error) {
			if asked++; asked > 2 {
				return nil, model.Errorf(model.KindRateLimited, "wait")
			}
			return func() { left++ }, nil
		}
	})
	for i, want := range []string{"", "", "RATE_LIMITED"} {
		if got := code(t, ask(t, e, "{ __schema { queryType { name } } }", "{}")); got != want {
			t.Errorf("question %d: %q, want %q", i+1, got, want)
		}
	}
	if left != 2 {
		t.Errorf("%d operations have left, want the 2 that were let in", left)
	}
}
