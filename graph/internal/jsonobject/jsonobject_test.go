package jsonobject

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"unicode/utf8"
)

func collect(data string, depth int) (map[string]string, error) {
	got := map[string]string{}
	err := Members([]byte(data), depth, func(name string, value []byte) error {
		got[name] = string(value)
		return nil
	})
	return got, err
}

func TestMembers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in string
		want     map[string]string
	}{
		{"Empty", ` { } `, map[string]string{}},
		{
			"EveryKind", `{"s":"a","n":-1.5e3 ,"t":true,"x":null,"o":{"a":[1,{}]},"l":[ ]}`,
			map[string]string{"s": `"a"`, "n": "-1.5e3", "t": "true", "x": "null", "o": `{"a":[1,{}]}`, "l": "[ ]"},
		},
		{"BracketsInText", `{"a":"}\"]{","b":1}`, map[string]string{"a": `"}\"]{"`, "b": "1"}},
		{"EscapedName", `{"\u0061\"":1}`, map[string]string{`a"`: "1"}},
		{"CaseMatters", `{"Query":1,"query":2}`, map[string]string{"Query": "1", "query": "2"}},
		{"NestedDoubles", `{"a":{"b":1,"b":2}}`, map[string]string{"a": `{"b":1,"b":2}`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := collect(tt.in, 8)
			if err != nil || !maps.Equal(got, tt.want) {
				t.Errorf("Members(%s) = %v, %v, want %v", tt.in, got, err, tt.want)
			}
		})
	}
}

func TestMembersRefuses(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`{"a":`, 8) + "1" + strings.Repeat("}", 8)
	if _, err := collect(deep, 8); err != nil {
		t.Errorf("8 levels of 8: %v", err)
	}
	tests := []struct {
		in   string
		want error
	}{
		{`{`, ErrSyntax},
		{``, ErrSyntax},
		{`{"a":1} x`, ErrSyntax},
		{`{"a":1,}`, ErrSyntax},
		{`[]`, ErrNotObject},
		{`"a"`, ErrNotObject},
		{`{"b":` + deep + `}`, ErrTooDeep},
	}
	for _, tt := range tests {
		if _, err := collect(tt.in, 8); !errors.Is(err, tt.want) {
			t.Errorf("Members(%s): %v, want %v", tt.in, err, tt.want)
		}
	}
	wide := map[int]bool{}
	for n := range MaxMembers + 1 {
		wide[n] = true
	}
	if data, _ := json.Marshal(wide); !errors.Is(second(collect(string(data), 8)), ErrTooWide) {
		t.Errorf("%d members were not refused", len(wide))
	}
	if _, err := collect(`{"a":1,"b":2,"a":3}`, 8); err == nil || !strings.Contains(err.Error(), `"a"`) {
		t.Errorf("a doubled member: %v, want an error that names it", err)
	}
}

func second(_ map[string]string, err error) error { return err }

// FuzzMembers holds Members to two promises: it never panics, and what it
// finds is what encoding/json finds.
func FuzzMembers(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":[1,"}",{"b":null}]}`, `{"\ud800":1}`, `[`, ` {"a" : 1 , "b":"\\"} `} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !utf8.Valid(data) {
			return
		}
		got := map[string]json.RawMessage{}
		err := Members(data, 100, func(name string, value []byte) error {
			got[name] = value
			return nil
		})
		if err != nil {
			return
		}
		want := map[string]json.RawMessage{}
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatalf("Members accepts %q, encoding/json says %v", data, err)
		}
		if !maps.EqualFunc(got, want, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
			t.Errorf("Members(%q) = %q, want %q", data, got, want)
		}
	})
}
