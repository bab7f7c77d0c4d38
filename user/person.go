package user

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"carillon/model"
)

// Change makes everything that a change says true of one user at once. What it
// gives as attributes has been made by [Service.Merge].
func (s *Service) Change(ctx context.Context, env model.EnvID, once model.Once, ch model.UserChange) (model.Outcome[model.Identified], error) {
	var c model.Check
	if m := model.CheckIdentifier(ch.Identifier); m != "" {
		if ch.MustExist {
			return model.Outcome[model.Identified]{}, errUnknown
		}
		c.Add(model.ProblemInvalid, m, "identifier")
	}
	if ch.Rename != "" {
		if m := model.CheckIdentifier(ch.Rename); m != "" {
			c.Add(model.ProblemInvalid, m, "newIdentifier")
		}
	}
	if ch.SignedUpAt != nil && (ch.SignedUpAt.Year() < 1900 || ch.SignedUpAt.Year() > 9999) {
		c.Add(model.ProblemInvalid, "must be in the years 1900 to 9999", "signedUpAt")
	}
	for i := range ch.Addresses {
		checkNewAddress(&ch.Addresses[i], c.At("addresses", strconv.Itoa(i)))
		ch.NewIDs = append(ch.NewIDs, model.AddressID(s.ids.New()))
	}
	checkMemberships(ch.Accounts, &c)
	if err := c.Err(); err != nil {
		return model.Outcome[model.Identified]{}, err
	}
	out, err := s.Store.ChangeUser(ctx, env, once, ch)
	if err == nil && ch.Merge != nil && !out.Replayed {
		s.note(ctx, env, out.Value.User.Profile.Attributes)
	}
	return out, err
}

// Merge checks attributes, of which null ones are removed, and gives the merge
// for a [model.UserChange]. Problems with an attribute are at ["profile", name].
func (s *Service) Merge(identifier string, attributes json.RawMessage) (model.ProfileMerge, []model.Problem) {
	change, problems := newChange(model.IdentifyInput{Identifier: identifier, Attributes: attributes})
	return func(_ int, now json.RawMessage) (json.RawMessage, []model.Problem, error) { return change.merge(now) }, problems
}

// Token gives what registers a device by its push token alone, so that the same
// token is the same device whatever surface it comes from.
func (s *Service) Token(in model.DeviceInput, path ...string) (model.DeviceSave, []model.Problem) {
	in.Key = "token-" + tokenKey(in.Token)
	var c model.Check
	at := c.At(path...)
	if in.Token == "" && in.WebPush == nil {
		at.Add(model.ProblemRequired, "must be given", "token")
		return model.DeviceSave{}, c.Problems()
	}
	if in.WebPush != nil {
		in.Key = "token-" + tokenKey(string(in.WebPush))
	}
	webPush, err := checkDevice(in, s.Guard)
	if err != nil {
		for _, p := range problemsOf(err) {
			at.Add(p.Code, p.Message, p.Path...)
		}
		return model.DeviceSave{}, c.Problems()
	}
	return s.deviceSave(in, webPush), nil
}

// maxDecisionNames bounds the attributes that the decision of a merge names.
const maxDecisionNames = 100

// MergeUsers makes one user of two; see the store. The streams of the user who
// goes end, those of the one who is left see what came in.
func (s *Service) MergeUsers(ctx context.Context, env model.EnvID, once model.Once, from, into string, dryRun bool) (model.Outcome[model.MergeResult], error) {
	var none model.Outcome[model.MergeResult]
	if model.CheckIdentifier(from) != "" {
		return none, model.NotFound("names no user", "from")
	}
	if model.CheckIdentifier(into) != "" {
		return none, model.NotFound("names no user", "into")
	}
	out, err := s.Store.MergeUsers(ctx, env, once, model.MergeID(s.ids.New()), from, into, joinProfiles, dryRun)
	if err != nil || dryRun || out.Replayed {
		return out, err
	}
	hints := []model.Hint{{Key: model.InboxKey(env, out.Value.From), Gone: true}}
	if out.Value.Seq > 0 {
		hints = append(hints, model.Hint{Key: model.InboxKey(env, out.Value.User.ID), Seq: out.Value.Seq})
	}
	s.Live.Publish(ctx, hints...)
	return out, nil
}

// joinProfiles is a model.ProfileJoin: what into has stays. When both would be
// too large together, from's attributes are left out.
func joinProfiles(from, into json.RawMessage) (json.RawMessage, model.MergeDecision, error) {
	d := model.MergeDecision{What: "attributes"}
	source, err := decodeProfile(from)
	if err != nil {
		return nil, d, err
	}
	target, err := decodeProfile(into)
	if err != nil {
		return nil, d, err
	}
	joined := maps.Clone(target)
	for _, name := range sortedNames(source) {
		if _, both := target[name]; !both {
			joined[name] = source[name]
			d.Moved++
			continue
		}
		if string(source[name]) != string(target[name]) {
			if d.Dropped++; len(d.Names) < maxDecisionNames {
				d.Names = append(d.Names, name)
			}
		}
	}
	var c model.Check
	raw, err := joined.encode(&c)
	if err == nil && !c.OK() {
		return into, model.MergeDecision{What: "attributes", Dropped: int64(len(source))}, nil
	}
	return raw, d, err
}

// Merges lists the records of what was merged into a user.
func (s *Service) Merges(ctx context.Context, env model.EnvID, user model.UserID) ([]model.Merge, error) {
	return s.Store.Merges(ctx, env, user)
}

// FormerIdentifiers lists the identifiers that a user had before.
func (s *Service) FormerIdentifiers(ctx context.Context, env model.EnvID, user model.UserID) ([]string, error) {
	return s.Store.FormerIdentifiers(ctx, env, user)
}

// Memberships lists the accounts that users are members of.
func (s *Service) Memberships(ctx context.Context, env model.EnvID, users []model.UserID) (map[model.UserID][]model.Membership, error) {
	return s.Store.Memberships(ctx, env, users)
}

// Stats counts what became of a user's messages.
func (s *Service) Stats(ctx context.Context, env model.EnvID, user model.UserID) (model.UserStats, error) {
	return s.Store.UserStats(ctx, env, user)
}

// MemberCounts counts the members of accounts; one without any is absent.
func (s *Service) MemberCounts(ctx context.Context, env model.EnvID, accounts []model.UserID) (map[model.UserID]int64, error) {
	return s.Store.MemberCounts(ctx, env, accounts)
}

// Members lists the members of an account, newest user first.
func (s *Service) Members(ctx context.Context, env model.EnvID, account model.UserID, page model.PageRequest) (model.Page[model.Membership], error) {
	return s.Store.Members(ctx, env, account, page)
}

// JoinAccounts makes a user a member of accounts, or changes the role there.
// The accounts must exist; they need not be of the kind ACCOUNT.
func (s *Service) JoinAccounts(ctx context.Context, env model.EnvID, once model.Once, user string, changes []model.MembershipChange) (model.Outcome[model.User], error) {
	if model.CheckIdentifier(user) != "" {
		return model.Outcome[model.User]{}, errUnknown
	}
	var c model.Check
	if len(changes) == 0 {
		c.Add(model.ProblemRequired, "must name at least one account", "accounts")
	}
	checkMemberships(changes, &c)
	if err := c.Err(); err != nil {
		return model.Outcome[model.User]{}, err
	}
	return s.Store.JoinAccounts(ctx, env, once, user, changes)
}

func checkMemberships(changes []model.MembershipChange, c *model.Check) {
	if len(changes) > model.MaxMemberships {
		c.Add(model.ProblemLimit, fmt.Sprintf("must name at most %d accounts", model.MaxMemberships), "accounts")
		return
	}
	for i, ch := range changes {
		at := c.At("accounts", strconv.Itoa(i))
		if m := model.CheckIdentifier(ch.Account); m != "" {
			at.Add(model.ProblemInvalid, m, "account")
		}
		if ch.Role != nil {
			if m := model.CheckText(*ch.Role, model.MaxIdentifier); m != "" {
				at.Add(model.ProblemInvalid, m, "role")
			}
		}
	}
}

// SetRole changes the role of a user in an account.
func (s *Service) SetRole(ctx context.Context, env model.EnvID, once model.Once, user, account, role string) (model.Outcome[model.User], error) {
	if model.CheckIdentifier(user) != "" {
		return model.Outcome[model.User]{}, errUnknown
	}
	if model.CheckIdentifier(account) != "" {
		return model.Outcome[model.User]{}, model.NotFound("names no account of this user", "account")
	}
	if m := model.CheckText(role, model.MaxIdentifier); m != "" {
		return model.Outcome[model.User]{}, &model.Error{Kind: model.KindInvalid, Message: "invalid input", Problems: []model.Problem{{Code: model.ProblemInvalid, Path: []string{"role"}, Message: m}}}
	}
	return s.Store.SetRole(ctx, env, once, user, account, role)
}

// LeaveAccount ends a membership.
func (s *Service) LeaveAccount(ctx context.Context, env model.EnvID, once model.Once, user, account string) (model.Outcome[model.User], error) {
	if model.CheckIdentifier(user) != "" {
		return model.Outcome[model.User]{}, errUnknown
	}
	if model.CheckIdentifier(account) != "" {
		return model.Outcome[model.User]{}, model.NotFound("names no account of this user", "account")
	}
	return s.Store.LeaveAccount(ctx, env, once, user, account)
}

// EventInput is something that a user did.
type EventInput struct {
	Name       string
	Value      json.RawMessage // text, a number or a boolean; nil: none
	Properties json.RawMessage // an object of the same; nil: none
	OccurredAt time.Time       // zero: now
}

// Track adds events of one user, who is made when nobody is known by that
// identifier. All or nothing; the outcome has them in the order given.
func (s *Service) Track(ctx context.Context, env model.EnvID, once model.Once, identifier string, in []EventInput) (model.Outcome[[]model.Event], error) {
	var c model.Check
	if m := model.CheckIdentifier(identifier); m != "" {
		c.Add(model.ProblemInvalid, m, "user")
	}
	switch n := len(in); {
	case n == 0:
		c.Add(model.ProblemRequired, "must hold at least one event", "events")
	case n > model.MaxTrackEvents:
		c.Add(model.ProblemLimit, fmt.Sprintf("must hold at most %d events, holds %d", model.MaxTrackEvents, n), "events")
		in = nil
	}
	events := make([]model.Event, len(in))
	for i, e := range in {
		events[i] = s.event(e, c.At("events", strconv.Itoa(i)))
	}
	if err := c.Err(); err != nil {
		return model.Outcome[[]model.Event]{}, err
	}
	return s.Store.TrackEvents(ctx, env, once, identifier, events)
}

func (s *Service) event(in EventInput, c *model.Check) model.Event {
	if m := model.CheckIdentifier(in.Name); m != "" {
		c.Add(model.ProblemInvalid, m, "name")
	}
	e := model.Event{ID: model.EventID(s.ids.New()), Name: in.Name, OccurredAt: in.OccurredAt}
	if in.Value != nil && !isNull(in.Value) {
		e.Value = scalar(in.Value, model.MaxEventValue, c.At("value"))
	}
	if in.Properties != nil && !isNull(in.Properties) {
		if m := model.CheckJSONObject(in.Properties, model.MaxEventProperties, 2); m != "" {
			c.Add(model.ProblemInvalid, m, "properties")
			return e
		}
		given := members(in.Properties, c, "properties")
		for _, name := range sortedNames(given) {
			if isNull(given[name]) {
				delete(given, name)
				continue
			}
			given[name] = scalar(given[name], model.MaxEventProperties, c.At("properties", name))
		}
		kept, err := model.EncodeJSON(given)
		c.That(err == nil, "must be an object", "properties")
		e.Properties = kept
	}
	if y := in.OccurredAt.Year(); !in.OccurredAt.IsZero() && (y < 1900 || y > 9999) {
		c.Add(model.ProblemInvalid, "must be in the years 1900 to 9999", "occurredAt")
	}
	return e
}

// scalar is a value as it is kept: text, a number or a boolean.
func scalar(value json.RawMessage, max int, c *model.Check) json.RawMessage {
	if m := model.CheckJSON(value, max, 2); m != "" {
		c.Add(model.ProblemInvalid, m)
		return nil
	}
	kept, err := model.CanonicalJSON(value)
	if err != nil || strings.HasPrefix(string(kept), "{") || strings.HasPrefix(string(kept), "[") {
		c.Add(model.ProblemInvalid, "must be text, a number or a boolean")
		return nil
	}
	return kept
}

// Events lists the events of a user, newest first; name "" is any.
func (s *Service) Events(ctx context.Context, env model.EnvID, user model.UserID, name string, page model.PageRequest) (model.Page[model.Event], error) {
	if name != "" && model.CheckIdentifier(name) != "" {
		return model.Page[model.Event]{}, nil
	}
	return s.Store.Events(ctx, env, user, name, page)
}

// Properties lists the attributes that profiles of an environment have had.
func (s *Service) Properties(ctx context.Context, env model.EnvID) ([]model.Property, error) {
	return s.Store.Properties(ctx, env)
}

// SetProperty makes a property, or says whether tables show one that is there.
func (s *Service) SetProperty(ctx context.Context, env model.EnvID, once model.Once, p model.Property) (model.Outcome[model.Property], error) {
	if m := model.CheckAttributeName(p.Name); m != "" {
		return model.Outcome[model.Property]{}, &model.Error{Kind: model.KindInvalid, Message: "invalid input", Problems: []model.Problem{{Code: model.ProblemInvalid, Path: []string{"name"}, Message: m}}}
	}
	return s.Store.SetProperty(ctx, env, once, p)
}
