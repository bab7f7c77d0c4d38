package model

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Integer ids, below 2^53 so that JavaScript keeps them exact. Zero is none.
type (
	AppID          int64
	EnvID          int64
	UserID         int64
	SendID         int64
	NotificationID int64
	CategoryID     int64
	TopicID        int64
	TemplateID     int64
	LayoutID       int64
)

// Text ids, time-ordered.
type (
	CredentialID  string
	DeviceID      string
	DeliveryID    string
	ProviderID    string
	SuppressionID string

	WebhookEndpointID string
	WebhookEventID    string
)

// MaxID is the largest integer id.
const MaxID = 1<<53 - 1

// MaxIdentifier is the longest identifier, in bytes.
const MaxIdentifier = 255

// CheckIdentifier says in one sentence what is wrong with an identifier chosen
// by a customer (of a user, category, topic, device or idempotency key), or
// returns "". Identifiers are compared byte for byte and never folded or
// trimmed, so whatever a database, a header or JSON could alter is refused:
// empty or blank text, more than [MaxIdentifier] bytes, invalid UTF-8, the
// replacement character (what decoders put for broken text), control
// characters, and blanks at either end.
func CheckIdentifier(s string) string {
	switch {
	case s == "":
		return "must not be empty"
	case len(s) > MaxIdentifier:
		return fmt.Sprintf("must have at most %d bytes, has %d", MaxIdentifier, len(s))
	case !utf8.ValidString(s):
		return "must be valid UTF-8"
	case strings.TrimSpace(s) != s:
		return "must not begin or end with blanks"
	}
	for _, r := range s {
		if m := badRune(r); m != "" {
			return m
		}
	}
	return ""
}

func badRune(r rune) string {
	switch {
	case r == utf8.RuneError:
		return "must not contain U+FFFD, the sign of broken text"
	case r < 0x20, r == 0x7f, r >= 0x80 && r < 0xa0:
		return fmt.Sprintf("must not contain control characters (found U+%04X)", r)
	case r&0xfffe == 0xfffe, r >= 0xfdd0 && r <= 0xfdef:
		return fmt.Sprintf("must not contain the noncharacter U+%04X", r)
	}
	return ""
}

// CheckText says what is wrong with text meant for people, or returns "": it
// must be valid UTF-8 of at most max bytes without NUL or U+FFFD. Line breaks
// and tabs are text; other control characters are not.
func CheckText(s string, max int) string {
	if len(s) > max {
		return fmt.Sprintf("must have at most %d bytes, has %d", max, len(s))
	}
	if !utf8.ValidString(s) {
		return "must be valid UTF-8"
	}
	for _, r := range s {
		switch {
		case r == '\n', r == '\r', r == '\t':
		case r == utf8.RuneError:
			return "must not contain U+FFFD, the sign of broken text"
		case r < 0x20, r == 0x7f:
			return fmt.Sprintf("must not contain control characters (found U+%04X)", r)
		}
	}
	return ""
}
