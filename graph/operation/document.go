package operation

import (
	"sync/atomic"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/lexer"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator/core"
)

// document is a text with one of its operations chosen, validated: all that
// does not depend on variables or on the caller. It is not written to once it
// is made, but for introspected.
type document struct {
	doc    *ast.QueryDocument // Operations holds op alone
	op     *ast.OperationDefinition
	query  string
	tokens int

	roots       []string // distinct names of the root fields
	coordinates []string // the same with their type: "Mutation.sendNotification"
	fields      int      // root fields, as often as they are selected
	cost        int      // when not dynamic
	dynamic     bool     // the cost depends on variables
	// notNull names variables that may be left out and must not be null: they
	// are used where null cannot be, with a default in its place.
	notNull []string
	// compiled is what Config.Compile made of it.
	compiled any

	// introspected is the answer when nothing but introspection is asked for
	// and no variable matters; nil until it was computed.
	introspected atomic.Pointer[[]byte]
}

// countTokens reads the text without building anything of it, so that a text
// with too many tokens, or too deep for recursion over it, costs no memory.
func countTokens(query string, limit int) (int, gqlerror.List) {
	l := lexer.New(&ast.Source{Input: query})
	level := 0
	for n := 0; ; n++ {
		if n > limit {
			return n, refuse(CodeTooComplex, "the document has more than %d tokens, which is the limit", limit)
		}
		token, err := l.ReadToken()
		if err != nil {
			return n, coded(CodeParseFailed, gqlError(err))
		}
		switch token.Kind {
		case lexer.EOF:
			return n, nil
		case lexer.BraceL, lexer.BracketL, lexer.ParenL:
			level++
		case lexer.BraceR, lexer.BracketR, lexer.ParenR:
			level--
		}
		if level > MaxJSONDepth {
			return n, refuse(CodeTooComplex, "the document nests more than %d levels of brackets, which is the limit", MaxJSONDepth)
		}
	}
}

// parse makes a document of the text, with the named operation chosen.
func parse(query, name string, limits *Limits) (*document, gqlerror.List) {
	if len(query) > limits.Document {
		return nil, refuse(CodeTooLarge, "the document has more than %d bytes, which is the limit; put values into variables", limits.Document)
	}
	tokens, errs := countTokens(query, limits.Tokens)
	if errs != nil {
		return nil, errs
	}
	doc, err := parser.ParseQuery(&ast.Source{Input: query})
	if err != nil {
		return nil, coded(CodeParseFailed, gqlError(err))
	}
	op, errs := choose(doc, name)
	if errs != nil {
		return nil, errs
	}
	return &document{doc: doc, op: op, query: query, tokens: tokens}, nil
}

// choose finds the operation that is to run.
func choose(doc *ast.QueryDocument, name string) (*ast.OperationDefinition, gqlerror.List) {
	switch {
	case len(doc.Operations) == 0:
		return nil, refuse(CodeParseFailed, "the document has no operation")
	case name == "" && len(doc.Operations) > 1:
		return nil, refuse(CodeBadUserInput, "the document has %d operations: say which as operationName", len(doc.Operations))
	case name == "":
		return doc.Operations[0], nil
	}
	for _, op := range doc.Operations {
		if op.Name == name {
			return op, nil
		}
	}
	return nil, refuse(CodeBadUserInput, "the document has no operation with the name %q, which is its operationName", name)
}

// settle leaves the chosen operation alone in a document that was validated
// whole, and looks at the document once more as if it had been: variables in
// fragments refer to the definitions of the operation that was validated last.
func (d *document) settle(schema *ast.Schema) {
	if len(d.doc.Operations) == 1 {
		return
	}
	d.doc.Operations = ast.OperationList{d.op}
	core.Walk(schema, d.doc, &core.Events{})
}

// findRoots lists the fields that the operation selects on its root type.
func (d *document) findRoots() {
	on := "Query."
	switch d.op.Operation {
	case ast.Mutation:
		on = "Mutation."
	case ast.Subscription:
		on = "Subscription."
	}
	seen := map[string]bool{} // fields, and fragments with a space in front
	var walk func(ast.SelectionSet)
	walk = func(set ast.SelectionSet) {
		for _, s := range set {
			switch s := s.(type) {
			case *ast.Field:
				if !seen[s.Name] {
					seen[s.Name] = true
					d.roots = append(d.roots, s.Name)
					d.coordinates = append(d.coordinates, on+s.Name)
				}
			case *ast.InlineFragment:
				walk(s.SelectionSet)
			case *ast.FragmentSpread:
				if f := d.doc.Fragments.ForName(s.Name); f != nil && !seen[" "+s.Name] {
					seen[" "+s.Name] = true
					walk(f.SelectionSet)
				}
			}
		}
	}
	walk(d.op.SelectionSet)
}

// firstField is the first field that an operation selects on its root type.
func firstField(doc *ast.QueryDocument, set ast.SelectionSet) *ast.Field {
	for _, s := range set {
		var f *ast.Field
		switch s := s.(type) {
		case *ast.Field:
			f = s
		case *ast.InlineFragment:
			f = firstField(doc, s.SelectionSet)
		case *ast.FragmentSpread:
			if d := doc.Fragments.ForName(s.Name); d != nil {
				f = firstField(doc, d.SelectionSet)
			}
		}
		if f != nil {
			return f
		}
	}
	return nil
}

// isMeta reports whether a root field is about the schema and not about data.
func isMeta(field string) bool {
	return field == "__typename" || isIntrospection(field)
}

func isIntrospection(field string) bool { return field == "__schema" || field == "__type" }
