package fyno

import (
	"encoding/json"
	"testing"

	"carillon/model"
)

// FuzzOperators holds that an operator makes JSON of JSON, and a list of a list
// without the same value twice.
func FuzzOperators(f *testing.F) {
	for _, seed := range [][2]string{{`1`, `2`}, {`[1,"a"]`, `"a"`}, {`1e308`, `1e308`}, {`-0`, `1.5`}, {`"x"`, `[]`}, {`9223372036854775807`, `1`}, {`null`, `{}`}, {`[[]]`, `"b"`}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, now, given string) {
		if model.CheckJSON([]byte(now), 1<<16, 64) != "" || model.CheckJSON([]byte(given), 1<<16, 64) != "" {
			return
		}
		for name, op := range operators {
			out := op.apply(json.RawMessage(now), json.RawMessage(given))
			if out != nil && !json.Valid(out) {
				t.Errorf("%s of %q with %q is %q", name, now, given, out)
			}
			if name != "list-append" || out == nil {
				continue
			}
			if again := op.apply(out, json.RawMessage(given)); again != nil {
				t.Errorf("%q was appended twice to %q: %q", given, now, again)
			}
		}
	})
}
