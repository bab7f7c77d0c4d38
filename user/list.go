package user

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"carillon/model"
)

// List reads a page of the users of an environment. Its page keys are those of
// the order. A page may be short of its limit, or empty, though more may lie
// beyond: then Reached says where the next one begins.
func (s *Service) List(ctx context.Context, env model.EnvID, f model.UserFilter, o model.UserOrder, page model.PageRequest) (model.Page[model.User], error) {
	var c model.Check
	for member, key := range map[string]*model.PageKey{"after": page.After, "before": page.Before} {
		c.That(key == nil || validKey(o, *key), "must be a cursor of this list", member)
	}
	f, err := s.checkFilter(ctx, env, f, &c)
	if err != nil {
		return model.Page[model.User]{}, err
	}
	return s.Store.ListUsers(ctx, env, f, o, page)
}

// Count counts the users that a list has; see [model.UserTotal].
func (s *Service) Count(ctx context.Context, env model.EnvID, f model.UserFilter) (model.UserTotal, error) {
	f, err := s.checkFilter(ctx, env, f, &model.Check{})
	if err != nil {
		return model.UserTotal{}, err
	}
	return s.Store.CountUsers(ctx, env, f)
}

func validKey(o model.UserOrder, key model.PageKey) bool {
	switch o.By {
	case model.ByIdentifier:
		return model.CheckIdentifier(key.Text) == ""
	case model.ByEmail:
		return key.Text == "" || model.CheckIdentifier(key.Text) == ""
	case model.ByCreation, model.BySignUp, model.ByLastSeen, model.ByID:
	}
	return true
}

// checkFilter checks a filter and looks up what it names. Problems are at
// ["filter", ...].
func (s *Service) checkFilter(ctx context.Context, env model.EnvID, f model.UserFilter, c *model.Check) (model.UserFilter, error) {
	at := c.At("filter")
	if m := model.CheckText(f.IdentifierPrefix, model.MaxIdentifier); m != "" {
		at.Add(model.ProblemInvalid, m, "identifierPrefix")
	}
	if f.Email != "" {
		address, wrong := model.CheckEmail(f.Email)
		if wrong != "" {
			at.Add(model.ProblemInvalid, wrong, "email")
		}
		f.Email = address
	}
	if f.Search != "" {
		checkSearch(f.Search, at)
	}
	checkRange(f.CreatedAt, "created", at)
	checkRange(f.SignedUpAt, "signedUp", at)
	if err := s.checkProperties(ctx, env, f.Properties, at); err != nil {
		return f, err
	}
	if err := s.lookUp(ctx, env, &f, at); err != nil {
		return f, err
	}
	return f, c.Err()
}

func checkSearch(search string, c *model.Check) {
	m := model.CheckText(search, model.MaxSearch)
	words := len(model.SearchWords(search))
	switch {
	case m != "":
	case words == 0:
		m = "must have at least one word"
	case words > model.MaxSearchWords:
		m = fmt.Sprintf("must have at most %d words, has %d", model.MaxSearchWords, words)
	default:
		return
	}
	c.Add(model.ProblemInvalid, m, "search")
}

func checkRange(r model.TimeRange, name string, c *model.Check) {
	const wanted = "must be in the years 1 to 9999"
	c.That(r.Since.Year() >= 1 && r.Since.Year() <= 9999, wanted, name+"Since")
	c.That(r.Until.Year() >= 1 && r.Until.Year() <= 9999, wanted, name+"Until")
}

// lookUp finds the topic and the account that a filter names.
func (s *Service) lookUp(ctx context.Context, env model.EnvID, f *model.UserFilter, c *model.Check) error {
	if name := f.TopicName; name != "" {
		var id model.TopicID
		if model.CheckIdentifier(name) == "" {
			found, err := s.Store.TopicIDs(ctx, env, []string{name})
			if err != nil {
				return err
			}
			id = found[name]
		}
		c.That(id != 0, "names no topic", "topic")
		f.Topic = id
	}
	if name := f.AccountName; name != "" {
		account, err := s.Find(ctx, env, name)
		if err != nil && model.KindOf(err) != model.KindNotFound {
			return err
		}
		c.That(err == nil, "names no user", "account")
		f.Account = account.ID
	}
	return nil
}

// tests are the names that conditions on attributes have in input.
var tests = map[model.PropertyTest]string{
	model.PropertyEquals: "equals", model.PropertyContains: "contains", model.PropertyGreater: "greaterThan", model.PropertyLess: "lessThan",
}

// testsOf are the conditions that a type can be put under.
var testsOf = map[model.PropertyType][]model.PropertyTest{
	model.PropertyText:    {model.PropertyEquals, model.PropertyContains},
	model.PropertyNumber:  {model.PropertyEquals, model.PropertyGreater, model.PropertyLess},
	model.PropertyDate:    {model.PropertyEquals, model.PropertyGreater, model.PropertyLess},
	model.PropertyBoolean: {model.PropertyEquals},
	model.PropertyList:    {model.PropertyContains},
}

// checkProperties checks conditions on attributes, and gives each the type of
// its attribute.
func (s *Service) checkProperties(ctx context.Context, env model.EnvID, all []model.PropertyFilter, c *model.Check) error {
	if len(all) == 0 {
		return nil
	}
	if len(all) > model.MaxPropertyFilters {
		c.Add(model.ProblemLimit, fmt.Sprintf("must be at most %d, are %d", model.MaxPropertyFilters, len(all)), "properties")
		return nil
	}
	types, err := s.propertyTypes(ctx, env, all)
	if err != nil {
		return err
	}
	for i := range all {
		f, at := &all[i], c.At("properties", strconv.Itoa(i))
		var known bool
		if f.Type, known = types[f.Name]; !known {
			at.Add(model.ProblemInvalid, "names no property: see properties", "name")
			continue
		}
		checkProperty(f, at)
	}
	return nil
}

func (s *Service) propertyTypes(ctx context.Context, env model.EnvID, all []model.PropertyFilter) (map[string]model.PropertyType, error) {
	var names []string
	for _, f := range all {
		if model.CheckAttributeName(f.Name) == "" {
			names = append(names, f.Name)
		}
	}
	types := map[string]model.PropertyType{}
	if len(names) > 0 {
		var err error
		if types, err = s.Store.PropertyTypes(ctx, env, names); err != nil {
			return nil, err
		}
	}
	for _, name := range model.WellKnownAttributes() {
		types[name] = model.PropertyText
	}
	return types, nil
}

func checkProperty(f *model.PropertyFilter, c *model.Check) {
	able := testsOf[f.Type]
	if !slices.Contains(able, f.Test) {
		if len(able) == 0 {
			c.Add(model.ProblemInvalid, "is an object, by which users cannot be chosen", "name")
			return
		}
		var names []string
		for _, t := range able {
			names = append(names, tests[t])
		}
		c.Add(model.ProblemInvalid, fmt.Sprintf("cannot be asked of a %s: give %s", strings.ToLower(string(f.Type)), strings.Join(names, " or ")), tests[f.Test])
		return
	}
	if m := model.CheckJSON(f.Value, model.MaxIdentifier*8, 2); m != "" {
		c.Add(model.ProblemInvalid, m, tests[f.Test])
		return
	}
	value, err := model.CanonicalJSON(f.Value)
	wanted := f.Type
	if f.Test == model.PropertyContains {
		wanted = model.PropertyText
	}
	if err != nil || !isOf(value, wanted) {
		c.Add(model.ProblemInvalid, expected[wanted], tests[f.Test])
	}
	f.Value = value
}

// expected says what values of a type look like.
var expected = map[model.PropertyType]string{
	model.PropertyText: "must be text that is not empty", model.PropertyNumber: "must be a number, such as 12.5",
	model.PropertyBoolean: "must be true or false", model.PropertyDate: "must be text that is a date, such as 2026-01-31 or 2026-01-31T08:00:00Z",
}

func isOf(value json.RawMessage, t model.PropertyType) bool {
	is := model.PropertyTypeOf(value)
	switch t {
	case model.PropertyText:
		return (is == model.PropertyText || is == model.PropertyDate) && string(value) != `""`
	case model.PropertyNumber:
		_, err := strconv.ParseFloat(string(value), 64)
		return is == model.PropertyNumber && err == nil
	case model.PropertyBoolean, model.PropertyDate, model.PropertyList, model.PropertyObject:
	}
	return is == t
}
