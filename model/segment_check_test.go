package model

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// nested is a rule within n groups.
func nested(n int) SegmentRule {
	r := SegmentRule{Enabled: new(true)}
	for range n {
		r = SegmentRule{Not: new(r)}
	}
	return r
}

func times(n int, r SegmentRule) SegmentRule {
	return SegmentRule{Any: slices.Repeat([]SegmentRule{r}, n)}
}

func about(a AttributeCondition) SegmentRule { return SegmentRule{Attribute: &a} }

func raws(n int, value string) []json.RawMessage {
	return slices.Repeat([]json.RawMessage{json.RawMessage(value)}, n)
}

func TestRuleRefusals(t *testing.T) {
	t.Parallel()
	types := map[string]PropertyType{"plan": PropertyText, "seats": PropertyNumber, "since": PropertyDate, "beta": PropertyBoolean}
	on, early := new(true), new(time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC))
	event := func(e EventCondition) SegmentRule {
		e.Name = "Paid"
		return SegmentRule{Event: &e}
	}
	long := strings.Repeat("x", MaxRuleText+1)
	tests := []struct {
		name string
		rule SegmentRule
		want []string
	}{
		{"one", SegmentRule{Enabled: on}, nil},
		{"as deep as it may be", nested(MaxRuleDepth - 1), nil},
		{"as many as there may be", times(MaxRuleConditions-1, SegmentRule{Enabled: on}), nil},
		{"as many events as there may be", times(MaxRuleEvents, event(EventCondition{})), nil},
		{"as many values as there may be", about(AttributeCondition{Name: "x", OneOf: raws(MaxRuleValues, "1")}), nil},
		{"none", SegmentRule{}, []string{"INVALID rule"}},
		{"two", SegmentRule{Enabled: on, Archived: on}, []string{"INVALID rule"}},
		{"too deep", nested(MaxRuleDepth), []string{"LIMIT_EXCEEDED rule" + strings.Repeat(".not", MaxRuleDepth)}},
		{"far too deep", nested(5000), []string{"LIMIT_EXCEEDED rule" + strings.Repeat(".not", MaxRuleDepth)}},
		{"too many", times(MaxRuleConditions, SegmentRule{Enabled: on}), []string{"LIMIT_EXCEEDED rule"}},
		{"too many in one group", times(MaxRuleConditions+1, SegmentRule{Enabled: on}), []string{"INVALID rule.any"}},
		{"too many in several", times(11, times(11, SegmentRule{Enabled: on})), []string{"LIMIT_EXCEEDED rule"}},
		{"too many events", times(MaxRuleEvents+1, event(EventCondition{})), []string{"LIMIT_EXCEEDED rule"}},
		{"too long", times(70, about(AttributeCondition{Name: "x", StartsWith: new(long[1:])})), []string{"LIMIT_EXCEEDED rule"}},
		{"no group", SegmentRule{All: []SegmentRule{}}, []string{"INVALID rule.all"}},
		{"topic", SegmentRule{Topic: new("")}, []string{"INVALID rule.topic"}},
		{"prefix", SegmentRule{IdentifierPrefix: new("a\x00")}, []string{"INVALID rule.identifierPrefix"}},
		{"span", SegmentRule{Created: &TimeCondition{}}, []string{"REQUIRED rule.created"}},
		{"year", SegmentRule{SignedUp: &TimeCondition{After: early, WithinDays: new(int32(MaxRuleDays + 1))}}, []string{"INVALID rule.signedUp.withinDays", "INVALID rule.signedUp.after"}},
		{"no question", about(AttributeCondition{Name: "plan"}), []string{"REQUIRED rule.attribute"}},
		{"no name", about(AttributeCondition{Exists: on}), []string{"INVALID rule.attribute.name"}},
		{"the identifier is none", about(AttributeCondition{Name: "identifier", Exists: on}), []string{"INVALID rule.attribute.name"}},
		{"another type", about(AttributeCondition{Name: "seats", StartsWith: new("g"), After: &sendNow}), []string{"INVALID rule.attribute.startsWith", "INVALID rule.attribute.after"}},
		{"of a value", about(AttributeCondition{Name: "beta", Equals: json.RawMessage(`"yes"`)}), []string{"INVALID rule.attribute.equals"}},
		{"a date is text as well", about(AttributeCondition{Name: "since", StartsWith: new("2026")}), nil},
		{"null", about(AttributeCondition{Name: "x", Equals: json.RawMessage("null")}), []string{"INVALID rule.attribute.equals"}},
		{"NUL", about(AttributeCondition{Name: "x", Equals: json.RawMessage(`"a\u0000"`)}), []string{"INVALID rule.attribute.equals"}},
		{"half a pair", about(AttributeCondition{Name: "x", OneOf: []json.RawMessage{json.RawMessage("1"), json.RawMessage(`"\ud800"`)}}), []string{"INVALID rule.attribute.oneOf.1"}},
		{"long text", about(AttributeCondition{Name: "x", Equals: json.RawMessage(`"` + long + `"`), Contains: &long}), []string{"INVALID rule.attribute.equals", "INVALID rule.attribute.contains"}},
		{"too many values", about(AttributeCondition{Name: "x", OneOf: raws(MaxRuleValues+1, "1")}), []string{"INVALID rule.attribute.oneOf"}},
		{"no values", about(AttributeCondition{Name: "x", OneOf: []json.RawMessage{}}), []string{"INVALID rule.attribute.oneOf"}},
		{"no text", about(AttributeCondition{Name: "x", StartsWith: new(""), Contains: new("")}), []string{"INVALID rule.attribute.startsWith", "INVALID rule.attribute.contains"}},
		{"big numbers", about(AttributeCondition{Name: "x", AtLeast: new(1e99), LessThan: new(math.NaN())}), []string{"INVALID rule.attribute.atLeast", "INVALID rule.attribute.lessThan"}},
		{"event without a name", SegmentRule{Event: &EventCondition{}}, []string{"INVALID rule.event.name"}},
		{"counts", event(EventCondition{AtLeast: new(int32(-1)), AtMost: new(int32(-1))}), []string{"INVALID rule.event.atLeast", "INVALID rule.event.atMost"}},
		{"sum of nothing", event(EventCondition{Sum: &EventSum{Property: new("")}}), []string{"INVALID rule.event.sum.property", "REQUIRED rule.event.sum"}},
		{"where", event(EventCondition{Where: []AttributeCondition{{Name: "x", Exists: on}, {Name: "x"}}}), []string{"REQUIRED rule.event.where.1"}},
		{"too many where", event(EventCondition{Where: slices.Repeat([]AttributeCondition{{Name: "x", Exists: on}}, MaxRuleConditions+1)}), []string{"LIMIT_EXCEEDED rule.event.where"}},
	}
	for _, tt := range tests {
		var c Check
		CheckRule(c.At("rule"), tt.rule, types)
		if got := problemsOf(t, c.Err()); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestWindowsOfRules(t *testing.T) {
	t.Parallel()
	days := func(n int32) *int32 { return &n }
	for _, tt := range []struct {
		rule     SegmentRule
		want     []RuleWindow
		followed bool
	}{
		{SegmentRule{Enabled: new(true)}, nil, true},
		{SegmentRule{Created: &TimeCondition{After: &sendNow}}, nil, true},
		{
			SegmentRule{All: []SegmentRule{{Created: &TimeCondition{WithinDays: days(1)}}, {Not: &SegmentRule{SignedUp: &TimeCondition{WithinDays: days(2)}}}}},
			[]RuleWindow{{Days: 1}, {Days: 2, SignedUp: true}},
			true,
		},
		{SegmentRule{Any: []SegmentRule{{Event: &EventCondition{Name: "Paid", WithinDays: days(3)}}}}, []RuleWindow{{Days: 3, Event: "Paid"}}, true},
		{SegmentRule{Event: &EventCondition{Name: "Paid", Where: []AttributeCondition{{Name: "at", WithinDays: days(3)}}}}, nil, false},
		{about(AttributeCondition{Name: "since", WithinDays: days(4)}), nil, false},
	} {
		if got, followed := tt.rule.Windows(); fmt.Sprint(got) != fmt.Sprint(tt.want) || followed != tt.followed {
			t.Errorf("%+v: %v, %t; want %v, %t", tt.rule, got, followed, tt.want, tt.followed)
		}
	}
}
