package store_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

// person is a user as a rule sees them, kept beside the database.
type person struct {
	model.User
	attributes map[string]json.RawMessage
	topic      bool
	events     []model.Event
}

// matches is what a rule means, in plain Go.
func (p *person) matches(r model.SegmentRule, now time.Time) bool {
	switch {
	case r.All != nil:
		return !slices.ContainsFunc(r.All, func(r model.SegmentRule) bool { return !p.matches(r, now) })
	case r.Any != nil:
		return slices.ContainsFunc(r.Any, func(r model.SegmentRule) bool { return p.matches(r, now) })
	case r.Not != nil:
		return !p.matches(*r.Not, now)
	case r.Attribute != nil:
		return meets(p.attributes, *r.Attribute, now)
	case r.Event != nil:
		return p.did(*r.Event, now)
	case r.Topic != nil:
		return p.topic && *r.Topic == "news"
	case r.Reachable != nil:
		return *r.Reachable == model.ChannelInApp || *r.Reachable == model.ChannelEmail && p.attributes["email"] != nil
	case r.UserKind != nil:
		return p.Kind == *r.UserKind
	case r.Archived != nil:
		return p.Archived == *r.Archived
	case r.Enabled != nil:
		return p.Enabled == *r.Enabled
	case r.IdentifierPrefix != nil:
		return strings.HasPrefix(p.Identifier, *r.IdentifierPrefix)
	case r.Created != nil:
		return inSpan(p.CreatedAt, r.Created.After, r.Created.Before, r.Created.WithinDays, now)
	default:
		return inSpan(p.SignedUpAt, r.SignedUp.After, r.SignedUp.Before, r.SignedUp.WithinDays, now)
	}
}

func inSpan(t time.Time, after, before *time.Time, days *int32, now time.Time) bool {
	return (after == nil || !t.Before(*after)) && (before == nil || t.Before(*before)) &&
		(days == nil || !t.After(now) && !t.Before(now.Add(-time.Duration(*days)*24*time.Hour)))
}

func meets(members map[string]json.RawMessage, a model.AttributeCondition, now time.Time) bool {
	var value any
	if raw, ok := members[a.Name]; ok {
		value = model.ScalarOf(raw)
	}
	text, isText := value.(string)
	n, isNumber := value.(float64)
	_, exists := members[a.Name]
	ok := a.Exists == nil || *a.Exists == exists
	ok = ok && (a.Equals == nil || value != nil && value == model.ScalarOf(a.Equals))
	ok = ok && (a.OneOf == nil || value != nil && slices.ContainsFunc(a.OneOf, func(v json.RawMessage) bool { return value == model.ScalarOf(v) }))
	ok = ok && (a.StartsWith == nil || isText && strings.HasPrefix(text, *a.StartsWith))
	ok = ok && (a.Contains == nil || isText && strings.Contains(text, *a.Contains))
	ok = ok && (a.GreaterThan == nil || isNumber && n > *a.GreaterThan)
	ok = ok && (a.AtLeast == nil || isNumber && n >= *a.AtLeast)
	ok = ok && (a.LessThan == nil || isNumber && n < *a.LessThan)
	ok = ok && (a.AtMost == nil || isNumber && n <= *a.AtMost)
	if a.After != nil || a.Before != nil || a.WithinDays != nil {
		at, isDate := model.ParseDate(text)
		ok = ok && isDate && inSpan(at, a.After, a.Before, a.WithinDays, now)
	}
	return ok
}

func (p *person) did(e model.EventCondition, now time.Time) bool {
	var (
		all      []model.Event
		count, n int32
		sum      float64
	)
	for _, one := range p.events {
		if one.Name == e.Name && inSpan(one.OccurredAt, nil, nil, e.WithinDays, now) {
			all = append(all, one)
		}
	}
	if e.Last && len(all) > 0 {
		all = []model.Event{slices.MaxFunc(all, func(a, b model.Event) int { return a.OccurredAt.Compare(b.OccurredAt) })}
	}
	for _, one := range all {
		properties := map[string]json.RawMessage{}
		_ = json.Unmarshal(one.Properties, &properties) // none
		if slices.ContainsFunc(e.Where, func(w model.AttributeCondition) bool { return !meets(properties, w, now) }) {
			continue
		}
		count++
		value := one.Value
		if e.Sum != nil && e.Sum.Property != nil {
			value = properties[*e.Sum.Property]
		}
		if v, ok := model.ScalarOf(value).(float64); ok {
			n, sum = n+1, sum+v
		}
	}
	ok := (e.AtLeast == nil || count >= *e.AtLeast) && (e.AtMost == nil || count <= *e.AtMost)
	if e.Sum != nil {
		ok = ok && n > 0 && (e.Sum.AtLeast == nil || sum >= *e.Sum.AtLeast) && (e.Sum.AtMost == nil || sum <= *e.Sum.AtMost)
	}
	return ok && (e.AtLeast != nil || e.AtMost != nil || e.Sum != nil || count > 0)
}

// values are what attributes and properties of the test have, odd ones among
// them: none of them may make a rule fail.
var values = []string{
	`"gold"`, `"Gold"`, `"go'ld"`, `"gö"`, `""`, `3`, `3.5`, `-3`, `1e400`, `1e98`, `-1e99`, `-9223372036854775808`, `0`, `true`, `false`, `[1]`, `{"gold":1}`,
	`"2026-01-01"`, `"2026-02-30"`, `"2026-01-01T10:00:00Z"`, `"2026-01-01T10:00:00+02:00"`, `"2026-01-01T10:00:00.1234567Z"`, `"2026-13-01"`, `"now"`,
}

var attributeNames = []string{"plan", `we"ird`, "a.b", "email"}

type dice struct{ *rand.Rand }

func one[T any](d dice, list []T) T { return list[d.IntN(len(list))] }

func (d dice) object() map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	for _, name := range attributeNames[:3] {
		if d.IntN(4) > 0 {
			out[name] = json.RawMessage(one(d, values))
		}
	}
	return out
}

func (d dice) attribute(names []string) model.AttributeCondition {
	a := model.AttributeCondition{Name: one(d, names)}
	scalar := func() json.RawMessage {
		for {
			if v := one(d, values); model.ScalarOf(json.RawMessage(v)) != nil {
				return json.RawMessage(v)
			}
		}
	}
	n := one(d, []float64{-3, 0, 3, 3.25, 9e97})
	day := one(d, []time.Time{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC), time.Date(2026, 1, 1, 10, 0, 0, 123456000, time.UTC)})
	switch d.IntN(12) {
	case 0:
		a.Exists = new(d.IntN(2) == 0)
	case 1, 2:
		a.Equals = scalar()
	case 3:
		a.OneOf = []json.RawMessage{scalar(), scalar(), scalar()}
	case 4:
		a.StartsWith = new(one(d, []string{"go", "G", "2026", "gö"}))
	case 5:
		a.Contains = new(one(d, []string{"'", "ö", "ol", "%"}))
	case 6:
		a.GreaterThan = &n
	case 7:
		a.AtLeast = &n
	case 8:
		a.LessThan = &n
	case 9:
		a.AtMost = &n
	case 10:
		a.After = &day
	default:
		a.Before = &day
	}
	return a
}

func (d dice) event() model.EventCondition {
	e := model.EventCondition{Name: one(d, []string{"buy", "see"}), Last: d.IntN(4) == 0}
	if d.IntN(2) == 0 {
		e.WithinDays = new(one(d, []int32{1, 5, 30}))
	}
	for range d.IntN(3) {
		e.Where = append(e.Where, d.attribute(attributeNames[:3]))
	}
	switch d.IntN(5) {
	case 0:
		e.AtLeast = new(int32(d.IntN(4)))
	case 1:
		e.AtMost = new(int32(d.IntN(3)))
	case 2:
		e.Sum = &model.EventSum{AtLeast: new(float64(d.IntN(8)))}
	case 3:
		e.Sum = &model.EventSum{Property: new("amount"), AtMost: new(float64(d.IntN(8)))}
	}
	return e
}

func (d dice) rule(depth int) model.SegmentRule {
	kind := d.IntN(12)
	if depth == 0 && kind < 3 {
		kind += 3
	}
	group := func() []model.SegmentRule {
		out := make([]model.SegmentRule, 1+d.IntN(3))
		for i := range out {
			out[i] = d.rule(depth - 1)
		}
		return out
	}
	switch kind {
	case 0:
		return model.SegmentRule{All: group()}
	case 1:
		return model.SegmentRule{Any: group()}
	case 2:
		return model.SegmentRule{Not: new(d.rule(depth - 1))}
	case 3, 4:
		return model.SegmentRule{Attribute: new(d.attribute(attributeNames))}
	case 5, 6, 7:
		return model.SegmentRule{Event: new(d.event())}
	case 8:
		return model.SegmentRule{Topic: new(one(d, []string{"news", "nothing"}))}
	case 9:
		return model.SegmentRule{Reachable: new(one(d, []model.Channel{model.ChannelInApp, model.ChannelEmail, model.ChannelSMS, model.ChannelWebPush, model.ChannelVoice}))}
	case 10:
		return model.SegmentRule{IdentifierPrefix: new(one(d, []string{"u1", "u", "x"}))}
	default:
		return model.SegmentRule{Created: &model.TimeCondition{WithinDays: new(one(d, []int32{1, 9}))}}
	}
}

// TestRulesInSQLMeanWhatTheyMeanInGo holds random rules over random users to a
// plain evaluation, over everyone and, after changes, user by user.
func TestRulesInSQLMeanWhatTheyMeanInGo(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 20, 12, 0, 0, 0, time.UTC)
	storetest.EachWith(t, store.Config{Now: func() time.Time { return now }}, func(t *testing.T, s *store.Store) {
		ctx, d := t.Context(), dice{rand.New(rand.NewPCG(1, 2))}
		env, other := storetest.Env(t, s, "a"), storetest.Env(t, s, "b")
		storetest.User(t, s, other, "u1") // whom no rule of the first may find
		if _, err := s.CreateTopic(ctx, env, model.Once{}, "news", "News", model.TopicDetails{}); err != nil {
			t.Fatal(err)
		}
		people := map[model.UserID]*person{}
		for i := range 40 {
			name := fmt.Sprint("u", i)
			p := &person{attributes: d.object()}
			id := storetest.User(t, s, env, name)
			if d.IntN(2) == 0 {
				p.attributes["email"] = json.RawMessage(`"a@example.com"`)
			}
			raw, err := json.Marshal(p.attributes)
			if err != nil {
				t.Fatal(err)
			}
			out, err := s.PatchProfile(ctx, env, model.Once{}, name, nil, func(json.RawMessage) (json.RawMessage, error) { return raw, nil })
			if err != nil {
				t.Fatal(err)
			}
			p.User = out.Value
			p.Kind = model.UserKind("PERSON")
			if p.topic = d.IntN(2) == 0; p.topic {
				if _, err := s.SubscribeToTopic(ctx, env, model.Once{}, "news", []model.TopicMember{{Identifier: name}}); err != nil {
					t.Fatal(err)
				}
			}
			for j := range d.IntN(6) {
				properties := d.object()
				properties["amount"] = json.RawMessage(fmt.Sprint(d.IntN(5)))
				raw, err := json.Marshal(properties)
				if err != nil {
					t.Fatal(err)
				}
				p.events = append(p.events, model.Event{
					ID: model.EventID(fmt.Sprintf("%d-%d", i, j)), Name: one(d, []string{"buy", "see"}), Properties: raw, Value: json.RawMessage(one(d, values[:14])),
					OccurredAt: now.Add(-time.Duration(d.IntN(60*24*60)) * time.Minute).Add(-time.Duration(j)),
				})
				p.events[j].OccurredAt = p.events[j].OccurredAt.Truncate(time.Microsecond)
			}
			if _, err := s.TrackEvents(ctx, env, model.Once{}, name, p.events); err != nil {
				t.Fatal(err)
			}
			people[id] = p
		}
		expected := func(r model.SegmentRule) (ids []model.UserID) {
			for id, p := range people {
				if p.matches(r, now) {
					ids = append(ids, id)
				}
			}
			slices.Sort(ids)
			return ids
		}
		for range 150 {
			r := d.rule(3)
			text, _ := json.Marshal(r)
			var c model.Check
			model.CheckRule(&c, r, nil)
			if err := c.Err(); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			got, done, err := s.PreviewRule(ctx, env, r, nil, 100, time.Minute)
			if err != nil || !done {
				t.Fatalf("%s: %v, %v", text, done, err)
			}
			slices.Sort(got.Users)
			if want := expected(r); !slices.Equal(got.Users, want) || got.Count != int64(len(want)) {
				t.Errorf("%s: %v, want %v", text, got.Users, want)
			}
		}
	})
}
