package fyno

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"carillon/model"
)

// profileObject is Fyno's profile.
type profileObject struct {
	DistinctID     string                     `json:"distinct_id"`
	Name           *string                    `json:"name"`
	ProfileID      string                     `json:"profile_id"`
	IDs            []string                   `json:"id_list"`
	Version        string                     `json:"version"`
	Status         int                        `json:"status"`
	TimeZone       *string                    `json:"timezone"`
	TimeZoneOffset *string                    `json:"timezone_offset"`
	Country        *string                    `json:"country_code"`
	Channel        map[string]any             `json:"channel"`
	ChannelRaw     map[string]any             `json:"channel_raw"`
	Properties     map[string]json.RawMessage `json:"properties"`
	CreatedAt      string                     `json:"created_at"`
	UpdatedAt      string                     `json:"updated_at"`
}

// notProperties are attributes that a profile shows elsewhere.
var notProperties = []string{
	model.AttrFirstName, model.AttrLastName, model.AttrEmail, model.AttrPhoneNumber, model.AttrTimeZone, attrKept,
}

// hex24 is an id of ours in the form of Fyno's.
func hex24(id int64) string { return fmt.Sprintf("%024x", id) }

func moment(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// shown is a user as Fyno shows profiles.
func (c *call) shown(u model.User) (profileObject, error) {
	attributes := map[string]json.RawMessage{}
	if err := json.Unmarshal(u.Profile.Attributes, &attributes); err != nil {
		return profileObject{}, fmt.Errorf("decoding profile: %w", err)
	}
	addresses, err := c.Users.Addresses(c.ctx(), model.UserRef{Env: c.env, ID: u.ID})
	if err != nil {
		return profileObject{}, err
	}
	former, err := c.Users.FormerIdentifiers(c.ctx(), c.env, u.ID)
	if err != nil {
		return profileObject{}, err
	}
	zone := u.Profile.Attribute(model.AttrTimeZone)
	o := profileObject{
		DistinctID: u.Identifier, ProfileID: hex24(int64(u.ID)), IDs: former, Version: string(c.caller.Env.Kind),
		Name:     text(strings.TrimSpace(u.Profile.Attribute(model.AttrFirstName) + " " + u.Profile.Attribute(model.AttrLastName))),
		TimeZone: text(zone), Country: text(model.CountryOfPhone(u.Profile.Attribute(model.AttrPhoneNumber))),
		Properties: attributes, CreatedAt: moment(u.SignedUpAt), UpdatedAt: moment(u.UpdatedAt),
	}
	if u.Enabled {
		o.Status = 1
	}
	if zone != "" {
		o.TimeZoneOffset = text(model.UTCOffset(zone, c.Now()))
	}
	o.Channel, o.ChannelRaw = shownChannels(addresses, keptOf(attributes[attrKept]))
	for _, name := range notProperties {
		delete(attributes, name)
	}
	return o, nil
}

// shownChannels are channels as they are here, and as they were sent.
func shownChannels(addresses []model.Address, k kept) (is, raw map[string]any) {
	is, raw = map[string]any{}, map[string]any{}
	lists := map[string][]tokenObject{}
	// The oldest first, as they were appended.
	slices.SortFunc(addresses, func(a, b model.Address) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), strings.Compare(a.Value, b.Value))
	})
	for _, a := range addresses {
		word := wordOf(a.Channel)
		switch {
		case a.Source == model.AddressDevice:
			t := tokenObject{Token: json.RawMessage(a.Value)}
			if a.Channel == model.ChannelMobilePush {
				t.Token = quoted(prefixed(a.Value, a.Provider))
			}
			if a.Enabled {
				t.Status = 1
			}
			t.Integration = k.Integrations[textOf(t.Token)]
			lists[word] = append(lists[word], t)
		case a.Source == model.AddressProfile && a.Channel != model.ChannelEmail && a.Channel != model.ChannelSMS:
			// whatsapp and voice by the number of sms, which Fyno does not have
		default:
			is[word], raw[word] = a.Value, a.Value
			if sent, there := k.Raw[word]; there && model.PhoneOf(sent) == a.Value {
				raw[word] = sent
			}
		}
	}
	if len(k.InApp) > 0 {
		lists["inapp"] = k.InApp
	}
	for word, list := range lists {
		is[word], raw[word] = list, list
	}
	return is, raw
}
