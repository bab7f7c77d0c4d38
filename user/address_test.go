package user_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"carillon/model"
)

// add adds an address to a user of the fixture's first environment.
func (f *fixture) add(t *testing.T, u model.User, in model.NewAddress) model.Address {
	t.Helper()
	f.clock.advance(1e9)
	out, err := f.AddAddress(t.Context(), model.Once{}, model.UserRef{Env: u.EnvID, ID: u.ID}, in)
	if err != nil {
		t.Fatalf("adding %s: %v", in.Value, err)
	}
	return out.Value
}

// addresses lists the addresses of a user as "CHANNEL SOURCE address", with a
// minus in front of disabled ones.
func (f *fixture) addresses(t *testing.T, u model.User) []string {
	t.Helper()
	as, err := f.Addresses(t.Context(), model.UserRef{Env: u.EnvID, ID: u.ID})
	if err != nil {
		t.Fatal(err)
	}
	out := make([]string, len(as))
	for i, a := range as {
		out[i] = fmt.Sprintf("%s %s %s", a.Channel, a.Source, a.Value)
		if !a.Enabled {
			out[i] = "-" + out[i]
		}
	}
	return out
}

// reachable lists the channels over which a send may reach a user.
func (f *fixture) reachable(t *testing.T, u model.User) string {
	t.Helper()
	rs, err := f.store.Recipients(t.Context(), model.RecipientQuery{Keys: []model.RecipientKey{{Env: u.EnvID, ID: u.ID}}, Addresses: true})
	if err != nil {
		t.Fatal(err)
	}
	part, err := f.store.Audience(t.Context(), model.AudienceQuery{Env: u.EnvID, Audience: model.Audience{Users: []model.UserID{u.ID}}, Addresses: true, Limit: 5})
	if err != nil || !slices.Equal(part.Recipients[0].Reachable, rs[0].Reachable) {
		t.Errorf("as a part of an audience reachable over %v, %v; by id over %v", part.Recipients, err, rs[0].Reachable)
	}
	return fmt.Sprint(rs[0].Reachable)
}

func TestAddresses(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ada := f.identify(t, "ada", `{"email":"ada@example.com","phoneNumber":"+15551234567"}`)
		bob := f.identify(t, "bob", "")
		f.identifyIn(t, f.other, "ada", `{"email":"other@example.com"}`)
		if got := f.reachable(t, bob); got != "[IN_APP]" {
			t.Errorf("bob is reachable over %s", got)
		}

		f.register(t, ada, model.DeviceInput{Key: "phone", Platform: model.PlatformIOS, Token: "tok", Provider: "apns"})
		off := false
		f.register(t, ada, model.DeviceInput{Key: "pad", Platform: model.PlatformIOS, Token: "tok-2", Enabled: &off})
		f.register(t, ada, model.DeviceInput{Key: "browser", Platform: model.PlatformWeb, WebPush: json.RawMessage(browserPush), Enabled: &off})
		f.add(t, ada, model.NewAddress{Channel: model.ChannelEmail, Value: "Ada <ada@work.example>"})
		f.add(t, ada, model.NewAddress{Channel: model.ChannelEmail, Value: "ada@example.com"}) // the profile's counts
		f.add(t, ada, model.NewAddress{Channel: model.ChannelVoice, Value: "+15557654321", Enabled: &off})
		f.add(t, ada, model.NewAddress{Channel: model.ChannelSlack, Value: "@ada"})
		got := strings.Join(f.addresses(t, ada), "\n")
		want := strings.Join([]string{
			"EMAIL PROFILE ada@example.com", "EMAIL ADDED ada@work.example", "SMS PROFILE +15551234567", "WHATSAPP PROFILE +15551234567",
			"-MOBILE_PUSH DEVICE tok-2", "MOBILE_PUSH DEVICE tok",
			`-WEB_PUSH DEVICE {"endpoint":"https://push.example/abc","keys":{"auth":"tBHItJI5svbpez7KI4CCXg","p256dh":"BNcRdreALRFXTkOOUHK1EtK2wtaz5Ry4YfYCA_0QTpQtUbVlUls0VJXg7A8u-Ts1XbjhazAkj7I99e8QcYP7DkM="}}`,
			"SLACK ADDED @ada", "-VOICE ADDED +15557654321",
		}, "\n")
		if got != want {
			t.Errorf("the addresses are\n%s\nwant\n%s", got, want)
		}
		// The number that was added for voice takes the place of the profile's, and is off.
		if got := f.reachable(t, ada); got != "[IN_APP EMAIL SMS WHATSAPP MOBILE_PUSH SLACK]" {
			t.Errorf("reachable over %s", got)
		}
		if got := f.addresses(t, bob); len(got) != 0 {
			t.Errorf("bob has %v", got)
		}
	})
}

func TestChangeAddress(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		ada, bob := f.identify(t, "ada", ""), f.identify(t, "bob", "")
		ref := model.UserRef{Env: f.env.ID, ID: ada.ID}
		first := f.add(t, ada, model.NewAddress{Channel: model.ChannelEmail, Value: "ada@example.com"})
		if first.ID == "" || !first.Enabled || !first.CreatedAt.Equal(first.LastUsedAt) {
			t.Errorf("added %+v", first)
		}
		if out, err := f.SetAddressEnabled(ctx, model.Once{}, ref, first.ID, false); err != nil || out.Value.Enabled {
			t.Errorf("SetAddressEnabled = %+v, %v", out, err)
		}
		if got := f.reachable(t, ada); got != "[IN_APP]" {
			t.Errorf("with its one address off, ada is reachable over %s", got)
		}
		again := f.add(t, ada, model.NewAddress{Channel: model.ChannelEmail, Value: "ada@example.com", Provider: "smtp"})
		if again.ID != first.ID || again.Enabled || again.Provider != "smtp" || !again.LastUsedAt.After(first.LastUsedAt) || !again.CreatedAt.Equal(first.CreatedAt) {
			t.Errorf("added again it is %+v; want %+v, used later and still off", again, first)
		}

		for name, user := range map[string]model.UserRef{"AnothersAddress": {Env: f.env.ID, ID: bob.ID}, "AnotherEnvironment": {Env: f.other.ID, ID: ada.ID}} {
			if _, err := f.SetAddressEnabled(ctx, model.Once{}, user, first.ID, true); model.KindOf(err) != model.KindNotFound {
				t.Errorf("%s is enabled: %v", name, err)
			}
			if _, err := f.RemoveAddress(ctx, model.Once{}, user, first.ID); model.KindOf(err) != model.KindNotFound {
				t.Errorf("%s is removed: %v", name, err)
			}
		}
		if _, err := f.RemoveAddress(ctx, model.Once{}, ref, first.ID); err != nil {
			t.Error(err)
		}
		if got := f.addresses(t, ada); len(got) != 0 {
			t.Errorf("removed, and still there: %v", got)
		}

		for i := range model.MaxAddresses {
			f.add(t, ada, model.NewAddress{Channel: model.ChannelSlack, Value: fmt.Sprint("@ada", i)})
		}
		if _, err := f.AddAddress(ctx, model.Once{}, ref, model.NewAddress{Channel: model.ChannelSlack, Value: "@more"}); model.KindOf(err) != model.KindLimit {
			t.Errorf("one more than the most: %v", err)
		}
		f.add(t, ada, model.NewAddress{Channel: model.ChannelSlack, Value: "@ada7"}) // is there already
	})
}

func TestAddAddressRefuses(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ada := f.identify(t, "ada", "")
		long := strings.Repeat("x", model.MaxAddress+1)
		for name, in := range map[string]model.NewAddress{
			"NoChannel":    {Value: "x"},
			"NoAddress":    {Channel: model.ChannelSlack},
			"PushToken":    {Channel: model.ChannelMobilePush, Value: "tok"},
			"WebPush":      {Channel: model.ChannelWebPush, Value: "{}"},
			"NoEmail":      {Channel: model.ChannelEmail, Value: "ada"},
			"NoPhone":      {Channel: model.ChannelSMS, Value: "555 12"},
			"NoURL":        {Channel: model.ChannelWebhook, Value: "example.com/hook"},
			"Blank":        {Channel: model.ChannelTeams, Value: " ada"},
			"Control":      {Channel: model.ChannelTeams, Value: "a\x00da"},
			"TooLong":      {Channel: model.ChannelDiscord, Value: long},
			"Platform":     {Channel: model.ChannelDiscord, Value: "ada", Platform: "WATCH"},
			"Provider":     {Channel: model.ChannelDiscord, Value: "ada", Provider: "a\nb"},
			"LongProvider": {Channel: model.ChannelDiscord, Value: "ada", Provider: long[:65]},
		} {
			_, err := f.AddAddress(t.Context(), model.Once{}, model.UserRef{Env: f.env.ID, ID: ada.ID}, in)
			if model.KindOf(err) != model.KindInvalid {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := f.AddAddress(t.Context(), model.Once{}, model.UserRef{Env: f.other.ID, ID: ada.ID}, model.NewAddress{Channel: model.ChannelSlack, Value: "x"}); model.KindOf(err) != model.KindNotFound {
			t.Errorf("in another environment: %v", err)
		}
	})
}
