package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// CheckJSON says in one sentence what is wrong with JSON that a customer sent
// and that is kept as it is, or returns "". It must be one valid value in
// valid UTF-8, of at most maxBytes bytes and maxDepth levels of nesting; a
// bare number or text has none. Its texts and names hold no NUL, which
// databases refuse, and neither U+FFFD nor half a surrogate pair, the marks of
// broken text. Of two members with one name the later counts.
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
	return checkJSONText(raw)
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

// checkJSONText looks for characters in the texts of valid JSON that would not
// survive: encoding/json makes U+FFFD of half a surrogate pair without a word.
func checkJSONText(raw []byte) string {
	for i := 0; i < len(raw); {
		switch {
		case raw[i] == 0xef && bytes.HasPrefix(raw[i:], []byte("\uFFFD")):
			return "must not contain U+FFFD, the sign of broken text"
		case raw[i] != '\\':
			i++
		case raw[i+1] != 'u':
			i += 2
		default:
			r, size := escapedRune(raw[i:])
			switch r {
			case 0:
				return "must not contain U+0000"
			case utf8.RuneError:
				return "must not contain U+FFFD or half a surrogate pair, the signs of broken text"
			}
			i += size
		}
	}
	return ""
}

// escapedRune reads \uXXXX, or two of them that are a surrogate pair, at the
// start of raw. Half a pair gives U+FFFD.
func escapedRune(raw []byte) (r rune, size int) {
	r = hexRune(raw[2:6])
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if len(raw) < 12 || raw[6] != '\\' || raw[7] != 'u' {
		return utf8.RuneError, 6
	}
	return utf16.DecodeRune(r, hexRune(raw[8:12])), 12
}

func hexRune(digits []byte) rune {
	n, err := strconv.ParseUint(string(digits), 16, 16)
	if err != nil {
		return utf8.RuneError
	}
	return rune(n)
}

// CanonicalJSON writes valid JSON the one way in which two equal values are
// equal bytes: without blanks, members in the order of their names, of two with
// one name the later. Numbers stay as they were written.
func CanonicalJSON(raw json.RawMessage) (json.RawMessage, error) {
	v, err := DecodeJSON(raw)
	if err != nil {
		return nil, err
	}
	return EncodeJSON(v)
}

// DecodeJSON decodes one value with its numbers as they were written
// (json.Number).
func DecodeJSON(raw json.RawMessage) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("decoding JSON: %w", err)
	}
	return v, nil
}

// EncodeJSON encodes a value without blanks. It leaves <, > and & as they are,
// unlike json.Marshal: nothing here is put into HTML.
func EncodeJSON(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encoding JSON: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
