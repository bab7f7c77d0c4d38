package engagespot

import (
	"encoding/json"

	"carillon/model"
	"carillon/rest"
)

// carriers are Engagespot's names of providers, as kinds of provider here.
var carriers = map[string]struct {
	channel  model.Channel
	provider string
}{
	"smtp_email": {model.ChannelEmail, "smtp"}, "default_email": {model.ChannelEmail, "smtp"},
	"twilio_sms": {model.ChannelSMS, "twilio"}, "twilio_whatsapp": {model.ChannelWhatsApp, "twilio"},
	"fcm": {model.ChannelMobilePush, "fcm"}, "apns": {model.ChannelMobilePush, "apns"},
	"default_webpush": {model.ChannelWebPush, "webpush"}, "default_webhook": {model.ChannelWebhook, "webhook"},
	"slack": {model.ChannelSlack, "slack"}, "discord": {model.ChannelDiscord, "discord"},
}

// overrides reads what a send says about channels (override.channel.<channel>),
// providers (override.<provider>) and content by channel; some is false when it
// says nothing.
func overrides(in rest.Members, content json.RawMessage) (out model.Overrides, some bool) {
	out = model.Overrides{Channels: map[string]model.ChannelOverrides{}, Content: content, Others: map[string]json.RawMessage{}}
	byChannel := in.Object("channel")
	for _, name := range byChannel.Names() {
		values := byChannel.ObjectText(name)
		if values == nil {
			continue
		}
		c, known := channels[name]
		if !known {
			out.Others["channel."+name] = values
			continue
		}
		of := out.Channels[c.String()]
		of.Values = values
		out.Channels[c.String()] = of
	}
	for _, name := range in.Names() {
		if name == "channels" || name == "channel" {
			continue
		}
		values := in.ObjectText(name)
		if values == nil {
			continue
		}
		c, known := carriers[name]
		if !known {
			out.Others[name] = values
			continue
		}
		of := out.Channels[c.channel.String()]
		if of.Providers == nil {
			of.Providers = map[string]json.RawMessage{}
		}
		of.Providers[c.provider] = withoutSettings(values)
		out.Channels[c.channel.String()] = of
	}
	return out, len(out.Channels) > 0 || len(out.Others) > 0 || content != nil
}

// withoutSettings takes _config away, which would change a provider's account:
// that is not the business of a send.
func withoutSettings(values json.RawMessage) json.RawMessage {
	var members map[string]json.RawMessage
	if json.Unmarshal(values, &members) != nil {
		return values
	}
	if _, there := members["_config"]; !there {
		return values
	}
	delete(members, "_config")
	left, err := model.EncodeJSON(members)
	if err != nil {
		return values
	}
	return left
}
