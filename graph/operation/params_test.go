package operation_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"carillon/graph/operation"
)

func TestDecodeParams(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in string
		want     string // in the error; empty: accepted
	}{
		{"All", `{"query":"{a}","operationName":"A","variables":{"a":1},"extensions":{"x":{}}}`, ""},
		{"Nulls", `{"query":"{a}","operationName":null,"variables":null,"extensions":null}`, ""},
		{"Unknown", `{"query":"{a}","id":1,"doc_id":"x"}`, ""},
		{"Hash", `{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"x"}}}`, ""},
		{"Missing", `{"qeury":"{a}"}`, "must have the member query"},
		{"CaseMatters", `{"Query":"{a}"}`, "must have the member query"},
		{"NullQuery", `{"query":null}`, "must have the member query"},
		{"ObjectQuery", `{"query":{}}`, "must have a string as query"},
		{"NumberName", `{"query":"{a}","operationName":0}`, "must have a string as operationName"},
		{"ListVariables", `{"query":"{a}","variables":[]}`, "must have an object or null as variables"},
		{"TextVariables", `{"query":"{a}","variables":"{}"}`, "must have an object or null as variables"},
		{"ListExtensions", `{"query":"{a}","extensions":[]}`, "must have an object or null as extensions"},
		{"Twice", `{"query":"{a}","query":"{b}"}`, `has the member "query" twice`},
		{"Batch", `[{"query":"{a}"}]`, "must be a JSON object"},
		{"Trailing", `{"query":"{a}"} {}`, "is not valid JSON"},
		{"Empty", ``, "is not valid JSON"},
		{"Deep", `{"query":"{a}","variables":{"a":` + strings.Repeat("[", 63) + strings.Repeat("]", 63) + `}}`, "nests objects and lists too deeply: 64 levels are the most"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, errs := operation.DecodeParams([]byte(tt.in), "the body")
			switch {
			case tt.want == "" && errs != nil:
				t.Errorf("DecodeParams(%s): %v", tt.in, errs)
			case tt.want != "" && (errs == nil || errs[0].Message != "the body "+tt.want && !strings.HasPrefix(errs[0].Message, "the body "+tt.want)):
				t.Errorf("DecodeParams(%s): %v, want %q", tt.in, errs, tt.want)
			}
		})
	}
}

// FuzzDecodeParams holds DecodeParams to two promises: it never panics, and
// what it refuses has a code.
func FuzzDecodeParams(f *testing.F) {
	f.Add([]byte(`{"query":"{a}","operationName":"A","variables":{"a":1},"extensions":{"persistedQuery":{}}}`))
	f.Add([]byte(`{"query":"\ud800","variables":{"a":[{"b":1e999}]}}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if !utf8.Valid(data) {
			return
		}
		p, errs := operation.DecodeParams(data, "the body")
		if errs != nil && operation.CodeOf(errs[0]) != operation.CodeBadUserInput {
			t.Errorf("refused without its code: %v", errs)
		}
		if errs == nil && p.Query == "" && !p.PersistedQuery && !strings.Contains(string(data), `""`) {
			t.Errorf("accepted without a query: %s", data)
		}
	})
}
