package model

import (
	"encoding/json"
	"time"
)

// SegmentID names a segment in its environment.
type SegmentID int64

// Limits of a rule.
const (
	MaxRuleDepth      = 8   // groups within groups
	MaxRuleConditions = 100 // in all of a rule, groups among them
	MaxRuleEvents     = 10  // of the conditions, those on events
	MaxRuleValues     = 100 // of one oneOf
	MaxRuleText       = 1 << 10
	MaxRuleBytes      = 64 << 10 // of a rule as JSON
	MaxRuleDays       = 3660
	MaxSendSegments   = 20
	MaxSegments       = 500 // of an environment
)

// Segment is a saved rule and who matched it. Its identifier is unique in the
// environment.
type Segment struct {
	ID          SegmentID
	EnvID       EnvID
	Identifier  string
	Name        string
	Description string
	Rule        SegmentRule
	Size        int64     // at RefreshedAt
	RefreshedAt time.Time // when it was evaluated last; zero: not since its rule was set
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// SegmentChange are changes of a segment; what is nil stays.
type SegmentChange struct {
	Name        *string
	Description *string
	Rule        *SegmentRule
}

// SegmentMembership is a segment that a user is in, or that nothing is sent to
// them for.
type SegmentMembership struct {
	Segment    SegmentID
	Member     bool
	Suppressed bool // sends to the segment leave the user out
}

// SegmentPreview is what a rule matches now: how many users, and the newest of
// them. Where it is not exact, the rule was evaluated over some of the users:
// the count is what that comes to for all, and the users are of those.
type SegmentPreview struct {
	Count int64
	Exact bool
	Users []UserID
}

// SegmentRule is a condition that each user matches or not: exactly one of its
// members is set. Nothing is unknown about a user: what they lack does not
// match.
type SegmentRule struct {
	All []SegmentRule `json:"all,omitempty"`
	Any []SegmentRule `json:"any,omitempty"`
	Not *SegmentRule  `json:"not,omitempty"`

	Attribute        *AttributeCondition `json:"attribute,omitempty"`
	Event            *EventCondition     `json:"event,omitempty"`
	Topic            *string             `json:"topic,omitempty"` // identifier: on it and subscribed
	Reachable        *Channel            `json:"reachable,omitempty"`
	UserKind         *UserKind           `json:"userKind,omitempty"`
	Archived         *bool               `json:"archived,omitempty"`
	Enabled          *bool               `json:"enabled,omitempty"`
	IdentifierPrefix *string             `json:"identifierPrefix,omitempty"`
	Created          *TimeCondition      `json:"created,omitempty"`
	SignedUp         *TimeCondition      `json:"signedUp,omitempty"`
}

// TimeCondition is a span of time. All that is set must hold.
type TimeCondition struct {
	After      *time.Time `json:"after,omitempty"`  // at or after
	Before     *time.Time `json:"before,omitempty"` // before, not at
	WithinDays *int32     `json:"withinDays,omitempty"`
}

// AttributeCondition is about a member of a profile or of an event's
// properties. All that is set must hold. Text is compared by code points,
// numbers as double precision below 1e99.
type AttributeCondition struct {
	Name        string            `json:"name"`
	Exists      *bool             `json:"exists,omitempty"`
	Equals      json.RawMessage   `json:"equals,omitempty"` // text, a number or a boolean
	OneOf       []json.RawMessage `json:"oneOf,omitempty"`
	StartsWith  *string           `json:"startsWith,omitempty"`
	Contains    *string           `json:"contains,omitempty"`
	GreaterThan *float64          `json:"greaterThan,omitempty"`
	AtLeast     *float64          `json:"atLeast,omitempty"`
	LessThan    *float64          `json:"lessThan,omitempty"`
	AtMost      *float64          `json:"atMost,omitempty"`
	After       *time.Time        `json:"after,omitempty"`
	Before      *time.Time        `json:"before,omitempty"`
	WithinDays  *int32            `json:"withinDays,omitempty"`
}

// EventCondition is about the events of one name that a user did: those within
// the window that meet Where are counted, or a property of theirs is summed up.
// Neither a count nor a sum asked for means at least one.
type EventCondition struct {
	Name       string               `json:"name"`
	WithinDays *int32               `json:"withinDays,omitempty"`
	Last       bool                 `json:"last,omitempty"` // Where is asked of the last one only
	Where      []AttributeCondition `json:"where,omitempty"`
	AtLeast    *int32               `json:"atLeast,omitempty"`
	AtMost     *int32               `json:"atMost,omitempty"`
	Sum        *EventSum            `json:"sum,omitempty"`
}

// EventSum is a condition on the sum of a property that is a number; Property
// nil: of the events' values. Without any such number there is no sum, and the
// condition is not met.
type EventSum struct {
	Property *string  `json:"property,omitempty"`
	AtLeast  *float64 `json:"atLeast,omitempty"`
	AtMost   *float64 `json:"atMost,omitempty"`
}

// RuleWindow is a window of days, up to now, that a rule asks about: when a
// user was made, signed up, or did an event.
type RuleWindow struct {
	Days     int32
	Event    string // its name; "": it is about the user
	SignedUp bool
}

// Windows lists the windows of a rule: without one, time alone never changes who
// matches. followed is false where there is a window about a date that is an
// attribute or a property, so that only looking at everyone tells who left it.
func (r SegmentRule) Windows() (windows []RuleWindow, followed bool) {
	followed = true
	r.each(func(r SegmentRule) {
		switch {
		case r.Attribute != nil:
			followed = followed && r.Attribute.WithinDays == nil
		case r.Created != nil && r.Created.WithinDays != nil:
			windows = append(windows, RuleWindow{Days: *r.Created.WithinDays})
		case r.SignedUp != nil && r.SignedUp.WithinDays != nil:
			windows = append(windows, RuleWindow{Days: *r.SignedUp.WithinDays, SignedUp: true})
		case r.Event != nil:
			if r.Event.WithinDays != nil {
				windows = append(windows, RuleWindow{Days: *r.Event.WithinDays, Event: r.Event.Name})
			}
			for _, w := range r.Event.Where {
				followed = followed && w.WithinDays == nil
			}
		}
	})
	return windows, followed
}

// each calls do with the rule and every rule in it.
func (r SegmentRule) each(do func(SegmentRule)) {
	do(r)
	for _, list := range [][]SegmentRule{r.All, r.Any} {
		for _, one := range list {
			one.each(do)
		}
	}
	if r.Not != nil {
		r.Not.each(do)
	}
}
