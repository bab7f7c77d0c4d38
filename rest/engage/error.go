package engage

import (
	"errors"
	"slices"
	"strings"

	"carillon/model"
)

// renamed puts the paths of problems into the vendor's words: what a path begins
// with, and what it begins with there.
func renamed(err error, words ...[2]string) error {
	e, ok := errors.AsType[*model.Error](err)
	if !ok {
		return err
	}
	out := *e
	out.Problems = slices.Clone(e.Problems)
	for i, p := range out.Problems {
		field := p.Field()
		for _, word := range words {
			if rest, found := strings.CutPrefix(field, word[0]); found {
				field = word[1] + rest
			}
		}
		out.Problems[i].Path = strings.Split(field, ".")
	}
	return &out
}
