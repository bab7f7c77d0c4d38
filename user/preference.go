package user

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"carillon/model"
	"carillon/preference"
)

// PreferenceInput is one choice to set or, with a nil Enabled, to forget.
// Category is an identifier; empty: every category. Channel zero: the whole
// category. One of the two must be given.
type PreferenceInput struct {
	Category string
	Channel  model.Channel
	Enabled  *bool
}

// Preferences lists every category, by identifier, with what is on for the
// user on each channel that the environment uses, those included that users
// are not shown. It tells what was chosen, required or set by default; whether
// the user can be reached at all is not its matter.
func (s *Service) Preferences(ctx context.Context, env model.Environment, user model.UserID) ([]model.CategoryPreference, error) {
	categories, err := s.Store.Categories(ctx, env.ID)
	if err != nil {
		return nil, err
	}
	choices, err := s.Store.Choices(ctx, env.ID, user)
	if err != nil {
		return nil, err
	}
	return effective(env, categories, choices), nil
}

// Choices lists what a user chose, as it was chosen.
func (s *Service) Choices(ctx context.Context, env model.EnvID, user model.UserID) ([]model.Choice, error) {
	return s.Store.Choices(ctx, env, user)
}

// SetPreferences sets and forgets choices of a user, all or nothing, and
// returns what Preferences then is. Of two changes about the same the later
// counts; what is not named stays. A channel that a category requires cannot
// be switched off for it.
func (s *Service) SetPreferences(ctx context.Context, env model.Environment, once model.Once, user model.UserID, changes []PreferenceInput) (model.Outcome[[]model.CategoryPreference], error) {
	if err := checkChanges(changes); err != nil {
		return model.Outcome[[]model.CategoryPreference]{}, err
	}
	return s.Store.SetPreferences(ctx, env.ID, once, user,
		func(categories []model.Category) ([]model.ChoiceChange, error) {
			return planChoices(changes, categories)
		},
		func(categories []model.Category, choices []model.Choice) []model.CategoryPreference {
			return effective(env, categories, choices)
		})
}

// Explain says what would be decided for a user, a category ("": none) and a
// channel if they were sent something now, rule by rule. A user who is not
// known is an answer; a category that is not is a KindNotFound error.
func (s *Service) Explain(ctx context.Context, env model.Environment, identifier, category string, channel model.Channel) (model.Decision, error) {
	in := preference.Input{Channel: channel, ChannelsOff: env.Unused()}
	if !channel.Valid() {
		return model.Decision{}, model.Errorf(model.KindInvalid, "channel must be a channel")
	}
	query := model.RecipientQuery{Addresses: true}
	if category != "" {
		found, err := s.category(ctx, env.ID, category)
		if err != nil {
			return model.Decision{}, err
		}
		in.Category, query.Categories = &found, []model.CategoryID{found.ID}
	}
	if model.CheckIdentifier(identifier) == "" {
		query.Keys = []model.RecipientKey{{Env: env.ID, Identifier: identifier}}
		found, err := s.Store.Recipients(ctx, query)
		if err != nil {
			return model.Decision{}, err
		}
		r := found[0]
		in.Known, in.Enabled, in.Reachable, in.Choices = r.ID != 0, r.Enabled, r.Reachable, r.Choices
	}
	return preference.Decide(in), nil
}

func (s *Service) category(ctx context.Context, env model.EnvID, identifier string) (model.Category, error) {
	all, err := s.Store.Categories(ctx, env)
	if err != nil {
		return model.Category{}, err
	}
	i := slices.IndexFunc(all, func(c model.Category) bool { return c.Identifier == identifier })
	if i < 0 {
		return model.Category{}, model.NotFound("names no category", "category")
	}
	return all[i], nil
}

// checkChanges checks what can be checked without knowing the categories.
func checkChanges(changes []PreferenceInput) error {
	var c model.Check
	switch n := len(changes); {
	case n == 0:
		c.Add(model.ProblemRequired, "must hold at least one change", "changes")
	case n > model.MaxPreferenceChanges:
		c.Add(model.ProblemLimit, fmt.Sprintf("must hold at most %d changes, holds %d", model.MaxPreferenceChanges, n), "changes")
		return c.Err()
	}
	for i, ch := range changes {
		at := c.At("changes", strconv.Itoa(i))
		at.That(ch.Category != "" || ch.Channel != 0, "must name a category, a channel, or both")
		at.That(ch.Channel == 0 || ch.Channel.Valid(), "must be a channel", "channel")
	}
	return c.Err()
}

// choiceKey is what a choice is about.
type choiceKey struct {
	category model.CategoryID
	channel  model.Channel
}

// planChoices turns changes into the store's words, no two about the same.
func planChoices(changes []PreferenceInput, categories []model.Category) ([]model.ChoiceChange, error) {
	byName := make(map[string]*model.Category, len(categories))
	for i := range categories {
		byName[categories[i].Identifier] = &categories[i]
	}
	var (
		c     model.Check
		out   []model.ChoiceChange
		place = map[choiceKey]int{} // in out
	)
	for i, ch := range changes {
		at := c.At("changes", strconv.Itoa(i))
		about := choiceKey{channel: ch.Channel}
		if ch.Category != "" {
			category := byName[ch.Category]
			if category == nil {
				at.Add(model.ProblemNotFound, "names no category", "category")
				continue
			}
			about.category = category.ID
			off := ch.Enabled != nil && !*ch.Enabled
			at.That(!off || !slices.Contains(category.RequiredChannels, ch.Channel),
				fmt.Sprintf("must not be false: the category requires %s", ch.Channel), "enabled")
		}
		change := model.ChoiceChange{Category: about.category, Channel: about.channel, Enabled: ch.Enabled}
		if j, again := place[about]; again {
			out[j] = change
			continue
		}
		place[about] = len(out)
		out = append(out, change)
	}
	return out, c.Err()
}

// effective asks the ladder for each category and each channel in use, for a
// user who is enabled and can be reached over every channel.
func effective(env model.Environment, categories []model.Category, choices []model.Choice) []model.CategoryPreference {
	channels, unused := env.Channels(), env.Unused()
	out := make([]model.CategoryPreference, len(categories))
	for i, category := range categories {
		out[i] = model.CategoryPreference{Category: category, Channels: make([]model.ChannelPreference, len(channels))}
		for j, channel := range channels {
			enabled, reason := preference.Allows(preference.Input{
				Known: true, Enabled: true, Reachable: channels, ChannelsOff: unused,
				Category: &category, Choices: choices, Channel: channel,
			})
			out[i].Channels[j] = model.ChannelPreference{Channel: channel, Enabled: enabled, Reason: reason, Explicit: isChoice(reason)}
		}
	}
	return out
}

// isChoice reports whether a rule decides by what the user chose.
func isChoice(r model.Reason) bool {
	switch r {
	case model.ReasonUserChannelOff, model.ReasonUserCategoryChannel, model.ReasonUserCategory, model.ReasonUserTopic:
		return true
	default:
		return false
	}
}
