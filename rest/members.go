package rest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"carillon/model"
)

// Members reads the members of a JSON object one by one. Names are exact; null
// is absent; members nobody asks for are ignored. What has another type than
// it should goes to the Check, with its path, and reads as absent.
type Members struct {
	check  *model.Check
	values map[string]json.RawMessage
}

// Object takes an object of a request apart. Nothing, null and an empty list,
// which is how some languages write an empty object, have no members.
func Object(raw json.RawMessage, c *model.Check) Members {
	m := Members{check: c, values: map[string]json.RawMessage{}}
	if !isAbsent(raw) && (!isObject(raw) || json.Unmarshal(raw, &m.values) != nil) {
		c.Add(model.ProblemInvalid, "must be an object")
	}
	return m
}

// isAbsent reports whether raw stands for no object.
func isAbsent(raw json.RawMessage) bool {
	raw = bytes.TrimSpace(raw)
	return len(raw) == 0 || string(raw) == "null" || raw[0] == '[' && len(bytes.TrimSpace(raw[1:len(raw)-1])) == 0
}

func isObject(raw json.RawMessage) bool { return bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")) }

// Has reports whether a member is there and not null.
func (m Members) Has(name string) bool { return m.Raw(name) != nil }

// Raw is a member as it came; nil when it is absent or null.
func (m Members) Raw(name string) json.RawMessage {
	raw := bytes.TrimSpace(m.values[name])
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	return raw
}

// Names lists the members, sorted, also those that are null.
func (m Members) Names() []string {
	names := make([]string, 0, len(m.values))
	for name := range m.values {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Text is a member with text.
func (m Members) Text(name string) string {
	var s string
	m.into(name, &s, "must be text")
	return s
}

// Bool is a member with true or false, also as text, as forms have it.
func (m Members) Bool(name string) bool {
	switch string(m.Raw(name)) {
	case `"true"`, `"1"`:
		return true
	case `"false"`, `"0"`, `""`:
		return false
	}
	var b bool
	m.into(name, &b, "must be true or false")
	return b
}

// ID is a member with an integer id, as a number or as text; 0 when absent.
func (m Members) ID(name string) int64 {
	raw := m.Raw(name)
	if raw == nil {
		return 0
	}
	id, ok := ParseID(string(bytes.Trim(raw, `"`)))
	if !ok {
		m.check.Add(model.ProblemInvalid, "must be an id: a whole number", name)
	}
	return id
}

// ParseID reads an integer id; 0 is none.
func ParseID(text string) (int64, bool) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 || id > model.MaxID || text[0] == '+' || text[0] == '0' {
		return 0, false
	}
	return id, true
}

// Object is a member with an object; see [Object].
func (m Members) Object(name string) Members { return Object(m.Raw(name), m.check.At(name)) }

// ObjectText is a member with an object, as it came; nil for none.
func (m Members) ObjectText(name string) json.RawMessage {
	raw := m.Raw(name)
	switch {
	case isAbsent(raw):
		return nil
	case !isObject(raw):
		m.check.Add(model.ProblemInvalid, "must be an object", name)
		return nil
	}
	return raw
}

// List is a member with a list.
func (m Members) List(name string) []json.RawMessage {
	var list []json.RawMessage
	m.into(name, &list, "must be a list")
	return list
}

// Texts is a member with a list of texts. A null among them is a problem.
func (m Members) Texts(name string) []string {
	list := m.List(name)
	if list == nil {
		return nil
	}
	out := make([]string, len(list))
	for i, raw := range list {
		if err := json.Unmarshal(raw, &out[i]); err != nil || raw[0] != '"' {
			m.check.Add(model.ProblemInvalid, "must be text", name, strconv.Itoa(i))
		}
	}
	return out
}

// Check is where problems with a member go.
func (m Members) Check(path ...string) *model.Check { return m.check.At(path...) }

// Required notes as a problem that a member is absent.
func (m Members) Required(names ...string) {
	for _, name := range names {
		if !m.Has(name) {
			m.check.Add(model.ProblemRequired, "is required", name)
		}
	}
}

func (m Members) into(name string, to any, wrong string) {
	raw := m.Raw(name)
	if raw == nil {
		return
	}
	if err := json.Unmarshal(raw, to); err != nil {
		m.check.Add(model.ProblemInvalid, wrong, name)
	}
}

// Whole reads a whole number of at least min from a query parameter that may be
// absent or empty: then it is otherwise.
func Whole(c *model.Check, text, name string, min, otherwise int) int {
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < min {
		c.Add(model.ProblemInvalid, fmt.Sprintf("must be a whole number from %d", min), name)
		return otherwise
	}
	return n
}
