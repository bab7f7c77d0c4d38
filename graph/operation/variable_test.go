package operation_test

import (
	"encoding/json"
	"strings"
	"testing"

	"carillon/graph/operation"
)

func TestVariables(t *testing.T) {
	t.Parallel()
	e := engine()
	const search = `query($in: SearchInput) { search(input: $in) { id } }`
	tests := []struct {
		name, query, variables string
		want                   string // in the first error; empty: accepted
	}{
		{"Int", `query($n: Int!) { number(n: $n) }`, `{"n":2147483647}`, ""},
		{"IntWithPoint", `query($n: Int!) { number(n: $n) }`, `{"n":7.0}`, ""},
		{"IntWithExponent", `query($n: Int!) { number(n: $n) }`, `{"n":1e3}`, ""},
		{"IntTooLarge", `query($n: Int!) { number(n: $n) }`, `{"n":2147483648}`, "$n must be an integer of 32 bits, not 2147483648"},
		{"IntEndless", `query($n: Int!) { number(n: $n) }`, `{"n":` + strings.Repeat("9", 400) + `}`, "$n must be an integer"},
		{"IntFraction", `query($n: Int!) { number(n: $n) }`, `{"n":1.5}`, "$n must be an integer of 32 bits, not 1.5"},
		{"IntAsText", `query($n: Int!) { number(n: $n) }`, `{"n":"1"}`, `$n must be an integer of 32 bits, not "1"`},
		{"IntNull", `query($n: Int!) { number(n: $n) }`, `{"n":null}`, "$n must not be null"},
		{"IntMissing", `query($n: Int!) { number(n: $n) }`, ``, "$n of type Int! is required"},
		{"Float", `query($x: Float) { number(n: 1, x: $x) }`, `{"x":1}`, ""},
		{"FloatTooLarge", `query($x: Float) { number(n: 1, x: $x) }`, `{"x":1e400}`, "$x must be a number"},
		{"String", `query($s: String!) { hello(name: $s) }`, `{"s":1}`, "$s must be text, not 1"},
		{"ID", `query($id: ID!) { user(id: $id) { id } }`, `{"id":12}`, ""},
		{"IDFraction", `query($id: ID!) { user(id: $id) { id } }`, `{"id":1.5}`, "$id must be text or an integer"},
		{"Boolean", `query($b: Boolean!) { hello @skip(if: $b) who }`, `{"b":"true"}`, "$b must be true or false"},
		{"Enum", `query($k: Kind!) { search(kind: $k) { id } }`, `{"k":"PLACE"}`, ""},
		{"EnumCase", `query($k: Kind!) { search(kind: $k) { id } }`, `{"k":"place"}`, `$k must be one of PERSON, PLACE, not "place"`},
		{"Object", search, `{"in":{"text":"a","limit":3,"tags":["x"],"kind":"PLACE","ratio":0.5,"exact":true,"by":{"id":1},"more":{"a":[1]}}}`, ""},
		{"OneForList", search, `{"in":{"tags":"x"}}`, ""},
		{"NotAnObject", search, `{"in":[]}`, "$in must be a SearchInput object, not a list"},
		{"UnknownField", search, `{"in":{"texts":"a"}}`, "$in.texts is not a field of SearchInput"},
		{"InList", search, `{"in":{"tags":["a",2]}}`, "$in.tags[1] must be text, not 2"},
		{"NullInList", search, `{"in":{"tags":[null]}}`, "$in.tags[0] must not be null"},
		{"OneOfNone", search, `{"in":{"by":{}}}`, "$in.by must have exactly one field of SearchBy"},
		{"OneOfTwo", search, `{"in":{"by":{"id":1,"name":"x"}}}`, "$in.by must have exactly one field of SearchBy"},
		{"OneOfNull", search, `{"in":{"by":{"id":null}}}`, "$in.by must have exactly one field of SearchBy"},
		{"Required", `mutation($in: RenameInput!) { rename(input: $in) { key } }`, `{"in":{"id":"1"}}`, "$in.name of type String! is required"},
		{"Unused", `{ hello }`, `{"other":1}`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := ask(t, e, tt.query, tt.variables)
			if tt.want == "" {
				if code(t, got) != "" {
					t.Errorf("%s with %s: %s", tt.query, tt.variables, got)
				}
				return
			}
			quoted, _ := json.Marshal(tt.want)
			if code(t, got) != "BAD_USER_INPUT" || !strings.Contains(got, strings.Trim(string(quoted), `"`)) {
				t.Errorf("%s with %s\n got %s\nwant %q", tt.query, tt.variables, got, tt.want)
			}
		})
	}
}

func TestNumbersStayExact(t *testing.T) {
	t.Parallel()
	const big = `{"v":{"n":12345678901234567890.123456789,"i":9007199254740993}}`
	got := ask(t, engine(), `query($v: JSON) { echo(value: $v) }`, big)
	for _, n := range []string{"12345678901234567890.123456789", "9007199254740993"} {
		if !strings.Contains(got, n) {
			t.Errorf("%s lost digits: %s", n, got)
		}
	}
}

func TestEveryProblemIsTold(t *testing.T) {
	t.Parallel()
	got := ask(t, engine(), `query($n: Int!, $in: SearchInput!) { number(n: $n) search(input: $in) { id } }`,
		`{"n":"x","in":{"text":1,"limit":"y","nothing":0}}`)
	if n := strings.Count(got, `"BAD_USER_INPUT"`); n != 4 {
		t.Errorf("%d problems, want 4: %s", n, got)
	}
	many := ask(t, engine(), `query($in: SearchInput) { search(input: $in) { id } }`,
		`{"in":{"tags":[`+strings.Repeat("1,", 500)+`1]}}`)
	if n := strings.Count(many, `"BAD_USER_INPUT"`); n != 50 {
		t.Errorf("%d problems, want the limit of 50", n)
	}
}

func TestNothingOfTheSchemaIsToldWithoutIntrospection(t *testing.T) {
	t.Parallel()
	e := engine(func(c *operation.Config) { c.Introspection = false })
	for query, variables := range map[string]string{
		`{ hellp }`:               ``,
		`{ user(idd: 1) { id } }`: ``,
		`query($k: Kind!) { search(kind: $k) { id } }`: `{"k":"PLACES"}`,
		`{ __schema { types { name } } }`:              ``,
		`{ search(kind: PLACES) { id } }`:              ``,
	} {
		got := ask(t, e, query, variables)
		if code(t, got) == "" {
			t.Errorf("%s was answered: %s", query, got)
		}
		for _, word := range []string{"hello", "Did you mean", "PERSON", `"PLACE"`} {
			if strings.Contains(got, word) {
				t.Errorf("%s tells %s: %s", query, word, got)
			}
		}
	}
	if got := ask(t, e, `{ __typename }`, ""); got != `{"data":{"__typename":"Query"}}` {
		t.Errorf("__typename: %s", got)
	}
}
