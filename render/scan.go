package render

import "strings"

// token is text, or what stands between braces.
type token struct {
	at   position
	text string // of a tag: without the braces, the tildes and the space around
	tag  bool
	// trimLeft and trimRight: of a tag, whether the space beside it goes.
	trimLeft, trimRight bool
}

// scan cuts a source into tokens.
func scan(source string) ([]token, *Error) {
	var out []token
	for at := 0; at < len(source); {
		i := strings.Index(source[at:], "{{")
		if i < 0 {
			return append(out, token{at: position(at), text: source[at:]}), nil
		}
		open := at + i
		if open > at && source[open-1] == '\\' {
			out = append(out, token{at: position(at), text: source[at:open-1] + "{{"})
			at = open + 2
			continue
		}
		if open > at {
			out = append(out, token{at: position(at), text: source[at:open]})
		}
		t, end, err := scanTag(source, open)
		if err != nil {
			return nil, err
		}
		out, at = append(out, t), end
	}
	return out, nil
}

func scanTag(source string, open int) (t token, end int, _ *Error) {
	t = token{at: position(open), tag: true}
	rest := source[open+2:]
	if strings.HasPrefix(rest, "{") {
		return t, 0, errorAt(source, t.at, "three braces would print unescaped, which templates cannot; use two")
	}
	if strings.HasPrefix(strings.TrimPrefix(rest, "~"), "!--") {
		n := strings.Index(rest, "--")
		close := strings.Index(rest[n+2:], "--")
		for from := n + 2; ; {
			if close < 0 {
				return t, 0, errorAt(source, t.at, "this comment does not end; close it with --}}")
			}
			after := rest[from+close+2:]
			if tail, ok := strings.CutPrefix(strings.TrimPrefix(after, "~"), "}}"); ok {
				t.text = "!"
				t.trimLeft, t.trimRight = rest[0] == '~', after[0] == '~'
				return t, len(source) - len(tail), nil
			}
			from += close + 2
			close = strings.Index(rest[from:], "--")
		}
	}
	n := closing(rest)
	if n < 0 {
		return t, 0, errorAt(source, t.at, "{{ is not closed by }}")
	}
	inner := rest[:n]
	if strings.HasPrefix(inner, "~") {
		inner, t.trimLeft = inner[1:], true
	}
	if strings.HasSuffix(inner, "~") {
		inner, t.trimRight = inner[:len(inner)-1], true
	}
	t.text = strings.TrimSpace(inner)
	if t.text == "" {
		return t, 0, errorAt(source, t.at, "there is nothing between the braces")
	}
	return t, open + 2 + n + 2, nil
}

// closing finds the braces that close a tag, wherever quotes do not hide them.
func closing(s string) int {
	comment := strings.HasPrefix(strings.TrimPrefix(s, "~"), "!")
	var quote byte
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case (c == '"' || c == '\'') && !comment:
			quote = c
		case c == '}' && strings.HasPrefix(s[i:], "}}"):
			return i
		}
	}
	return -1
}

// trim takes away the space that tildes point to, and the lines on which there is
// nothing but one tag that prints nothing.
func trim(tokens []token) {
	for i, t := range tokens {
		if !t.tag {
			continue
		}
		if !t.trimLeft && !t.trimRight && silent(t.text) && ownLine(tokens, i) {
			if i > 0 {
				tokens[i-1].text = strings.TrimRight(tokens[i-1].text, " \t")
			}
			if i+1 < len(tokens) {
				_, after, _ := strings.Cut(tokens[i+1].text, "\n")
				skipped := len(tokens[i+1].text) - len(after)
				tokens[i+1].text, tokens[i+1].at = after, tokens[i+1].at+position(skipped)
			}
		}
		if t.trimLeft && i > 0 && !tokens[i-1].tag {
			tokens[i-1].text = strings.TrimRight(tokens[i-1].text, " \t\r\n")
		}
		if t.trimRight && i+1 < len(tokens) && !tokens[i+1].tag {
			tokens[i+1].text = strings.TrimLeft(tokens[i+1].text, " \t\r\n")
		}
	}
}

func silent(tag string) bool {
	return strings.ContainsAny(tag[:1], "#/^!") || tag == "else" || strings.HasPrefix(tag, "else ")
}

// ownLine reports whether the tag at i is alone on its line.
func ownLine(tokens []token, i int) bool {
	if i > 0 {
		before := tokens[i-1]
		line := before.text[strings.LastIndexByte(before.text, '\n')+1:]
		if before.tag || strings.Trim(line, " \t") != "" || len(line) == len(before.text) && i > 1 {
			return false
		}
	}
	if i+1 < len(tokens) {
		after := tokens[i+1]
		line, _, ended := strings.Cut(after.text, "\n")
		if after.tag || strings.Trim(line, " \t\r") != "" || !ended && i+2 < len(tokens) {
			return false
		}
	}
	return true
}
