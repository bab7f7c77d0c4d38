package model

import "fmt"

// Channel is a way of reaching a user. Its number is what is stored: never
// reuse or reorder.
type Channel int16

// The channels. Zero means none, or all of them, where the comment says so.
const (
	ChannelInApp Channel = iota + 1
	ChannelEmail
	ChannelSMS
	ChannelWhatsApp
	ChannelMobilePush
	ChannelWebPush
	ChannelSlack
	ChannelDiscord
	ChannelTeams
	ChannelVoice
	ChannelWebhook
)

var channelNames = [...]string{
	ChannelInApp: "IN_APP", ChannelEmail: "EMAIL", ChannelSMS: "SMS", ChannelWhatsApp: "WHATSAPP",
	ChannelMobilePush: "MOBILE_PUSH", ChannelWebPush: "WEB_PUSH", ChannelSlack: "SLACK", ChannelDiscord: "DISCORD",
	ChannelTeams: "TEAMS", ChannelVoice: "VOICE", ChannelWebhook: "WEBHOOK",
}

// Channels lists every channel in its fixed order.
func Channels() []Channel {
	out := make([]Channel, 0, len(channelNames)-1)
	for c := ChannelInApp; int(c) < len(channelNames); c++ {
		out = append(out, c)
	}
	return out
}

// Valid reports whether c is one of the channels.
func (c Channel) Valid() bool { return c >= ChannelInApp && int(c) < len(channelNames) }

// String is the channel's name in the schema.
func (c Channel) String() string {
	if !c.Valid() {
		return fmt.Sprintf("Channel(%d)", int16(c))
	}
	return channelNames[c]
}

// ParseChannel is the inverse of String.
func ParseChannel(s string) (Channel, bool) {
	for c, name := range channelNames {
		if name == s && s != "" {
			return Channel(c), true
		}
	}
	return 0, false
}

// MarshalText writes the channel's name.
func (c Channel) MarshalText() ([]byte, error) {
	if !c.Valid() {
		return nil, fmt.Errorf("no channel has the number %d", int16(c))
	}
	return []byte(channelNames[c]), nil
}

// UnmarshalText reads the channel's name.
func (c *Channel) UnmarshalText(b []byte) error {
	v, ok := ParseChannel(string(b))
	if !ok {
		return fmt.Errorf("%q is not a channel", b)
	}
	*c = v
	return nil
}
