package user

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"carillon/model"
)

// Patch changes a profile, all or nothing, in exactly one of three ways: set
// and unset, an RFC 7396 merge patch, or an RFC 6902 JSON patch. With an
// expected version that is not the current one it is a KindVersionConflict
// error, and the outcome holds the current user. A test of a JSON patch that
// fails is a KindConflict error.
func (s *Service) Patch(ctx context.Context, env model.EnvID, once model.Once, identifier string, in model.ProfilePatch) (model.Outcome[model.User], error) {
	var none model.Outcome[model.User]
	if model.CheckIdentifier(identifier) != "" {
		return none, errUnknown
	}
	change, err := newPatch(in)
	if err != nil {
		return none, err
	}
	out, err := s.Store.PatchProfile(ctx, env, once, identifier, in.ExpectedVersion, func(now json.RawMessage) (json.RawMessage, error) {
		return patched(now, change)
	})
	if err == nil && !out.Replayed {
		s.note(ctx, env, out.Value.Profile.Attributes)
	}
	return out, err
}

// A patch changes a profile. Problems with what is asked go to c; an error is
// one that they are not, such as a test that failed.
type patch interface {
	apply(p profile, c *model.Check) error
	// path is the member of the input that the patch as a whole stands in.
	path() string
}

func patched(now json.RawMessage, change patch) (json.RawMessage, error) {
	p, err := decodeProfile(now)
	if err != nil {
		return nil, err
	}
	var c model.Check
	if err := change.apply(p, &c); err != nil {
		return nil, err
	}
	if err := c.Err(); err != nil {
		return nil, err
	}
	next, err := p.encode(&c, change.path())
	if err != nil {
		return nil, err
	}
	return next, c.Err()
}

// newPatch checks what can be checked without knowing the profile.
func newPatch(in model.ProfilePatch) (patch, error) {
	var c model.Check
	var found []patch
	if in.Set != nil || in.Unset != nil {
		found = append(found, newSetPatch(in, &c))
	}
	if in.MergePatch != nil {
		found = append(found, newMergePatch(in.MergePatch, &c))
	}
	if in.JSONPatch != nil {
		found = append(found, newJSONPatch(in.JSONPatch, &c))
	}
	if len(found) == 0 {
		c.Add(model.ProblemRequired, "must hold one of set or unset, mergePatch, and jsonPatch")
	}
	for _, extra := range found[min(1, len(found)):] {
		c.Add(model.ProblemInvalid, "must not be given together with "+found[0].path(), extra.path())
	}
	if v := in.ExpectedVersion; v != nil {
		c.That(*v >= 1, "must be a version of a profile: 1 or more", "expectedVersion")
	}
	if err := c.Err(); err != nil {
		return nil, err
	}
	return found[0], nil
}

// setPatch is set and unset.
type setPatch struct {
	set   profile
	unset []string
	given string // the first of the two that was given
}

func newSetPatch(in model.ProfilePatch, c *model.Check) patch {
	p := setPatch{set: profile{}, unset: in.Unset, given: "unset"}
	if in.Set != nil {
		p.given = "set"
		given := members(in.Set, c, "set")
		for _, name := range sortedNames(given) {
			if isNull(given[name]) {
				c.Add(model.ProblemInvalid, "must not be null: name the attribute in unset to remove it", "set", name)
				continue
			}
			p.set.set(name, given[name], c, "set", name)
		}
	}
	for i, name := range in.Unset {
		at := c.At("unset", strconv.Itoa(i))
		if m := model.CheckAttributeName(name); m != "" {
			at.Add(model.ProblemInvalid, m)
		}
		_, both := p.set[name]
		at.That(!both, fmt.Sprintf("must not name %q, which set gives a value", name))
	}
	return p
}

func (p setPatch) path() string { return p.given }

func (p setPatch) apply(to profile, _ *model.Check) error {
	for name, value := range p.set {
		to[name] = value
	}
	for _, name := range p.unset {
		delete(to, name)
	}
	return nil
}

// mergePatch is RFC 7396. Like set, it replaces attributes; unlike set, it goes
// into objects, and null removes.
type mergePatch map[string]json.RawMessage

func newMergePatch(raw json.RawMessage, c *model.Check) patch {
	return mergePatch(members(raw, c, "mergePatch"))
}

func (p mergePatch) path() string { return "mergePatch" }

func (p mergePatch) apply(to profile, c *model.Check) error {
	for _, name := range sortedNames(p) {
		if m := model.CheckAttributeName(name); m != "" {
			c.Add(model.ProblemInvalid, m, "mergePatch", name)
			continue
		}
		if isNull(p[name]) {
			delete(to, name)
			continue
		}
		merged, err := mergeInto(to[name], p[name])
		if err != nil {
			return err
		}
		if m := model.CheckJSON(merged, len(merged), model.MaxProfileDepth-1); m != "" {
			c.Add(model.ProblemInvalid, m, "mergePatch", name)
			continue
		}
		to.set(name, merged, c, "mergePatch", name)
	}
	return nil
}

// mergeInto merges a patch, which is not null, into a value; nil: into none.
func mergeInto(value, change json.RawMessage) (json.RawMessage, error) {
	var was any
	if value != nil {
		var err error
		if was, err = model.DecodeJSON(value); err != nil {
			return nil, err
		}
	}
	ch, err := model.DecodeJSON(change)
	if err != nil {
		return nil, err
	}
	return model.EncodeJSON(merge(was, ch))
}

// merge is MergePatch of RFC 7396, section 2.
func merge(target, patch any) any {
	change, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	into, ok := target.(map[string]any)
	if !ok {
		into = map[string]any{}
	}
	for name, v := range change {
		if v == nil {
			delete(into, name)
		} else {
			into[name] = merge(into[name], v)
		}
	}
	return into
}

// jsonPatch is RFC 6902.
type jsonPatch []operation

func newJSONPatch(raw json.RawMessage, c *model.Check) patch {
	return jsonPatch(parseOperations(raw, c.At("jsonPatch")))
}

func (p jsonPatch) path() string { return "jsonPatch" }

func (p jsonPatch) apply(to profile, c *model.Check) error {
	raw, err := to.encode(c)
	if err != nil {
		return err
	}
	doc, err := model.DecodeJSON(raw)
	if err != nil {
		return err
	}
	if doc, err = applyOperations(doc, p, c.At("jsonPatch")); err != nil || !c.OK() {
		return err
	}
	result, err := model.EncodeJSON(doc)
	if err != nil {
		return err
	}
	if m := model.CheckJSONObject(result, len(result), model.MaxProfileDepth); m != "" {
		c.Add(model.ProblemInvalid, "would make a profile that "+m, "jsonPatch")
		return nil
	}
	is, err := decodeProfile(result)
	if err != nil {
		return err
	}
	to.become(is, c, p.origin)
	return nil
}

// origin says which operation wrote an attribute last.
func (p jsonPatch) origin(name string) []string {
	for i, op := range slices.Backward(p) {
		if op.writes() && len(op.path) > 0 && op.path[0] == name {
			return []string{"jsonPatch", strconv.Itoa(i)}
		}
	}
	return []string{"jsonPatch"}
}
