package render

import (
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Data is what templates print: values as package encoding/json decodes them, with
// json.Number for numbers.
type Data map[string]any

// ParseData decodes a JSON object without rounding its numbers. No text is no data.
func ParseData(object []byte) (Data, error) {
	if len(object) == 0 {
		return Data{}, nil
	}
	dec := json.NewDecoder(strings.NewReader(string(object)))
	dec.UseNumber()
	var d Data
	err := dec.Decode(&d)
	return d, err
}

// Result is what was rendered.
type Result struct {
	Text string
	// Missing are names that were printed and are not in the data, each once; at
	// most 20.
	Missing []string
}

// ErrTemplate is wrapped by the errors of rendering: the template asks for more
// than it may have.
var ErrTemplate = errors.New("the template cannot be rendered")

// Render renders the template with data. It ends within [MaxTime], and takes no more
// memory than [MaxOutput]. The error is an *[Error].
func (t *Template) Render(d Data) (Result, error) { return t.render(d, "") }

// RenderAround renders a layout around content that is ready for its place: text,
// or HTML that a template rendered.
func (t *Template) RenderAround(d Data, content string) (Result, error) { return t.render(d, content) }

func (t *Template) render(d Data, content string) (Result, error) {
	r := &run{template: t, root: map[string]any(d), content: content, deadline: time.Now().Add(MaxTime)}
	if err := r.nodes(t.nodes, &frame{value: map[string]any(d)}); err != nil {
		return Result{}, err
	}
	return Result{Text: r.out.String(), Missing: r.missing}, nil
}

// frame is a context: the value that paths start from.
type frame struct {
	value any
	up    *frame
	loop  map[string]any // @index and its kin; nil outside of each
}

type run struct {
	template *Template
	root     map[string]any
	content  string
	out      strings.Builder
	missing  []string
	steps    int
	deadline time.Time
}

func (r *run) fail(at position, format string, args ...any) *Error {
	return errorAt(r.template.source, at, format, args...)
}

// step is taken by every node and every value.
func (r *run) step(at position) *Error {
	if r.steps++; r.steps%128 == 0 && time.Now().After(r.deadline) {
		return r.fail(at, "the template takes longer than %s", MaxTime)
	}
	return nil
}

func (r *run) write(at position, s string) *Error {
	if r.out.Len()+len(s) > MaxOutput {
		return r.fail(at, "the template prints more than %d bytes", MaxOutput)
	}
	r.out.WriteString(s)
	return nil
}

func (r *run) nodes(list []node, f *frame) *Error {
	for i := range list {
		if err := r.step(list[i].at); err != nil {
			return err
		}
		if err := r.node(&list[i], f); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) node(n *node, f *frame) *Error {
	switch n.kind {
	case nodePrint:
		return r.print(n, f)
	case nodeIf:
		for _, c := range n.cases {
			v, err := r.value(&c.value, f)
			if err != nil {
				return err
			}
			if truth(v) != c.not {
				return r.nodes(c.body, f)
			}
		}
		return r.nodes(n.other, f)
	case nodeWith:
		v, err := r.value(&n.value, f)
		if err != nil {
			return err
		}
		if !truth(v) {
			return r.nodes(n.other, f)
		}
		return r.nodes(n.body, &frame{value: v, up: f})
	case nodeEach:
		return r.each(n, f)
	case nodeSlot:
		return r.write(n.at, r.content)
	default:
		return r.write(n.at, n.text)
	}
}

func (r *run) each(n *node, f *frame) *Error {
	v, err := r.value(&n.value, f)
	if err != nil {
		return err
	}
	var keys []string
	count := 0
	switch x := v.(type) {
	case []any:
		count = len(x)
	case map[string]any:
		keys = slices.Sorted(maps.Keys(x))
		count = len(keys)
	}
	if count == 0 {
		return r.nodes(n.other, f)
	}
	inner := &frame{up: f, loop: map[string]any{}}
	for i := range count {
		if err := r.step(n.at); err != nil {
			return err
		}
		inner.loop["index"], inner.loop["first"], inner.loop["last"] = json.Number(strconv.Itoa(i)), i == 0, i == count-1
		if keys != nil {
			inner.loop["key"], inner.value = keys[i], v.(map[string]any)[keys[i]]
		} else {
			inner.loop["key"], inner.value = inner.loop["index"], v.([]any)[i]
		}
		if err := r.nodes(n.body, inner); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) print(n *node, f *frame) *Error {
	v, err := r.value(&n.value, f)
	if err != nil {
		return err
	}
	if v == nil && n.value.kind == isPath && len(n.value.path) > 0 {
		if name := strings.Join(n.value.path, "."); len(r.missing) < 20 && !slices.Contains(r.missing, name) {
			r.missing = append(r.missing, name)
		}
	}
	return r.write(n.at, escape(text(v), n.place))
}

// text is how a value is printed.
func text(v any) string {
	switch x := v.(type) {
	case nil:
		return ""
	case string:
		return x
	case json.Number:
		return x.String()
	case bool:
		return strconv.FormatBool(x)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}

var escapeHTML = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;", "`", "&#96;", "=", "&#61;", "\x00", "\uFFFD")

// TextAsHTML is text as HTML that shows it, line by line.
func TextAsHTML(s string) string {
	return strings.ReplaceAll(escapeHTML.Replace(strings.ReplaceAll(s, "\r\n", "\n")), "\n", "<br>\n")
}

func escape(s string, where place) string {
	switch where {
	case inHTML:
		return escapeHTML.Replace(s)
	case inAddress:
		if !safeAddress(s) {
			return "#"
		}
		return escapeHTML.Replace(s)
	case inURL:
		return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
	default:
		return s
	}
}

// safeAddress reports whether a link may lead there: nowhere that runs code.
func safeAddress(s string) bool {
	scheme, _, ok := strings.Cut(s, ":")
	if !ok || strings.ContainsAny(scheme, "/?#") {
		return true // relative
	}
	switch strings.ToLower(strings.TrimFunc(scheme, func(r rune) bool { return r <= ' ' })) {
	case "http", "https", "mailto", "tel", "sms", "cid":
		return true
	}
	return false
}
