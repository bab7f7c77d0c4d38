package user

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"carillon/model"
)

// profile is a profile's attributes by name, each value in canonical form and
// passed by model.CheckAttribute.
type profile map[string]json.RawMessage

func decodeProfile(attributes json.RawMessage) (profile, error) {
	p := profile{}
	if err := json.Unmarshal(attributes, &p); err != nil {
		return nil, fmt.Errorf("decoding profile: %w", err)
	}
	return p, nil
}

// encode gives the canonical form. A profile that is too large is a problem of
// the input at path.
func (p profile) encode(c *model.Check, path ...string) (json.RawMessage, error) {
	raw, err := model.EncodeJSON(p)
	if err != nil {
		return nil, err
	}
	if len(raw) > model.MaxProfile {
		c.Add(model.ProblemLimit, fmt.Sprintf("would make the profile larger than %d bytes: %d", model.MaxProfile, len(raw)), path...)
	}
	return raw, nil
}

// set gives an attribute a value, which must be valid JSON. Problems go to
// path.
func (p profile) set(name string, value json.RawMessage, c *model.Check, path ...string) {
	if m := model.CheckAttributeName(name); m != "" {
		c.Add(model.ProblemInvalid, m, path...)
		return
	}
	value, err := model.CanonicalJSON(value)
	if err != nil {
		c.Add(model.ProblemInvalid, "must be valid JSON", path...)
		return
	}
	if bytes.Equal(p[name], value) {
		return
	}
	kept, wrong := model.CheckAttribute(name, value)
	if wrong != "" {
		c.Add(model.ProblemInvalid, wrong, path...)
		return
	}
	p[name] = kept
}

// become makes p what a patch made of it. Only what changed is checked: what
// was there is in order. at says which part of the input an attribute came
// from.
func (p profile) become(is profile, c *model.Check, at func(name string) []string) {
	for name := range p {
		if _, kept := is[name]; !kept {
			delete(p, name)
		}
	}
	for _, name := range sortedNames(is) {
		p.set(name, is[name], c, at(name)...)
	}
}

// sortedNames puts problems in an order that does not change from call to call.
func sortedNames(p map[string]json.RawMessage) []string {
	names := make([]string, 0, len(p))
	for name := range p {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// members takes an object of the input apart. What is wrong with it goes to
// path, or to the member that it is about, and no members are returned.
func members(object json.RawMessage, c *model.Check, path ...string) map[string]json.RawMessage {
	wrong := model.CheckJSONObject(object, model.MaxProfile, model.MaxProfileDepth)
	out := map[string]json.RawMessage{}
	if err := json.Unmarshal(object, &out); err != nil && wrong == "" {
		wrong = "must be an object"
	}
	if wrong == "" {
		return out
	}
	for _, name := range sortedNames(out) {
		if m := wrongMember(name, out[name]); m != "" {
			c.Add(model.ProblemInvalid, m, slices.Concat(path, []string{name})...)
			return nil
		}
	}
	c.Add(model.ProblemInvalid, wrong, path...)
	return nil
}

// wrongMember says what is wrong with one member of an object that is wrong as
// a whole, or returns "". It leaves alone what is wrong with a name: nobody
// would want to read that in a path.
func wrongMember(name string, value json.RawMessage) string {
	if model.CheckAttributeName(name) != "" {
		return ""
	}
	if m := model.CheckJSON(value, model.MaxProfile, model.MaxProfileDepth-1); m != "" || isNull(value) {
		return m
	}
	_, m := model.CheckAttribute(name, value)
	return m
}

func isNull(value json.RawMessage) bool { return string(value) == "null" }
