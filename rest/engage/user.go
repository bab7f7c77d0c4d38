package engage

import (
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"carillon/model"
	"carillon/user"
)

// plainID is what may be the id of a user who is created.
var plainID = regexp.MustCompile(`^[A-Za-z0-9]{1,255}$`)

// answer is a user object.
func (c *call) answer(code int, u model.User) (int, any, error) {
	objects, err := c.shown(c.ctx(), c.env, u)
	if err != nil {
		return 0, nil, err
	}
	return code, objects[0], nil
}

func (a *API) createUser(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "createUser")
	if err != nil {
		return 0, nil, err
	}
	id := uid(c.body.Raw("id"), &c.check, "id")
	if err := c.check.Err(); err != nil {
		return 0, nil, err
	}
	c.check.That(plainID.MatchString(id), "must have letters and digits only", "id")
	ch := c.change(id)
	for _, t := range c.lists() {
		ch.Topics = append(ch.Topics, t.ID)
	}
	ch.Accounts = c.accounts()
	if err := c.check.Err(); err != nil {
		return 0, nil, err
	}
	out, err := a.Users.Change(c.ctx(), c.env, c.once, ch)
	if err != nil {
		return 0, nil, err
	}
	code := http.StatusOK
	if out.Value.Created {
		code = http.StatusCreated
	}
	return c.answer(code, out.Value.User)
}

func (a *API) putUser(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "putUser")
	if err != nil {
		return 0, nil, err
	}
	u, err := c.put(r.PathValue("uid"))
	if err != nil {
		return 0, nil, err
	}
	return c.answer(http.StatusOK, u)
}

// put changes a user or creates them. A user who has no uid of the
// application's yet is found by the e-mail address or number, and gets this one.
func (c *call) put(identifier string) (model.User, error) {
	ch := c.change(identifier)
	for _, t := range c.lists() {
		ch.Topics = append(ch.Topics, t.ID)
	}
	if !c.caller.Public {
		ch.Match = c.match()
		ch.Match.OnlyUnassigned = true
	}
	if err := c.check.Err(); err != nil {
		return model.User{}, err
	}
	if err := c.given(&ch); err != nil {
		return model.User{}, err
	}
	out, err := c.Users.Change(c.ctx(), c.env, c.once, ch)
	return out.Value.User, renamed(err, [2]string{"newIdentifier", "id"}, [2]string{"identifier", "id"})
}

// given reads the id in the body, which clients repeat. It counts where the
// user's uid was made up here, and is theirs from then on.
func (c *call) given(ch *model.UserChange) error {
	var ignored model.Check
	id := uid(c.body.Raw("id"), &ignored, "id")
	if id == "" || id == ch.Identifier {
		return nil
	}
	u, err := c.Users.Find(c.ctx(), c.env, ch.Identifier)
	if err == nil && u.Unassigned {
		ch.Rename = id
	}
	if model.KindOf(err) == model.KindNotFound {
		return nil
	}
	return err
}

// match finds a user by the e-mail address or number in the body.
func (c *call) match() model.UserMatch {
	email, _ := model.CheckEmail(c.body.Text("email"))
	var phone string
	if raw := c.body.Raw("number"); raw != nil {
		phone = model.PhoneOf(strings.Trim(string(raw), `"`))
	}
	return model.UserMatch{Email: email, Phone: phone}
}

func (a *API) getUser(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "")
	if err != nil {
		return 0, nil, err
	}
	u, err := a.Users.Find(c.ctx(), c.env, r.PathValue("uid"))
	if err != nil {
		return 0, nil, err
	}
	shown, err := c.whole(u)
	return http.StatusOK, shown, err
}

func (a *API) listUsers(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "")
	if err != nil {
		return 0, nil, err
	}
	q := r.URL.Query()
	// An address has no blank: one is a plus that was not escaped.
	filter, p := model.UserFilter{Email: strings.ReplaceAll(q.Get("email"), " ", "+")}, c.page(q)
	for _, list := range append(q["lists[]"], q["lists"]...) {
		id, ok := parseID(list)
		c.check.That(ok, "must be the id of a list", "lists")
		filter.Topic = model.TopicID(id)
	}
	if err := c.check.Err(); err != nil {
		return 0, nil, err
	}
	users, out, err := window(p, func(req model.PageRequest) ([]model.User, bool, error) {
		found, err := a.Users.List(c.ctx(), c.env, filter, model.UserOrder{By: model.ByID, Ascending: true}, req)
		return found.Items, found.HasMore, err
	}, func(u model.User) int64 { return int64(u.ID) })
	if err != nil {
		return 0, nil, renamed(err, [2]string{"filter.email", "email"})
	}
	objects, err := a.shown(c.ctx(), c.env, users...)
	return http.StatusOK, page[userObject]{Data: objects, HasMore: out.HasMore, Next: out.Next, Previous: out.Previous}, err
}

func (a *API) deleteUser(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "deleteUser")
	if err != nil {
		return 0, nil, err
	}
	if _, err := a.Users.Delete(c.ctx(), c.env, c.once, r.PathValue("uid")); err != nil {
		return 0, nil, err
	}
	a.Gate.Service.ForgetUser(c.env, r.PathValue("uid"))
	return http.StatusOK, done, nil
}

func (a *API) track(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "trackEvents")
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, done, c.tracked(r.PathValue("uid"))
}

// tracked keeps an event of a user, who is made when nobody has the uid: clients
// tell of people before they know who they are.
func (c *call) tracked(identifier string) error {
	c.body.Required("event")
	in := user.EventInput{
		Name: c.body.Text("event"), Value: c.body.Raw("value"), Properties: c.body.ObjectText("properties"), OccurredAt: c.date("timestamp"),
	}
	if err := c.check.Err(); err != nil {
		return err
	}
	_, err := c.Users.Track(c.ctx(), c.env, c.once, identifier, []user.EventInput{in})
	return renamed(err, [2]string{"events.0.name", "event"}, [2]string{"events.0.", ""}, [2]string{"occurredAt", "timestamp"})
}

func (a *API) deleteToken(r *http.Request) (int, any, error) {
	token := r.PathValue("token")
	return a.simple(r, "removeDevice", func(c *call) model.UserChange {
		return model.UserChange{ForgetDevices: func(d model.Device) bool { return d.Token == token }}
	}, func(*call, model.User) (int, any, error) { return http.StatusOK, done, nil })
}

// simple changes a user who must be there; answer is what is said then.
func (a *API) simple(r *http.Request, operation string, change func(*call) model.UserChange, answer func(*call, model.User) (int, any, error)) (int, any, error) {
	c, err := a.begin(r, operation)
	if err != nil {
		return 0, nil, err
	}
	ch := change(c)
	ch.Identifier, ch.MustExist = r.PathValue("uid"), true
	if err := c.check.Err(); err != nil {
		return 0, nil, err
	}
	out, err := a.Users.Change(c.ctx(), c.env, c.once, ch)
	if err != nil {
		return 0, nil, err
	}
	return answer(c, out.Value.User)
}

func (c *call) user(u model.User) (int, any, error) { return c.answer(http.StatusOK, u) }

func (a *API) convert(r *http.Request) (int, any, error) {
	return a.simple(r, "updateUser", func(c *call) model.UserChange {
		c.body.Required("type")
		kind := model.UserPerson
		switch c.body.Text("type") {
		case "customer":
		case "account":
			kind = model.UserAccount
		default:
			if c.check.OK() { // else there is none
				c.check.Add(model.ProblemInvalid, "must be account or customer", "type")
			}
		}
		return model.UserChange{Kind: &kind}
	}, (*call).user)
}

func (a *API) archive(r *http.Request) (int, any, error) {
	yes := true
	return a.simple(r, "updateUser", func(*call) model.UserChange { return model.UserChange{Archived: &yes} }, (*call).user)
}

func (a *API) deleteAttribute(r *http.Request) (int, any, error) {
	name := r.PathValue("name")
	return a.simple(r, "patchProfile", func(c *call) model.UserChange {
		gone := map[string]jsonValue{name: jsonValue("null")}
		if field := profileFields[name]; field != "" {
			gone = map[string]jsonValue{field: jsonValue("null")}
		} else if name == attrNumber {
			gone[model.AttrPhoneNumber] = jsonValue("null")
		}
		merge, problems := a.Users.Merge(r.PathValue("uid"), encoded(gone))
		c.wrong(problems)
		return model.UserChange{Merge: merge}
	}, (*call).user)
}

func (a *API) mergeUsers(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "mergeUsers")
	if err != nil {
		return 0, nil, err
	}
	from, into := uid(c.body.Raw("source"), &c.check, "source"), uid(c.body.Raw("destination"), &c.check, "destination")
	if err := c.check.Err(); err != nil {
		return 0, nil, err
	}
	if _, err := a.Users.MergeUsers(c.ctx(), c.env, c.once, from, into, false); err != nil && (from == into || !mergedBefore(err)) {
		return 0, nil, renamed(err, [2]string{"from", "source"}, [2]string{"into", "destination"})
	}
	a.Gate.Service.ForgetUser(c.env, from)
	return http.StatusOK, status{"queued"}, nil
}

// mergedBefore reports whether the two are one user already: clients that heard
// no answer ask again.
func mergedBefore(err error) bool {
	e, is := errors.AsType[*model.Error](err)
	return is && len(e.Problems) == 1 && e.Problems[0].Code == model.ProblemInvalid && e.Problems[0].Field() == "into"
}

func (a *API) joinAccounts(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "joinAccount")
	if err != nil {
		return 0, nil, err
	}
	c.body.Required("accounts")
	changes := c.accounts()
	if err := c.check.Err(); err != nil {
		return 0, nil, err
	}
	out, err := a.Users.JoinAccounts(c.ctx(), c.env, c.once, r.PathValue("uid"), changes)
	if err != nil {
		return 0, nil, err
	}
	return c.user(out.Value)
}

func (a *API) setRole(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "setRole")
	if err != nil {
		return 0, nil, err
	}
	c.body.Required("role")
	role := c.body.Text("role")
	if err := c.check.Err(); err != nil {
		return 0, nil, err
	}
	out, err := a.Users.SetRole(c.ctx(), c.env, c.once, r.PathValue("uid"), r.PathValue("account"), role)
	if err != nil {
		return 0, nil, err
	}
	return c.user(out.Value)
}

func (a *API) leaveAccount(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "leaveAccount")
	if err != nil {
		return 0, nil, err
	}
	out, err := a.Users.LeaveAccount(c.ctx(), c.env, c.once, r.PathValue("uid"), r.PathValue("account"))
	if err != nil {
		return 0, nil, err
	}
	return c.user(out.Value)
}

func (a *API) members(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "")
	if err != nil {
		return 0, nil, err
	}
	p := c.page(r.URL.Query())
	if err := c.check.Err(); err != nil {
		return 0, nil, err
	}
	account, err := a.Users.Find(c.ctx(), c.env, r.PathValue("uid"))
	if err != nil {
		return 0, nil, err
	}
	found, out, err := window(p, func(req model.PageRequest) ([]model.Membership, bool, error) {
		page, err := a.Users.Members(c.ctx(), c.env, account.ID, turned(req))
		return reversed(page.Items), page.HasMore, err
	}, func(m model.Membership) int64 { return int64(m.User) })
	if err != nil {
		return 0, nil, err
	}
	ids := make([]model.UserID, len(found))
	for i, m := range found {
		ids[i] = m.User
	}
	byID, err := a.Users.ByIDs(c.ctx(), c.env, ids)
	if err != nil {
		return 0, nil, err
	}
	var users []model.User
	for _, id := range ids {
		if u, there := byID[id]; there {
			users = append(users, u)
		}
	}
	objects, err := a.shown(c.ctx(), c.env, users...)
	return http.StatusOK, page[userObject]{Data: objects, HasMore: out.HasMore, Next: out.Next, Previous: out.Previous}, err
}

// attributes lists the names of what users have in meta.
func (a *API) attributes(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "")
	if err != nil {
		return 0, nil, err
	}
	all, err := a.Users.Properties(c.ctx(), c.env)
	type attribute struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	out := []attribute{}
	for _, p := range all {
		if !slices.Contains(notMeta, p.Name) {
			out = append(out, attribute{p.Name, p.Name})
		}
	}
	return http.StatusOK, out, err
}

// account is what the widget asks for first.
func (a *API) account(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "")
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, map[string]any{"id": objectID(int64(c.caller.Env.AppID)), "features": map[string]bool{"chat": false}}, nil
}
