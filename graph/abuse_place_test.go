package graph_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// place is one argument, or a part of one: the way to it, and its type.
type place struct {
	path []string
	t    *ast.Type
}

func (p place) String() string { return strings.Join(p.path, ".") }

// name is the last word on the way that is not a number: what an error about
// the place must say.
func (p place) name() string {
	for _, step := range slices.Backward(p.path) {
		if _, err := strconv.Atoi(step); err != nil {
			return step
		}
	}
	return ""
}

// namedIn reports whether an error is about the place: it names it, or what it
// is a part of. An empty input is named by what is missing in it.
func (p place) namedIn(said string) bool {
	if p.name() == "input" {
		return strings.Contains(said, "input") || strings.Contains(said, `"path":["`)
	}
	return slices.ContainsFunc(p.path, func(step string) bool {
		_, err := strconv.Atoi(step)
		return err != nil && step != "input" && strings.Contains(said, step)
	})
}

// places lists every argument of a field and every part of it, as far as the
// call that works has them.
func places(schema *ast.Schema, field *ast.FieldDefinition, args map[string]any) []place {
	var out []place
	var walk func(t *ast.Type, value any, path []string)
	walk = func(t *ast.Type, value any, path []string) {
		out = append(out, place{slices.Clone(path), t})
		if list, ok := value.([]any); ok && t.Elem != nil && len(list) > 0 {
			walk(t.Elem, list[0], append(path, "0"))
			return
		}
		members, ok := value.(map[string]any)
		if def := schema.Types[t.Name()]; ok && t.Elem == nil && def.Kind == ast.InputObject {
			for _, f := range def.Fields {
				walk(f.Type, members[f.Name], append(path, f.Name))
			}
		}
	}
	for _, arg := range field.Arguments {
		walk(arg.Type, args[arg.Name], []string{arg.Name})
	}
	return out
}

const mark = "\x00here"

// with puts a value at a place: as raw JSON, or out of the object when raw is
// empty.
func with(args map[string]any, at []string, raw string) string {
	return strings.ReplaceAll(encoded(replaced(args, at, raw)), quoted(mark), raw)
}

// replaced is v with the mark at a place, or without what is there.
func replaced(v any, at []string, raw string) any {
	if len(at) == 0 {
		return mark
	}
	if list, ok := v.([]any); ok {
		i, _ := strconv.Atoi(at[0])
		list = slices.Clone(list)
		if raw == "" && len(at) == 1 {
			return slices.Delete(list, i, i+1)
		}
		list[i] = replaced(list[i], at[1:], raw)
		return list
	}
	object := maps.Clone(v.(map[string]any))
	if raw == "" && len(at) == 1 {
		delete(object, at[0])
	} else {
		object[at[0]] = replaced(object[at[0]], at[1:], raw)
	}
	return object
}

func encoded(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// alone is what a root field stands in.
const alone = "{ %s }"

// document asks for a field with its arguments as variables, and for all that
// it answers, three levels deep. within is what the field stands in.
func document(schema *ast.Schema, op ast.Operation, field *ast.FieldDefinition, within string) string {
	var declared, passed []string
	for _, arg := range field.Arguments {
		declared = append(declared, "$"+arg.Name+": "+arg.Type.String())
		passed = append(passed, arg.Name+": $"+arg.Name)
	}
	asked := fmt.Sprintf("%s(%s) %s", field.Name, strings.Join(passed, ", "), selection(schema, field.Type, 3, nil))
	return fmt.Sprintf("%s (%s) ", op, strings.Join(declared, ", ")) + fmt.Sprintf(within, asked)
}

// inline is document with the arguments written into it.
func inline(schema *ast.Schema, op ast.Operation, field *ast.FieldDefinition, within string, args map[string]any) string {
	var passed []string
	for _, arg := range field.Arguments {
		if v, ok := args[arg.Name]; ok {
			passed = append(passed, arg.Name+": "+literal(schema, arg.Type, v))
		}
	}
	list := strings.Join(passed, ", ")
	if list != "" {
		list = "(" + list + ")"
	}
	return string(op) + " " + fmt.Sprintf(within, field.Name+list+" "+selection(schema, field.Type, 3, nil))
}

// literal is JSON as a value in a document. Names of enums lose their quotes.
func literal(schema *ast.Schema, t *ast.Type, v any) string {
	switch v := v.(type) {
	case []any:
		elem := t
		if t != nil && t.Elem != nil {
			elem = t.Elem
		}
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = literal(schema, elem, v[i])
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]any:
		var parts []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			var member *ast.Type
			if t != nil && schema.Types[t.Name()].Fields.ForName(name) != nil {
				member = schema.Types[t.Name()].Fields.ForName(name).Type
			}
			parts = append(parts, name+": "+literal(schema, member, v[name]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case string:
		if t != nil && schema.Types[t.Name()].EnumValues.ForName(v) != nil {
			return v
		}
	}
	return encoded(v)
}

// selection is everything of a type down to some depth, without going round in
// circles, and without what users may not see: it is attacked by itself.
func selection(schema *ast.Schema, t *ast.Type, depth int, above []string) string {
	def := schema.Types[t.Name()]
	if def.Kind != ast.Object && def.Kind != ast.Interface {
		return ""
	}
	above = append(slices.Clone(above), def.Name)
	parts := []string{"__typename"}
	for _, f := range def.Fields {
		under := schema.Types[f.Type.Name()]
		leaf := under.Kind != ast.Object && under.Kind != ast.Interface
		switch {
		case leaf:
			parts = append(parts, f.Name)
		case depth > 0 && !slices.Contains(above, under.Name) && f.Name != "edges" && f.Name != "subscribers" && f.Name != "segments":
			args := ""
			if f.Arguments.ForName("first") != nil {
				args = "(first: 2)"
			}
			parts = append(parts, f.Name+args+" "+selection(schema, f.Type, depth-1, above))
		}
	}
	for _, possible := range schema.GetPossibleTypes(def) {
		if def.Kind == ast.Interface {
			parts = append(parts, "... on "+possible.Name+" "+selection(schema, &ast.Type{NamedType: possible.Name}, min(depth, 1)-1, above))
		}
	}
	return "{ " + strings.Join(parts, " ") + " }"
}
