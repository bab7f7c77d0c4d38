package model

import (
	"strings"
	"testing"
)

func TestCheckJSONObject(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in, want string
	}{
		{"Object", `{"a":[1,{"b":"]]]"}]}`, ""},
		{"Blanks", " \n{} ", ""},
		{"EscapedQuotes", `{"a":"\"[[[[[["}`, ""},
		{"Array", `[1]`, "object"},
		{"Null", `null`, "object"},
		{"Empty", ``, "valid JSON"},
		{"TwoValues", `{} {}`, "valid JSON"},
		{"Unclosed", `{"a":`, "valid JSON"},
		{"BrokenText", "{\"a\":\"\xff\"}", "UTF-8"},
		{"TooLong", `{"a":"` + strings.Repeat("x", 100) + `"}`, "at most 100 bytes"},
		{"DeepEnough", strings.Repeat(`{"a":`, 4) + "1" + strings.Repeat("}", 4), ""},
		{"TooDeep", strings.Repeat(`{"a":`, 5) + "1" + strings.Repeat("}", 5), "nested"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := CheckJSONObject([]byte(tt.in), 100, 4)
			if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("CheckJSONObject(%s) = %q, want %q in it", tt.in, got, tt.want)
			}
		})
	}
}
