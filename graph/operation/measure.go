package operation

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// most is where counting stops: no sum or product of two measures overflows
// below its square, and everything near it is refused anyway.
const most = 1 << 30

func add(a, b int) int { return min(a+b, most) }
func mul(a, b int) int { return min(a*b, most) }

// measure is how much a selection set asks, with every spread of a fragment
// counted. It does not depend on where the set stands, so that of a fragment
// is computed once.
//
// Its cost in objects is cost + perItem × n, where n is the page of the
// connection that the set is selected on: `users(first: 50) { total nodes {…} }`
// multiplies nodes by 50, which only the field above knows.
type measure struct {
	depth         int
	fields        int // directly here, fragments included
	aliases       int
	directives    int
	introspection int // fields of the types of introspection, lists multiplied
	cost          int
	perItem       int
}

// of is the cost for a page of n.
func (m measure) of(n int) int { return add(m.cost, mul(m.perItem, n)) }

// and adds what is selected beside m.
func (m *measure) and(o measure) {
	m.depth = max(m.depth, o.depth)
	m.fields = add(m.fields, o.fields)
	m.aliases = add(m.aliases, o.aliases)
	m.directives = add(m.directives, o.directives)
	m.introspection = add(m.introspection, o.introspection)
	m.cost = add(m.cost, o.cost)
	m.perItem = add(m.perItem, o.perItem)
}

// measurer measures one operation. It works on a document that was parsed and
// not validated: what does not fit the schema costs nothing here and is
// refused later.
type measurer struct {
	schema    *ast.Schema
	limits    *Limits
	doc       *ast.QueryDocument
	op        *ast.OperationDefinition
	variables map[string]any // raw or coerced

	// A fragment that is being measured stands as zero: a cycle adds nothing
	// and ends there, for the validator to refuse.
	fragments map[string]measure
	dynamic   bool // the cost depends on a variable
}

func (m *measurer) operation() measure {
	total := m.set(root(m.schema, m.op.Operation), m.op.SelectionSet)
	total.directives = add(total.directives, len(m.op.Directives))
	for _, v := range m.op.VariableDefinitions {
		total.directives = add(total.directives, len(v.Directives))
	}
	return total
}

// root is the definition of the operation's root type; nil when the schema has
// no such operation.
func root(schema *ast.Schema, kind ast.Operation) *ast.Definition {
	switch kind {
	case ast.Mutation:
		return schema.Mutation
	case ast.Subscription:
		return schema.Subscription
	default:
		return schema.Query
	}
}

func (m *measurer) set(on *ast.Definition, selections ast.SelectionSet) measure {
	var total measure
	for _, s := range selections {
		switch s := s.(type) {
		case *ast.Field:
			total.and(m.field(on, s))
		case *ast.InlineFragment:
			inside := on
			if s.TypeCondition != "" {
				inside = m.schema.Types[s.TypeCondition]
			}
			total.and(m.set(inside, s.SelectionSet))
			total.directives = add(total.directives, len(s.Directives))
		case *ast.FragmentSpread:
			total.and(m.fragment(s.Name))
			total.directives = add(total.directives, len(s.Directives))
		}
	}
	return total
}

func (m *measurer) fragment(name string) measure {
	if known, ok := m.fragments[name]; ok {
		return known
	}
	f := m.doc.Fragments.ForName(name)
	if f == nil {
		return measure{}
	}
	if m.fragments == nil {
		m.fragments = make(map[string]measure, len(m.doc.Fragments))
	}
	m.fragments[name] = measure{}
	total := m.set(m.schema.Types[f.TypeCondition], f.SelectionSet)
	total.directives = add(total.directives, len(f.Directives))
	m.fragments[name] = total
	return total
}

func (m *measurer) field(on *ast.Definition, f *ast.Field) measure {
	var definition *ast.FieldDefinition
	var of *ast.Definition
	if on != nil {
		definition = on.Fields.ForName(f.Name)
	}
	if definition != nil {
		of = m.schema.Types[definition.Type.Name()]
	}

	inside := m.set(of, f.SelectionSet)
	total := measure{
		fields:        1,
		depth:         add(inside.depth, 1),
		aliases:       inside.aliases,
		directives:    add(inside.directives, len(f.Directives)),
		introspection: inside.introspection,
	}
	if f.Alias != f.Name {
		total.aliases = add(total.aliases, 1)
	}
	switch {
	case on != nil && strings.HasPrefix(on.Name, "__"):
		total.depth = 0
		if definition != nil && isList(definition.Type) {
			total.introspection = mul(total.introspection, m.limits.List)
		}
		total.introspection = add(total.introspection, 1)
	case of == nil || !of.IsCompositeType():
	case strings.HasPrefix(of.Name, "__"):
		total.depth = 1
		total.cost = m.limits.IntrospectionCost
	default:
		m.cost(&total, definition, f, inside)
	}
	if on == m.schema.Query {
		total.cost = add(total.cost, m.limits.Costs[f.Name])
	}
	return total
}

// cost puts into total what the objects of a field cost: one for each, and
// what is selected on them.
func (m *measurer) cost(total *measure, definition *ast.FieldDefinition, f *ast.Field, inside measure) {
	list := isList(definition.Type)
	n, paged := m.page(definition, f)
	switch {
	case paged && list:
		total.cost = mul(n, add(1, inside.of(m.limits.List)))
	case paged: // a connection: its own lists have n elements
		total.cost = add(1, inside.of(n))
	case list:
		total.perItem = add(1, inside.of(m.limits.List))
	default:
		total.cost, total.perItem = add(1, inside.cost), inside.perItem
	}
}

func isList(t *ast.Type) bool { return t.Elem != nil }

// page is how many objects the arguments first and last of a field ask for;
// false when it has neither.
func (m *measurer) page(definition *ast.FieldDefinition, f *ast.Field) (n int, ok bool) {
	for _, name := range [...]string{"first", "last"} {
		argument := definition.Arguments.ForName(name)
		if argument == nil {
			continue
		}
		ok = true
		value := argument.DefaultValue
		if given := f.Arguments.ForName(name); given != nil {
			value = given.Value
		}
		n = max(n, m.number(value))
	}
	if ok && n == 0 {
		n = m.limits.Page
	}
	return n, ok
}

// number is the value of a page argument: at least 1, and 0 when there is none
// or it is null. One that is no number at all is refused by whoever reads it.
func (m *measurer) number(v *ast.Value) int {
	if v == nil {
		return 0
	}
	switch v.Kind {
	case ast.IntValue:
		return atLeastOne(v.Raw)
	case ast.Variable:
		m.dynamic = true
		value, given := m.variables[v.Raw]
		if !given {
			if d := m.op.VariableDefinitions.ForName(v.Raw); d != nil && d.DefaultValue != nil && d.DefaultValue.Kind == ast.IntValue {
				return atLeastOne(d.DefaultValue.Raw)
			}
			return 0
		}
		switch value := value.(type) {
		case json.Number:
			return atLeastOne(value.String())
		case int64:
			return int(max(1, min(value, most)))
		}
	}
	return 0
}

// atLeastOne reads a number, which may be larger than any int.
func atLeastOne(digits string) int {
	f, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return most
	}
	return int(max(1, min(f, most)))
}
