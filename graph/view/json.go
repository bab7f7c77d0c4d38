package view

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"carillon/model"
)

// maxJSONDepth bounds the nesting of a JSON argument.
const maxJSONDepth = model.MaxDataDepth

type rawJSON json.RawMessage

// MarshalGQLContext writes the value as it is kept.
func (r rawJSON) MarshalGQLContext(_ context.Context, w io.Writer) error {
	_, err := w.Write(r)
	return err
}

// MarshalJSON writes a JSON value that is kept as text.
func MarshalJSON(m json.RawMessage) graphql.ContextMarshaler { return rawJSON(m) }

// UnmarshalJSON reads any JSON value, from a variable or from a literal in the
// document, and writes it as text with sorted keys. Numbers stay exactly as
// they were written: gqlgen has read those of a literal as floats by now, so
// they are taken from the document itself.
func UnmarshalJSON(ctx context.Context, v any) (json.RawMessage, error) {
	w := jsonWriter{vars: variables(ctx)}
	if literal := literalAt(ctx); literal != nil {
		w.literal(literal, 1)
	} else {
		w.value(v, 1)
	}
	if w.err != nil {
		return nil, w.err
	}
	return w.buf.Bytes(), nil
}

func variables(ctx context.Context) map[string]any {
	if !graphql.HasOperationContext(ctx) {
		return nil
	}
	return graphql.GetOperationContext(ctx).Variables
}

// literalAt finds the place in the document that the argument at ctx's path
// was read from; nil when it came from a variable.
func literalAt(ctx context.Context) *ast.Value {
	field := graphql.GetFieldContext(ctx)
	if field == nil || field.Field.Field == nil {
		return nil
	}
	var path []*graphql.PathContext
	for p := graphql.GetPathContext(ctx); p != nil; p = p.Parent {
		path = append(path, p)
	}
	var at *ast.Value
	for _, p := range slices.Backward(path) {
		switch {
		case at == nil && p.Field != nil:
			if arg := field.Field.Arguments.ForName(*p.Field); arg != nil {
				at = arg.Value
			}
		case at == nil:
		case p.Field != nil:
			at = at.Children.ForName(*p.Field)
		case at.Kind == ast.ListValue && p.Index != nil && *p.Index < len(at.Children):
			at = at.Children[*p.Index].Value
		}
		if at == nil || at.Kind == ast.Variable {
			return nil
		}
	}
	return at
}

// jsonWriter writes JSON text, keeping numbers as they were given.
type jsonWriter struct {
	vars map[string]any
	buf  bytes.Buffer
	err  error
}

func (w *jsonWriter) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// tooDeep reports, and remembers, that there is more nesting than allowed.
func (w *jsonWriter) tooDeep(depth int) bool {
	if depth > maxJSONDepth {
		w.fail(invalid("must be nested at most %d levels deep", maxJSONDepth))
	}
	return w.err != nil
}

// value writes what a variable holds: the tree of encoding/json with
// json.Number for numbers.
func (w *jsonWriter) value(v any, depth int) {
	switch v := v.(type) {
	case map[string]any:
		if w.tooDeep(depth) {
			return
		}
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		w.members(keys, func(k string) { w.value(v[k], depth+1) })
	case []any:
		if w.tooDeep(depth) {
			return
		}
		w.items(len(v), func(i int) { w.value(v[i], depth+1) })
	case string:
		w.text(v)
	default:
		w.leaf(v)
	}
}

// literal writes a value of the document.
func (w *jsonWriter) literal(v *ast.Value, depth int) {
	switch v.Kind {
	case ast.Variable:
		w.variable(v, depth)
	case ast.ObjectValue:
		if w.tooDeep(depth) {
			return
		}
		children := w.present(v.Children)
		w.members(children, func(k string) { w.literal(v.Children.ForName(k), depth+1) })
	case ast.ListValue:
		if w.tooDeep(depth) {
			return
		}
		w.items(len(v.Children), func(i int) { w.literal(v.Children[i].Value, depth+1) })
	case ast.StringValue, ast.BlockValue:
		w.text(v.Raw)
	case ast.IntValue, ast.FloatValue, ast.BooleanValue:
		w.buf.WriteString(v.Raw) // the two grammars agree
	case ast.EnumValue:
		w.fail(invalid("must be JSON, and %.40s is not: put text in quotes", v.Raw))
	default:
		w.buf.WriteString("null")
	}
}

func (w *jsonWriter) variable(v *ast.Value, depth int) {
	value, ok := w.vars[v.Raw]
	if !ok && v.VariableDefinition != nil && v.VariableDefinition.DefaultValue != nil {
		w.literal(v.VariableDefinition.DefaultValue, depth)
		return
	}
	w.value(value, depth)
}

// present lists the sorted names of an object's members, without those whose
// variable was left out.
func (w *jsonWriter) present(children ast.ChildValueList) []string {
	var names []string
	for _, c := range children {
		if c.Value.Kind == ast.Variable {
			d := c.Value.VariableDefinition
			if _, ok := w.vars[c.Value.Raw]; !ok && (d == nil || d.DefaultValue == nil) {
				continue
			}
		}
		names = append(names, c.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (w *jsonWriter) members(keys []string, value func(key string)) {
	w.buf.WriteByte('{')
	for i, k := range keys {
		if i > 0 {
			w.buf.WriteByte(',')
		}
		w.text(k)
		w.buf.WriteByte(':')
		value(k)
	}
	w.buf.WriteByte('}')
}

func (w *jsonWriter) items(n int, value func(i int)) {
	w.buf.WriteByte('[')
	for i := range n {
		if i > 0 {
			w.buf.WriteByte(',')
		}
		value(i)
	}
	w.buf.WriteByte(']')
}

func (w *jsonWriter) text(s string) { w.leaf(s) }

func (w *jsonWriter) leaf(v any) {
	enc := json.NewEncoder(&w.buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		w.fail(invalid("must be JSON"))
		return
	}
	w.buf.Truncate(w.buf.Len() - 1) // Encode ends with a line break
}

// IsObject reports whether JSON text is an object.
func IsObject(m json.RawMessage) bool { return strings.HasPrefix(string(m), "{") }
