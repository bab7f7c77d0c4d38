package graph

import (
	"context"
	"slices"

	"carillon/auth"
	"carillon/graph/generated"
	"carillon/graph/view"
	"carillon/model"
)

func (q *query) Categories(ctx context.Context) ([]*view.Category, error) {
	caller, err := q.caller(ctx)
	if err != nil {
		return nil, err
	}
	cs, err := q.Resolver.Categories.Categories(ctx, caller.Env.ID)
	if caller.Kind == auth.User {
		cs = slices.DeleteFunc(slices.Clone(cs), func(c model.Category) bool { return c.HideInPrefs })
	}
	return view.Categories(cs), err
}

func (m *mutation) CreateCategory(ctx context.Context, in generated.CreateCategoryInput) (*generated.CreateCategoryPayload, error) {
	p := &generated.CreateCategoryPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.Category]
	if err == nil {
		out, err = m.Categories.Create(ctx, d.env, d.once, model.Category{
			Identifier: in.Identifier, Name: in.Name, DefaultEnabled: in.DefaultEnabled,
			ChannelDefaults: channelDefaults(in.ChannelDefaults), RequiredChannels: in.RequiredChannels,
			HideInInbox: in.HideInInbox, HideInPrefs: in.HideInPreferences,
		})
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.Category, p.Replayed = view.NewCategory(out.Value), out.Replayed
	return p, nil
}

func (m *mutation) UpdateCategory(ctx context.Context, in generated.UpdateCategoryInput) (*generated.UpdateCategoryPayload, error) {
	p := &generated.UpdateCategoryPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.Category]
	if err == nil {
		out, err = m.Categories.Update(ctx, d.env, d.once, in.Identifier, categoryChange(&in))
		err = elsewhere(err, unknownCategory("identifier"))
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.Category, p.Replayed = view.NewCategory(out.Value), out.Replayed
	return p, nil
}

func categoryChange(in *generated.UpdateCategoryInput) model.CategoryChange {
	change := model.CategoryChange{Name: in.Name, DefaultEnabled: in.DefaultEnabled, HideInInbox: in.HideInInbox, HideInPrefs: in.HideInPreferences}
	if in.ChannelDefaults != nil {
		change.ChannelDefaults = ptr(channelDefaults(in.ChannelDefaults))
	}
	if in.RequiredChannels != nil {
		change.RequiredChannels = &in.RequiredChannels
	}
	return change
}

// channelDefaults reads the defaults of single channels; a later one beats an
// earlier one of the same channel.
func channelDefaults(in []*generated.ChannelDefaultInput) map[model.Channel]bool {
	out := make(map[model.Channel]bool, len(in))
	for _, d := range in {
		out[d.Channel] = d.Enabled
	}
	return out
}

func (m *mutation) DeleteCategory(ctx context.Context, in generated.DeleteCategoryInput) (*generated.DeleteCategoryPayload, error) {
	p := &generated.DeleteCategoryPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.CategoryID]
	if err == nil {
		out, err = m.Categories.Delete(ctx, d.env, d.once, in.Identifier)
		err = elsewhere(err, unknownCategory("identifier"))
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.DeletedCategoryID, p.Replayed = ptr(view.CategoryID(out.Value)), out.Replayed
	return p, nil
}

func unknownCategory(path ...string) error {
	return model.NotFound("names no category in this environment", path...)
}
