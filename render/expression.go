package render

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// expression is a literal, a path, or a helper with its arguments.
type expression struct {
	at      position
	literal any      // a literal's value; nil for the others and for null
	path    []string // the names of a path
	up      int      // of a path: how many contexts it leaves first
	kind    expressionKind
	args    []expression // of a helper; path[0] is its name
}

type expressionKind int

const (
	isLiteral expressionKind = iota
	isPath                   // from the context
	isRoot                   // from all data, by @root
	isLoop                   // @index, @key, @first, @last
	isCall
)

// helpers are the functions, with how many arguments they take at least and at
// most.
var helpers = map[string][2]int{
	"default": {2, 2}, "eq": {2, 2}, "ne": {2, 2}, "lt": {2, 2}, "gt": {2, 2}, "and": {2, 8}, "or": {2, 8}, "not": {1, 1}, "length": {1, 1},
}

// reader reads the expressions of one tag.
type reader struct {
	source string // all of the template
	text   string // what is left
	at     position
}

func (r *reader) fail(format string, args ...any) *Error {
	return errorAt(r.source, r.at, format, args...)
}

func (r *reader) skip(n int) {
	r.text, r.at = r.text[n:], r.at+position(n)
}

func (r *reader) space() {
	r.skip(len(r.text) - len(strings.TrimLeft(r.text, " \t\r\n")))
}

// all reads one expression that takes the rest of the tag: a helper with its
// arguments needs no parentheses there.
func (r *reader) all() (expression, *Error) {
	r.space()
	if r.text == "" {
		return expression{}, r.fail("a value is missing")
	}
	list, err := r.list(0)
	if err != nil {
		return expression{}, err
	}
	if len(list) == 1 {
		return list[0], nil
	}
	return r.call(list)
}

// list reads values until the tag or the parenthesis ends.
func (r *reader) list(depth int) ([]expression, *Error) {
	if depth > MaxDepth {
		return nil, r.fail("there are more than %d parentheses within each other", MaxDepth)
	}
	var out []expression
	for r.space(); r.text != "" && r.text[0] != ')'; r.space() {
		x, err := r.value(depth)
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	if depth == 0 && r.text != "" {
		return nil, r.fail("this parenthesis was never opened")
	}
	return out, nil
}

func (r *reader) value(depth int) (expression, *Error) {
	at := r.at
	switch c := r.text[0]; {
	case c == '(':
		r.skip(1)
		list, err := r.list(depth + 1)
		if err != nil {
			return expression{}, err
		}
		if r.text == "" {
			return expression{}, errorAt(r.source, at, "this parenthesis is not closed")
		}
		r.skip(1)
		if len(list) == 0 {
			return expression{}, errorAt(r.source, at, "there is nothing in the parentheses")
		}
		return r.call(list)
	case c == '"' || c == '\'':
		end := strings.IndexByte(r.text[1:], c)
		if end < 0 {
			return expression{}, r.fail("this quote is not closed")
		}
		x := expression{at: at, literal: r.text[1 : end+1]}
		r.skip(end + 2)
		return x, nil
	}
	n := wordEnd(r.text)
	word := r.text[:n]
	x, problem := readWord(word)
	if problem != "" {
		return x, r.fail("%s", problem)
	}
	x.at = at
	r.skip(n)
	return x, nil
}

// wordEnd finds where a word ends: at a space, a parenthesis or a quote that stands
// in no brackets.
func wordEnd(s string) int {
	inBrackets := false
	for i := range len(s) {
		switch c := s[i]; {
		case c == '[' || c == ']':
			inBrackets = c == '['
		case !inBrackets && strings.IndexByte(" \t\r\n()\"'", c) >= 0:
			return i
		}
	}
	return len(s)
}

func (r *reader) call(list []expression) (expression, *Error) {
	name, args := list[0], list[1:]
	if name.kind != isPath || len(name.path) != 1 || name.up > 0 {
		return name, errorAt(r.source, name.at, "only a helper takes arguments: %s", strings.Join(helperNames(), ", "))
	}
	count, ok := helpers[name.path[0]]
	if !ok {
		return name, errorAt(r.source, name.at, "%q is no helper; there are %s", name.path[0], strings.Join(helperNames(), ", "))
	}
	if len(args) < count[0] || len(args) > count[1] {
		return name, errorAt(r.source, name.at, "%s takes %d to %d arguments, has %d", name.path[0], count[0], count[1], len(args))
	}
	name.kind, name.args = isCall, args
	return name, nil
}

func helperNames() []string {
	out := make([]string, 0, len(helpers))
	for name := range helpers {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// readWord reads what has no quotes: a number, true, false, null, or a path.
func readWord(word string) (x expression, problem string) {
	switch word {
	case "true", "false":
		return expression{literal: word == "true"}, ""
	case "null", "undefined":
		return expression{}, ""
	case "this", ".":
		return expression{kind: isPath}, ""
	}
	if strings.Trim(word[:1], "-0123456789") == "" {
		if _, err := strconv.ParseFloat(word, 64); err != nil {
			return x, strconv.Quote(word) + " is not a number"
		}
		return expression{literal: json.Number(word)}, ""
	}
	x.kind = isPath
	for strings.HasPrefix(word, "../") || word == ".." {
		x.up++
		word = strings.TrimPrefix(strings.TrimPrefix(word, ".."), "/")
	}
	word = strings.TrimPrefix(strings.TrimPrefix(word, "./"), "this.")
	if loop, ok := strings.CutPrefix(word, "@"); ok {
		if rest, ok := strings.CutPrefix(loop, "root."); ok {
			x.kind, word = isRoot, rest
		} else if loop == "index" || loop == "key" || loop == "first" || loop == "last" {
			return expression{kind: isLoop, up: x.up, path: []string{loop}}, ""
		} else {
			return x, "@" + loop + " does not exist; there are @index, @key, @first, @last and @root"
		}
	}
	if word == "" || word == "this" {
		return x, ""
	}
	x.path, problem = readNames(word)
	return x, problem
}

// readNames cuts a path at its dots; a name in brackets may have any characters.
func readNames(word string) (names []string, problem string) {
	for rest := word; ; {
		var name string
		if inner, ok := strings.CutPrefix(rest, "["); ok {
			if name, rest, ok = strings.Cut(inner, "]"); !ok {
				return nil, "a bracket in " + strconv.Quote(word) + " is not closed"
			}
		} else {
			n := strings.IndexByte(rest, '.')
			if n < 0 {
				n = len(rest)
			}
			if name, rest = rest[:n], rest[n:]; strings.ContainsAny(name, "{}[]<>&|#^/!@=*+,;%`~\\:?$") || !utf8.ValidString(name) {
				return nil, strconv.Quote(word) + " is not a path, such as data.order.id"
			}
		}
		if name == "" {
			return nil, strconv.Quote(word) + " is not a path, such as data.order.id"
		}
		names = append(names, name)
		if rest == "" {
			return names, ""
		}
		var ok bool
		if rest, ok = strings.CutPrefix(rest, "."); !ok {
			return nil, strconv.Quote(word) + " is not a path, such as data.order.id"
		}
	}
}
