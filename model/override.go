package model

import "encoding/json"

// Overrides is the form of [Content.Overrides]: what a send says about how it
// is shown over single channels, and by single kinds of provider.
type Overrides struct {
	// Channels has what is said about a channel, by its name (EMAIL).
	Channels map[string]ChannelOverrides `json:"channels,omitempty"`
	// Content is content by channel as the caller gave it: an object, or nil.
	Content json.RawMessage `json:"content,omitempty"`
	// Others is what names no channel or provider that there is, by that name.
	// It is kept so that nothing is lost which a caller finds again.
	Others map[string]json.RawMessage `json:"others,omitempty"`
}

// ChannelOverrides is what a send says about one channel.
type ChannelOverrides struct {
	// Values are for all providers of the channel, in the caller's words
	// (subject, body): an object, or nil.
	Values json.RawMessage `json:"values,omitempty"`
	// Providers has, by the kind of provider, an object whose members go into
	// the one that the provider is sent.
	Providers map[string]json.RawMessage `json:"providers,omitempty"`
}

// OverridesFor is what a send says about a kind of provider on a channel: an
// object, or nil when it says nothing.
func (k *Content) OverridesFor(channel Channel, provider string) json.RawMessage {
	if len(k.Overrides) == 0 {
		return nil
	}
	var all Overrides
	if json.Unmarshal(k.Overrides, &all) != nil { // of another form: nothing for providers
		return nil
	}
	return all.Channels[channel.String()].Providers[provider]
}
