package store

import (
	"encoding/json"
	"fmt"
	"strings"

	"carillon/model"
)

// encodeContent gives what the sends table keeps of a content: its title, and
// the rest as JSON.
func encodeContent(c model.Content) (title, rest string, err error) {
	title, c.Title = c.Title, ""
	b, err := json.Marshal(c)
	if err != nil {
		return "", "", fmt.Errorf("encoding content: %w", err)
	}
	return title, string(b), nil
}

// decodeContent is the inverse of encodeContent.
func decodeContent(title, rest string) (*model.Content, error) {
	c := new(model.Content)
	return c, readContent(c, title, rest)
}

// readContent is decodeContent into a content that is empty.
func readContent(c *model.Content, title, rest string) error {
	if !readPlain(c, rest) {
		*c = model.Content{}
		if err := json.Unmarshal([]byte(rest), c); err != nil {
			return fmt.Errorf("decoding content: %w", err)
		}
	}
	c.Title = title
	return nil
}

// readPlain reads what encodeContent has written of a content without blocks,
// in which no text needed escaping, and takes its texts from s itself. That is
// nearly every one, and a page of an inbox has twenty. It reports false for
// anything else, and may then have set a part.
func readPlain(c *model.Content, s string) bool {
	rest, ok := strings.CutPrefix(s, "{")
	if rest == "}" {
		return ok
	}
	for ok {
		var name, value string
		if name, rest, ok = plainText(rest); !ok {
			return false
		}
		if rest, ok = strings.CutPrefix(rest, ":"); !ok {
			return false
		}
		var to *string
		switch name {
		case "body":
			to = &c.Body
		case "icon":
			to = &c.Icon
		case "url":
			to = &c.URL
		case "data":
			value, rest, ok = plainObject(rest)
			c.Data = json.RawMessage(value)
		default:
			return false
		}
		if to != nil {
			*to, rest, ok = plainText(rest)
		}
		if !ok || rest == "}" {
			return ok
		}
		rest, ok = strings.CutPrefix(rest, ",")
	}
	return false
}

// plainText takes a JSON text without escapes from the front of s.
func plainText(s string) (text, rest string, ok bool) {
	if s, ok = strings.CutPrefix(s, `"`); !ok {
		return "", "", false
	}
	end := strings.IndexByte(s, '"')
	if end < 0 || strings.IndexByte(s[:end], '\\') >= 0 {
		return "", "", false
	}
	return s[:end], s[end+1:], true
}

// plainObject takes a JSON object, in which no text has escapes, from the
// front of s.
func plainObject(s string) (object, rest string, ok bool) {
	level, inText := 0, false
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\\':
			return "", "", false
		case c == '"':
			inText = !inText
		case inText:
		case c == '{':
			level++
		case c == '}':
			level--
		}
		if level == 0 {
			return s[:i+1], s[i+1:], s[0] == '{'
		}
	}
	return "", "", false
}
