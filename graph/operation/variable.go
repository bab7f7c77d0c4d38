package operation

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// coercion turns the variables of one request into the values that execution
// works with, and collects what is wrong with them. Numbers stay exact: Int
// becomes int64 within 32 bits, Float float64, and what a custom scalar is
// given keeps its json.Number.
type coercion struct {
	schema *ast.Schema
	tell   bool // whether messages may say what the schema has
	max    int
	errs   gqlerror.List
}

// coerce returns the variables of an operation by name, defaults included; one
// without a value and a default is left out. The errors have the code
// BAD_USER_INPUT and name the variable and the way into it.
func (e *Engine) coerce(d *document, given map[string]any) (map[string]any, gqlerror.List) {
	if len(d.op.VariableDefinitions) == 0 {
		return nil, nil
	}
	c := coercion{schema: e.schema, tell: e.introspection, max: e.limits.Errors}
	values := make(map[string]any, len(d.op.VariableDefinitions))
	for _, v := range d.op.VariableDefinitions {
		raw, ok := given[v.Variable]
		switch {
		case ok:
			values[v.Variable] = c.value("$"+v.Variable, v.Type, raw)
		case v.DefaultValue != nil:
			value, err := v.DefaultValue.Value(nil)
			if err != nil {
				c.wrong("$"+v.Variable, v, "has a default that cannot be read")
			}
			values[v.Variable] = value
		case v.Type.NonNull:
			c.wrong("$"+v.Variable, v, "of type "+v.Type.String()+" is required and was not given")
		}
	}
	for _, name := range d.notNull {
		if value, ok := values[name]; ok && value == nil && len(c.errs) == 0 {
			c.wrong("$"+name, nil, "must not be null where it is used; leave it out for the default")
		}
	}
	if len(c.errs) > 0 {
		return nil, c.errs
	}
	return values, nil
}

func (c *coercion) wrong(path string, v *ast.VariableDefinition, message string) {
	if len(c.errs) >= c.max {
		return
	}
	err := NewError(CodeBadUserInput, "the variable %s %s", path, message)
	if v != nil && v.Position != nil {
		err.Locations = []gqlerror.Location{{Line: v.Position.Line, Column: v.Position.Column}}
	}
	c.errs = append(c.errs, err)
}

// value coerces one value; path is the way to it, as messages show it.
func (c *coercion) value(path string, t *ast.Type, raw any) any {
	if raw == nil {
		if t.NonNull {
			c.wrong(path, nil, "must not be null; it is a "+t.String())
		}
		return nil
	}
	if t.Elem != nil {
		return c.list(path, t, raw)
	}
	definition := c.schema.Types[t.NamedType]
	if definition == nil {
		c.wrong(path, nil, "has the unknown type "+t.NamedType)
		return nil
	}
	switch definition.Kind {
	case ast.InputObject:
		return c.object(path, definition, raw)
	case ast.Enum:
		return c.enum(path, definition, raw)
	default:
		return c.scalar(path, definition, raw)
	}
}

// list coerces the elements of a list; a single value stands for a list of it.
func (c *coercion) list(path string, t *ast.Type, raw any) any {
	elements, ok := raw.([]any)
	if !ok {
		return []any{c.value(path, t.Elem, raw)}
	}
	out := make([]any, len(elements))
	for i, element := range elements {
		out[i] = c.value(path+"["+strconv.Itoa(i)+"]", t.Elem, element)
	}
	return out
}

func (c *coercion) object(path string, definition *ast.Definition, raw any) any {
	members, ok := raw.(map[string]any)
	if !ok {
		c.wrong(path, nil, "must be a "+definition.Name+" object, not "+describe(raw))
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if definition.Fields.ForName(name) == nil {
			c.wrong(path+"."+name, nil, "is not a field of "+definition.Name)
		}
	}
	out := make(map[string]any, len(members))
	for _, field := range definition.Fields {
		member, given := members[field.Name]
		switch {
		case given:
			out[field.Name] = c.value(path+"."+field.Name, field.Type, member)
		case field.Type.NonNull && field.DefaultValue == nil:
			c.wrong(path+"."+field.Name, nil, "of type "+field.Type.String()+" is required and was not given")
		}
	}
	if definition.Directives.ForName("oneOf") != nil {
		c.one(path, definition, members)
	}
	return out
}

// one holds a value to the rule of a @oneOf object.
func (c *coercion) one(path string, definition *ast.Definition, members map[string]any) {
	if len(members) == 1 {
		for _, value := range members {
			if value != nil {
				return
			}
		}
	}
	c.wrong(path, nil, "must have exactly one field of "+definition.Name+", and that one not null")
}

func (c *coercion) enum(path string, definition *ast.Definition, raw any) any {
	name, ok := raw.(string)
	if ok && definition.EnumValues.ForName(name) != nil {
		return name
	}
	may := "a value of " + definition.Name
	if c.tell {
		names := make([]string, 0, len(definition.EnumValues))
		for _, v := range definition.EnumValues {
			names = append(names, v.Name)
		}
		may = "one of " + strings.Join(names, ", ")
	}
	c.wrong(path, nil, "must be "+may+", not "+describe(raw))
	return nil
}

func (c *coercion) scalar(path string, definition *ast.Definition, raw any) any {
	switch definition.Name {
	case "Int":
		if n, ok := integer(raw); ok && n >= math.MinInt32 && n <= math.MaxInt32 {
			return n
		}
		c.wrong(path, nil, "must be an integer of 32 bits, not "+describe(raw))
	case "Float":
		if n, ok := raw.(json.Number); ok {
			if f, err := n.Float64(); err == nil {
				return f
			}
		}
		c.wrong(path, nil, "must be a number, not "+describe(raw))
	case "String":
		if s, ok := raw.(string); ok {
			return s
		}
		c.wrong(path, nil, "must be text, not "+describe(raw))
	case "Boolean":
		if b, ok := raw.(bool); ok {
			return b
		}
		c.wrong(path, nil, "must be true or false, not "+describe(raw))
	case "ID":
		switch raw := raw.(type) {
		case string:
			return raw
		case json.Number:
			if _, err := strconv.ParseInt(raw.String(), 10, 64); err == nil {
				return raw.String()
			}
		}
		c.wrong(path, nil, "must be text or an integer, not "+describe(raw))
	default:
		return raw // a custom scalar reads it itself
	}
	return nil
}

// integer reads a JSON number that has no fraction, however it is written.
func integer(raw any) (int64, bool) {
	n, ok := raw.(json.Number)
	if !ok {
		return 0, false
	}
	if i, err := n.Int64(); err == nil {
		return i, true
	}
	f, err := n.Float64()
	if err != nil || f != math.Trunc(f) || math.Abs(f) > math.MaxInt32+1 {
		return 0, false
	}
	return int64(f), true
}

// describe is a value as a message shows it.
func describe(raw any) string {
	switch raw := raw.(type) {
	case nil:
		return "null"
	case string:
		return strconv.Quote(shorten(raw))
	case json.Number:
		return shorten(raw.String())
	case bool:
		return strconv.FormatBool(raw)
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	default:
		return fmt.Sprintf("%v", raw)
	}
}
