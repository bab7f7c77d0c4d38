package engagespot

import (
	"encoding/json"
	"net/http"
	"strconv"

	"carillon/auth"
	"carillon/model"
	"carillon/rest"
	"carillon/user"
)

// preference is what a user chose about a category.
type preference struct {
	Category           Category            `json:"category"`
	ChannelPreferences []channelPreference `json:"channelPreferences"`
}

type channelPreference struct {
	Channel string `json:"channel"`
	Enabled bool   `json:"enabled"`
}

// preferences lists what the caller chose, and nothing else: clients take what
// is missing for enabled.
func (a *API) preferences(r *http.Request) (int, any, error) {
	c, err := knownUser(r.Context())
	if err != nil {
		return 0, nil, err
	}
	return a.chosen(r, c)
}

func (a *API) chosen(r *http.Request, c auth.Caller) (int, any, error) {
	list, err := a.Users.Chosen(r.Context(), c.Env, c.UserID)
	if err != nil {
		return 0, nil, err
	}
	out := make([]preference, 0, len(list))
	for _, p := range list {
		shown := preference{Category: newCategory(p.Category), ChannelPreferences: []channelPreference{}}
		for _, ch := range p.Channels {
			if name := channelNames[ch.Channel]; name != "" {
				shown.ChannelPreferences = append(shown.ChannelPreferences, channelPreference{name, ch.Enabled})
			}
		}
		if len(shown.ChannelPreferences) > 0 {
			out = append(out, shown)
		}
	}
	return http.StatusOK, out, nil
}

// patchPreferences sets choices; those that are not named stay.
func (a *API) patchPreferences(r *http.Request) (int, any, error) {
	c, err := knownUser(r.Context())
	if err != nil {
		return 0, nil, err
	}
	body, err := rest.Body(r, rest.MaxBody)
	if err != nil {
		return 0, nil, err
	}
	changes, err := a.readChanges(r, c, body)
	if err != nil {
		return 0, nil, err
	}
	once, err := rest.Once(r, c, "setPreferences", body)
	if err != nil {
		return 0, nil, err
	}
	if len(changes) > 0 {
		if _, err := a.Users.SetPreferences(r.Context(), c.Env, once, c.UserID, changes); err != nil {
			return 0, nil, named(err, [2]string{"changes", "preference"})
		}
	}
	return a.chosen(r, c)
}

// readChanges reads the choices. Channels that are not known here are ignored,
// categories are not.
func (a *API) readChanges(r *http.Request, c auth.Caller, body json.RawMessage) ([]user.PreferenceInput, error) {
	var check model.Check
	in := rest.Object(body, &check)
	in.Required("preference")
	var (
		ids     []model.CategoryID
		choices [][]channelPreference
	)
	for i, raw := range in.List("preference") {
		one := rest.Object(raw, check.At("preference", strconv.Itoa(i)))
		one.Required("categoryId", "channels")
		ids = append(ids, model.CategoryID(one.ID("categoryId")))
		choices = append(choices, readChannels(one))
	}
	if err := check.Err(); err != nil {
		return nil, err
	}
	found, err := a.Catalog.CategoriesByID(r.Context(), c.Env.ID, ids)
	if err != nil {
		return nil, err
	}
	var changes []user.PreferenceInput
	for i, id := range ids {
		category, ok := found[id]
		if !ok {
			return nil, noCategory()
		}
		for _, ch := range choices[i] {
			if known, ok := channels[ch.Channel]; ok {
				changes = append(changes, user.PreferenceInput{Category: category.Identifier, Channel: known, Enabled: &ch.Enabled})
			}
		}
	}
	return changes, nil
}

func readChannels(one rest.Members) []channelPreference {
	list := one.List("channels")
	out := make([]channelPreference, len(list))
	for j, raw := range list {
		ch := rest.Object(raw, one.Check("channels", strconv.Itoa(j)))
		ch.Required("channel", "enabled")
		out[j] = channelPreference{Channel: ch.Text("channel"), Enabled: ch.Bool("enabled")}
	}
	return out
}
