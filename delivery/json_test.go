package delivery

import "testing"

func TestJSON(t *testing.T) {
	t.Parallel()
	v := map[string]any{"a": map[string]any{"x": 1, "y": []int{2}}, "b": "<&>"}
	for _, tt := range []struct{ overrides, want string }{
		{``, `{"a":{"x":1,"y":[2]},"b":"<&>"}`},
		{`null`, `{"a":{"x":1,"y":[2]},"b":"<&>"}`},
		{`{"a":{"y":null,"z":12345678901234567890}}`, `{"a":{"x":1,"y":null,"z":12345678901234567890},"b":"<&>"}`},
		{`{"a":1,"c":{"d":2}}`, `{"a":1,"b":"<&>","c":{"d":2}}`},
		{`[1]`, ""},
		{`{`, ""},
	} {
		got, err := JSON(v, []byte(tt.overrides))
		if (err == nil) != (tt.want != "") || string(got) != tt.want {
			t.Errorf("with %s: %s, %v, want %s", tt.overrides, got, err, tt.want)
		}
	}
	if _, err := JSON(func() {}, nil); err == nil {
		t.Error("a function is JSON")
	}
}
