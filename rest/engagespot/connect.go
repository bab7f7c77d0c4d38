package engagespot

import (
	"net/http"

	"carillon/model"
	"carillon/rest"
)

// connected is the answer to connect.
type connected struct {
	UnreadCount int64        `json:"unreadCount"`
	App         connectedApp `json:"app"`
}

type connectedApp struct {
	ID            int64      `json:"id"`
	Name          string     `json:"name"`
	PublicKey     string     `json:"publicKey"`
	EnableWebPush bool       `json:"enableWebPush"`
	HideBranding  bool       `json:"hideBranding"`
	Channels      []string   `json:"channels"`
	Categories    []Category `json:"categories"`
}

// connect is what a client calls first, and often: it notes the device and says
// what the app is like. The user exists by then, unless the environment wants
// tokens and has not been told of them.
func (a *API) connect(r *http.Request) (int, any, error) {
	ctx := r.Context()
	c, err := knownUser(ctx)
	if err != nil {
		return 0, nil, err
	}
	body, err := rest.BodyOrForm(r, rest.MaxBody)
	if err != nil {
		return 0, nil, err
	}
	var check model.Check
	in := rest.Object(body, &check)
	device := model.DeviceInput{Key: r.Header.Get(headerDevice), Platform: platform(in.Text("deviceType")), Browser: in.Text("browserType")}
	if err := check.Err(); err != nil {
		return 0, nil, err
	}
	once, err := rest.Once(r, c, "registerDevice", body)
	if err != nil {
		return 0, nil, err
	}
	if device.Key != "" {
		if _, err := a.Users.RegisterDevice(ctx, c.Env.ID, once, c.UserID, device); err != nil {
			return 0, nil, named(err, [2]string{"deviceId", "header X-ENGAGESPOT-DEVICE-ID"}, [2]string{"browser", "browserType"}, [2]string{"platform", "deviceType"})
		}
	}
	counters, _, err := a.Inbox.Counters(ctx, c.Env.ID, c.UserID)
	if err != nil {
		return 0, nil, err
	}
	categories, err := a.Catalog.Categories(ctx, c.Env.ID)
	if err != nil {
		return 0, nil, err
	}
	key, err := a.Apps.PushKey(ctx, c.Env.ID)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, connected{UnreadCount: counters.Unseen, App: connectedApp{
		ID: int64(c.Env.AppID), Name: c.Env.AppName, PublicKey: key.Public,
		EnableWebPush: c.Env.Uses(model.ChannelWebPush), HideBranding: true,
		Channels: namesOf(c.Env.Channels()), Categories: newCategories(categories),
	}}, nil
}

// platform is what a client says its device is.
func platform(deviceType string) model.Platform {
	switch deviceType {
	case "browser":
		return model.PlatformWeb
	case "android":
		return model.PlatformAndroid
	case "ios":
		return model.PlatformIOS
	}
	return model.PlatformOther
}

// namesOf is channels by their names, those left out that have none.
func namesOf(list []model.Channel) []string {
	out := make([]string, 0, len(list))
	for _, c := range list {
		if name := channelNames[c]; name != "" {
			out = append(out, name)
		}
	}
	return out
}
