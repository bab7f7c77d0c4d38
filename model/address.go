package model

import (
	"strings"
	"time"
)

// Limits of addresses.
const (
	MaxAddresses = 50   // addresses that were added to one user
	MaxAddress   = 2048 // bytes of an address; a push token or subscription may be longer
	MaxProvider  = 64   // bytes of the name of a provider
)

// AddressID names an address that was added to a user. It is text and
// time-ordered.
type AddressID string

// AddressSource says where an address comes from, and so where it is changed.
type AddressSource string

// The sources of addresses.
const (
	AddressProfile AddressSource = "PROFILE" // the profile's e-mail address or phone number
	AddressDevice  AddressSource = "DEVICE"  // a device's push token or subscription
	AddressAdded   AddressSource = "ADDED"   // added to the user
)

// Address is one way of reaching a user over one channel. The phone number of
// a profile is an address for SMS, and for WhatsApp and voice as long as no
// address was added for these. Where several addresses of a channel are the
// same, the profile's counts.
type Address struct {
	ID         AddressID // of one that was added; else empty
	DeviceID   DeviceID  // of one that is a device's; else empty
	EnvID      EnvID
	UserID     UserID
	Channel    Channel
	Source     AddressSource
	Value      string   // an e-mail address, a phone number, a push token, a web push subscription as JSON, a URL, or a name
	Platform   Platform // of a device; may be empty for others
	Provider   string   // who alone can carry to it, such as "fcm" or "expo"; empty: any
	Enabled    bool     // when false, nothing is sent to it
	CreatedAt  time.Time
	LastUsedAt time.Time
}

// NewAddress is an address to be added.
type NewAddress struct {
	Channel  Channel
	Value    string
	Platform Platform // may be empty
	Provider string   // may be empty
	Enabled  *bool    // nil: as it was, and true for a new one
}

// CheckAddress returns the address as it is kept, and what is wrong with it or
// "". It is for addresses that are added: those of push are devices'.
func CheckAddress(c Channel, s string) (kept, wrong string) {
	if len(s) > MaxAddress {
		return "", "must have at most 2,048 bytes"
	}
	switch c {
	case ChannelEmail:
		return CheckEmail(s)
	case ChannelSMS, ChannelWhatsApp, ChannelVoice:
		return phoneNumber(s)
	case ChannelWebhook:
		return s, CheckWebURL(s)
	case ChannelSlack, ChannelDiscord, ChannelTeams, ChannelInApp:
		if strings.TrimSpace(s) != s || s == "" {
			return "", "must be text without blanks at either end"
		}
		return s, CheckText(s, MaxAddress)
	case ChannelMobilePush, ChannelWebPush:
		return "", "is a device's: register the device"
	default:
		return "", "must be of a known channel"
	}
}
