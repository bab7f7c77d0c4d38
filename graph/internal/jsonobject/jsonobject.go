// Package jsonobject takes one JSON object apart without decoding its values:
// member names are matched exactly, a doubled member is an error, and nothing
// is deeper than the caller allows. encoding/json does none of the three. The
// package does not know what the members mean.
package jsonobject

import (
	"encoding/json"
	"errors"
	"fmt"
)

// MaxMembers is how many members the object itself may have. Those of the
// objects inside are not counted.
const MaxMembers = 64

// The errors of [Members]; their text completes a sentence that begins with
// what was read ("the body …").
var (
	ErrSyntax    = errors.New("is not valid JSON")
	ErrNotObject = errors.New("must be a JSON object")
	ErrTooDeep   = errors.New("nests objects and lists too deeply")
	ErrTooWide   = fmt.Errorf("has more than %d members", MaxMembers)
)

// Members calls visit for each member of the object in data, in order; value
// is a part of data and has no space around it. Objects and lists may nest
// depth levels, the object itself being the first. Members stops at the first
// error, which is visit's own or one of the above; a doubled member is
// reported before it is visited. data must be valid UTF-8.
func Members(data []byte, depth int, visit func(name string, value []byte) error) error {
	if !json.Valid(data) {
		return ErrSyntax
	}
	s := scanner{data: data}
	s.space()
	if s.data[s.at] != '{' {
		return ErrNotObject
	}
	if Deeper(data, depth) {
		return fmt.Errorf("%w: %d levels are the most", ErrTooDeep, depth)
	}
	s.at++
	var seen []string
	for {
		s.space()
		if s.data[s.at] == '}' {
			return nil
		}
		if s.data[s.at] == ',' {
			s.at++
			s.space()
		}
		name := s.name()
		for _, other := range seen {
			if other == name {
				return fmt.Errorf("has the member %q twice", name)
			}
		}
		if seen = append(seen, name); len(seen) > MaxMembers {
			return ErrTooWide
		}
		s.space()
		s.at++ // the colon
		s.space()
		from := s.at
		s.value()
		if err := visit(name, data[from:s.at]); err != nil {
			return err
		}
	}
}

// scanner walks over JSON that is known to be valid.
type scanner struct {
	data []byte
	at   int
}

func (s *scanner) space() {
	for {
		switch s.data[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

func (s *scanner) name() string {
	from := s.at
	if plain := s.text(); plain {
		return string(s.data[from+1 : s.at-1])
	}
	var name string
	if err := json.Unmarshal(s.data[from:s.at], &name); err != nil {
		return string(s.data[from:s.at])
	}
	return name
}

// text passes a string and reports whether it has no escapes.
func (s *scanner) text() (plain bool) {
	plain = true
	for s.at++; s.data[s.at] != '"'; s.at++ {
		if s.data[s.at] == '\\' {
			plain = false
			s.at++
		}
	}
	s.at++
	return plain
}

func (s *scanner) value() {
	switch s.data[s.at] {
	case '"':
		s.text()
	case '{', '[':
		s.nested()
	default: // a number, true, false or null
		for s.at < len(s.data) {
			switch s.data[s.at] {
			case ',', '}', ']', ' ', '\t', '\r', '\n':
				return
			}
			s.at++
		}
	}
}

func (s *scanner) nested() {
	for depth := 0; ; {
		switch s.data[s.at] {
		case '"':
			s.text()
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		s.at++
		if depth == 0 {
			return
		}
	}
}

// Deeper reports whether data, valid JSON, nests objects and lists more than
// depth levels.
func Deeper(data []byte, depth int) bool {
	s := scanner{data: data}
	level := 0
	for s.at < len(data) {
		switch data[s.at] {
		case '"':
			s.text()
			continue
		case '{', '[':
			if level++; level > depth {
				return true
			}
		case '}', ']':
			level--
		}
		s.at++
	}
	return false
}

// IsNull reports whether a value visited by [Members] is null.
func IsNull(value []byte) bool { return string(value) == "null" }

// IsObject reports whether a value visited by [Members] is an object.
func IsObject(value []byte) bool { return len(value) > 0 && value[0] == '{' }

// Text returns a visited value that is a string; false when it is something
// else.
func Text(value []byte) (string, bool) {
	if len(value) == 0 || value[0] != '"' {
		return "", false
	}
	var s string
	if err := json.Unmarshal(value, &s); err != nil {
		return "", false
	}
	return s, true
}
