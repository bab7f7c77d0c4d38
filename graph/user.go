package graph

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"carillon/auth"
	"carillon/graph/generated"
	"carillon/graph/view"
	"carillon/model"
)

func (q *query) User(ctx context.Context, identifier string) (*view.User, error) {
	caller, err := q.caller(ctx)
	if err != nil {
		return nil, err
	}
	if caller.Kind == auth.User && (identifier != caller.User || caller.UserID == 0) {
		return nil, nil
	}
	u, err := q.Resolver.Users.Find(ctx, caller.Env.ID, identifier)
	return shownUser(u, err)
}

// shownUser shows a user that was looked for; absent is null.
func shownUser(u model.User, err error) (*view.User, error) {
	if err != nil {
		return nil, absent(err)
	}
	return view.NewUser(u), nil
}

// userFields resolves the fields of User that are read only when asked for.
type userFields struct{ *Resolver }

var _ generated.UserResolver = (*userFields)(nil)

func (f *userFields) Devices(ctx context.Context, u *view.User) ([]*view.Device, error) {
	ds, err := f.Users.Devices(ctx, u.EnvID, u.User.ID)
	return view.Devices(ds), err
}

func (f *userFields) Preferences(ctx context.Context, u *view.User) ([]*view.CategoryPreference, error) {
	caller, err := f.caller(ctx)
	if err != nil {
		return nil, err
	}
	ps, err := f.Users.Preferences(ctx, caller.Env, u.User.ID)
	return preferencesFor(caller, ps), err
}

func (m *mutation) IdentifyUser(ctx context.Context, in generated.IdentifyUserInput) (*generated.IdentifyUserPayload, error) {
	p := &generated.IdentifyUserPayload{}
	out, err := m.identifyUser(ctx, in)
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.User, p.Created, p.Replayed = view.NewUser(out.Value.User), out.Value.Created, out.Replayed
	return p, nil
}

func (m *mutation) identifyUser(ctx context.Context, in generated.IdentifyUserInput) (model.Outcome[model.Identified], error) {
	var none model.Outcome[model.Identified]
	caller, err := auth.Require(ctx)
	if err != nil {
		return none, err
	}
	if caller.Kind == auth.User && in.Identifier != caller.User {
		return none, unknownUser("identifier")
	}
	caller.UserID = 0 // this very call may make the user known: their keys must not change with it
	o, err := once(ctx, caller, take(&in.IdempotencyKey), in)
	if err != nil {
		return none, err
	}
	out, err := m.Users.Identify(ctx, caller.Env.ID, o, identifyInput(&in))
	if e, ok := errors.AsType[*model.Error](err); ok {
		asGiven(e.Problems, 0, &in)
	}
	return out, err
}

// asGiven names well-known attributes as the input did: the services know them
// as members of the profile, whose problems are at ["profile", name] behind a
// prefix of so many steps.
func asGiven(problems []model.Problem, prefix int, in *generated.IdentifyUserInput) {
	given := wellKnown(in)
	for i, p := range problems {
		if len(p.Path) == prefix+2 && p.Path[prefix] == "profile" && given[p.Path[prefix+1]] != nil {
			problems[i].Path = slices.Delete(slices.Clone(p.Path), prefix, prefix+1)
		}
	}
}

func (m *mutation) IdentifyUsers(ctx context.Context, in generated.IdentifyUsersInput) (*generated.IdentifyUsersPayload, error) {
	p := &generated.IdentifyUsersPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[[]model.IdentifyResult]
	if err == nil {
		out, err = m.Users.IdentifyMany(ctx, d.env, d.once, identifyInputs(in.Users))
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.Results, p.Replayed = make([]*generated.IdentifyUserResult, len(out.Value)), out.Replayed
	for i, r := range out.Value {
		asGiven(r.Problems, 0, in.Users[i])
		p.Results[i] = &generated.IdentifyUserResult{UserErrors: pointers(r.Problems)}
		if len(r.Problems) == 0 {
			p.Results[i].User, p.Results[i].Created = view.NewUser(r.User), r.Created
		}
	}
	return p, nil
}

func identifyInputs(in []*generated.IdentifyUserInput) []model.IdentifyInput {
	out := make([]model.IdentifyInput, len(in))
	for i, one := range in {
		out[i] = identifyInput(one)
	}
	return out
}

// identifyInput puts the well-known attributes over the profile. A profile
// that is no object is passed on as it is: the service says what is wrong.
func identifyInput(in *generated.IdentifyUserInput) model.IdentifyInput {
	out := model.IdentifyInput{Identifier: in.Identifier, Attributes: in.Profile}
	all := map[string]json.RawMessage{}
	if in.Profile != nil && (!view.IsObject(in.Profile) || json.Unmarshal(in.Profile, &all) != nil) {
		return out
	}
	for name, v := range wellKnown(in) {
		if v != nil {
			all[name], _ = json.Marshal(*v) // text always encodes
		}
	}
	if len(all) > 0 {
		out.Attributes, _ = json.Marshal(all) // of valid JSON
	}
	return out
}

// wellKnown are the attributes that the input has fields of their own for; nil
// ones were left out.
func wellKnown(in *generated.IdentifyUserInput) map[string]*string {
	return map[string]*string{
		model.AttrFirstName: in.FirstName, model.AttrLastName: in.LastName, model.AttrEmail: in.Email,
		model.AttrPhoneNumber: in.PhoneNumber, model.AttrLocale: in.Locale, model.AttrTimeZone: in.TimeZone,
	}
}

func (m *mutation) PatchProfile(ctx context.Context, in generated.PatchProfileInput) (*generated.PatchProfilePayload, error) {
	p := &generated.PatchProfilePayload{}
	d, err := m.about(ctx, in.User, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.User]
	if err == nil {
		out, err = m.Users.Patch(ctx, d.env, d.once, d.identifier, profilePatch(&in))
		err = elsewhere(err, unknownUser("user"))
	}
	if model.KindOf(err) == model.KindVersionConflict && out.Value.ID != 0 {
		p.User = view.NewUser(out.Value)
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.User, p.Replayed = view.NewUser(out.Value), out.Replayed
	return p, nil
}

func profilePatch(in *generated.PatchProfileInput) model.ProfilePatch {
	patch := model.ProfilePatch{Set: in.Set, Unset: in.Unset, MergePatch: in.MergePatch, JSONPatch: in.JSONPatch}
	if in.ExpectedVersion != nil {
		v := int64(*in.ExpectedVersion)
		patch.ExpectedVersion = &v
	}
	return patch
}

func (m *mutation) SetUserEnabled(ctx context.Context, in generated.SetUserEnabledInput) (*generated.SetUserEnabledPayload, error) {
	p := &generated.SetUserEnabledPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.User]
	if err == nil {
		out, err = m.Users.SetEnabled(ctx, d.env, d.once, in.User, in.Enabled)
		err = elsewhere(err, unknownUser("user"))
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.User, p.Replayed = view.NewUser(out.Value), out.Replayed
	return p, nil
}

func (m *mutation) DeleteUser(ctx context.Context, in generated.DeleteUserInput) (*generated.DeleteUserPayload, error) {
	p := &generated.DeleteUserPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.UserID]
	if err == nil {
		out, err = m.Users.Delete(ctx, d.env, d.once, in.User)
		err = elsewhere(err, unknownUser("user"))
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	m.userGone(d.env, out.Value, in.User)
	p.DeletedUserID, p.Replayed = ptr(view.UserID(out.Value)), out.Replayed
	return p, nil
}

func (m *mutation) RegisterDevice(ctx context.Context, in generated.RegisterDeviceInput) (*generated.RegisterDevicePayload, error) {
	p := &generated.RegisterDevicePayload{}
	d, err := m.aboutKnown(ctx, in.User, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.Device]
	if err == nil {
		out, err = m.Users.RegisterDevice(ctx, d.env, d.once, d.user, model.DeviceInput{
			Key: in.DeviceID, Platform: in.Platform, Browser: value(in.Browser), Token: value(in.Token), WebPush: in.WebPushSubscription,
			Provider: value(in.Provider), Enabled: in.Enabled,
		})
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.Device, p.Replayed = view.NewDevice(out.Value), out.Replayed
	return p, nil
}

func (m *mutation) RemoveDevice(ctx context.Context, in generated.RemoveDeviceInput) (*generated.RemoveDevicePayload, error) {
	p := &generated.RemoveDevicePayload{}
	d, err := m.aboutKnown(ctx, in.User, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.DeviceID]
	if err == nil {
		out, err = m.Users.RemoveDevice(ctx, d.env, d.once, d.user, in.DeviceID)
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.RemovedDeviceID, p.Replayed = ptr(view.DeviceID(d.user, out.Value)), out.Replayed
	return p, nil
}

// preferencesFor leaves out what the caller is not shown.
func preferencesFor(caller auth.Caller, ps []model.CategoryPreference) []*view.CategoryPreference {
	if caller.Kind == auth.User {
		ps = slices.DeleteFunc(slices.Clone(ps), func(p model.CategoryPreference) bool { return p.Category.HideInPrefs })
	}
	return view.CategoryPreferences(ps)
}
