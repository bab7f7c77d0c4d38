package graph

import (
	"context"

	"carillon/graph/generated"
	"carillon/graph/view"
	"carillon/model"
)

func (f *userFields) Addresses(ctx context.Context, u *view.User) ([]*view.Address, error) {
	as, err := f.Users.Addresses(ctx, model.UserRef{Env: u.EnvID, ID: u.User.ID})
	return view.Addresses(as), err
}

func (m *mutation) AddAddress(ctx context.Context, in generated.AddAddressInput) (*generated.AddAddressPayload, error) {
	p := &generated.AddAddressPayload{}
	d, err := m.aboutKnown(ctx, &in.User, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.Address]
	if err == nil {
		out, err = m.Users.AddAddress(ctx, d.once, model.UserRef{Env: d.env, ID: d.user}, model.NewAddress{
			Channel: in.Channel, Value: in.Address, Platform: value(in.Platform), Provider: value(in.Provider), Enabled: in.Enabled,
		})
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.Address, p.Replayed = view.NewAddress(out.Value), out.Replayed
	return p, nil
}

func (m *mutation) SetAddressEnabled(ctx context.Context, in generated.SetAddressEnabledInput) (*generated.SetAddressEnabledPayload, error) {
	p := &generated.SetAddressEnabledPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.Address]
	if err == nil {
		user, id := addressRef(d.env, in.ID)
		out, err = m.Users.SetAddressEnabled(ctx, d.once, user, id, in.Enabled)
		err = elsewhere(err, errNoAddress)
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.Address, p.Replayed = view.NewAddress(out.Value), out.Replayed
	return p, nil
}

func (m *mutation) RemoveAddress(ctx context.Context, in generated.RemoveAddressInput) (*generated.RemoveAddressPayload, error) {
	p := &generated.RemoveAddressPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	user, id := addressRef(d.env, in.ID)
	var out model.Outcome[model.AddressID]
	if err == nil {
		out, err = m.Users.RemoveAddress(ctx, d.once, user, id)
		err = elsewhere(err, errNoAddress)
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	p.RemovedAddressID, p.Replayed = ptr(view.AddressID(user.ID, out.Value)), out.Replayed
	return p, nil
}

var errNoAddress = model.NotFound("names no address that was added to a user", "id")

// addressRef takes the id of an address apart; what is none names nothing.
func addressRef(env model.EnvID, id string) (model.UserRef, model.AddressID) {
	ref, ok := view.ParseRef(id)
	if !ok || ref.Kind != view.KindAddress {
		return model.UserRef{Env: env}, ""
	}
	return model.UserRef{Env: env, ID: model.UserID(ref.Number)}, model.AddressID(ref.Text)
}
