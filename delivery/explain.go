package delivery

import (
	"context"
	"slices"

	"carillon/model"
	"carillon/preference"
)

// Explain tells why a notification went out over a channel, or did not: the
// ladder as it was walked when that was decided last. What is not written down
// about a channel follows from what is.
func (s *Service) Explain(ctx context.Context, env model.Environment, n model.Notification, channel model.Channel) (model.Decision, error) {
	category, err := s.categoryOf(ctx, n)
	if err != nil {
		return model.Decision{}, err
	}
	in := preference.Input{Known: true, Enabled: true, Channel: channel, Category: category}
	if channel == model.ChannelInApp {
		return preference.Told(in, n.InInbox, n.Reason), nil
	}
	list, err := s.Store.DeliveriesOf(ctx, n.EnvID, []model.NotificationID{n.ID})
	if err != nil {
		return model.Decision{}, err
	}
	list = slices.DeleteFunc(list, func(d model.Delivery) bool { return d.Channel != channel })
	for _, d := range list {
		if d.State != model.DeliverySkipped {
			return preference.Told(in, true, d.Reason), nil
		}
	}
	if len(list) > 0 {
		return preference.Told(in, false, list[0].Reason), nil
	}
	reason, err := s.unwritten(ctx, env, n, channel)
	return preference.Told(in, false, reason), err
}

func (s *Service) categoryOf(ctx context.Context, n model.Notification) (*model.Category, error) {
	if n.CategoryID == 0 {
		return nil, nil
	}
	all, err := s.Store.Categories(ctx, n.EnvID)
	if i := slices.IndexFunc(all, func(c model.Category) bool { return c.ID == n.CategoryID }); i >= 0 {
		return &all[i], nil
	}
	return nil, err
}

// unwritten is why there is not even a note about a channel. Of the user's
// addresses it is not known what they were then, so what they are now counts.
func (s *Service) unwritten(ctx context.Context, env model.Environment, n model.Notification, channel model.Channel) (model.Reason, error) {
	if !n.InInbox && (n.Reason == model.ReasonUserDisabled || n.Reason == model.ReasonSegmentSuppressed) {
		return n.Reason, nil // which is about every channel
	}
	if reason, err := s.unreachable(ctx, n, channel); reason != 0 || err != nil {
		return reason, err
	}
	sends, err := s.Store.Sends(ctx, n.EnvID, []model.SendID{n.SendID})
	if err != nil {
		return 0, err
	}
	all, err := s.Store.Providers(ctx, n.EnvID)
	if err != nil {
		return 0, err
	}
	carried := slices.ContainsFunc(all, func(p model.Provider) bool {
		return p.Channel == channel && p.Enabled && !p.CreatedAt.After(n.CreatedAt)
	})
	requested := sends[n.SendID].Channels
	switch {
	case !carried || slices.Contains(env.Settings.ChannelsOff, channel):
		return model.ReasonAdminOff, nil
	case requested == nil:
		return model.ReasonNoAddress, nil // they have got one since
	case slices.Contains(requested, channel):
		return model.ReasonAdminOff, nil // a provider was enabled since: of all else there is a note where the send names the channel
	default:
		return model.ReasonChannelNotRequested, nil
	}
}

// unreachable is the rule by which nothing reaches the recipient of a
// notification over a channel as things are; 0: something does.
func (s *Service) unreachable(ctx context.Context, n model.Notification, channel model.Channel) (model.Reason, error) {
	options, err := s.Store.SendOptions(ctx, n.EnvID, []model.SendID{n.SendID})
	if err != nil {
		return 0, err
	}
	user := model.UserRef{Env: n.EnvID, ID: n.UserID}
	addresses, err := s.Store.Addresses(ctx, []model.UserRef{user})
	if err != nil {
		return 0, err
	}
	var asked []model.ChannelAddress
	if to := options[n.SendID].Destinations[channel]; to != "" {
		asked = append(asked, model.ChannelAddress{Env: n.EnvID, Channel: channel, Address: to})
	} else {
		for _, a := range addresses[user] {
			if a.Channel == channel && a.Enabled {
				asked = append(asked, model.ChannelAddress{Env: n.EnvID, Channel: channel, Address: a.Value})
			}
		}
	}
	if len(asked) == 0 {
		return model.ReasonNoAddress, nil
	}
	suppressed, err := s.Store.Suppressed(ctx, asked)
	if err == nil && !slices.ContainsFunc(asked, func(a model.ChannelAddress) bool { return !suppressed[a] }) {
		return model.ReasonSuppressed, nil
	}
	return 0, err
}
