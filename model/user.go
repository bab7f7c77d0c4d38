package model

import (
	"encoding/json"
	"time"
)

// Limits of what is known of a user.
const (
	MaxProfile         = 64 << 10 // bytes of a profile as JSON
	MaxProfileDepth    = 64       // levels of nesting
	MaxPatchOperations = 100      // operations of one JSON Patch
	MaxIdentifyUsers   = 1000     // users of one identifyUsers call
	MaxDevices         = 50       // devices of one user; the least recently used goes first
)

// User is a person who can be notified. Identifier is the customer's own name
// for them, unique in the environment; after a change the old one goes on
// naming them.
type User struct {
	ID         UserID
	EnvID      EnvID
	Identifier string
	Enabled    bool     // when false, nothing is sent on any channel
	Kind       UserKind // empty: a person
	Unassigned bool     // Identifier was made up here; the application may give its own once
	Archived   bool     // put away: no part of everyone
	Profile    Profile
	SignedUpAt time.Time // with the application; CreatedAt where it did not say
	LastSeenAt time.Time // when they last showed up here, to five minutes or so; zero: never
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// UserRef names a user where the identifier does not matter.
type UserRef struct {
	Env EnvID
	ID  UserID
}

// Profile is what is known of a user: one JSON object with every attribute,
// the well-known ones (see the constants) included.
type Profile struct {
	Version    int64           // grows by one with each change; the first is 1
	Attributes json.RawMessage `json:",omitempty"` // a JSON object; never empty
}

// The well-known attributes. They are text, or absent.
const (
	AttrFirstName   = "firstName"
	AttrLastName    = "lastName"
	AttrEmail       = "email"
	AttrPhoneNumber = "phoneNumber" // E.164
	AttrAvatarURL   = "avatarUrl"
	AttrLocale      = "locale"   // BCP 47
	AttrTimeZone    = "timeZone" // IANA name
)

// WellKnownAttributes lists the attributes that have a meaning here.
func WellKnownAttributes() []string {
	return []string{AttrFirstName, AttrLastName, AttrEmail, AttrPhoneNumber, AttrAvatarURL, AttrLocale, AttrTimeZone}
}

// Attribute returns a text attribute of the profile, or "" when it is absent
// or not text.
func (p Profile) Attribute(name string) string {
	var m map[string]json.RawMessage
	if json.Unmarshal(p.Attributes, &m) != nil {
		return ""
	}
	var s string
	if json.Unmarshal(m[name], &s) != nil {
		return ""
	}
	return s
}

// Device is an installation of the customer's app or a browser of the user.
// Key is the id that the client chose; it is unique for the user.
type Device struct {
	ID         DeviceID
	EnvID      EnvID
	UserID     UserID
	Key        string
	Platform   Platform
	Browser    string          // as the client says; may be empty
	Token      string          // push token; may be empty
	WebPush    json.RawMessage `json:",omitempty"` // the browser's PushSubscription; nil when there is none
	Provider   string          // who alone can carry to the token, such as "fcm" or "expo"; empty: any
	Enabled    bool            // when false, nothing is pushed to it
	CreatedAt  time.Time
	LastUsedAt time.Time
}

// Platform is the kind of a device.
type Platform string

// The platforms.
const (
	PlatformIOS     Platform = "IOS"
	PlatformAndroid Platform = "ANDROID"
	PlatformWeb     Platform = "WEB"
	PlatformOther   Platform = "OTHER"
)

// Recipient is a user as a send sees them: whether they can be notified, over
// which channels, and what they chose.
type Recipient struct {
	ID         UserID
	Identifier string
	Enabled    bool
	Reachable  []Channel // channels for which the user has an address; IN_APP always
	Choices    []Choice
	Reach      []Reach // the addresses that are enabled, by channel; nil: they were not read
	// SegmentSuppressed: only segments that the user is suppressed for made
	// them a recipient.
	SegmentSuppressed bool
	OnlyVia           []Channel // what they are on the topics for that made them a recipient; nil: all channels
}

// Reach is an address of a recipient, and whether nothing is sent to it.
type Reach struct {
	Address
	Suppressed bool
}

// IdentifyInput says what is known of a user. Attributes is an object that is
// merged into the profile, its null members removed from it; nil: nothing.
type IdentifyInput struct {
	Identifier string
	Attributes json.RawMessage
	Devices    []DeviceInput // to be registered with the user
}

// Identified is a user as identified.
type Identified struct {
	User    User
	Created bool // the user was not known before
}

// IdentifyResult is what became of one user of several: Identified, or, when
// there are Problems, nothing.
type IdentifyResult struct {
	Identified
	Problems []Problem
}

// ProfileMerge gives the attributes that the i-th user named in a call shall
// have, from those they have now: an object in canonical form (see
// [CanonicalJSON]), nil for a user who is to be created. With problems nothing
// is changed. It is pure: it may run more than once for the same i. An error is
// a fault and ends the call.
type ProfileMerge func(i int, now json.RawMessage) (json.RawMessage, []Problem, error)

// ProfilePatch changes a profile in one of three ways: Set and Unset, a JSON
// Merge Patch (RFC 7396), or a JSON Patch (RFC 6902).
type ProfilePatch struct {
	Set             json.RawMessage // an object
	Unset           []string
	MergePatch      json.RawMessage
	JSONPatch       json.RawMessage
	ExpectedVersion *int64 // nil: any
}

// DeviceInput is a device to register.
type DeviceInput struct {
	Key      string
	Platform Platform
	Browser  string
	Token    string
	WebPush  json.RawMessage
	Provider string
	Enabled  *bool // nil: as it was, and true for a new device
}
