package render

import "strings"

// place is where a value is printed, as far as escaping goes.
type place int

const (
	inText    place = iota // of plain text, or within a URL's template
	inHTML                 // between tags, or within quotes
	inAddress              // at the begin of an attribute that is a URL
	inURL                  // within a URL
	beginsURL              // at its begin
)

// htmlState is where in HTML the next character stands.
type htmlState struct {
	in      htmlPlace
	quote   byte   // of an attribute's value
	tag     string // the name of the tag that is open or was opened last
	word    string // the attribute's name
	started bool   // whether the attribute's value has something in it
	rooted  bool   // whether the template itself has written as much of it as says where a URL leads
	seen    string // the last characters, to find ends of comments and scripts
}

type htmlPlace int

const (
	betweenTags htmlPlace = iota
	inName                // of a tag
	inTag                 // between its attributes
	inAttribute           // its name
	beforeValue           // behind the =
	inValue               // in quotes
	inBare                // without quotes
	inComment
	inScript // or style: what browsers do not read as HTML
)

func (h *htmlState) same(o htmlState) bool {
	return h.in == o.in && h.quote == o.quote && (h.in != inValue || h.word == o.word) && (h.in != inScript || h.tag == o.tag)
}

func (h *htmlState) betweenTags() bool { return h.in == betweenTags }

// place says how to escape what is printed here, or why nothing can be.
func (h *htmlState) place(mode Mode) (place, string) {
	switch {
	case mode == Text:
		return inText, ""
	case mode == URL && h.started:
		return inURL, ""
	case mode == URL:
		return beginsURL, ""
	}
	switch h.in {
	case betweenTags:
		return inHTML, ""
	case inValue:
		switch {
		case strings.HasPrefix(h.word, "on") || h.word == "style" || h.word == "srcdoc":
			return 0, "nothing can be printed into the attribute " + h.word
		case isAddress(h.word) && !h.started:
			return inAddress, ""
		case isAddress(h.word) && !h.rooted:
			return inURL, "" // so that two values together are no scheme
		}
		return inHTML, ""
	case inComment:
		return 0, "nothing can be printed into a comment"
	case inScript:
		return 0, "nothing can be printed into " + h.tag
	case beforeValue, inBare:
		return 0, "put the attribute's value into quotes"
	default:
		return 0, "nothing can be printed here within a tag; only between tags, and in attributes with quotes"
	}
}

func isAddress(attribute string) bool {
	switch attribute {
	case "href", "src", "action", "formaction", "background", "poster", "cite", "data":
		return true
	}
	return false
}

// printed notes that a value was printed here.
func (h *htmlState) printed() { h.started = true }

// feed reads text of the template.
func (h *htmlState) feed(text string, mode Mode) {
	if mode != HTML {
		h.started = h.started || text != ""
		return
	}
	for i := range len(text) {
		h.step(text[i])
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' }

// grown is a name with one more character, as far as names matter.
func grown(name string, c byte) string {
	if len(name) >= 32 {
		return name
	}
	return name + string(lower(c))
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func (h *htmlState) step(c byte) {
	switch h.in {
	case betweenTags:
		if c == '<' {
			h.in, h.tag = inName, ""
		}
	case inName:
		h.stepName(c)
	case inTag:
		switch {
		case c == '>':
			h.endTag()
		case isSpace(c) || c == '/':
		default:
			h.in, h.word = inAttribute, string(lower(c))
		}
	case inAttribute:
		switch {
		case c == '>':
			h.endTag()
		case c == '=':
			h.in = beforeValue
		case isSpace(c): // an = may follow yet
		default:
			h.word = grown(h.word, c)
		}
	case beforeValue:
		switch {
		case isSpace(c):
		case c == '>':
			h.endTag()
		case c == '"' || c == '\'':
			h.in, h.quote, h.started, h.rooted = inValue, c, false, false
		default:
			h.in = inBare
		}
	case inValue:
		if c == h.quote {
			h.in, h.quote = inTag, 0
		} else if !isSpace(c) {
			h.started = true
			h.rooted = h.rooted || c == ':' || c == '/' || c == '?' || c == '#'
		}
	case inBare:
		if c == '>' {
			h.endTag()
		} else if isSpace(c) {
			h.in = inTag
		}
	case inComment, inScript:
		h.stepHidden(c)
	}
}

func (h *htmlState) stepName(c byte) {
	switch {
	case c == '>':
		h.endTag()
	case isSpace(c) && h.tag != "":
		h.in = inTag
	case isSpace(c): // a bare <
		h.in = betweenTags
	default:
		if h.tag = grown(h.tag, c); h.tag == "!--" {
			h.in, h.seen = inComment, ""
		}
	}
}

func (h *htmlState) endTag() {
	h.in, h.quote = betweenTags, 0
	switch h.tag {
	case "script", "style", "iframe", "noscript", "xmp", "noembed", "noframes", "plaintext":
		h.in, h.seen = inScript, ""
	}
}

// stepHidden looks for the end of what is not HTML.
func (h *htmlState) stepHidden(c byte) {
	end := "-->"
	if h.in == inScript {
		end = "</" + h.tag
	}
	h.seen += string(lower(c))
	if len(h.seen) > len(end) {
		h.seen = h.seen[len(h.seen)-len(end):]
	}
	if h.seen == end {
		if h.in == inComment {
			h.in = betweenTags
		} else {
			h.in, h.tag = inTag, "/"+h.tag
		}
		h.seen = ""
	}
}
