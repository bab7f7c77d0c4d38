package user_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carillon/model"
)

const browserPush = `{"endpoint":"https://push.example/abc","expirationTime":null,"keys":{"p256dh":"BNcRdreALRFXTkOOUHK1EtK2wtaz5Ry4YfYCA_0QTpQtUbVlUls0VJXg7A8u-Ts1XbjhazAkj7I99e8QcYP7DkM=","auth":"tBHItJI5svbpez7KI4CCXg"},"other":1}`

// register registers a device in the user's own environment.
func (f *fixture) register(t *testing.T, u model.User, in model.DeviceInput) model.Device {
	t.Helper()
	f.clock.advance(time.Second)
	out, err := f.RegisterDevice(t.Context(), u.EnvID, model.Once{}, u.ID, in)
	if err != nil {
		t.Fatalf("registering %s: %v", in.Key, err)
	}
	return out.Value
}

func (f *fixture) devices(t *testing.T, u model.User) []model.Device {
	t.Helper()
	ds, err := f.Devices(t.Context(), u.EnvID, u.ID)
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

func keysOf(ds []model.Device) []string {
	out := make([]string, len(ds))
	for i, d := range ds {
		out[i] = d.Key
	}
	return out
}

func sameDevice(a, b model.Device) bool {
	return a.ID == b.ID && a.UserID == b.UserID && a.Key == b.Key && a.Platform == b.Platform && a.Browser == b.Browser && a.Token == b.Token &&
		string(a.WebPush) == string(b.WebPush) && a.CreatedAt.Equal(b.CreatedAt) && a.LastUsedAt.Equal(b.LastUsedAt)
}

func TestRegisterDevice(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		ada := f.identify(t, "ada", "")
		first := f.register(t, ada, model.DeviceInput{Key: "phone", Platform: model.PlatformIOS, Token: "token-1"})
		if first.ID == "" || first.UserID != ada.ID || first.Token != "token-1" || !first.CreatedAt.Equal(first.LastUsedAt) {
			t.Errorf("registered %+v", first)
		}
		kept := f.register(t, ada, model.DeviceInput{Key: "phone", Platform: model.PlatformIOS, Browser: "app 2.0"})
		if kept.ID != first.ID || kept.Token != "token-1" || kept.Browser != "app 2.0" || !kept.CreatedAt.Equal(first.CreatedAt) || !kept.LastUsedAt.After(first.LastUsedAt) {
			t.Errorf("registered again without a token: %+v; want the device with its token, used later", kept)
		}
		if d := f.register(t, ada, model.DeviceInput{Key: "phone", Platform: model.PlatformIOS, Token: "token-2"}); d.Token != "token-2" || d.Browser != "app 2.0" {
			t.Errorf("with a new token: %+v", d)
		}
		if d := f.register(t, ada, model.DeviceInput{Key: "phone", Platform: model.PlatformAndroid}); d.Token != "" || d.ID != first.ID {
			t.Errorf("on another platform: %+v; want the token gone", d)
		}

		web := f.register(t, ada, model.DeviceInput{Key: "browser", Platform: model.PlatformWeb, WebPush: json.RawMessage(browserPush)})
		want := `{"endpoint":"https://push.example/abc","keys":{"auth":"tBHItJI5svbpez7KI4CCXg","p256dh":"BNcRdreALRFXTkOOUHK1EtK2wtaz5Ry4YfYCA_0QTpQtUbVlUls0VJXg7A8u-Ts1XbjhazAkj7I99e8QcYP7DkM="}}`
		if string(web.WebPush) != want {
			t.Errorf("kept the subscription %s, want %s", web.WebPush, want)
		}
		if got := f.devices(t, ada); !slices.Equal(keysOf(got), []string{"browser", "phone"}) || !sameDevice(got[0], web) {
			t.Errorf("the devices are %+v; want the browser, then the phone", got)
		}
		if d, err := f.Device(ctx, f.env.ID, ada.ID, web.ID); err != nil || !sameDevice(d, web) {
			t.Errorf("Device = %+v, %v; want %+v", d, err, web)
		}
		if d := f.register(t, ada, model.DeviceInput{Key: "browser", Platform: model.PlatformWeb, Token: "fcm"}); d.WebPush != nil || d.Token != "fcm" {
			t.Errorf("with a token: %+v; want it in place of the subscription", d)
		}
	})
}

func TestRegisterDeviceOnce(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		ada := f.identify(t, "ada", "")
		in := model.DeviceInput{Key: "phone", Platform: model.PlatformIOS}
		first, err := f.RegisterDevice(ctx, f.env.ID, key("registerDevice", "k"), ada.ID, in)
		if err != nil {
			t.Fatal(err)
		}
		f.register(t, ada, model.DeviceInput{Key: "phone", Platform: model.PlatformAndroid})
		again, err := f.RegisterDevice(ctx, f.env.ID, key("registerDevice", "k"), ada.ID, in)
		if err != nil || !again.Replayed || !sameDevice(again.Value, first.Value) || again.Value.WebPush != nil {
			t.Errorf("again: %+v, %v; want %+v", again, err, first)
		}
		if d := f.devices(t, ada); len(d) != 1 || d[0].Platform != model.PlatformAndroid {
			t.Errorf("the replay changed the devices to %+v", d)
		}
	})
}

func TestRegisterDeviceTakesOverTheToken(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ada, eve := f.identify(t, "ada", ""), f.identify(t, "eve", "")
		elsewhere := f.identifyIn(t, f.other, "ada", "")
		push := json.RawMessage(browserPush)
		f.register(t, ada, model.DeviceInput{Key: "phone", Platform: model.PlatformIOS, Token: "token"})
		f.register(t, ada, model.DeviceInput{Key: "browser", Platform: model.PlatformWeb, WebPush: push})
		f.register(t, elsewhere, model.DeviceInput{Key: "phone", Platform: model.PlatformIOS, Token: "token"})

		f.register(t, eve, model.DeviceInput{Key: "same phone", Platform: model.PlatformIOS, Token: "token"})
		f.register(t, eve, model.DeviceInput{Key: "same browser", Platform: model.PlatformWeb, WebPush: push})
		if d := f.devices(t, ada); len(d) != 2 || d[0].WebPush != nil || d[1].Token != "" {
			t.Errorf("ada keeps %+v; want the devices without token and subscription", d)
		}
		if d := f.devices(t, eve); len(d) != 2 || d[0].WebPush == nil || d[1].Token != "token" {
			t.Errorf("eve has %+v", d)
		}
		if d := f.devices(t, elsewhere); d[0].Token != "token" {
			t.Errorf("in the other environment the token was taken: %+v", d)
		}
		// And back again, to another device of the first user.
		f.register(t, ada, model.DeviceInput{Key: "reinstalled", Platform: model.PlatformIOS, Token: "token"})
		if d := f.devices(t, eve); d[1].Token != "" {
			t.Errorf("eve keeps %+v", d)
		}
	})
}

func TestRegisterDeviceForgetsTheLeastRecentlyUsed(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ada, eve := f.identify(t, "ada", ""), f.identify(t, "eve", "")
		f.register(t, eve, model.DeviceInput{Key: "eve's", Platform: model.PlatformOther})
		for _, k := range numbered(model.MaxDevices, "device %02d") {
			f.register(t, ada, model.DeviceInput{Key: k, Platform: model.PlatformOther})
		}
		f.register(t, ada, model.DeviceInput{Key: "device 00", Platform: model.PlatformOther}) // used again
		f.register(t, ada, model.DeviceInput{Key: "one more", Platform: model.PlatformOther})
		got := keysOf(f.devices(t, ada))
		if len(got) != model.MaxDevices || slices.Contains(got, "device 01") || got[0] != "one more" || got[1] != "device 00" {
			t.Errorf("%d devices: %q; want %d without the one used least recently", len(got), got, model.MaxDevices)
		}
		if len(f.devices(t, eve)) != 1 {
			t.Error("another user's device was forgotten")
		}
	})
}

func TestRegisterDeviceTogether(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		users := []model.User{f.identify(t, "ada", ""), f.identify(t, "eve", "")}
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for n := range 5 {
					in := model.DeviceInput{Key: fmt.Sprintf("device %d", n%2), Platform: model.PlatformIOS, Token: fmt.Sprintf("token %d", n%3)}
					in.Token = strings.ReplaceAll(in.Token, " ", "-")
					if _, err := f.RegisterDevice(t.Context(), f.env.ID, model.Once{}, users[i%2].ID, in); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		tokens := map[string]int{}
		for _, u := range users {
			ds := f.devices(t, u)
			if len(ds) != 2 {
				t.Errorf("%s has %d devices, want 2", u.Identifier, len(ds))
			}
			for _, d := range ds {
				tokens[d.Token]++
			}
		}
		for token, n := range tokens {
			if n > 1 && token != "" {
				t.Errorf("%d devices have the token %q", n, token)
			}
		}
	})
}

func TestRegisterDeviceRefuses(t *testing.T) {
	push := func(replace ...string) json.RawMessage {
		return json.RawMessage(strings.NewReplacer(replace...).Replace(browserPush))
	}
	web := func(raw json.RawMessage) model.DeviceInput {
		return model.DeviceInput{Key: "k", Platform: model.PlatformWeb, WebPush: raw}
	}
	tests := []struct {
		name       string
		in         model.DeviceInput
		path, text string
	}{
		{"NoKey", model.DeviceInput{Platform: model.PlatformIOS}, "deviceId", "empty"},
		{"NULInKey", model.DeviceInput{Key: "a\x00", Platform: model.PlatformIOS}, "deviceId", "control"},
		{"NoPlatform", model.DeviceInput{Key: "k"}, "platform", "IOS"},
		{"LongBrowser", model.DeviceInput{Key: "k", Platform: model.PlatformWeb, Browser: strings.Repeat("x", 256)}, "browser", "255"},
		{"LongToken", model.DeviceInput{Key: "k", Platform: model.PlatformIOS, Token: strings.Repeat("x", 4097)}, "token", "4096"},
		{"BlankInToken", model.DeviceInput{Key: "k", Platform: model.PlatformIOS, Token: "a b"}, "token", "printable"},
		{"NULInToken", model.DeviceInput{Key: "k", Platform: model.PlatformIOS, Token: "a\x00"}, "token", "control"},
		{"TokenAndSubscription", model.DeviceInput{Key: "k", Platform: model.PlatformWeb, Token: "t", WebPush: push()}, "webPushSubscription", "together"},
		{"SubscriptionOfAPhone", model.DeviceInput{Key: "k", Platform: model.PlatformIOS, WebPush: push()}, "webPushSubscription", "WEB"},
		{"NoObject", web(json.RawMessage(`"x"`)), "webPushSubscription", "object"},
		{"NoJSON", web(json.RawMessage(`{`)), "webPushSubscription", "JSON"},
		{"WrongTypes", web(json.RawMessage(`{"endpoint":1}`)), "webPushSubscription", "PushSubscription"},
		{"NoEndpoint", web(json.RawMessage(`{}`)), "webPushSubscription.endpoint", "https"},
		{"PlainHTTP", web(push("https://", "http://")), "webPushSubscription.endpoint", "https"},
		{"NoHost", web(push("push.example", "")), "webPushSubscription.endpoint", "https"},
		{"Password", web(push("push.example", "u:p@push.example")), "webPushSubscription.endpoint", "password"},
		{"LongEndpoint", web(push("abc", strings.Repeat("x", 2048))), "webPushSubscription.endpoint", "2048"},
		{"PrivateAddress", web(push("push.example", "10.0.0.1")), "webPushSubscription.endpoint", "does not call"},
		{"Metadata", web(push("push.example", "[::ffff:169.254.169.254]")), "webPushSubscription.endpoint", "does not call"},
		{"OddSpelling", web(push("push.example", "0x7f.1")), "webPushSubscription.endpoint", "four decimal numbers"},
		{"ThisServer", web(push("push.example", "localhost")), "webPushSubscription.endpoint", "this server"},
		{"OtherPort", web(push("push.example", "push.example:22")), "webPushSubscription.endpoint", "port 443"},
		{"NoKeys", web(json.RawMessage(`{"endpoint":"https://push.example/a"}`)), "webPushSubscription.keys.p256dh", "given"},
		{"NoAuth", web(push(`tBHItJI5svbpez7KI4CCXg`, ``)), "webPushSubscription.keys.auth", "given"},
		{"NoBase64", web(push(`tBHItJI5svbpez7KI4CCXg`, `###`)), "webPushSubscription.keys.auth", "base64url"},
	}
	each(t, func(t *testing.T, f *fixture) {
		ada := f.identify(t, "ada", "")
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				_, err := f.RegisterDevice(t.Context(), f.env.ID, model.Once{}, ada.ID, tt.in)
				wantProblem(t, err, model.KindInvalid, tt.path, tt.text)
			})
		}
		if d := f.devices(t, ada); len(d) != 0 {
			t.Errorf("there are devices: %+v", d)
		}
		in := model.DeviceInput{Key: "k", Platform: model.PlatformIOS}
		for name, env := range map[string]model.EnvID{"nobody's": f.env.ID, "another environment's": f.other.ID} {
			id := ada.ID
			if env == f.env.ID {
				id = 12345
			}
			if _, err := f.RegisterDevice(t.Context(), env, model.Once{}, id, in); model.KindOf(err) != model.KindNotFound {
				t.Errorf("%s device: %v, want the user not found", name, err)
			}
		}
	})
}

func TestRemoveDevice(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		ada, eve := f.identify(t, "ada", ""), f.identify(t, "eve", "")
		d := f.register(t, ada, model.DeviceInput{Key: "phone", Platform: model.PlatformIOS, Token: "t"})
		f.register(t, eve, model.DeviceInput{Key: "phone", Platform: model.PlatformIOS})

		notFound := func(err error) {
			t.Helper()
			if model.KindOf(err) != model.KindNotFound {
				t.Errorf("got %v, want it not found", err)
			}
		}
		_, err := f.RemoveDevice(ctx, f.other.ID, model.Once{}, ada.ID, "phone")
		notFound(err)
		_, err = f.RemoveDevice(ctx, f.env.ID, model.Once{}, ada.ID, "other")
		notFound(err)
		_, err = f.RemoveDevice(ctx, f.env.ID, model.Once{}, ada.ID, "a\x00")
		notFound(err)
		_, err = f.Device(ctx, f.other.ID, ada.ID, d.ID)
		notFound(err)
		_, err = f.Device(ctx, f.env.ID, eve.ID, d.ID)
		notFound(err)
		_, err = f.Device(ctx, f.env.ID, ada.ID, "a\x00")
		notFound(err)
		if ds, err := f.Devices(ctx, f.other.ID, ada.ID); err != nil || len(ds) != 0 {
			t.Errorf("another environment sees %+v, %v", ds, err)
		}
		if got := f.devices(t, ada); len(got) != 1 || !sameDevice(got[0], d) {
			t.Errorf("the device is now %+v, want %+v", got, d)
		}

		out, err := f.RemoveDevice(ctx, f.env.ID, key("removeDevice", "k"), ada.ID, "phone")
		if err != nil || out.Replayed || out.Value != d.ID {
			t.Errorf("removing: %+v, %v; want %s", out, err, d.ID)
		}
		if len(f.devices(t, ada)) != 0 || len(f.devices(t, eve)) != 1 {
			t.Error("the wrong device was removed")
		}
		if again, err := f.RemoveDevice(ctx, f.env.ID, key("removeDevice", "k"), ada.ID, "phone"); err != nil || !again.Replayed || again.Value != d.ID {
			t.Errorf("again: %+v, %v; want the first answer", again, err)
		}
	})
}
