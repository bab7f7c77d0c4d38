package engage

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"carillon/model"
)

// userObject is Engage's user. updateable is there only when it is true.
type userObject struct {
	ID          string                     `json:"id"`
	UID         string                     `json:"uid"`
	Updateable  bool                       `json:"uid_updateable,omitempty"`
	FirstName   *string                    `json:"first_name"`
	LastName    *string                    `json:"last_name"`
	Number      *string                    `json:"number"`
	Email       *string                    `json:"email"`
	IsAccount   bool                       `json:"is_account"`
	Accounts    []accountRef               `json:"accounts"`
	MemberCount *int64                     `json:"member_count"`
	Devices     []deviceObject             `json:"devices"`
	Lists       []listRef                  `json:"lists"`
	Segments    []segmentRef               `json:"segments"`
	Archived    bool                       `json:"archived"`
	Meta        map[string]json.RawMessage `json:"meta"`
	CreatedAt   string                     `json:"created_at"`
}

type accountRef struct {
	ID   string  `json:"id"`
	Role *string `json:"role"`
}

type deviceObject struct {
	Token    string `json:"token"`
	Platform string `json:"platform"`
}

type listRef struct {
	ID         string `json:"id"`
	Subscribed bool   `json:"subscribed"`
}

// maxDevices is how many device tokens a user object shows.
const maxDevices = 5

// Attributes of ours that hold what Engage has beside its own fields.
const (
	attrNumber     = "number" // the phone number as it was sent, when it was sent otherwise than in E.164 form
	attrAppVersion = "appVersion"
	attrAppBuild   = "appBuild"
	attrLastActive = "appLastActive"
)

// notMeta are the attributes that are no part of meta.
var notMeta = []string{
	model.AttrFirstName, model.AttrLastName, model.AttrEmail, model.AttrPhoneNumber, model.AttrTimeZone, attrNumber, attrAppVersion, attrAppBuild, attrLastActive,
}

// objectID writes an internal id: 24 hexadecimal digits, in the order of
// creation.
func objectID(id int64) string { return fmt.Sprintf("%024x", id) }

// parseID reads what objectID writes.
func parseID(s string) (int64, bool) {
	if len(s) != 24 {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 16, 64)
	return n, err == nil && n > 0 && n <= model.MaxID && objectID(n) == strings.ToLower(s)
}

const timeForm = "2006-01-02T15:04:05.000-07:00"

func moment(t time.Time) string { return t.UTC().Format(timeForm) }

// shown gives the objects of users, with one look-up of each kind for all.
func (a *API) shown(ctx context.Context, env model.EnvID, users ...model.User) ([]userObject, error) {
	refs, ids := make([]model.UserRef, len(users)), make([]model.UserID, len(users))
	for i, u := range users {
		refs[i], ids[i] = model.UserRef{Env: env, ID: u.ID}, u.ID
	}
	addresses, err := a.Users.AddressesOf(ctx, refs)
	if err != nil {
		return nil, err
	}
	lists, err := a.Topics.OfUsers(ctx, env, ids)
	if err != nil {
		return nil, err
	}
	segments, err := a.segmentsOf(ctx, env, ids)
	if err != nil {
		return nil, err
	}
	members, err := a.Users.MemberCounts(ctx, env, ids)
	if err != nil {
		return nil, err
	}
	memberships, err := a.Users.Memberships(ctx, env, ids)
	if err != nil {
		return nil, err
	}
	accounts, err := a.accountsOf(ctx, env, memberships)
	if err != nil {
		return nil, err
	}
	out := make([]userObject, len(users))
	for i, u := range users {
		o := object(u)
		o.Devices = devices(addresses[refs[i]])
		for _, l := range lists[u.ID] {
			o.Lists = append(o.Lists, listRef{objectID(int64(l.Topic.ID)), l.Subscribed})
		}
		o.Segments = append(o.Segments, segments[u.ID]...)
		for _, m := range memberships[u.ID] {
			if account, there := accounts[m.Account]; there {
				o.Accounts = append(o.Accounts, accountRef{account.Identifier, text(m.Role)})
			}
		}
		if n := members[u.ID]; u.Kind == model.UserAccount {
			o.MemberCount = &n
		}
		out[i] = o
	}
	return out, nil
}

func (a *API) accountsOf(ctx context.Context, env model.EnvID, all map[model.UserID][]model.Membership) (map[model.UserID]model.User, error) {
	ids := map[model.UserID]bool{}
	for _, ms := range all {
		for _, m := range ms {
			ids[m.Account] = true
		}
	}
	if len(ids) == 0 {
		return nil, nil //nolint:nilnil // nobody is a member of anything
	}
	return a.Users.ByIDs(ctx, env, slices.Sorted(maps.Keys(ids)))
}

// object is a user without what is read elsewhere.
func object(u model.User) userObject {
	o := userObject{
		ID: objectID(int64(u.ID)), UID: u.Identifier, Updateable: u.Unassigned, IsAccount: u.Kind == model.UserAccount, Archived: u.Archived,
		FirstName: text(u.Profile.Attribute(model.AttrFirstName)), LastName: text(u.Profile.Attribute(model.AttrLastName)),
		Email: text(u.Profile.Attribute(model.AttrEmail)), Number: text(number(u.Profile)),
		Accounts: []accountRef{}, Devices: []deviceObject{}, Lists: []listRef{}, Segments: []segmentRef{},
		Meta: map[string]json.RawMessage{}, CreatedAt: moment(u.SignedUpAt),
	}
	_ = json.Unmarshal(u.Profile.Attributes, &o.Meta) // the store keeps objects only
	for _, name := range notMeta {
		delete(o.Meta, name)
	}
	return o
}

// number is the phone number as Engage's clients sent it, unless it was changed
// since.
func number(p model.Profile) string {
	is, sent := p.Attribute(model.AttrPhoneNumber), p.Attribute(attrNumber)
	if sent == "" || is != "" && model.PhoneOf(sent) != is {
		return is
	}
	return sent
}

// devices are the last tokens of phones.
func devices(all []model.Address) []deviceObject {
	out := []deviceObject{}
	for _, a := range all {
		if a.Source != model.AddressDevice || a.Channel != model.ChannelMobilePush || len(out) == maxDevices {
			continue
		}
		if a.Platform == model.PlatformIOS || a.Platform == model.PlatformAndroid {
			out = append(out, deviceObject{a.Value, strings.ToLower(string(a.Platform))})
		}
	}
	return out
}

func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// listObject is Engage's list.
type listObject struct {
	ID          string  `json:"id"`
	Title       string  `json:"title"`
	Description *string `json:"description"`
	Subscribers int64   `json:"subscriber_count"`
	Broadcasts  int64   `json:"broadcast_count"`
	DoubleOptIn bool    `json:"double_optin"`
	RedirectURL *string `json:"redirect_url"`
	CreatedAt   string  `json:"created_at"`
}

func (a *API) shownLists(ctx context.Context, env model.EnvID, topics ...model.Topic) ([]listObject, error) {
	ids := make([]model.TopicID, len(topics))
	for i, t := range topics {
		ids[i] = t.ID
	}
	counts, err := a.Topics.Counts(ctx, env, ids)
	if err != nil {
		return nil, err
	}
	out := make([]listObject, len(topics))
	for i, t := range topics {
		out[i] = listObject{
			ID: objectID(int64(t.ID)), Title: t.Name, Description: text(t.Description), Subscribers: counts[t.ID],
			DoubleOptIn: t.DoubleOptIn, RedirectURL: text(t.RedirectURL), CreatedAt: moment(t.CreatedAt),
		}
	}
	return out, nil
}

// page is an answer with a part of a list. Cursors are there only where there
// is such a page.
type page[T any] struct {
	Data     []T    `json:"data"`
	HasMore  bool   `json:"has_more"`
	Next     string `json:"next_cursor,omitempty"`
	Previous string `json:"previous_cursor,omitempty"`
}
