package operation

// Limits bounds what one operation may ask. Everything is counted as it would
// be executed: what stands in a fragment counts at every spread of it. The
// zero value of a field means its default.
type Limits struct {
	// Document is the size of the text, in bytes (65536). Over it:
	// PAYLOAD_TOO_LARGE.
	Document int
	// Tokens of the text, comments included (2000). Over this and all that
	// follow: QUERY_TOO_COMPLEX.
	Tokens int
	// Depth of nested fields; a field of the root is at depth 1 (12). What is
	// inside __schema and __type does not count here.
	Depth int
	// Aliases, fields with another name in the answer (30).
	Aliases int
	// RootFields of a query (20).
	RootFields int
	// Mutations, root fields of a mutation (10).
	Mutations int
	// Directives on anything (50).
	Directives int
	// Introspection is how many fields may be inside __schema and __type in
	// all, every list taken for List of its elements (100000). The usual
	// introspection query comes to about 50000.
	Introspection int
	// Errors is how many errors an answer names (50). Validation stops there.
	Errors int
	// Cost in objects (5000), when [Config] has no CostLimit.
	Cost int
	// Page is how many objects a field with first or last is taken for when
	// neither is given and the schema has no default (20).
	Page int
	// List is how many objects any other list is taken for (10).
	List int
	// IntrospectionCost is what one __schema or __type costs (100).
	IntrospectionCost int
	// Costs are what fields of Query cost besides the objects in their answers,
	// by name.
	Costs map[string]int
}

// withDefaults returns l with its zero fields filled in.
func (l Limits) withDefaults() Limits {
	fill := func(field *int, value int) {
		if *field == 0 {
			*field = value
		}
	}
	fill(&l.Document, 64<<10)
	fill(&l.Tokens, 2000)
	fill(&l.Depth, 12)
	fill(&l.Aliases, 30)
	fill(&l.RootFields, 20)
	fill(&l.Mutations, 10)
	fill(&l.Directives, 50)
	fill(&l.Introspection, 100_000)
	fill(&l.Errors, 50)
	fill(&l.Cost, 5000)
	fill(&l.Page, 20)
	fill(&l.List, 10)
	fill(&l.IntrospectionCost, 100)
	return l
}
