package fyno

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"carillon/model"
	"carillon/rest"
)

// createProfile makes a user; one who is there is an error.
func (a *API) createProfile(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "createUser", rest.MaxBody)
	if err != nil {
		return 0, nil, err
	}
	c.body.Required("distinct_id")
	id := c.body.Text("distinct_id")
	if m := model.CheckIdentifier(id); id != "" && m != "" {
		c.check.Add(model.ProblemInvalid, m, "distinct_id")
	}
	ch := model.UserChange{Identifier: id, MustCreate: true}
	c.general(&ch, false)
	if err := c.check.Err(); err != nil {
		return 0, nil, err
	}
	_, err = a.Users.Change(c.ctx(), c.env, c.once, ch)
	if model.KindOf(err) == model.KindConflict {
		return 0, nil, model.Errorf(model.KindInvalid, "a profile with distinct_id %q already exists in %s", id, c.caller.Env.Kind)
	}
	return http.StatusCreated, ok("Profile created successfully"), worded(err)
}

// putProfile changes what is sent; a channel that is sent replaces all of them.
func (a *API) putProfile(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "updateUser", rest.MaxBody)
	if err != nil {
		return 0, nil, err
	}
	id := r.PathValue("id")
	ch := model.UserChange{Identifier: id, MustExist: true}
	if c.body.Has("distinct_id") {
		if ch.Rename = c.body.Text("distinct_id"); ch.Rename == "" {
			c.check.Add(model.ProblemInvalid, "must not be empty", "distinct_id")
		}
	}
	c.general(&ch, true)
	if err := c.check.Err(); err != nil {
		return 0, nil, err
	}
	_, err = a.Users.Change(c.ctx(), c.env, c.once, ch)
	if model.KindOf(err) == model.KindConflict {
		return 0, nil, model.Errorf(model.KindInvalid, "a profile with distinct_id %q already exists in %s", ch.Rename, c.caller.Env.Kind)
	}
	return http.StatusOK, ok("1 Record(s) updated successfully"), worded(unknown(err, id))
}

// general reads the fields of a profile into a change.
func (c *call) general(ch *model.UserChange, replace bool) {
	delta := map[string]json.RawMessage{}
	if slices.Contains(c.body.Names(), "name") {
		first, last, _ := strings.Cut(c.body.Text("name"), " ")
		delta[model.AttrFirstName], delta[model.AttrLastName] = orNull(first), orNull(last)
	}
	if slices.Contains(c.body.Names(), "timezone") {
		delta[model.AttrTimeZone] = orNull(c.body.Text("timezone"))
	}
	if slices.Contains(c.body.Names(), "status") {
		on := c.flag(c.body, "status")
		ch.Enabled = &on
	}
	var in channelInput
	if c.body.Has("channel") {
		in = c.channels(c.body.Object("channel"), c.check.At("channel"))
		if replace {
			in.replaceAll()
		}
	}
	in.apply(ch)
	ch.Merge = c.merging(ch.Identifier, func(now map[string]json.RawMessage) map[string]json.RawMessage {
		out := maps.Clone(delta)
		maps.Copy(out, in.attributes)
		if kept, changed := in.keep(now[attrKept]); changed {
			out[attrKept] = kept
		}
		return out
	})
}

// flag reads 1 or 0; null is 1.
func (c *call) flag(in rest.Members, name string) bool {
	switch string(in.Raw(name)) {
	case "", "1", "true", `"1"`:
		return true
	case "0", "false", `"0"`:
		return false
	}
	in.Check(name).Add(model.ProblemInvalid, "must be 1 or 0")
	return true
}

func orNull(s string) json.RawMessage {
	if s == "" {
		return json.RawMessage("null")
	}
	return quoted(s)
}

func quoted(s string) json.RawMessage {
	raw, _ := model.EncodeJSON(s) // a string always encodes
	return raw
}

// merging changes attributes by what they are: change gives the new ones, null
// for those that go.
func (c *call) merging(identifier string, change func(now map[string]json.RawMessage) map[string]json.RawMessage) model.ProfileMerge {
	return func(i int, now json.RawMessage) (json.RawMessage, []model.Problem, error) {
		is := map[string]json.RawMessage{}
		if now != nil {
			if err := json.Unmarshal(now, &is); err != nil {
				return nil, nil, fmt.Errorf("decoding profile: %w", err)
			}
		}
		delta, err := model.EncodeJSON(change(is))
		if err != nil {
			return nil, nil, err
		}
		merge, problems := c.Users.Merge(identifier, delta)
		if len(problems) > 0 {
			return nil, problems, nil
		}
		return merge(i, now)
	}
}

// words are the model's paths in Fyno's words.
var words = map[string]string{
	"identifier": "distinct_id", "newIdentifier": "distinct_id",
	"profile.firstName": "name", "profile.lastName": "name", "profile.timeZone": "timezone",
	"profile.email": "channel.email", "profile.phoneNumber": "channel.sms",
}

// worded puts the paths of problems into Fyno's words.
func worded(err error) error {
	e, is := errors.AsType[*model.Error](err)
	if !is || len(e.Problems) == 0 {
		return err
	}
	out := *e
	out.Problems = slices.Clone(e.Problems)
	for i, p := range out.Problems {
		if word, known := words[p.Field()]; known {
			out.Problems[i].Path = strings.Split(word, ".")
		}
	}
	return &out
}

func (a *API) getProfile(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "", rest.MaxBody)
	if err != nil {
		return 0, nil, err
	}
	shown, err := c.named(r.PathValue("id"))
	return http.StatusOK, shown, err
}

// named is the profile of an id as it is shown.
func (c *call) named(id string) (profileObject, error) {
	u, err := c.Users.Find(c.ctx(), c.env, id)
	if err != nil {
		return profileObject{}, unknown(err, id)
	}
	return c.shown(u)
}

// mergeProfiles makes one user of two. A target that is not there is the new
// name of the source.
func (a *API) mergeProfiles(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "mergeUsers", rest.MaxBody)
	if err != nil {
		return 0, nil, err
	}
	source, target := r.PathValue("id"), r.PathValue("target")
	const merged = "1 Record(s) updated and 1 Records(s) deleted"
	if _, err := a.Users.Find(c.ctx(), c.env, source); err != nil {
		return 0, nil, unknown(err, source)
	}
	if _, err := a.Users.Find(c.ctx(), c.env, target); model.KindOf(err) == model.KindNotFound {
		_, err := a.Users.Change(c.ctx(), c.env, c.once, model.UserChange{Identifier: source, MustExist: true, Rename: target})
		return http.StatusOK, ok(merged), worded(unknown(err, source))
	} else if err != nil {
		return 0, nil, err
	}
	if _, err := a.Users.MergeUsers(c.ctx(), c.env, c.once, source, target, false); err != nil {
		return 0, nil, unknown(err, source)
	}
	a.Gate.Service.ForgetUser(c.env, source)
	return http.StatusOK, ok(merged), nil
}

// maxDelete is how many profiles one call deletes.
const maxDelete = 1000

// deleteProfiles deletes those that are there, and minds when none is.
func (a *API) deleteProfiles(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "", rest.MaxBody)
	if err != nil {
		return 0, nil, err
	}
	c.body.Required("distinct_id")
	ids := c.body.Texts("distinct_id")
	c.check.That(len(ids) <= maxDelete, "must name at most "+strconv.Itoa(maxDelete)+" profiles", "distinct_id")
	if err := c.check.Err(); err != nil {
		return 0, nil, err
	}
	n := 0
	for _, id := range ids {
		switch _, err := a.Users.Delete(c.ctx(), c.env, model.Once{}, id); model.KindOf(err) {
		case "":
			if err != nil {
				return 0, nil, err
			}
			n++
			a.Gate.Service.ForgetUser(c.env, id)
		case model.KindNotFound:
		default:
			return 0, nil, err
		}
	}
	if n == 0 {
		return 0, nil, model.Errorf(model.KindInvalid, "distinct_id names no profile")
	}
	return http.StatusOK, ok(fmt.Sprintf("%d User(s) deleted successfully", n)), nil
}
