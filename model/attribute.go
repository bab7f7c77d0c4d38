package model

import (
	"encoding/json"
	"fmt"
	"net/mail"
	"regexp"
	"strings"
	"time"
)

const (
	maxEmail  = 254 // bytes, the most that mail can carry
	maxLocale = 35  // characters that every user of language tags must take
)

var (
	phonePattern  = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
	localePattern = regexp.MustCompile(`^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$`)
)

// attributeIdentifier names the user and is no attribute: no patch may write
// what looks like it.
const attributeIdentifier = "identifier"

// CheckAttributeName says what is wrong with the name of an attribute, or
// returns "". It must be an identifier (see [CheckIdentifier]) other than
// "identifier".
func CheckAttributeName(name string) string {
	if name == attributeIdentifier {
		return "cannot be written: the identifier of a user never changes"
	}
	return CheckIdentifier(name)
}

// CheckAttribute returns the value of an attribute as it is kept, and what is
// wrong with it or "". Well-known attributes are text of their own form; of an
// e-mail address only the address is kept, without a name beside it, and a phone
// number in E.164 form. Every
// other value is kept as it is and must have passed [CheckJSON].
func CheckAttribute(name string, value json.RawMessage) (json.RawMessage, string) {
	check, known := wellKnown[name]
	if !known {
		return value, ""
	}
	var s string
	if err := json.Unmarshal(value, &s); err != nil || len(value) == 0 || value[0] != '"' {
		return nil, "must be text"
	}
	kept, wrong := check(s)
	if wrong != "" || kept == s {
		return value, wrong
	}
	return quoted(kept), ""
}

var wellKnown = map[string]func(string) (kept, wrong string){
	AttrFirstName:   name,
	AttrLastName:    name,
	AttrEmail:       CheckEmail,
	AttrPhoneNumber: phoneNumber,
	AttrAvatarURL:   func(s string) (string, string) { return s, CheckWebURL(s) },
	AttrLocale:      locale,
	AttrTimeZone:    timeZone,
}

func name(s string) (string, string) { return s, CheckText(s, MaxIdentifier) }

// phoneNumber takes a number in any form that is sure to be one, and keeps E.164.
func phoneNumber(s string) (string, string) {
	n := PhoneOf(s)
	if n == "" {
		return "", "must be a phone number in E.164 form: + and 7 to 15 digits with the country code first, such as +15551234567"
	}
	return n, ""
}

func locale(s string) (string, string) {
	if len(s) > maxLocale || !localePattern.MatchString(s) {
		return "", "must be a language tag (BCP 47), such as en-GB"
	}
	return s, ""
}

// timeZone refuses "" and "Local", which Go understands as UTC and as the
// server's own zone.
func timeZone(s string) (string, string) {
	if _, err := time.LoadLocation(s); err != nil || s == "" || s == "Local" {
		return "", "must be the name of an IANA time zone, such as Europe/Paris"
	}
	return s, ""
}

// CheckEmail returns the address in text that holds exactly one e-mail
// address, and what is wrong with it or "". A name beside the address is left
// out. Quoted local parts and addresses at bare IP numbers are refused: too
// many programs on the way misread them.
func CheckEmail(s string) (address, wrong string) {
	if len(s) > maxEmail+MaxIdentifier {
		return "", fmt.Sprintf("must have at most %d bytes", maxEmail)
	}
	if m := CheckText(s, len(s)); m != "" {
		return "", m
	}
	a, err := mail.ParseAddress(s)
	switch {
	case err != nil:
		return "", "must be one e-mail address, such as ada@example.com"
	case len(a.Address) > maxEmail:
		return "", fmt.Sprintf("must have at most %d bytes", maxEmail)
	case (&mail.Address{Address: a.Address}).String() != "<"+a.Address+">", strings.HasSuffix(a.Address, "]"):
		return "", "must be a plain e-mail address, such as ada@example.com"
	}
	return a.Address, ""
}

// InitialAttributes is the profile of a user of whom nothing is known but the
// identifier: empty, or the e-mail address that the identifier is.
func InitialAttributes(identifier string) json.RawMessage {
	if a, wrong := CheckEmail(identifier); wrong != "" || a != identifier {
		return json.RawMessage("{}")
	}
	return json.RawMessage(`{"` + AttrEmail + `":` + string(quoted(identifier)) + `}`)
}

func quoted(s string) json.RawMessage {
	b, err := EncodeJSON(s)
	if err != nil {
		panic("encoding text: " + err.Error()) // text always has an encoding
	}
	return b
}
