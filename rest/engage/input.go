package engage

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"carillon/model"
	"carillon/rest"
)

// profileFields are the fields of a user that are attributes of ours.
var profileFields = map[string]string{
	"first_name": model.AttrFirstName, "last_name": model.AttrLastName, "email": model.AttrEmail, "tz": model.AttrTimeZone,
	"app_version": attrAppVersion, "app_build": attrAppBuild, "app_last_active": attrLastActive,
}

// change reads the fields of a user and puts them into a change of the one
// named. Problems are in the vendor's words.
func (c *call) change(identifier string) model.UserChange {
	ch := model.UserChange{Identifier: identifier}
	attributes := map[string]json.RawMessage{}
	for _, field := range slices.Sorted(maps.Keys(profileFields)) {
		if value := c.text(field); value != "" {
			attributes[profileFields[field]] = quoted(value)
		}
	}
	c.number(attributes)
	c.meta(attributes)
	if c.body.Has("is_account") {
		kind := model.UserPerson
		if c.body.Bool("is_account") {
			kind = model.UserAccount
		}
		ch.Kind = &kind
	}
	if t := c.date("created_at"); !t.IsZero() {
		ch.SignedUpAt = &t
	}
	c.device(&ch)
	merge, problems := c.Users.Merge(identifier, encoded(attributes))
	c.wrong(problems)
	ch.Merge = merge
	if email, _ := attributes[model.AttrEmail]; email != nil && c.caller.Public {
		ch.Guard = sameEmail(c.body.Text("email"))
	}
	return ch
}

// text reads a field. The build of an application may come as a number.
func (c *call) text(field string) string {
	if raw := c.body.Raw(field); strings.HasPrefix(field, "app_") && raw != nil && raw[0] >= '0' && raw[0] <= '9' {
		return string(raw)
	}
	return c.body.Text(field)
}

// sameEmail refuses another e-mail address than a user has: for that the
// secret is needed.
func sameEmail(email string) func(model.User) error {
	return func(now model.User) error {
		if address, _ := model.CheckEmail(email); address != now.Profile.Attribute(model.AttrEmail) {
			return model.Errorf(model.KindForbidden, "changing the email needs the key and the secret; the key alone will not do")
		}
		return nil
	}
}

// number keeps a phone number in E.164 form where it can be brought into it,
// and as it was sent where that is another text.
func (c *call) number(attributes map[string]json.RawMessage) {
	raw := c.body.Raw("number")
	if raw == nil {
		return
	}
	sent := strings.Trim(string(raw), `"`)
	if raw[0] == '"' {
		sent = c.body.Text("number")
	} else if _, err := strconv.ParseUint(sent, 10, 64); err != nil {
		c.check.Add(model.ProblemInvalid, "must be text", "number")
		return
	}
	if m := model.CheckText(sent, model.MaxIdentifier); m != "" {
		c.check.Add(model.ProblemInvalid, m, "number")
		return
	}
	attributes[attrNumber], attributes[model.AttrPhoneNumber] = json.RawMessage("null"), json.RawMessage("null")
	if sent == "" {
		return
	}
	normal := model.PhoneOf(sent)
	if normal != "" {
		attributes[model.AttrPhoneNumber] = quoted(normal)
	}
	if normal != sent {
		attributes[attrNumber] = quoted(sent)
	}
}

// meta reads the further attributes: text, numbers and booleans; null removes
// one.
func (c *call) meta(attributes map[string]json.RawMessage) {
	var given map[string]json.RawMessage
	raw := c.body.ObjectText("meta")
	if raw == nil || json.Unmarshal(raw, &given) != nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		value := given[name]
		switch {
		case slices.Contains(notMeta, name):
			c.check.Add(model.ProblemInvalid, "is no name for an attribute here: use the field of the user", "meta", name)
		case len(value) == 0 || value[0] == '{' || value[0] == '[':
			c.check.Add(model.ProblemInvalid, "must be text, a number or a boolean", "meta", name)
		case name == model.AttrLocale:
			attributes[name] = json.RawMessage(strings.ReplaceAll(string(value), "_", "-"))
		default:
			attributes[name] = value
		}
	}
}

// wrong adds problems with attributes, named as the vendor names them.
func (c *call) wrong(problems []model.Problem) {
	for _, p := range problems {
		switch {
		case len(p.Path) == 1 && p.Path[0] == "identifier":
			c.check.Add(p.Code, p.Message, "id")
		case len(p.Path) == 2 && p.Path[0] == "profile":
			c.check.Add(p.Code, p.Message, fieldOf(p.Path[1])...)
		default:
			c.check.Add(p.Code, p.Message, p.Path...)
		}
	}
}

func fieldOf(attribute string) []string {
	if attribute == model.AttrPhoneNumber {
		return []string{"number"}
	}
	for field, is := range profileFields {
		if is == attribute {
			return []string{field}
		}
	}
	return []string{"meta", attribute}
}

func (c *call) date(name string) time.Time {
	s := c.body.Text(name)
	if s == "" {
		return time.Time{}
	}
	t, ok := model.ParseDate(s)
	c.check.That(ok && !t.IsZero(), "must be a date, such as 2021-01-12T05:24:39Z", name)
	return t
}

func (c *call) device(ch *model.UserChange) {
	token := c.body.Text("device_token")
	if token == "" {
		return
	}
	in := model.DeviceInput{Token: token, Platform: model.PlatformOther}
	switch platform := c.body.Text("device_platform"); strings.ToLower(platform) {
	case "android":
		in.Platform = model.PlatformAndroid
	case "ios":
		in.Platform = model.PlatformIOS
	case "":
	default:
		c.check.Add(model.ProblemInvalid, "must be android or ios", "device_platform")
	}
	save, problems := c.Users.Token(in)
	for _, p := range problems {
		if p.Field() == "token" {
			c.check.Add(p.Code, p.Message, "device_token")
		}
	}
	ch.Devices = []model.DeviceSave{save}
}

// lists reads the ids of lists, which must be there.
func (c *call) lists() []model.Topic {
	var out []model.Topic
	for i, s := range c.body.Texts("lists") {
		id, ok := parseID(s)
		var t model.Topic
		var err error = errNoList
		if ok {
			t, err = c.Topics.ByID(c.ctx(), c.env, model.TopicID(id))
		}
		if err != nil {
			c.check.Add(model.ProblemNotFound, "names no list", "lists", strconv.Itoa(i))
			continue
		}
		out = append(out, t)
	}
	return out
}

var errNoList = model.NotFound("names no list", "list")

// accounts reads the accounts that a user is to be a member of.
func (c *call) accounts() []model.MembershipChange {
	var out []model.MembershipChange
	for i, raw := range c.body.List("accounts") {
		at := c.check.At("accounts", strconv.Itoa(i))
		m := rest.Object(raw, at)
		ch := model.MembershipChange{Account: uid(m.Raw("id"), at, "id")}
		if m.Has("role") {
			role := m.Text("role")
			ch.Role = &role
		}
		out = append(out, ch)
	}
	return out
}

// uid reads an id of the application's, which may come as a number.
func uid(raw json.RawMessage, c *model.Check, path ...string) string {
	var s string
	switch {
	case raw == nil:
		c.Add(model.ProblemRequired, "is required", path...)
	case raw[0] == '"' && json.Unmarshal(raw, &s) == nil:
	case !bytes.ContainsFunc(raw, func(r rune) bool { return r < '0' || r > '9' }):
		s = string(raw)
	default:
		c.Add(model.ProblemInvalid, "must be text or a whole number", path...)
	}
	return s
}

func quoted(s string) json.RawMessage {
	raw, _ := json.Marshal(s) // text always encodes
	return raw
}

func encoded(m map[string]json.RawMessage) json.RawMessage {
	raw, _ := json.Marshal(m) // of valid JSON
	return raw
}
