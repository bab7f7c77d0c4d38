package user

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"carillon/model"
)

// maxPatch bounds a JSON patch as text, in bytes: room to replace the whole
// profile, tests of it included.
const maxPatch = 3 * model.MaxProfile

// operation is one operation of a JSON patch (RFC 6902). path and from are
// JSON pointers (RFC 6901) taken apart.
type operation struct {
	op    string
	path  []string
	from  []string
	value json.RawMessage
}

// writes reports whether the operation changes what path points to.
func (o operation) writes() bool { return o.op != "test" }

// parseOperations reads a JSON patch; everything that is wrong with it goes to
// c, with the number of the operation and its member as path.
func parseOperations(raw json.RawMessage, c *model.Check) []operation {
	if m := model.CheckJSON(raw, maxPatch, model.MaxProfileDepth+2); m != "" {
		c.Add(model.ProblemInvalid, m)
		return nil
	}
	var list []map[string]json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil || list == nil {
		c.Add(model.ProblemInvalid, "must be a list of operations (RFC 6902), each an object")
		return nil
	}
	if len(list) > model.MaxPatchOperations {
		c.Add(model.ProblemLimit, fmt.Sprintf("must have at most %d operations, has %d", model.MaxPatchOperations, len(list)))
		return nil
	}
	out := make([]operation, len(list))
	for i, members := range list {
		out[i] = parseOperation(members, c.At(strconv.Itoa(i)))
	}
	return out
}

func parseOperation(members map[string]json.RawMessage, c *model.Check) operation {
	o := operation{op: textMember(members, "op", c), path: pointerMember(members, "path", c)}
	switch o.op {
	case "":
		return o // said already
	case "add", "replace", "test":
		var ok bool
		if o.value, ok = members["value"]; !ok {
			c.Add(model.ProblemRequired, "must be given for "+o.op, "value")
		}
	case "move", "copy":
		o.from = pointerMember(members, "from", c)
	case "remove":
	default:
		c.Add(model.ProblemInvalid, "must be add, remove, replace, move, copy or test", "op")
		return o
	}
	o.checkTargets(c)
	return o
}

// checkTargets refuses to write the profile as a whole and what looks like the
// user's identifier.
func (o operation) checkTargets(c *model.Check) {
	if o.writes() && o.path != nil {
		checkTarget(o.path, c.At("path"))
	}
	if o.op == "move" && o.from != nil {
		checkTarget(o.from, c.At("from"))
		c.That(len(o.path) <= len(o.from) || !slices.Equal(o.path[:len(o.from)], o.from), "must not point above path: a value cannot be moved into itself", "from")
	}
}

func checkTarget(pointer []string, c *model.Check) {
	if len(pointer) == 0 {
		c.Add(model.ProblemInvalid, "must point at an attribute or into one, not at the whole profile")
	} else if m := model.CheckAttributeName(pointer[0]); m != "" {
		c.Add(model.ProblemInvalid, m)
	}
}

func textMember(members map[string]json.RawMessage, name string, c *model.Check) string {
	raw, ok := members[name]
	if !ok {
		c.Add(model.ProblemRequired, "must be given", name)
		return ""
	}
	var s *string
	if err := json.Unmarshal(raw, &s); err != nil || s == nil || *s == "" && name == "op" {
		c.Add(model.ProblemInvalid, "must be text", name)
		return ""
	}
	return *s
}

// pointerMember returns nil when there is no pointer; the empty pointer is not
// nil.
func pointerMember(members map[string]json.RawMessage, name string, c *model.Check) []string {
	before := len(c.Problems())
	s := textMember(members, name, c)
	if len(c.Problems()) > before {
		return nil
	}
	pointer, ok := parsePointer(s)
	if !ok {
		c.Add(model.ProblemInvalid, `must be a JSON pointer (RFC 6901), such as "/address/city"`, name)
	}
	return pointer
}

var unescapePointer = strings.NewReplacer("~1", "/", "~0", "~")

func parsePointer(s string) ([]string, bool) {
	if s == "" {
		return []string{}, true
	}
	if s[0] != '/' {
		return nil, false
	}
	tokens := strings.Split(s[1:], "/")
	for i, t := range tokens {
		if rest := strings.NewReplacer("~0", "", "~1", "").Replace(t); strings.Contains(rest, "~") {
			return nil, false
		}
		tokens[i] = unescapePointer.Replace(t)
	}
	return tokens, true
}
