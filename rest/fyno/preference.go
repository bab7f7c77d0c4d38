package fyno

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"carillon/model"
	"carillon/rest"
	"carillon/user"
)

// section is the name of the only section: categories have none.
const section = "Notifications"

// all names every subscription at once.
const all = "all"

const (
	optedIn  = "opted-in"
	optedOut = "opted-out"
)

// topicObject is a subscription topic, with what a profile chose.
type topicObject struct {
	ID          string            `json:"subscription_id"`
	Name        string            `json:"name"`
	Description *string           `json:"description"`
	Config      map[string]string `json:"channel_config"`
	Preference  map[string]string `json:"preference"`
	GlobalOut   map[string]bool   `json:"is_global_opted_out"`
	Events      []struct{}        `json:"notification_events"`
	UpdatedAt   map[string]string `json:"updated_at"`
}

// everything is what a profile chose for all topics.
type everything struct {
	Preference map[string]string `json:"preference"`
	UpdatedAt  map[string]string `json:"updated_at"`
}

func (a *API) getPreferences(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "", rest.MaxBody)
	if err != nil {
		return 0, nil, err
	}
	u, err := c.profile(r.URL.Query().Get("distinct_id"))
	if err != nil {
		return 0, nil, err
	}
	categories, err := a.Users.Preferences(c.ctx(), c.caller.Env, u.ID)
	if err != nil {
		return 0, nil, err
	}
	choices, err := a.Users.Choices(c.ctx(), c.env, u.ID)
	if err != nil {
		return 0, nil, err
	}
	overall := everything{map[string]string{}, map[string]string{}}
	out := map[string]bool{} // channels that are off for everything
	for _, choice := range choices {
		if choice.Category == 0 && choice.Channel != 0 && !choice.Enabled {
			word := wordOf(choice.Channel)
			overall.Preference[word], overall.UpdatedAt[word], out[word] = optedOut, moment(choice.UpdatedAt), true
		}
	}
	topics := []topicObject{}
	for _, p := range categories {
		topics = append(topics, topicOf(p, choices, out))
	}
	return http.StatusOK, map[string]any{"result": map[string]any{section: topics}, "meta": map[string]any{all: overall}}, nil
}

// topicOf is a category as a subscription topic.
func topicOf(p model.CategoryPreference, choices []model.Choice, out map[string]bool) topicObject {
	t := topicObject{
		ID: p.Category.Identifier, Name: p.Category.Name, Config: map[string]string{}, Preference: map[string]string{},
		GlobalOut: out, Events: []struct{}{}, UpdatedAt: map[string]string{},
	}
	for _, ch := range p.Channels {
		word, config := wordOf(ch.Channel), "off"
		byDefault, special := p.Category.ChannelDefaults[ch.Channel]
		switch {
		case slices.Contains(p.Category.RequiredChannels, ch.Channel):
			config = "required"
		case special && byDefault, !special && p.Category.DefaultEnabled:
			config = "on"
		}
		t.Config[word] = config
		for _, choice := range choices {
			if choice.Category == p.Category.ID && choice.Channel == 0 {
				t.Preference[word], t.UpdatedAt[word] = stated(choice.Enabled), moment(choice.UpdatedAt)
			}
		}
	}
	// What was chosen is shown of channels too that nothing can be sent over yet.
	for _, choice := range choices {
		if word := wordOf(choice.Channel); choice.Category == p.Category.ID && choice.Channel != 0 {
			t.Preference[word], t.UpdatedAt[word] = stated(choice.Enabled), moment(choice.UpdatedAt)
		}
	}
	return t
}

func stated(enabled bool) string {
	if enabled {
		return optedIn
	}
	return optedOut
}

// profile finds who is meant.
func (c *call) profile(id string) (model.User, error) {
	if id == "" {
		return model.User{}, model.Errorf(model.KindInvalid, "distinct_id is required")
	}
	u, err := c.Users.Find(c.ctx(), c.env, id)
	return u, unknown(err, id)
}

// putPreferences sets choices of a profile.
func (a *API) putPreferences(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "setPreferences", rest.MaxBody)
	if err != nil {
		return 0, nil, err
	}
	c.body.Required("user_preference")
	given := c.body.Object("user_preference")
	stored := map[string]map[string]string{}
	var changes []user.PreferenceInput
	var places []string // of the changes in the body
	for _, subscription := range given.Names() {
		channels := given.Object(subscription)
		stored[subscription] = map[string]string{}
		for _, word := range channels.Names() {
			state := channels.Text(word)
			changes = append(changes, choice(subscription, word, state, channels.Check(word)))
			places = append(places, "user_preference."+subscription+"."+word)
			stored[subscription][word] = state
		}
	}
	c.check.That(len(changes) > 0 || !c.body.Has("user_preference"), "must set at least one channel", "user_preference")
	if err := c.check.Err(); err != nil {
		return 0, nil, err
	}
	if err := c.choose(r.URL.Query().Get("distinct_id"), changes, places); err != nil {
		return 0, nil, err
	}
	return http.StatusOK, map[string]any{"user_preference": stored}, nil
}

// subscribe sets one choice of a profile.
func (a *API) subscribe(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "setPreferences", rest.MaxBody)
	if err != nil {
		return 0, nil, err
	}
	c.body.Required("distinct_id", "channel", "status")
	change := choice(r.PathValue("subscription"), c.body.Text("channel"), c.body.Text("status"), c.check.At())
	if err := c.check.Err(); err != nil {
		return 0, nil, err
	}
	if err := c.choose(c.body.Text("distinct_id"), []user.PreferenceInput{change}, []string{"status"}); err != nil {
		return 0, nil, err
	}
	return http.StatusOK, ok("Preference updated successfully"), nil
}

// choice is one choice. Opting in to all again only takes the opting out of all
// away.
func choice(subscription, word, state string, check *model.Check) user.PreferenceInput {
	channel, known := channelWords[word]
	check.That(known, "must be one of the channels "+channelList(), "channel")
	check.That(state == optedIn || state == optedOut, "must be "+optedIn+" or "+optedOut, "status")
	on := state == optedIn
	in := user.PreferenceInput{Category: subscription, Channel: channel, Enabled: &on}
	if subscription == all {
		if in.Category = ""; on {
			in.Enabled = nil
		}
	}
	return in
}

func channelList() (out string) {
	for i, word := range slices.Sorted(maps.Keys(channelWords)) {
		if i > 0 {
			out += ", "
		}
		out += word
	}
	return out
}

// choose makes choices of a profile. What is wrong with one is at its place.
func (c *call) choose(id string, changes []user.PreferenceInput, places []string) error {
	u, err := c.profile(id)
	if err != nil {
		return err
	}
	_, err = c.Users.SetPreferences(c.ctx(), c.caller.Env, c.once, u.ID, changes)
	e, is := errors.AsType[*model.Error](err)
	if !is || len(e.Problems) == 0 {
		return err
	}
	out := *e
	out.Problems = slices.Clone(e.Problems)
	for i, p := range out.Problems {
		if len(p.Path) < 2 {
			continue
		}
		if n, err := strconv.Atoi(p.Path[1]); err == nil && n < len(places) {
			out.Problems[i].Path = strings.Split(places[n], ".")
		}
	}
	return &out
}
