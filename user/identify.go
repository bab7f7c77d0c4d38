package user

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"carillon/model"
)

// Identify creates a user, or merges what is given into the profile of one who
// is known: its members become attributes, and null members remove them. A new
// user whose identifier is an e-mail address gets it as email, unless another
// is given. Problems with an attribute are at ["profile", name].
func (s *Service) Identify(ctx context.Context, env model.EnvID, once model.Once, in model.IdentifyInput) (model.Outcome[model.Identified], error) {
	change, problems := newChange(in)
	if len(problems) > 0 {
		return model.Outcome[model.Identified]{}, &model.Error{Kind: model.KindInvalid, Message: "invalid input", Problems: problems}
	}
	out, err := s.Store.IdentifyUser(ctx, env, once, in.Identifier, func(_ int, now json.RawMessage) (json.RawMessage, []model.Problem, error) {
		return change.merge(now)
	})
	if err == nil && !out.Replayed {
		s.note(ctx, env, in.Attributes)
	}
	if err == nil {
		err = s.registerDevices(ctx, env, out.Value.User.ID, in.Devices)
	}
	return out, err
}

// registerDevices registers what comes with an identification, after it and
// before anybody is told of its success. Doing so again changes nothing.
func (s *Service) registerDevices(ctx context.Context, env model.EnvID, user model.UserID, devices []model.DeviceInput) error {
	for _, d := range devices {
		_, err := s.RegisterDevice(ctx, env, model.Once{}, user, d)
		if err != nil && model.KindOf(err) != model.KindNotFound { // deleted at this moment
			return fmt.Errorf("registering device: %w", err)
		}
	}
	return nil
}

// IdentifyMany is Identify for up to model.MaxIdentifyUsers users in one
// transaction. One that is invalid has problems in its result, with paths
// within itself, and does not keep the others from being identified. A user
// named twice is merged in order.
func (s *Service) IdentifyMany(ctx context.Context, env model.EnvID, once model.Once, in []model.IdentifyInput) (model.Outcome[[]model.IdentifyResult], error) {
	var none model.Outcome[[]model.IdentifyResult]
	var c model.Check
	switch {
	case len(in) == 0:
		c.Add(model.ProblemRequired, "must name at least one user", "users")
	case len(in) > model.MaxIdentifyUsers:
		c.Add(model.ProblemLimit, fmt.Sprintf("must name at most %d users, names %d", model.MaxIdentifyUsers, len(in)), "users")
	}
	if err := c.Err(); err != nil {
		return none, err
	}
	names := make([]string, len(in))
	changes := make([]profileChange, len(in))
	wrong := make([][]model.Problem, len(in))
	for i, one := range in {
		if changes[i], wrong[i] = newChange(one); len(wrong[i]) == 0 {
			names[i] = one.Identifier // others may hold what a database chokes on
		}
	}
	out, err := s.Store.IdentifyUsers(ctx, env, once, names, func(i int, now json.RawMessage) (json.RawMessage, []model.Problem, error) {
		if len(wrong[i]) > 0 {
			return nil, wrong[i], nil
		}
		return changes[i].merge(now)
	})
	if err == nil && !out.Replayed {
		for i, one := range in {
			if len(wrong[i]) == 0 {
				s.note(ctx, env, one.Attributes)
			}
		}
	}
	for i, one := range in {
		if err == nil && len(out.Value[i].Problems) == 0 {
			err = s.registerDevices(ctx, env, out.Value[i].User.ID, one.Devices)
		}
	}
	return out, err
}

// profileChange is what one identification asks for, checked.
type profileChange struct {
	identifier string
	set        profile
	unset      []string
}

// newChange checks what can be checked without knowing the user.
func newChange(in model.IdentifyInput) (profileChange, []model.Problem) {
	var c model.Check
	change := profileChange{identifier: in.Identifier, set: profile{}}
	if m := model.CheckIdentifier(in.Identifier); m != "" {
		c.Add(model.ProblemInvalid, m, "identifier")
	}
	if in.Attributes != nil {
		given := members(in.Attributes, &c, "profile")
		for _, name := range sortedNames(given) {
			if isNull(given[name]) {
				if m := model.CheckAttributeName(name); m != "" {
					c.Add(model.ProblemInvalid, m, "profile", name)
				}
				change.unset = append(change.unset, name)
			} else {
				change.set.set(name, given[name], &c, "profile", name)
			}
		}
	}
	return change, c.Problems()
}

// merge is a model.ProfileMerge for one user.
func (ch profileChange) merge(now json.RawMessage) (json.RawMessage, []model.Problem, error) {
	if now == nil {
		now = model.InitialAttributes(ch.identifier)
	}
	p, err := decodeProfile(now)
	if err != nil {
		return nil, nil, err
	}
	maps.Copy(p, ch.set)
	for _, name := range ch.unset {
		delete(p, name)
	}
	var c model.Check
	next, err := p.encode(&c, "profile")
	return next, c.Problems(), err
}
