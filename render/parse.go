package render

import "strings"

// node is a piece of a template.
type node struct {
	at    position
	kind  nodeKind
	text  string     // of text
	value expression // of what is printed, each and with
	place place      // of what is printed: where it stands
	cases []branch   // of if
	body  []node     // of each and with
	other []node     // what is rendered otherwise
}

type nodeKind int

const (
	nodeText nodeKind = iota
	nodePrint
	nodeIf
	nodeEach
	nodeWith
	nodeSlot
)

type branch struct {
	value expression
	not   bool
	body  []node
}

// Template is a parsed template. It may be rendered concurrently.
type Template struct {
	source string
	mode   Mode
	nodes  []node
	slot   bool // whether it is a layout that says where its content goes
	whole  bool // whether its HTML ends between tags
	names  map[string]bool
}

// parser walks over the tokens.
type parser struct {
	*Template
	tokens []token
	next   int
	html   htmlState
	layout bool
}

// Parse reads a template. The error is an *[Error].
func Parse(source string, mode Mode) (*Template, error) {
	return parse(source, mode, false)
}

// ParseLayout reads a template, Text or HTML, that has one {{content}}, where what
// it is rendered around goes. It stands outside of blocks, so that it is there once
// whatever the data.
func ParseLayout(source string, mode Mode) (*Template, error) {
	t, err := parse(source, mode, true)
	if err == nil && !t.slot {
		return nil, errorAt(source, 0, "a layout must have {{content}} once, where the content goes")
	}
	return t, err
}

func parse(source string, mode Mode, layout bool) (*Template, error) {
	if len(source) > MaxSource {
		return nil, errorAt(source, 0, "a template has at most %d bytes, this has %d", MaxSource, len(source))
	}
	tokens, err := scan(source)
	if err != nil {
		return nil, err
	}
	trim(tokens)
	p := &parser{Template: &Template{source: source, mode: mode, names: map[string]bool{}}, tokens: tokens, layout: layout}
	if p.nodes, err = p.body("", 0, 0); err != nil {
		return nil, err
	}
	p.whole = mode != HTML || p.html.betweenTags()
	return p.Template, nil
}

// Whole reports whether what is written behind the template's HTML stands between
// tags, not within a tag, a comment or a script that was left open.
func (t *Template) Whole() bool { return t.whole }

// Uses reports whether the template refers to a name at the root of its data, such
// as "recipient".
func (t *Template) Uses(name string) bool { return t.names[name] }

func (p *parser) fail(at position, format string, args ...any) *Error {
	return errorAt(p.source, at, format, args...)
}

// body reads nodes up to the tag that ends them, which stays the next token: the
// end of the block, or an else. At the root nothing ends them.
func (p *parser) body(block string, opened position, depth int) (out []node, _ *Error) {
	if depth > MaxDepth {
		return nil, p.fail(opened, "there are more than %d blocks within each other", MaxDepth)
	}
	begin := p.html
	for ; p.next < len(p.tokens); p.next++ {
		t := p.tokens[p.next]
		switch {
		case !t.tag:
			p.html.feed(t.text, p.mode)
			if t.text != "" {
				out = append(out, node{at: t.at, text: t.text})
			}
		case t.text[0] == '!':
		case t.text[0] == '/' || isElse(t.text):
			if block == "" {
				return nil, p.fail(t.at, "{{%s}} belongs to no block", t.text)
			}
			return out, p.sameHTML(begin, opened)
		default:
			n, err := p.tag(t, depth)
			if err != nil {
				return nil, err
			}
			out = append(out, n)
		}
	}
	if block != "" {
		return nil, p.fail(opened, "this block is not closed by {{/%s}}", block)
	}
	return out, nil
}

// sameHTML sees to it that a block ends where in HTML it began, so that what comes
// after it stands in the same place whether or not it is rendered.
func (p *parser) sameHTML(begin htmlState, opened position) *Error {
	if p.mode == HTML && !p.html.same(begin) {
		return p.fail(opened, "this block begins and ends in different places of the HTML: it must not open or close a tag or a quote alone")
	}
	return nil
}

func isElse(tag string) bool {
	return tag == "else" || tag == "^" || strings.HasPrefix(tag, "else ")
}

func (p *parser) tag(t token, depth int) (node, *Error) {
	if p.layout && t.text == "content" {
		return p.content(t, depth)
	}
	switch t.text[0] {
	case '#', '^':
		return p.block(t, depth)
	case '>':
		return node{}, p.fail(t.at, "there are no partials")
	case '&':
		return node{}, p.fail(t.at, "& would print unescaped, which templates cannot")
	}
	x, err := p.expression(t, t.text)
	if err != nil {
		return node{}, err
	}
	where, problem := p.html.place(p.mode)
	if problem != "" {
		return node{}, p.fail(t.at, "%s", problem)
	}
	p.html.printed()
	return node{at: t.at, kind: nodePrint, value: x, place: where}, nil
}

// content is where a layout has its content go.
func (p *parser) content(t token, depth int) (node, *Error) {
	switch {
	case p.slot:
		return node{}, p.fail(t.at, "this is the second {{content}} of the layout, which has one")
	case depth > 0:
		return node{}, p.fail(t.at, "{{content}} must stand outside of blocks")
	case !p.html.betweenTags():
		return node{}, p.fail(t.at, "{{content}} must stand between tags")
	}
	p.slot = true
	return node{at: t.at, kind: nodeSlot}, nil
}

// expression reads what text, the end of the tag, says.
func (p *parser) expression(t token, text string) (expression, *Error) {
	at := t.at + position(strings.Index(p.source[t.at:], text))
	r := reader{source: p.source, text: text, at: at}
	x, err := r.all()
	if err == nil {
		p.note(x)
	}
	return x, err
}

func (p *parser) note(x expression) {
	if (x.kind == isPath || x.kind == isRoot) && len(x.path) > 0 {
		p.names[x.path[0]] = true
	}
	for _, a := range x.args {
		p.note(a)
	}
}

func (p *parser) block(t token, depth int) (node, *Error) {
	name, rest, _ := strings.Cut(strings.TrimSpace(t.text[1:]), " ")
	if t.text[0] == '^' {
		name, rest = "unless", strings.TrimSpace(t.text[1:])
	}
	n := node{at: t.at}
	switch name {
	case "if", "unless":
		n.kind = nodeIf
	case "each":
		n.kind = nodeEach
	case "with":
		n.kind = nodeWith
	default:
		return n, p.fail(t.at, "there is no block %q; there are if, unless, each and with", name)
	}
	x, err := p.expression(t, strings.TrimSpace(rest))
	if err != nil {
		return n, err
	}
	p.next++
	body, err := p.body(name, t.at, depth+1)
	if err != nil {
		return n, err
	}
	if n.kind == nodeIf {
		n.cases = []branch{{x, name == "unless", body}}
	} else {
		n.value, n.body = x, body
	}
	return n, p.rest(&n, name, t, depth)
}

// rest reads the elses of a block and its end.
func (p *parser) rest(n *node, name string, t token, depth int) *Error {
	for {
		end := p.tokens[p.next]
		if end.text[0] == '/' {
			closed := strings.TrimSpace(end.text[1:])
			if closed != name && !(t.text[0] == '^' && strings.TrimSpace(t.text[1:]) == closed) {
				return p.fail(end.at, "{{/%s}} closes a block that {{%s}} opened", closed, t.text)
			}
			return nil
		}
		if n.other != nil {
			return p.fail(end.at, "this block has had its last else")
		}
		var next *expression
		if cond, ok := strings.CutPrefix(strings.TrimSpace(strings.TrimPrefix(end.text, "else")), "if "); ok {
			if n.kind != nodeIf {
				return p.fail(end.at, "only if and unless have an else with a condition")
			}
			x, err := p.expression(end, strings.TrimSpace(cond))
			if err != nil {
				return err
			}
			next = &x
		} else if end.text != "else" && end.text != "^" {
			return p.fail(end.at, "{{%s}} is neither {{else}} nor {{else if …}}", end.text)
		}
		p.next++
		body, err := p.body(name, t.at, depth+1)
		switch {
		case err != nil:
			return err
		case next != nil:
			n.cases = append(n.cases, branch{value: *next, body: body})
		default:
			n.other = append([]node{}, body...) // not nil, though it may be empty
		}
	}
}
