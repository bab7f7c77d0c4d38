package render

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// value finds out what an expression stands for; nil: for nothing.
func (r *run) value(x *expression, f *frame) (any, *Error) {
	if err := r.step(x.at); err != nil {
		return nil, err
	}
	switch x.kind {
	case isLiteral:
		return x.literal, nil
	case isCall:
		return r.call(x, f)
	case isRoot:
		return along(r.root, x.path), nil
	case isPath, isLoop:
	}
	for range x.up {
		if f.up == nil {
			return nil, nil
		}
		f = f.up
	}
	if x.kind == isLoop {
		for ; f != nil; f = f.up {
			if f.loop != nil {
				return f.loop[x.path[0]], nil
			}
		}
		return nil, nil
	}
	if v := along(f.value, x.path); v != nil || x.up > 0 || len(x.path) == 0 {
		return v, nil
	}
	if m, ok := f.value.(map[string]any); ok {
		if _, own := m[x.path[0]]; own {
			return nil, nil
		}
	}
	return along(r.root, x.path), nil // so that data and recipient can be named within each
}

// along follows names into objects, and numbers into arrays.
func along(v any, path []string) any {
	for _, name := range path {
		switch x := v.(type) {
		case map[string]any:
			v = x[name]
		case []any:
			i, err := strconv.Atoi(name)
			switch {
			case name == "length":
				v = json.Number(strconv.Itoa(len(x)))
			case err == nil && i >= 0 && i < len(x):
				v = x[i]
			default:
				return nil
			}
		default:
			return nil
		}
	}
	return v
}

func truth(v any) bool {
	switch x := v.(type) {
	case nil:
		return false
	case bool:
		return x
	case string:
		return x != ""
	case json.Number:
		n, err := x.Float64()
		return err != nil || n != 0
	case []any:
		return len(x) > 0
	}
	return true
}

func (r *run) call(x *expression, f *frame) (any, *Error) {
	var args [8]any
	for i := range x.args {
		v, err := r.value(&x.args[i], f)
		if err != nil {
			return nil, err
		}
		args[i] = v
	}
	given := args[:len(x.args)]
	switch x.path[0] {
	case "default":
		if truth(given[0]) {
			return given[0], nil
		}
		return given[1], nil
	case "eq":
		return equal(given[0], given[1]), nil
	case "ne":
		return !equal(given[0], given[1]), nil
	case "lt":
		return less(given[0], given[1]), nil
	case "gt":
		return less(given[1], given[0]), nil
	case "not":
		return !truth(given[0]), nil
	case "length":
		return json.Number(strconv.Itoa(length(given[0]))), nil
	case "and":
		for _, v := range given {
			if !truth(v) {
				return false, nil
			}
		}
		return true, nil
	default: // or
		for _, v := range given {
			if truth(v) {
				return true, nil
			}
		}
		return false, nil
	}
}

// equal compares numbers as numbers, and all else as it is printed.
func equal(a, b any) bool {
	if x, y, ok := numbers(a, b); ok {
		return x == y
	}
	return (a == nil) == (b == nil) && text(a) == text(b)
}

// less compares numbers as numbers, and text byte by byte.
func less(a, b any) bool {
	if x, y, ok := numbers(a, b); ok {
		return x < y
	}
	x, isText := a.(string)
	y, also := b.(string)
	return isText && also && x < y
}

func numbers(a, b any) (x, y float64, ok bool) {
	m, isNumber := a.(json.Number)
	n, also := b.(json.Number)
	if !isNumber || !also {
		return 0, 0, false
	}
	x, errX := m.Float64()
	y, errY := n.Float64()
	return x, y, errX == nil && errY == nil
}

func length(v any) int {
	switch x := v.(type) {
	case string:
		return utf8.RuneCountInString(x)
	case []any:
		return len(x)
	case map[string]any:
		return len(x)
	}
	return 0
}
