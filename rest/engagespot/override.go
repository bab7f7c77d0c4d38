package engagespot

import (
	"encoding/json"
	"strings"

	"carillon/model"
	"carillon/rest"
)

// vendors are the vendor's names of providers whose kinds have others here. The
// vendor's own services are whatever serves their channel.
var vendors = map[string]model.Override{
	"default_email": {Channel: model.ChannelEmail}, "smtp_email": {Channel: model.ChannelEmail, Provider: "smtp"},
	"default_sms": {Channel: model.ChannelSMS}, "twilio_sms": {Channel: model.ChannelSMS, Provider: "twilio"},
	"twilio_whatsapp": {Channel: model.ChannelWhatsApp, Provider: "twilio"},
	"default_webpush": {Channel: model.ChannelWebPush}, "default_webhook": {Channel: model.ChannelWebhook},
}

// readOverride reads what limits the channels, and what is said otherwise on
// single ones and through single providers.
func readOverride(out *sendRead, in, n rest.Members, check *model.Check) {
	override := in.Object("override")
	if names := override.Texts("channels"); len(names) > 0 {
		out.Channels = []model.Channel{}
		for _, name := range names {
			if c, ok := channels[name]; ok {
				out.Channels = append(out.Channels, c)
			}
		}
		if len(out.Channels) == 0 {
			check.Add(model.ProblemInvalid, "must name at least one channel that is known here: inApp, webPush, email, mobilePush, sms, whatsapp, webhook, discord, slack or chat", "override", "channels")
		}
	}
	out.ofChannels(n.Object("content"), "notification.content.", func(channel rest.Members) json.RawMessage { return channel.ObjectText("content") })
	out.ofChannels(override.Object("channel"), "override.channel.", nil)
	for _, name := range override.Names() {
		if name == "channels" || name == "channel" || name == "default_inapp" || model.CheckIdentifier(name) != "" {
			continue
		}
		if object := override.ObjectText(name); object != nil {
			out.ofProvider(name, object)
		}
	}
}

// ofChannels reads what is said by channel. Channels that are not known are left
// out. inner finds what is said in the object.
func (s *sendRead) ofChannels(list rest.Members, at string, inner func(rest.Members) json.RawMessage) {
	for _, name := range list.Names() {
		c, known := channels[name]
		object := list.ObjectText(name)
		if !known || c == model.ChannelInApp || object == nil {
			continue
		}
		if inner != nil {
			object = inner(list.Object(name))
		}
		s.override(says(model.Override{Channel: c}, object), at+name)
	}
}

// ofProvider reads what is said of a provider: of e-mail, what the mail says;
// else members that are merged into what the provider is sent. The settings of
// providers are not a send's to change.
func (s *sendRead) ofProvider(name string, object json.RawMessage) {
	o, known := vendors[name]
	if !known {
		o.Provider = strings.ToLower(name)
	}
	if o.Channel == model.ChannelEmail {
		s.override(says(o, object), "override."+name)
		return
	}
	var members map[string]json.RawMessage
	_ = json.Unmarshal(object, &members) // an object, as ObjectText says
	delete(members, "_config")
	if len(members) == 0 {
		return
	}
	if merge, err := model.EncodeJSON(members); err == nil {
		o.Merge = merge
		s.override(o, "override."+name)
	}
}

// override keeps one that says something.
func (s *sendRead) override(o model.Override, at string) {
	if o.Title == "" && o.Body == "" && o.HTML == "" && o.Merge == nil {
		return
	}
	s.Options.Overrides = append(s.Options.Overrides, o)
	s.overrides = append(s.overrides, at)
}

// says reads title and text by the names that the vendor's channels have for
// them. The body of a mail is HTML when it has a tag.
func says(o model.Override, object json.RawMessage) model.Override {
	var members map[string]json.RawMessage
	_ = json.Unmarshal(object, &members) // nothing, where it is no object
	text := func(names ...string) (s string) {
		for _, name := range names {
			if s == "" {
				_ = json.Unmarshal(members[name], &s) // what is no text is the provider's own
			}
		}
		return s
	}
	o.Title, o.Body = text("subject", "title"), text("body", "message", "text")
	if o.Channel == model.ChannelEmail && strings.Contains(o.Body, "<") {
		o.HTML, o.Body = o.Body, ""
	}
	return o
}
