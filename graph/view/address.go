package view

import "carillon/model"

// Address is one way of reaching a user.
type Address struct{ model.Address }

// NewAddress shows an address.
func NewAddress(a model.Address) *Address { return &Address{a} }

// Addresses shows several.
func Addresses(as []model.Address) []*Address {
	out := make([]*Address, len(as))
	for i, a := range as {
		out[i] = NewAddress(a)
	}
	return out
}

// ID is the opaque id of one that was added.
func (a *Address) ID() *string {
	if a.Source != model.AddressAdded {
		return nil
	}
	return text(AddressID(a.UserID, a.Address.ID))
}

// DeviceID is the opaque id of the device that it is of.
func (a *Address) DeviceID() *string {
	if a.Source != model.AddressDevice {
		return nil
	}
	return text(DeviceID(a.UserID, a.Address.DeviceID))
}

// Provider is who alone can carry to it.
func (a *Address) Provider() *string { return text(a.Address.Provider) }
