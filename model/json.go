package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// CheckJSON says in one sentence what is wrong with JSON that a customer sent
// and that is kept as it is, or returns "". It must be one valid value in
// valid UTF-8, of at most maxBytes bytes and maxDepth levels of nesting; a
// bare number or text has none.
func CheckJSON(raw json.RawMessage, maxBytes, maxDepth int) string {
	switch {
	case len(raw) > maxBytes:
		return fmt.Sprintf("must have at most %d bytes as JSON, has %d", maxBytes, len(raw))
	case !utf8.Valid(raw):
		return "must be valid UTF-8"
	case jsonDepth(raw) > maxDepth:
		return fmt.Sprintf("must be nested at most %d levels deep", maxDepth)
	case !json.Valid(raw):
		return "must be valid JSON"
	}
	return ""
}

// CheckJSONObject is CheckJSON for what must be an object.
func CheckJSONObject(raw json.RawMessage, maxBytes, maxDepth int) string {
	if m := CheckJSON(raw, maxBytes, maxDepth); m != "" {
		return m
	}
	if !bytes.HasPrefix(bytes.TrimLeft(raw, " \t\r\n"), []byte("{")) {
		return "must be an object"
	}
	return ""
}

// jsonDepth counts how deep brackets are nested outside of text. It does not
// ask whether they match: json.Valid does.
func jsonDepth(raw []byte) int {
	depth, deepest, text := 0, 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
}
