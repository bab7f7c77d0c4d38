package user

import (
	"context"

	"carillon/model"
)

// Addresses lists how a user can be reached, disabled addresses included, in
// the order of channels.
func (s *Service) Addresses(ctx context.Context, user model.UserRef) ([]model.Address, error) {
	found, err := s.Store.Addresses(ctx, []model.UserRef{user})
	return found[user], err
}

// AddressesOf is Addresses for several users.
func (s *Service) AddressesOf(ctx context.Context, users []model.UserRef) (map[model.UserRef][]model.Address, error) {
	return s.Store.Addresses(ctx, users)
}

// AddAddress adds an address to a user, or changes the platform, provider and
// state of the one of the channel that is the same. Push tokens and
// subscriptions are not for here: see RegisterDevice.
func (s *Service) AddAddress(ctx context.Context, once model.Once, user model.UserRef, in model.NewAddress) (model.Outcome[model.Address], error) {
	var c model.Check
	checkNewAddress(&in, &c)
	if err := c.Err(); err != nil {
		return model.Outcome[model.Address]{}, err
	}
	return s.Store.AddAddress(ctx, once, user, model.AddressID(s.ids.New()), in)
}

// SetAddressEnabled enables or disables an address that was added to a user.
func (s *Service) SetAddressEnabled(ctx context.Context, once model.Once, user model.UserRef, id model.AddressID, enabled bool) (model.Outcome[model.Address], error) {
	if model.CheckIdentifier(string(id)) != "" {
		return model.Outcome[model.Address]{}, errNoAddress
	}
	return s.Store.SetAddressEnabled(ctx, once, user, id, enabled)
}

// RemoveAddress removes an address that was added to a user.
func (s *Service) RemoveAddress(ctx context.Context, once model.Once, user model.UserRef, id model.AddressID) (model.Outcome[model.AddressID], error) {
	if model.CheckIdentifier(string(id)) != "" {
		return model.Outcome[model.AddressID]{}, errNoAddress
	}
	return s.Store.RemoveAddress(ctx, once, user, id)
}

var errNoAddress = model.NotFound("names no address that was added to this user", "addressId")

// checkProvider says what is wrong with the name of a provider, or returns "".
func checkProvider(name string) string {
	if name == "" {
		return ""
	}
	if len(name) > model.MaxProvider {
		return "must have at most 64 bytes"
	}
	return model.CheckIdentifier(name)
}

// checkNewAddress checks an address and puts it into the form in which it is
// kept.
func checkNewAddress(in *model.NewAddress, c *model.Check) {
	kept, wrong := model.CheckAddress(in.Channel, in.Value)
	if wrong != "" {
		c.Add(model.ProblemInvalid, wrong, "address")
	}
	in.Value = kept
	if m := checkProvider(in.Provider); m != "" {
		c.Add(model.ProblemInvalid, m, "provider")
	}
	switch in.Platform {
	case "", model.PlatformIOS, model.PlatformAndroid, model.PlatformWeb, model.PlatformOther:
	default:
		c.Add(model.ProblemInvalid, "must be IOS, ANDROID, WEB or OTHER", "platform")
	}
}
