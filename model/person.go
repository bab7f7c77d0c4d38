package model

import (
	"encoding/json"
	"time"
)

// UserKind tells a person from an account: an organisation that people are
// members of.
type UserKind string

// The kinds of user.
const (
	UserPerson  UserKind = "PERSON"
	UserAccount UserKind = "ACCOUNT"
)

// Limits of what is known of people.
const (
	MaxMemberships     = 100     // accounts that one user is a member of
	MaxEventProperties = 8 << 10 // bytes of the properties of one event, as JSON
	MaxEventValue      = 4 << 10 // bytes of the value of one event, as JSON
	MaxTrackEvents     = 1000    // events of one call
)

// UserMatch names a user otherwise than by identifier: by the e-mail address or
// the phone number of the profile. Empty fields match nobody.
type UserMatch struct {
	Email          string
	Phone          string
	OnlyUnassigned bool // match only a user whom the application has given no identifier
}

// DeviceSave is a device to be registered: Change gets the device as it was, or
// Fresh, and says how it shall be.
type DeviceSave struct {
	Fresh  Device
	Change func(was Device) Device
}

// UserChange is all that one call says about one user, to be made true in one
// transaction. What is nil or empty stays as it is.
type UserChange struct {
	// Identifier names the user; who had it before is meant too. When it names
	// nobody, Match may: an unassigned user who is found so gets Identifier.
	Identifier string
	Match      UserMatch
	// MatchFirst asks Match before Identifier, which is then for a new user.
	MatchFirst bool
	Unassigned bool // a new user's Identifier was made up here
	MustCreate bool // a user who is there is a KindConflict error
	MustExist  bool // a user who is not there is a KindNotFound error

	// Guard refuses the change from what the user is now; a new user is not
	// asked about. It is pure.
	Guard func(now User) error
	// Merge is as [ProfileMerge] with i 0; nil: the profile stays.
	Merge ProfileMerge

	Rename     string // a new identifier; the old one stays an alias
	Enabled    *bool
	Kind       *UserKind
	Archived   *bool
	SignedUpAt *time.Time

	Devices       []DeviceSave
	ForgetDevices func(Device) bool // which devices to forget, asked before Devices are saved; nil: none
	Addresses     []NewAddress
	NewIDs        []AddressID        // as many as Addresses
	Replace       func(Address) bool // which added addresses to remove, asked before Addresses are added; nil: none
	LeaveTopics   []TopicID
	Accounts      []MembershipChange // accounts to be a member of, which must be there
	Topics        []TopicID          // topics to be put on, subscribed; an archived one changes nothing
}

// Membership is a user in an account. Role may be empty.
type Membership struct {
	Account   UserID
	User      UserID
	Role      string
	CreatedAt time.Time
}

// MembershipChange puts a user into an account, or changes the role there.
type MembershipChange struct {
	Account string // identifier
	Role    *string
}

// Event is something that a user did, as the application told. It never
// changes.
type Event struct {
	ID         EventID
	EnvID      EnvID
	UserID     UserID
	Name       string
	Value      json.RawMessage `json:",omitempty"` // text, a number or a boolean; nil: none
	Properties json.RawMessage `json:",omitempty"` // an object of the same; nil: none
	OccurredAt time.Time
	CreatedAt  time.Time
}

// EventID names an event. It is text and time-ordered.
type EventID string

// MergeID names the record of a merge. It is text and time-ordered.
type MergeID string

// Merge is the record of one user's having been merged into another.
type Merge struct {
	ID        MergeID
	EnvID     EnvID
	Into      UserID
	From      string // identifier; an alias of Into since
	Decisions []MergeDecision
	CreatedAt time.Time
}

// MergeDecision says what became of one kind of thing: how many moved, how many
// were dropped because the other user had their like, and of attributes and
// choices which.
type MergeDecision struct {
	What    string
	Moved   int64
	Dropped int64
	Names   []string `json:",omitempty"` // of what was dropped, 100 at most
}

// MergeResult is what a merge did, or, as a dry run, would do.
type MergeResult struct {
	User  User // who is left
	Merge Merge
	From  UserID
	Seq   int64 // of the inbox of who is left, when it moved; else zero
}

// ProfileJoin gives the attributes of two users who become one, in canonical
// form, and the decision about them. It is pure.
type ProfileJoin func(from, into json.RawMessage) (json.RawMessage, MergeDecision, error)

// PropertyType is what kind of values an attribute had when it was first seen.
type PropertyType string

// The types of attributes.
const (
	PropertyText    PropertyType = "TEXT"
	PropertyNumber  PropertyType = "NUMBER"
	PropertyBoolean PropertyType = "BOOLEAN"
	PropertyDate    PropertyType = "DATE"
	PropertyList    PropertyType = "LIST"
	PropertyObject  PropertyType = "OBJECT"
)

// Property is an attribute that profiles of an environment have had.
type Property struct {
	Name        string
	Type        PropertyType
	Shown       bool // in tables of users
	FirstSeenAt time.Time
}

// PropertyTypeOf is the type of a value, which is JSON and not null.
func PropertyTypeOf(value json.RawMessage) PropertyType {
	switch {
	case len(value) == 0:
		return PropertyText
	case value[0] == '{':
		return PropertyObject
	case value[0] == '[':
		return PropertyList
	case value[0] == 't', value[0] == 'f':
		return PropertyBoolean
	case value[0] != '"':
		return PropertyNumber
	}
	var s string
	if json.Unmarshal(value, &s) == nil {
		if _, ok := ParseDate(s); ok {
			return PropertyDate
		}
	}
	return PropertyText
}

// dateForms are the ways of writing a date and time that customers use.
var dateForms = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04:05.999999999-0700", "2006-01-02T15:04:05.999999999Z0700",
	"2006-01-02T15:04", "2006-01-02T15:04Z07:00", "2006-01-02 15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00", time.DateOnly,
}

// ParseDate reads an ISO 8601 date, with or without a time and a zone; without
// a zone it is UTC. Years are 1 to 9999.
func ParseDate(s string) (time.Time, bool) {
	if len(s) < len(time.DateOnly) || len(s) > 40 {
		return time.Time{}, false
	}
	for _, form := range dateForms {
		if t, err := time.Parse(form, s); err == nil {
			t = t.UTC().Truncate(time.Microsecond)
			return t, t.Year() >= 1 && t.Year() <= 9999
		}
	}
	return time.Time{}, false
}

// UserStats are the messages of a user, counted, over all channels.
type UserStats struct {
	Delivered  int64     // in the inbox, or taken by a provider
	Failed     int64     // given up, bounced or too late
	Opened     int64     // read in the inbox
	Pressed    int64     // interacted with in the inbox
	LastActive time.Time // the newest mark by the user or event of theirs; zero: none
}
