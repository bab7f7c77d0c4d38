package user

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"

	"carillon/internal/dial"
	"carillon/model"
)

// Limits of a device, in bytes.
const (
	maxBrowser  = 255
	maxToken    = 4096
	maxEndpoint = 2048
	maxPushKey  = 255
)

// Devices lists the devices of a user, last used first.
func (s *Service) Devices(ctx context.Context, env model.EnvID, user model.UserID) ([]model.Device, error) {
	return s.Store.Devices(ctx, env, user)
}

// Device reads a device of a user by id.
func (s *Service) Device(ctx context.Context, env model.EnvID, user model.UserID, id model.DeviceID) (model.Device, error) {
	if model.CheckIdentifier(string(id)) != "" {
		return model.Device{}, errNoDevice
	}
	return s.Store.Device(ctx, env, user, id)
}

var errNoDevice = model.NotFound("names no device of this user", "deviceId")

// RegisterDevice registers a device of a user, or changes the one with the same
// key; what is empty in the input stays as it was, but the provider, which goes
// with its token. A device is reached in one
// way: a token takes the place of a subscription and the other way round, and
// another platform ends both. A token or subscription that another device had
// is taken from it: the phone or browser has changed hands. Beyond
// model.MaxDevices the least recently used device is forgotten.
func (s *Service) RegisterDevice(ctx context.Context, env model.EnvID, once model.Once, user model.UserID, in model.DeviceInput) (model.Outcome[model.Device], error) {
	webPush, err := checkDevice(in, s.Guard)
	if err != nil {
		return model.Outcome[model.Device]{}, err
	}
	save := s.deviceSave(in, webPush)
	save.Fresh.UserID = user
	return s.Store.RegisterDevice(ctx, env, once, save.Fresh, save.Change)
}

// deviceSave is a device to be registered, which has been checked.
func (s *Service) deviceSave(in model.DeviceInput, webPush json.RawMessage) model.DeviceSave {
	return model.DeviceSave{Fresh: model.Device{ID: model.DeviceID(s.ids.New()), Key: in.Key}, Change: func(d model.Device) model.Device {
		if d.Platform != in.Platform || in.Token != "" || webPush != nil {
			d.Token, d.WebPush = in.Token, webPush
		}
		d.Platform = in.Platform
		if in.Browser != "" {
			d.Browser = in.Browser
		}
		if in.Token != "" || in.Provider != "" {
			d.Provider = in.Provider
		}
		if in.Enabled != nil {
			d.Enabled = *in.Enabled
		}
		return d
	}}
}

// tokenKey is the key of a device that is known by its token alone.
func tokenKey(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:16])
}

// problemsOf are the problems of an error that has some.
func problemsOf(err error) []model.Problem {
	if e, ok := errors.AsType[*model.Error](err); ok {
		return e.Problems
	}
	return nil
}

// RemoveDevice forgets a device of a user by its key, and returns its id.
func (s *Service) RemoveDevice(ctx context.Context, env model.EnvID, once model.Once, user model.UserID, key string) (model.Outcome[model.DeviceID], error) {
	if model.CheckIdentifier(key) != "" {
		return model.Outcome[model.DeviceID]{}, errNoDevice
	}
	return s.Store.RemoveDevice(ctx, env, once, user, key)
}

// checkDevice returns the subscription as it is kept.
func checkDevice(in model.DeviceInput, guard dial.Guard) (webPush json.RawMessage, err error) {
	var c model.Check
	if m := model.CheckIdentifier(in.Key); m != "" {
		c.Add(model.ProblemInvalid, m, "deviceId")
	}
	switch in.Platform {
	case model.PlatformIOS, model.PlatformAndroid, model.PlatformWeb, model.PlatformOther:
	default:
		c.Add(model.ProblemInvalid, "must be IOS, ANDROID, WEB or OTHER", "platform")
	}
	if m := model.CheckText(in.Browser, maxBrowser); m != "" {
		c.Add(model.ProblemInvalid, m, "browser")
	}
	if m := model.CheckText(in.Token, maxToken); m != "" {
		c.Add(model.ProblemInvalid, m, "token")
	} else {
		c.That(!strings.ContainsFunc(in.Token, func(r rune) bool { return r <= ' ' || r > '~' }), "must be a push token: printable ASCII without blanks", "token")
	}
	if m := checkProvider(in.Provider); m != "" {
		c.Add(model.ProblemInvalid, m, "provider")
	}
	if in.WebPush != nil {
		at := c.At("webPushSubscription")
		at.That(in.Token == "", "must not be given together with token: a device is reached in one way")
		at.That(in.Platform == model.PlatformWeb, "must only be given for the platform WEB")
		webPush = checkSubscription(in.WebPush, guard, at)
	}
	return webPush, c.Err()
}

// subscription is what is kept of a browser's PushSubscription. expirationTime
// is left out: push services do not set it, and it would make one subscription
// look like two.
type subscription struct {
	Endpoint string           `json:"endpoint"`
	Keys     subscriptionKeys `json:"keys"`
}

type subscriptionKeys struct {
	Auth   string `json:"auth"`
	P256dh string `json:"p256dh"`
}

func checkSubscription(raw json.RawMessage, guard dial.Guard, c *model.Check) json.RawMessage {
	if m := model.CheckJSONObject(raw, 2*maxEndpoint, model.MaxProfileDepth); m != "" {
		c.Add(model.ProblemInvalid, m)
		return nil
	}
	var s subscription
	if err := json.Unmarshal(raw, &s); err != nil {
		c.Add(model.ProblemInvalid, "must be a PushSubscription: an object with the text endpoint and the object keys with the texts p256dh and auth")
		return nil
	}
	if _, err := guard.CheckPushEndpoint(s.Endpoint); err != nil {
		c.Add(model.ProblemInvalid, err.Error(), "endpoint")
	}
	checkPushKey(s.Keys.P256dh, c.At("keys", "p256dh"))
	checkPushKey(s.Keys.Auth, c.At("keys", "auth"))
	kept, err := model.EncodeJSON(s)
	c.That(err == nil, "must be valid JSON")
	return kept
}

func checkPushKey(key string, c *model.Check) {
	if key == "" {
		c.Add(model.ProblemRequired, "must be given")
		return
	}
	_, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(key, "="))
	c.That(err == nil && len(key) <= maxPushKey, "must be base64url, as the browser gives it")
}
