package engagespot

import (
	"encoding/json"
	"net/http"

	"carillon/auth"
	"carillon/model"
	"carillon/rest"
)

// createUser creates a user, or merges the profile into that of one who is
// known.
func (a *API) createUser(r *http.Request) (int, any, error) {
	body, err := rest.Body(r, rest.MaxBody)
	if err != nil {
		return 0, nil, err
	}
	var check model.Check
	in := rest.Object(body, &check)
	in.Required("identifier")
	identifier, profile := in.Text("identifier"), in.ObjectText("profile")
	if err := check.Err(); err != nil {
		return 0, nil, err
	}
	return a.identify(r, identifier, profile, body, "profile")
}

// putUser does the same with the profile for body.
func (a *API) putUser(r *http.Request) (int, any, error) {
	body, err := rest.Body(r, rest.MaxBody)
	if err != nil {
		return 0, nil, err
	}
	profile, err := flatProfile(body)
	if err != nil {
		return 0, nil, err
	}
	return a.identify(r, r.PathValue("identifier"), profile, body, "")
}

// flatProfile is a body that is a profile. It may not try to rename the user.
func flatProfile(body json.RawMessage) (json.RawMessage, error) {
	var check model.Check
	in := rest.Object(body, &check)
	if err := check.Err(); err != nil {
		return nil, model.Errorf(model.KindInvalid, "the body must be an object: the profile")
	}
	for _, name := range in.Names() {
		if name == "identifier" {
			return nil, &rest.Error{Status: http.StatusUnprocessableEntity, Message: "the profile must not have the member identifier: it never changes, and stands in the path"}
		}
	}
	if len(in.Names()) == 0 {
		return nil, nil
	}
	return body, nil
}

// userSaved is the answer to a change of a user.
type userSaved struct {
	Identifier string          `json:"identifier"`
	Profile    json.RawMessage `json:"profile"`
}

func (a *API) identify(r *http.Request, identifier string, profile, body json.RawMessage, at string) (int, any, error) {
	c := caller(r.Context())
	u, err := a.merge(r, c, identifier, profile, body, at)
	if err != nil {
		return 0, nil, named(err, [2]string{"identifier", "identifier"})
	}
	shown, err := a.profileOf(r, c, u)
	return http.StatusOK, userSaved{u.Identifier, shown}, err
}

// deleteUser deletes a user with all that is theirs.
func (a *API) deleteUser(r *http.Request) (int, any, error) {
	c, identifier := caller(r.Context()), r.PathValue("identifier")
	once, err := rest.Once(r, c, "deleteUser", nil)
	if err != nil {
		return 0, nil, err
	}
	if _, err := a.Users.Delete(r.Context(), c.Env.ID, once, identifier); err != nil {
		return 0, nil, otherwise(err, noUser())
	}
	a.Gate.Service.ForgetUser(c.Env.ID, identifier)
	return http.StatusAccepted, done{http.StatusAccepted, "the user was deleted"}, nil
}

// getProfile answers with the caller's profile.
func (a *API) getProfile(r *http.Request) (int, any, error) {
	c, err := knownUser(r.Context())
	if err != nil {
		return 0, nil, err
	}
	u, err := a.Users.Find(r.Context(), c.Env.ID, c.User)
	if err != nil {
		return 0, nil, otherwise(err, noUser())
	}
	shown, err := a.profileOf(r, c, u)
	return http.StatusOK, shown, err
}

// putProfile merges the members of the body into the caller's profile.
func (a *API) putProfile(r *http.Request) (int, any, error) {
	body, err := rest.BodyOrForm(r, rest.MaxBody)
	if err != nil {
		return 0, nil, err
	}
	return a.mergeProfile(r, body)
}

// patchProfile takes a JSON Patch, or an object, which is merged.
func (a *API) patchProfile(r *http.Request) (int, any, error) {
	body, err := rest.Body(r, rest.MaxBody)
	if err != nil {
		return 0, nil, err
	}
	if len(body) == 0 || body[firstByte(body)] != '[' {
		return a.mergeProfile(r, body)
	}
	c, err := knownUser(r.Context())
	if err != nil {
		return 0, nil, err
	}
	once, err := rest.Once(r, c, "patchProfile", body)
	if err != nil {
		return 0, nil, err
	}
	devices, err := a.Users.Devices(r.Context(), c.Env.ID, c.UserID)
	if err != nil {
		return 0, nil, err
	}
	patch, tokens, err := takeTokenOperations(body, tokensOf(devices))
	if err != nil {
		return 0, nil, err
	}
	var u model.User
	if patch == nil {
		u, err = a.Users.Find(r.Context(), c.Env.ID, c.User)
	} else {
		var out model.Outcome[model.User]
		out, err = a.Users.Patch(r.Context(), c.Env.ID, once, c.User, model.ProfilePatch{JSONPatch: patch})
		u = out.Value
	}
	if err != nil {
		return 0, nil, named(otherwise(err, noUser()), [2]string{"jsonPatch", "operation"})
	}
	if err := a.changeTokens(r.Context(), c.Env.ID, u.ID, devices, tokens); err != nil {
		return 0, nil, err
	}
	shown, err := a.profileOf(r, c, u)
	return http.StatusOK, shown, err
}

func (a *API) mergeProfile(r *http.Request, body json.RawMessage) (int, any, error) {
	c, err := knownUser(r.Context())
	if err != nil {
		return 0, nil, err
	}
	profile, err := flatProfile(body)
	if err != nil {
		return 0, nil, err
	}
	u, err := a.merge(r, c, c.User, profile, body, "")
	if err != nil {
		return 0, nil, err
	}
	shown, err := a.profileOf(r, c, u)
	return http.StatusOK, shown, err
}

// merge merges attributes into a user's profile, and registers the push tokens
// among them. All is checked before anything is written.
func (a *API) merge(r *http.Request, c auth.Caller, identifier string, profile, body json.RawMessage, at string) (model.User, error) {
	once, err := rest.Once(r, c, "identifyUser", body)
	if err != nil {
		return model.User{}, err
	}
	var check model.Check
	here := &check
	if at != "" {
		here = check.At(at)
	}
	attributes, tokens, err := takeTokens(profile, here)
	if err != nil {
		return model.User{}, err
	}
	out, err := a.Users.Identify(r.Context(), c.Env.ID, once, model.IdentifyInput{Identifier: identifier, Attributes: attributes, Devices: tokenDevices(tokens)})
	if err != nil {
		return model.User{}, named(err, [2]string{"profile", at})
	}
	return out.Value.User, nil
}

func firstByte(raw json.RawMessage) int {
	for i, c := range raw {
		if c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			return i
		}
	}
	return 0
}
