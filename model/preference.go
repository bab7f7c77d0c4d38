package model

import (
	"fmt"
	"time"
)

// Limits of preferences.
const (
	MaxCategories        = 1000 // of an environment
	MaxPreferenceChanges = 500  // of one call
)

// Category is what preferences are about, such as "comments". Its identifier
// is unique in the environment.
type Category struct {
	ID               CategoryID
	EnvID            EnvID
	Identifier       string
	Name             string
	DefaultEnabled   bool             // when the user chose nothing
	ChannelDefaults  map[Channel]bool // beats DefaultEnabled for a channel
	RequiredChannels []Channel        // cannot be switched off by the user
	HideInInbox      bool
	HideInPrefs      bool
	CreatedAt        time.Time
	UpdatedAt        time.Time
}

// Choice is one explicit choice of a user. Category zero: every category.
// Channel zero: the whole category.
type Choice struct {
	Category  CategoryID
	Channel   Channel
	Enabled   bool
	UpdatedAt time.Time
}

// ChoiceChange sets or, with a nil Enabled, forgets a choice.
type ChoiceChange struct {
	Category CategoryID
	Channel  Channel
	Enabled  *bool
}

// Reason is the rule of the preference ladder that decided. Its number is what
// is stored: never reuse or reorder.
type Reason int16

// The reasons, in no order of importance; the ladder's order is in package
// preference.
const (
	ReasonUserUnknown Reason = iota + 1
	ReasonUserDisabled
	ReasonNoAddress
	ReasonSuppressed
	ReasonAdminOff
	ReasonRequired
	ReasonUserChannelOff
	ReasonUserCategoryChannel
	ReasonUserCategory
	ReasonUserTopic
	ReasonCategoryDefault
	ReasonEnvDefault
	ReasonChannelNotRequested
	ReasonSegmentSuppressed // only segments that the user is suppressed for lead to them
	// ReasonDuplicate is no rule of the ladder: the user was sent the same before,
	// as a dedupe key says.
	ReasonDuplicate
)

var reasonNames = [...]string{
	ReasonUserUnknown: "USER_UNKNOWN", ReasonUserDisabled: "USER_DISABLED", ReasonNoAddress: "NO_ADDRESS", ReasonSuppressed: "SUPPRESSED",
	ReasonAdminOff: "ADMIN_OFF", ReasonRequired: "REQUIRED", ReasonUserChannelOff: "USER_CHANNEL_OFF",
	ReasonUserCategoryChannel: "USER_CATEGORY_CHANNEL", ReasonUserCategory: "USER_CATEGORY", ReasonUserTopic: "USER_TOPIC",
	ReasonCategoryDefault: "CATEGORY_DEFAULT", ReasonEnvDefault: "ENV_DEFAULT", ReasonChannelNotRequested: "CHANNEL_NOT_REQUESTED",
	ReasonSegmentSuppressed: "SEGMENT_SUPPRESSED",
	ReasonDuplicate:         "DUPLICATE",
}

// String is the reason's name in the schema.
func (r Reason) String() string {
	if r <= 0 || int(r) >= len(reasonNames) {
		return fmt.Sprintf("Reason(%d)", int16(r))
	}
	return reasonNames[r]
}

// MarshalText writes the reason's name.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads the reason's name.
func (r *Reason) UnmarshalText(b []byte) error {
	for i, name := range reasonNames {
		if name == string(b) && name != "" {
			*r = Reason(i)
			return nil
		}
	}
	return fmt.Errorf("%q is not a reason", b)
}

// RungOutcome is what one rule of the ladder said.
type RungOutcome string

// What a rung can say.
const (
	RungPassed     RungOutcome = "PASSED"        // had nothing to say
	RungAllow      RungOutcome = "DECIDED_ALLOW" // this rule decided: send
	RungBlock      RungOutcome = "DECIDED_BLOCK" // this rule decided: do not
	RungNotReached RungOutcome = "NOT_REACHED"   // an earlier rule had decided
)

// Rung is one rule of the ladder as it was walked. Detail is for people.
type Rung struct {
	Reason  Reason
	Outcome RungOutcome
	Detail  string
}

// Decision says whether a notification may use a channel, which rule decided,
// and the ladder as it was walked.
type Decision struct {
	Allowed bool
	Reason  Reason
	Ladder  []Rung
}

// ChannelPreference is the effective state of one channel of a category for a
// user. Explicit: the user chose it.
type ChannelPreference struct {
	Channel  Channel
	Enabled  bool
	Reason   Reason
	Explicit bool
}

// CategoryPreference is a category with the user's state for each channel that
// the environment uses.
type CategoryPreference struct {
	Category Category
	Channels []ChannelPreference
}

// CategoryChange changes a category; what is nil stays.
type CategoryChange struct {
	Name             *string
	DefaultEnabled   *bool
	ChannelDefaults  *map[Channel]bool
	RequiredChannels *[]Channel
	HideInInbox      *bool
	HideInPrefs      *bool
}
