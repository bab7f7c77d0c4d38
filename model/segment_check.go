package model

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
)

// CheckRule lists what is wrong with a rule, each at its path below c. types
// are those of the environment's attributes, as far as they are known.
func CheckRule(c *Check, r SegmentRule, types map[string]PropertyType) {
	k := ruleCheck{types: types}
	k.rule(c, r, 1)
	if k.conditions > MaxRuleConditions {
		c.Add(ProblemLimit, fmt.Sprintf("must have at most %d conditions, and has more", MaxRuleConditions))
	}
	if k.events > MaxRuleEvents {
		c.Add(ProblemLimit, fmt.Sprintf("must have at most %d conditions on events, and has more", MaxRuleEvents))
	}
	if b, err := json.Marshal(r); err == nil && len(b) > MaxRuleBytes { // what is no JSON is told of at its place
		c.Add(ProblemLimit, fmt.Sprintf("must have at most %d bytes as JSON, has %d", MaxRuleBytes, len(b)))
	}
}

type ruleCheck struct {
	types              map[string]PropertyType
	conditions, events int
}

const oneCondition = "must say exactly one thing: all, any, not, attribute, event, topic, reachable, userKind, archived, enabled, identifierPrefix, created or signedUp"

func (k *ruleCheck) rule(c *Check, r SegmentRule, depth int) {
	k.conditions++
	if depth > MaxRuleDepth {
		c.Add(ProblemLimit, fmt.Sprintf("lies too deep: at most %d levels", MaxRuleDepth))
		return
	}
	set := 0
	for _, is := range []bool{
		r.All != nil, r.Any != nil, r.Not != nil, r.Attribute != nil, r.Event != nil, r.Topic != nil, r.Reachable != nil, r.UserKind != nil,
		r.Archived != nil, r.Enabled != nil, r.IdentifierPrefix != nil, r.Created != nil, r.SignedUp != nil,
	} {
		if is {
			set++
		}
	}
	if set != 1 {
		c.Add(ProblemInvalid, oneCondition)
		return
	}
	switch {
	case r.All != nil:
		k.group(c.At("all"), r.All, depth)
	case r.Any != nil:
		k.group(c.At("any"), r.Any, depth)
	case r.Not != nil:
		k.rule(c.At("not"), *r.Not, depth+1)
	case r.Attribute != nil:
		k.attribute(c.At("attribute"), *r.Attribute, k.types)
	case r.Event != nil:
		k.event(c.At("event"), *r.Event)
	case r.Topic != nil:
		checkName(c, *r.Topic, "topic")
	case r.IdentifierPrefix != nil:
		checkName(c, *r.IdentifierPrefix, "identifierPrefix")
	case r.Created != nil:
		checkSpan(c.At("created"), *r.Created)
	case r.SignedUp != nil:
		checkSpan(c.At("signedUp"), *r.SignedUp)
	}
}

func (k *ruleCheck) group(c *Check, list []SegmentRule, depth int) {
	if len(list) == 0 || len(list) > MaxRuleConditions {
		c.Add(ProblemInvalid, fmt.Sprintf("must have 1 to %d rules, has %d", MaxRuleConditions, len(list)))
		return
	}
	for i, one := range list {
		if k.conditions > MaxRuleConditions {
			return // said of the whole
		}
		k.rule(c.At(strconv.Itoa(i)), one, depth+1)
	}
}

func checkName(c *Check, s, name string) {
	if m := CheckIdentifier(s); m != "" {
		c.Add(ProblemInvalid, m, name)
	}
}

func checkSpan(c *Check, t TimeCondition) {
	if t.After == nil && t.Before == nil && t.WithinDays == nil {
		c.Add(ProblemRequired, "must say after, before or withinDays")
	}
	checkDays(c, t.WithinDays)
	checkYear(c, t.After, "after")
	checkYear(c, t.Before, "before")
}

func checkDays(c *Check, n *int32) {
	if n != nil && (*n < 1 || *n > MaxRuleDays) {
		c.Add(ProblemInvalid, fmt.Sprintf("must be between 1 and %d", MaxRuleDays), "withinDays")
	}
}

func checkYear(c *Check, t *time.Time, name string) {
	if t != nil && (t.Year() < 1 || t.Year() > 9999) {
		c.Add(ProblemInvalid, "must lie in the years 1 to 9999", name)
	}
}

// attribute checks a condition on a member. types is nil where members have no
// registry.
func (k *ruleCheck) attribute(c *Check, a AttributeCondition, types map[string]PropertyType) {
	if m := CheckAttributeName(a.Name); m != "" {
		c.Add(ProblemInvalid, m, "name")
		return
	}
	asks := a.asks()
	if len(asks) == 0 {
		c.Add(ProblemRequired, "must say what to ask: exists, equals, oneOf, startsWith, contains, greaterThan, atLeast, lessThan, atMost, after, before or withinDays")
	}
	is, known := types[a.Name]
	for _, ask := range asks {
		if known && ask.wants != "" && ask.wants != is && !(ask.wants == PropertyText && is == PropertyDate) {
			c.Add(ProblemInvalid, fmt.Sprintf("asks for %s, but %q is %s", ask.wants, a.Name, is), ask.name)
		}
	}
	k.values(c, a)
	checkDays(c, a.WithinDays)
	checkYear(c, a.After, "after")
	checkYear(c, a.Before, "before")
}

// ask is one question of a condition, and the type that it is about; "": any.
type ask struct {
	name  string
	wants PropertyType
}

func (a AttributeCondition) asks() (out []ask) {
	add := func(set bool, name string, wants PropertyType) {
		if set {
			out = append(out, ask{name, wants})
		}
	}
	add(a.Exists != nil, "exists", "")
	add(a.Equals != nil, "equals", scalarType(a.Equals))
	add(a.OneOf != nil, "oneOf", "")
	add(a.StartsWith != nil, "startsWith", PropertyText)
	add(a.Contains != nil, "contains", PropertyText)
	add(a.GreaterThan != nil, "greaterThan", PropertyNumber)
	add(a.AtLeast != nil, "atLeast", PropertyNumber)
	add(a.LessThan != nil, "lessThan", PropertyNumber)
	add(a.AtMost != nil, "atMost", PropertyNumber)
	add(a.After != nil, "after", PropertyDate)
	add(a.Before != nil, "before", PropertyDate)
	add(a.WithinDays != nil, "withinDays", PropertyDate)
	return out
}

// scalarType is the type of a text, number or boolean; "" of anything else.
func scalarType(v json.RawMessage) PropertyType {
	switch ScalarOf(v).(type) {
	case string:
		return PropertyText
	case float64:
		return PropertyNumber
	case bool:
		return PropertyBoolean
	}
	return ""
}

// MaxRuleNumber is what the numbers of a rule stay below, up and down.
const MaxRuleNumber = 1e99

// ScalarOf decodes text, a number or a boolean into a string, a float64 or a
// bool; anything else, and numbers that rules cannot compare, is nil.
func ScalarOf(v json.RawMessage) any {
	var out any
	if json.Unmarshal(v, &out) != nil {
		return nil
	}
	switch x := out.(type) {
	case string, bool:
		return x
	case float64:
		if math.Abs(x) < MaxRuleNumber {
			return x
		}
	}
	return nil
}

func (k *ruleCheck) values(c *Check, a AttributeCondition) {
	if a.Equals != nil {
		checkScalar(c, a.Equals, "equals")
	}
	if n := len(a.OneOf); a.OneOf != nil && (n == 0 || n > MaxRuleValues) {
		c.Add(ProblemInvalid, fmt.Sprintf("must have 1 to %d values, has %d", MaxRuleValues, n), "oneOf")
	} else {
		for i, v := range a.OneOf {
			checkScalar(c, v, "oneOf", strconv.Itoa(i))
		}
	}
	checkPart(c, a.StartsWith, "startsWith")
	checkPart(c, a.Contains, "contains")
	checkNumber(c, a.GreaterThan, "greaterThan")
	checkNumber(c, a.AtLeast, "atLeast")
	checkNumber(c, a.LessThan, "lessThan")
	checkNumber(c, a.AtMost, "atMost")
}

// checkPart checks a text that another has in it.
func checkPart(c *Check, s *string, name string) {
	if s == nil {
		return
	}
	if *s == "" {
		c.Add(ProblemInvalid, "must not be empty", name)
	} else if m := CheckText(*s, MaxRuleText); m != "" {
		c.Add(ProblemInvalid, m, name)
	}
}

// checkScalar checks a value to compare with.
func checkScalar(c *Check, v json.RawMessage, at ...string) {
	switch s := ScalarOf(v).(type) {
	case nil:
		c.Add(ProblemInvalid, "must be text, a number below 1e99, or a boolean", at...)
	case string:
		if m := CheckText(s, MaxRuleText); m != "" {
			c.Add(ProblemInvalid, m, at...)
		}
	}
}

func checkNumber(c *Check, n *float64, name string) {
	if n != nil && !(math.Abs(*n) < MaxRuleNumber) {
		c.Add(ProblemInvalid, "must be a number between -1e99 and 1e99", name)
	}
}

func checkCount(c *Check, n *int32, name string) {
	if n != nil && *n < 0 {
		c.Add(ProblemInvalid, "must not be negative", name)
	}
}

func (k *ruleCheck) event(c *Check, e EventCondition) {
	k.events++
	checkName(c, e.Name, "name")
	checkDays(c, e.WithinDays)
	checkCount(c, e.AtLeast, "atLeast")
	checkCount(c, e.AtMost, "atMost")
	if len(e.Where) > MaxRuleConditions {
		c.Add(ProblemLimit, fmt.Sprintf("must have at most %d conditions, has %d", MaxRuleConditions, len(e.Where)), "where")
		return
	}
	for i, w := range e.Where {
		k.conditions++
		k.attribute(c.At("where", strconv.Itoa(i)), w, nil)
	}
	if e.Sum == nil {
		return
	}
	at := c.At("sum")
	if e.Sum.Property != nil {
		if m := CheckAttributeName(*e.Sum.Property); m != "" {
			at.Add(ProblemInvalid, m, "property")
		}
	}
	if e.Sum.AtLeast == nil && e.Sum.AtMost == nil {
		at.Add(ProblemRequired, "must say atLeast or atMost")
	}
	checkNumber(at, e.Sum.AtLeast, "atLeast")
	checkNumber(at, e.Sum.AtMost, "atMost")
}
