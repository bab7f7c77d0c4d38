package engage

import (
	"errors"
	"slices"
	"strings"

	"carillon/model"
)

// renamed puts the paths of problems into the vendor's words, in pairs: what a
// path begins with, and what it begins with there.
func renamed(err error, pairs ...string) error {
	e, ok := errors.AsType[*model.Error](err)
	if !ok {
		return err
	}
	out := *e
	out.Problems = slices.Clone(e.Problems)
	for i, p := range out.Problems {
		field := p.Field()
		for n := 0; n < len(pairs); n += 2 {
			if rest, found := strings.CutPrefix(field, pairs[n]); found {
				field = pairs[n+1] + rest
			}
		}
		out.Problems[i].Path = strings.Split(field, ".")
	}
	return &out
}
