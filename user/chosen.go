package user

import (
	"context"
	"slices"

	"carillon/model"
)

// Chosen lists, of the categories by identifier, what the user chose: for the
// channels that the environment uses what is on for them because of a choice,
// and for the others the choices themselves, which wait until the channel is in
// use. What nobody chose is left out, and so is a category without any choice.
func (s *Service) Chosen(ctx context.Context, env model.Environment, user model.UserID) ([]model.CategoryPreference, error) {
	categories, err := s.Store.Categories(ctx, env.ID)
	if err != nil {
		return nil, err
	}
	choices, err := s.Store.Choices(ctx, env.ID, user)
	if err != nil {
		return nil, err
	}
	var out []model.CategoryPreference
	for _, p := range effective(env, categories, choices) {
		chosen := slices.DeleteFunc(p.Channels, func(c model.ChannelPreference) bool { return !c.Explicit })
		for _, c := range choices {
			if c.Category == p.Category.ID && c.Channel != 0 && !env.Uses(c.Channel) {
				chosen = append(chosen, model.ChannelPreference{Channel: c.Channel, Enabled: c.Enabled, Reason: model.ReasonUserCategoryChannel, Explicit: true})
			}
		}
		if len(chosen) > 0 {
			slices.SortFunc(chosen, func(a, b model.ChannelPreference) int { return int(a.Channel) - int(b.Channel) })
			out = append(out, model.CategoryPreference{Category: p.Category, Channels: chosen})
		}
	}
	return out, nil
}
