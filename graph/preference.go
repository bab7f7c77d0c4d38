package graph

import (
	"context"

	"carillon/auth"
	"carillon/graph/generated"
	"carillon/model"
	"carillon/user"
)

func (q *query) ExplainPreference(ctx context.Context, identifier string, category *string, channel model.Channel) (*model.Decision, error) {
	caller, err := q.caller(ctx)
	if err != nil {
		return nil, err
	}
	if caller.Kind == auth.User && identifier != caller.User {
		return nil, unknownUser("user")
	}
	d, err := q.Resolver.Users.Explain(ctx, caller.Env, identifier, value(category), channel)
	return &d, err
}

func (m *mutation) SetPreferences(ctx context.Context, in generated.SetPreferencesInput) (*generated.SetPreferencesPayload, error) {
	p := &generated.SetPreferencesPayload{}
	d, err := m.aboutKnown(ctx, in.User, take(&in.IdempotencyKey), in)
	var out model.Outcome[[]model.CategoryPreference]
	if err == nil {
		out, err = m.Users.SetPreferences(ctx, d.caller.Env, d.once, d.user, choices(in.Changes))
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.Preferences, p.Replayed = preferencesFor(d.caller, out.Value), out.Replayed
	return p, nil
}

func choices(in []*generated.PreferenceChange) []user.PreferenceInput {
	out := make([]user.PreferenceInput, len(in))
	for i, c := range in {
		out[i] = user.PreferenceInput{Category: value(c.Category), Channel: value(c.Channel), Enabled: c.Enabled}
	}
	return out
}
