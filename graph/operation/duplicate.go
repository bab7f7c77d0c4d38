package operation

import (
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// dropDuplicates takes out of every selection set what repeats an earlier part
// of the same set: a field of the same name, alias and arguments is merged
// into the first, a spread is dropped. The answer is the same, since that is
// what execution does with them. Tools that put fragments together make
// duplicates, and validation compares each with each: two thousand of them
// took it a quarter of a second.
func dropDuplicates(doc *ast.QueryDocument) {
	for _, op := range doc.Operations {
		op.SelectionSet = distinct(op.SelectionSet)
	}
	for _, f := range doc.Fragments {
		f.SelectionSet = distinct(f.SelectionSet)
	}
}

func distinct(set ast.SelectionSet) ast.SelectionSet {
	const few = 8 // up to here comparing is cheaper than remembering
	if len(set) > few {
		set = merged(set)
	}
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			s.SelectionSet = distinct(s.SelectionSet)
		case *ast.InlineFragment:
			s.SelectionSet = distinct(s.SelectionSet)
		}
	}
	return set
}

func merged(set ast.SelectionSet) ast.SelectionSet {
	firsts := make(map[string]ast.Selection, len(set))
	kept := set[:0]
	for _, s := range set {
		if key := repeatable(s); key != "" {
			first, seen := firsts[key]
			if !seen {
				firsts[key] = s
			} else {
				if first, ok := first.(*ast.Field); ok {
					first.SelectionSet = append(first.SelectionSet, s.(*ast.Field).SelectionSet...)
				}
				continue
			}
		}
		kept = append(kept, s)
	}
	return kept
}

// repeatable is a text that selections share which can be one; empty for a
// selection that stays as it is.
func repeatable(s ast.Selection) string {
	switch s := s.(type) {
	case *ast.Field:
		if len(s.Directives) > 0 {
			return ""
		}
		// With and without a selection set is a mistake to be found later.
		kind := ""
		if len(s.SelectionSet) > 0 {
			kind = "{"
		}
		if len(s.Arguments) == 0 && s.Alias == s.Name {
			return kind + s.Name
		}
		var key strings.Builder
		key.WriteString(kind + s.Alias + ":" + s.Name)
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
