package operation

import (
	"strconv"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"carillon/model"
)

// errSimple refuses what a web page could make a browser send.
var errSimple = model.Errorf(model.KindForbidden,
	"a page of another site could have sent this: add the header GraphQL-Require-Preflight, or send it by POST as application/json")

// fits holds an operation to the limits that are the same for everyone.
func (e *Engine) fits(d *document, total measure) gqlerror.List {
	l := &e.limits
	fields, what := l.RootFields, "root fields"
	if d.op.Operation == ast.Mutation {
		fields, what = l.Mutations, "mutations"
	}
	aliases, directives := written(d.doc)
	for _, limit := range []struct {
		what        string
		is, allowed int
	}{
		{"levels of fields", total.depth, l.Depth},
		{what, total.fields, fields},
		{"aliases", max(total.aliases, aliases), l.Aliases},
		{"directives", max(total.directives, directives), l.Directives},
		{"fields of introspection", total.introspection, l.Introspection},
	} {
		if limit.is > limit.allowed {
			return refuse(CodeTooComplex, "the operation may have at most %d %s and has %s, fragments counted at every spread",
				limit.allowed, limit.what, amount(limit.is))
		}
	}
	return nil
}

// amount is a count as a message shows it.
func amount(n int) string {
	if n >= most {
		return "too many to count"
	}
	return strconv.Itoa(n)
}

// written counts the aliases and directives that stand in a document, also in
// what the chosen operation does not use: the validator looks at those too.
func written(doc *ast.QueryDocument) (aliases, directives int) {
	var count func(ast.SelectionSet)
	count = func(set ast.SelectionSet) {
		for _, s := range set {
			switch s := s.(type) {
			case *ast.Field:
				if s.Alias != s.Name {
					aliases++
				}
				directives += len(s.Directives)
				count(s.SelectionSet)
			case *ast.InlineFragment:
				directives += len(s.Directives)
				count(s.SelectionSet)
			case *ast.FragmentSpread:
				directives += len(s.Directives)
			}
		}
	}
	for _, op := range doc.Operations {
		directives += len(op.Directives)
		for _, v := range op.VariableDefinitions {
			directives += len(v.Directives)
		}
		count(op.SelectionSet)
	}
	for _, f := range doc.Fragments {
		directives += len(f.Directives)
		count(f.SelectionSet)
	}
	return aliases, directives
}
