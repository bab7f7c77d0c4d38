package fyno

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"carillon/model"
	"carillon/rest"
)

// attrKept is the attribute that keeps what clients said of channels and nothing
// else here holds: numbers as they were sent, tokens of inapp, and integrations.
const attrKept = "fynoChannels"

// kept is the value of attrKept.
type kept struct {
	Raw          map[string]string  `json:"raw,omitempty"` // by channel
	InApp        []tokenObject      `json:"inapp,omitempty"`
	Integrations map[string]*string `json:"integrations,omitempty"` // by token
}

// tokenObject is one of several tokens of a channel.
type tokenObject struct {
	Token       json.RawMessage `json:"token"`
	Integration *string         `json:"integration_id"`
	Status      int             `json:"status"`
}

// single are the channels with one destination that is an address of ours.
var single = map[string]model.Channel{
	"whatsapp": model.ChannelWhatsApp, "voice": model.ChannelVoice, "slack": model.ChannelSlack,
	"discord": model.ChannelDiscord, "teams": model.ChannelTeams,
}

// attributed are those that are attributes.
var attributed = map[string]string{"sms": model.AttrPhoneNumber, "email": model.AttrEmail}

// channelWords are all channels by Fyno's names.
var channelWords = map[string]model.Channel{
	"sms": model.ChannelSMS, "email": model.ChannelEmail, "whatsapp": model.ChannelWhatsApp, "voice": model.ChannelVoice, "slack": model.ChannelSlack,
	"discord": model.ChannelDiscord, "teams": model.ChannelTeams, "push": model.ChannelMobilePush, "webpush": model.ChannelWebPush, "inapp": model.ChannelInApp,
}

func wordOf(channel model.Channel) string {
	for word, c := range channelWords {
		if c == channel {
			return word
		}
	}
	return strings.ToLower(channel.String()) // webhook, which Fyno has no word for
}

// prefixes of push tokens say whose they are.
var prefixes = map[string]string{
	"expo_token:": "expo", "fcm_token:": "fcm", "apns_token:": "apns", "mi_token:": "mi",
	"onesignal_player_id:": "onesignal", "onesignal_external_id:": "onesignal_external",
}

// channelInput is what a request says of channels.
type channelInput struct {
	attributes map[string]json.RawMessage
	replaced   []model.Channel // whose added addresses go
	addresses  []model.NewAddress
	forget     func(model.Device) bool
	devices    []model.DeviceSave
	keeping    []func(*kept)
}

// channels reads channel data. Channels that are not known here are ignored.
func (c *call) channels(in rest.Members, check *model.Check) channelInput {
	out := channelInput{attributes: map[string]json.RawMessage{}}
	for _, word := range in.Names() {
		switch channel, isSingle := single[word]; {
		case isSingle || attributed[word] != "":
			c.destination(&out, in, word, channel)
		case word == "push" || word == "webpush":
			for i, t := range tokens(in, word) {
				c.token(&out, word, t, check.At(word, strconv.Itoa(i)))
			}
		case word == "inapp":
			var list []tokenObject
			for i, t := range tokens(in, word) {
				list = append(list, inApp(t, check.At(word, strconv.Itoa(i))))
			}
			out.keeping = append(out.keeping, func(k *kept) {
				for _, t := range list {
					k.InApp = append(without(k.InApp, t.Token), t)
				}
			})
		}
	}
	return out
}

// destination reads a channel with one destination; null and "" remove it.
func (c *call) destination(out *channelInput, in rest.Members, word string, channel model.Channel) {
	sent := in.Text(word)
	is := sent
	if word == "sms" || word == "whatsapp" || word == "voice" {
		if is = model.PhoneOf(sent); is == "" && sent != "" {
			in.Check(word).Add(model.ProblemInvalid, "must be a phone number with its country code, such as +15550100000")
		}
	}
	out.keeping = append(out.keeping, func(k *kept) {
		delete(k.Raw, word)
		if sent != is {
			if k.Raw == nil {
				k.Raw = map[string]string{}
			}
			k.Raw[word] = sent
		}
	})
	if name := attributed[word]; name != "" {
		out.attributes[name] = orNull(is)
		return
	}
	out.replaced = append(out.replaced, channel)
	if is != "" {
		if _, wrong := model.CheckAddress(channel, is); wrong != "" {
			in.Check(word).Add(model.ProblemInvalid, wrong)
		}
		out.addresses = append(out.addresses, model.NewAddress{Channel: channel, Value: is})
	}
}

// tokens reads a list of tokens, or a single one, as some clients send it.
func tokens(in rest.Members, word string) []rest.Members {
	raw := in.Raw(word)
	if len(raw) > 0 && raw[0] == '{' {
		return []rest.Members{rest.Object(raw, in.Check(word, "0"))}
	}
	list := in.List(word)
	out := make([]rest.Members, len(list))
	for i, one := range list {
		at := in.Check(word, strconv.Itoa(i))
		if len(one) > 0 && one[0] == '"' { // the token alone
			one, _ = model.EncodeJSON(map[string]json.RawMessage{"token": one})
		}
		out[i] = rest.Object(one, at)
	}
	return out
}

// token reads one push token.
func (c *call) token(out *channelInput, word string, in rest.Members, check *model.Check) {
	in.Required("token")
	on := c.flag(in, "status")
	device := model.DeviceInput{Platform: model.PlatformOther, Enabled: &on}
	var name string
	if word == "webpush" {
		device.Platform, device.WebPush = model.PlatformWeb, in.ObjectText("token")
		name = string(device.WebPush)
	} else {
		name = in.Text("token")
		device.Token, device.Provider = bare(name)
	}
	if !in.Has("token") || !check.OK() {
		return
	}
	save, problems := c.Users.Token(device)
	for _, p := range problems {
		check.Add(p.Code, p.Message, "token")
	}
	out.devices = append(out.devices, save)
	if integration := integrationOf(in); integration != nil {
		out.keeping = append(out.keeping, func(k *kept) {
			if k.Integrations == nil {
				k.Integrations = map[string]*string{}
			}
			k.Integrations[name] = integration
		})
	}
}

// bare is a token without its prefix, and who alone can carry to it.
func bare(token string) (is, provider string) {
	for prefix, p := range prefixes {
		if rest, found := strings.CutPrefix(token, prefix); found {
			return rest, p
		}
	}
	return token, ""
}

// prefixed is the inverse of bare.
func prefixed(token, provider string) string {
	for prefix, p := range prefixes {
		if p == provider {
			return prefix + token
		}
	}
	return token
}

func integrationOf(in rest.Members) *string {
	if text := in.Text("integration_id"); text != "" {
		return &text
	}
	return nil
}

// inApp reads a token of the inbox, which is reached without one here.
func inApp(in rest.Members, check *model.Check) tokenObject {
	in.Required("token")
	if m := model.CheckText(in.Text("token"), model.MaxAddress); m != "" {
		check.Add(model.ProblemInvalid, m, "token")
	}
	status := 1
	if string(in.Raw("status")) == "0" {
		status = 0
	}
	return tokenObject{quoted(in.Text("token")), integrationOf(in), status}
}

func without(list []tokenObject, token json.RawMessage) []tokenObject {
	return slices.DeleteFunc(slices.Clone(list), func(t tokenObject) bool { return string(t.Token) == string(token) })
}

// replaceAll makes what was read all that there is.
func (in *channelInput) replaceAll() {
	for word, name := range attributed {
		if _, given := in.attributes[name]; !given {
			in.attributes[name] = json.RawMessage("null")
			in.keeping = append([]func(*kept){func(k *kept) { delete(k.Raw, word) }}, in.keeping...)
		}
	}
	in.replaced = slices.Collect(maps.Values(single))
	in.forget = func(d model.Device) bool { return d.Token != "" || d.WebPush != nil }
	in.keeping = append([]func(*kept){func(k *kept) { *k = kept{} }}, in.keeping...)
}

// apply puts addresses and devices into a change.
func (in *channelInput) apply(ch *model.UserChange) {
	if len(in.replaced) > 0 {
		gone := in.replaced
		ch.Replace = func(a model.Address) bool { return slices.Contains(gone, a.Channel) }
	}
	ch.Addresses, ch.Devices, ch.ForgetDevices = in.addresses, in.devices, in.forget
}

// keep is the value of attrKept from what it is now.
func (in *channelInput) keep(now json.RawMessage) (value json.RawMessage, changed bool) {
	if len(in.keeping) == 0 {
		return nil, false
	}
	k := keptOf(now)
	for _, change := range in.keeping {
		change(&k)
	}
	if len(k.Raw) == 0 && len(k.InApp) == 0 && len(k.Integrations) == 0 {
		return json.RawMessage("null"), now != nil
	}
	value, _ = model.EncodeJSON(k) // it always encodes
	return value, true
}

func keptOf(raw json.RawMessage) (k kept) {
	_ = json.Unmarshal(raw, &k) // what others have made of it counts for nothing
	return k
}

const modified = "Channel has been modified successfully"

// patchChannel sets destinations and adds tokens.
func (a *API) patchChannel(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "updateUser", rest.MaxBody)
	if err != nil {
		return 0, nil, err
	}
	c.body.Required("channel")
	in := c.channels(c.body.Object("channel"), c.check.At("channel"))
	if err := c.check.Err(); err != nil {
		return 0, nil, err
	}
	id := r.PathValue("id")
	_, err = a.Users.Change(c.ctx(), c.env, c.once, c.changing(id, in))
	return http.StatusOK, ok(modified), worded(unknown(err, id))
}

// changing is a change of channels alone.
func (c *call) changing(id string, in channelInput) model.UserChange {
	ch := model.UserChange{Identifier: id, MustExist: true}
	in.apply(&ch)
	ch.Merge = c.merging(id, func(now map[string]json.RawMessage) map[string]json.RawMessage {
		out := maps.Clone(in.attributes)
		if value, changed := in.keep(now[attrKept]); changed {
			if out == nil {
				out = map[string]json.RawMessage{}
			}
			out[attrKept] = value
		}
		return out
	})
	return ch
}

// deleteChannel takes away channels, or single tokens. What is not there is an
// error.
func (a *API) deleteChannel(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "updateUser", rest.MaxBody)
	if err != nil {
		return 0, nil, err
	}
	id := r.PathValue("id")
	shown, err := c.named(id)
	if err != nil {
		return 0, nil, err
	}
	in := c.removal(shown.ChannelRaw)
	if slices.ContainsFunc(c.check.Problems(), func(p model.Problem) bool { return p.Code == model.ProblemNotFound }) {
		return 0, nil, model.Errorf(model.KindInvalid, "Unable to delete channel since the channel does not exist") // the words that its clients know
	}
	if err := c.check.Err(); err != nil {
		return 0, nil, err
	}
	_, err = a.Users.Change(c.ctx(), c.env, c.once, c.changing(id, in))
	return http.StatusOK, ok(modified), worded(unknown(err, id))
}

// removal reads what is to go of the channels that there are.
func (c *call) removal(there map[string]any) channelInput {
	in := channelInput{attributes: map[string]json.RawMessage{}}
	gone := map[string]bool{} // tokens, as they are shown
	lists := c.body
	raw := c.body.Raw("channel")
	if len(raw) > 0 && raw[0] == '{' {
		lists, raw = c.body.Object("channel"), nil
	}
	single := 0
	for _, word := range []string{"push", "inapp", "webpush"} {
		for i, one := range lists.List(word) {
			single++
			token := string(one)
			var text string
			if json.Unmarshal(one, &text) == nil {
				token = text
			}
			if !hasToken(there[word], token) {
				c.check.Add(model.ProblemNotFound, "is no token of this profile", word, strconv.Itoa(i))
			}
			gone[token] = true
		}
	}
	switch names := raw != nil; {
	case names && single > 0:
		c.check.Add(model.ProblemInvalid, "must not be there together with tokens: name channels or tokens", "channel")
	case single == 0 && (!names || string(raw) == "[]"):
		c.check.Add(model.ProblemRequired, "must list the channels to delete, or push and inapp the tokens", "channel")
	}
	if raw != nil {
		c.removeChannels(&in, there, gone)
	}
	in.forget = func(d model.Device) bool {
		return gone[prefixed(d.Token, d.Provider)] && d.Token != "" || d.WebPush != nil && gone[string(d.WebPush)]
	}
	in.keeping = append(in.keeping, func(k *kept) {
		k.InApp = slices.DeleteFunc(k.InApp, func(t tokenObject) bool { return gone[textOf(t.Token)] })
		maps.DeleteFunc(k.Integrations, func(token string, _ *string) bool { return gone[token] })
	})
	return in
}

// removeChannels reads the names of channels that go whole.
func (c *call) removeChannels(in *channelInput, there map[string]any, gone map[string]bool) {
	for i, word := range c.body.Texts("channel") {
		data, has := there[word]
		if !has {
			c.check.Add(model.ProblemNotFound, "has no data in this profile", "channel", strconv.Itoa(i))
			continue
		}
		if name := attributed[word]; name != "" {
			in.attributes[name] = json.RawMessage("null")
		}
		if channel, is := single[word]; is {
			in.replaced = append(in.replaced, channel)
		}
		if list, is := data.([]tokenObject); is {
			for _, t := range list {
				gone[textOf(t.Token)] = true
			}
		}
		in.keeping = append(in.keeping, func(k *kept) { delete(k.Raw, word) })
	}
}

func hasToken(list any, token string) bool {
	tokens, _ := list.([]tokenObject)
	return slices.ContainsFunc(tokens, func(t tokenObject) bool { return textOf(t.Token) == token })
}

// textOf is a token as text: what it says, or the JSON of an object.
func textOf(token json.RawMessage) string {
	var text string
	if json.Unmarshal(token, &text) == nil {
		return text
	}
	return string(token)
}
