package view

import (
	"encoding/json"
	"time"

	"carillon/model"
)

// User is a person who can be notified.
type User struct{ model.User }

// NewUser shows a user.
func NewUser(u model.User) *User { return &User{u} }

// Users shows several.
func Users(us []model.User) []*User {
	out := make([]*User, len(us))
	for i, u := range us {
		out[i] = NewUser(u)
	}
	return out
}

// IsNode marks a Node.
func (*User) IsNode() {}

// ID is the opaque id.
func (u *User) ID() string { return UserID(u.User.ID) }

// IdentifierAssigned says whether the application gave the identifier.
func (u *User) IdentifierAssigned() bool { return !u.Unassigned }

// LastSeenAt is when the user last showed up.
func (u *User) LastSeenAt() *time.Time {
	if u.User.LastSeenAt.IsZero() {
		return nil
	}
	return &u.User.LastSeenAt
}

// Profile is what is known of the user.
func (u *User) Profile() *Profile {
	p := &Profile{Profile: u.User.Profile}
	// The store keeps objects only; of anything else nothing is known.
	_ = json.Unmarshal(p.Profile.Attributes, &p.known)
	return p
}

// Profile is what is known of a user.
type Profile struct {
	model.Profile
	known map[string]json.RawMessage
}

// attribute is a well-known attribute; null when it is absent or no text.
func (p *Profile) attribute(name string) *string {
	var s *string
	if raw, ok := p.known[name]; !ok || json.Unmarshal(raw, &s) != nil {
		return nil
	}
	return s
}

// FirstName is the given name.
func (p *Profile) FirstName() *string { return p.attribute(model.AttrFirstName) }

// LastName is the family name.
func (p *Profile) LastName() *string { return p.attribute(model.AttrLastName) }

// Email is the e-mail address.
func (p *Profile) Email() *string { return p.attribute(model.AttrEmail) }

// PhoneNumber is the phone number.
func (p *Profile) PhoneNumber() *string { return p.attribute(model.AttrPhoneNumber) }

// AvatarURL is the address of a picture.
func (p *Profile) AvatarURL() *string { return p.attribute(model.AttrAvatarURL) }

// Locale is the language tag.
func (p *Profile) Locale() *string { return p.attribute(model.AttrLocale) }

// TimeZone is the IANA time zone.
func (p *Profile) TimeZone() *string { return p.attribute(model.AttrTimeZone) }

// UTCOffset is what the time zone is ahead of UTC at this moment.
func (p *Profile) UTCOffset() *string {
	zone := p.TimeZone()
	if zone == nil {
		return nil
	}
	return text(model.UTCOffset(*zone, time.Now()))
}

// CountryCode is the country of the phone number.
func (p *Profile) CountryCode() *string {
	number := p.PhoneNumber()
	if number == nil {
		return nil
	}
	return text(model.CountryOfPhone(*number))
}

// Device is an installation of the customer's app, or a browser, of a user.
type Device struct{ model.Device }

// NewDevice shows a device.
func NewDevice(d model.Device) *Device { return &Device{d} }

// Devices shows several.
func Devices(ds []model.Device) []*Device {
	out := make([]*Device, len(ds))
	for i, d := range ds {
		out[i] = NewDevice(d)
	}
	return out
}

// IsNode marks a Node.
func (*Device) IsNode() {}

// ID is the opaque id.
func (d *Device) ID() string { return DeviceID(d.UserID, d.Device.ID) }

// DeviceID is the id that the client chose.
func (d *Device) DeviceID() string { return d.Key }

// Browser is the browser, as the client says.
func (d *Device) Browser() *string { return text(d.Device.Browser) }

// HasPush says whether the device can be pushed to.
func (d *Device) HasPush() bool { return d.Token != "" || len(d.WebPush) > 0 }

// Provider is who alone can carry to the token.
func (d *Device) Provider() *string { return text(d.Device.Provider) }
