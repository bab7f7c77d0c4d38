package model

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// Limits of lists of users.
const (
	MaxPropertyFilters = 10     // conditions on attributes of one list
	MaxSearch          = 100    // bytes of a search
	MaxSearchWords     = 5      // words of a search
	MaxUserTotal       = 10_000 // what is counted of a list
)

// UserFilter chooses users; what is given must all hold. Zero values do not
// filter.
type UserFilter struct {
	Topic            TopicID // on it, subscribed or not
	TopicName        string  // the same by identifier, which the service looks up
	Account          UserID  // a member of it
	AccountName      string  // the same by identifier
	Enabled          *bool
	Archived         *bool
	Kind             UserKind
	IdentifierPrefix string
	Email            string
	// Search is what a person typed: see [SearchWords].
	Search     string
	CreatedAt  TimeRange
	SignedUpAt TimeRange
	Properties []PropertyFilter
}

// TimeRange is from Since, and before Until; a zero time leaves that end open.
type TimeRange struct{ Since, Until time.Time }

// IsZero reports whether every moment is in the range.
func (r TimeRange) IsZero() bool { return r.Since.IsZero() && r.Until.IsZero() }

// UserOrderKey is what a list of users is ordered by. Users who have the same of
// it are in the order of their ids.
type UserOrderKey int

// The orders of users.
const (
	ByCreation UserOrderKey = iota
	ByIdentifier
	BySignUp
	ByLastSeen // who was never seen is the oldest
	ByEmail    // byte by byte; who has none is the first
	ByID       // of use in dialects only
)

// UserOrder is the order of a list of users.
type UserOrder struct {
	By        UserOrderKey
	Ascending bool
}

// Key is the place of a user in a list of this order.
func (o UserOrder) Key(u User) PageKey {
	switch o.By {
	case ByCreation:
		return PageKey{At: u.CreatedAt, ID: int64(u.ID)}
	case ByIdentifier:
		return PageKey{Text: u.Identifier}
	case BySignUp:
		return PageKey{At: u.SignedUpAt, ID: int64(u.ID)}
	case ByLastSeen:
		return PageKey{At: u.LastSeenAt, ID: int64(u.ID)}
	case ByEmail:
		return PageKey{Text: u.Profile.Attribute(AttrEmail), ID: int64(u.ID)}
	case ByID:
	}
	return PageKey{ID: int64(u.ID)}
}

// UserTotal is how many users a list has: exactly, or at least so many.
type UserTotal struct {
	Count int64
	Exact bool
}

// SearchWords takes a search apart: words of lower case, as far as ASCII goes.
// A user is found when each word is the beginning of the identifier, the first
// or the last name, the e-mail address or the phone number, or when the whole
// text is. The beginning of a phone number is one word, however it is written.
func SearchWords(search string) []string {
	if PhonePrefix(search) != "" {
		return []string{bareNumber(search)}
	}
	return strings.Fields(LowerASCII(search))
}

// LowerASCII makes ASCII letters small, as both databases can.
func LowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// PhonePrefix is how the numbers begin that a text is the beginning of, in E.164
// form; "" when it is no beginning of a number.
func PhonePrefix(text string) string {
	s, ok := strings.CutPrefix(bareNumber(text), "00")
	if !ok {
		s = strings.TrimPrefix(s, "+")
	}
	if s == "" || len(s) > 15 || strings.Trim(s, "0123456789") != "" {
		return ""
	}
	return "+" + s
}

// PropertyTest is how an attribute is compared.
type PropertyTest int

// The tests. A user without the attribute, or with a value of another type,
// passes none.
const (
	PropertyEquals   PropertyTest = iota // as a value of the property's type: 1 is 1.0, and dates are moments
	PropertyContains                     // text has it within, without regard to case; a list has it as an element
	PropertyGreater
	PropertyLess
)

// PropertyFilter is a condition on one attribute. Value is JSON: of PropertyGreater
// and PropertyLess a number or a date, of PropertyContains text.
type PropertyFilter struct {
	Name  string
	Type  PropertyType
	Test  PropertyTest
	Value json.RawMessage
}

// Holds reports whether a profile, which is canonical JSON, passes.
func (f PropertyFilter) Holds(attributes json.RawMessage) bool {
	var all map[string]json.RawMessage
	if json.Unmarshal(attributes, &all) != nil {
		return false
	}
	value, there := all[f.Name]
	if !there {
		return false
	}
	switch f.Test {
	case PropertyContains:
		return contains(value, f.Value)
	case PropertyEquals:
		order, comparable := f.compare(value)
		return comparable && order == 0 || bytes.Equal(value, f.Value)
	case PropertyGreater:
		order, comparable := f.compare(value)
		return comparable && order > 0
	case PropertyLess:
		order, comparable := f.compare(value)
		return comparable && order < 0
	}
	return false
}

// compare compares numbers and dates.
func (f PropertyFilter) compare(value json.RawMessage) (order int, comparable bool) {
	switch f.Type {
	case PropertyNumber:
		a, aErr := strconv.ParseFloat(string(value), 64)
		b, bErr := strconv.ParseFloat(string(f.Value), 64)
		if aErr != nil || bErr != nil {
			return 0, false
		}
		switch {
		case a < b:
			return -1, true
		case a > b:
			return 1, true
		}
		return 0, true
	case PropertyDate:
		a, aOK := dateOf(value)
		b, bOK := dateOf(f.Value)
		return a.Compare(b), aOK && bOK
	case PropertyText, PropertyBoolean, PropertyList, PropertyObject:
	}
	return 0, false
}

func dateOf(value json.RawMessage) (time.Time, bool) {
	s, ok := textOf(value)
	if !ok {
		return time.Time{}, false
	}
	return ParseDate(s)
}

func textOf(value json.RawMessage) (s string, ok bool) {
	if len(value) == 0 || value[0] != '"' {
		return "", false
	}
	return s, json.Unmarshal(value, &s) == nil
}

func contains(value, part json.RawMessage) bool {
	wanted, ok := textOf(part)
	if !ok {
		return false
	}
	if text, ok := textOf(value); ok {
		return strings.Contains(strings.ToLower(text), strings.ToLower(wanted))
	}
	var list []json.RawMessage
	if json.Unmarshal(value, &list) != nil {
		return false
	}
	for _, element := range list {
		if bytes.Equal(element, part) {
			return true
		}
	}
	return false
}
