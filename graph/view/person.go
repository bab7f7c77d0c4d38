package view

import "carillon/model"

// Membership is a user in an account.
type Membership struct {
	model.Membership
	Account *User
}

// Role is what the user is there.
func (m *Membership) Role() *string { return text(m.Membership.Role) }

// Event is something that a user did.
type Event struct{ model.Event }

// Events shows several.
func Events(es []model.Event) []*Event {
	out := make([]*Event, len(es))
	for i, e := range es {
		out[i] = &Event{e}
	}
	return out
}

// ID is the opaque id.
func (e *Event) ID() string { return EventID(e.Event.ID) }

// UserMerge is the record of a merge.
type UserMerge struct {
	model.Merge
	tried bool
}

// NewUserMerge shows the record of a merge, or of one that was only tried.
func NewUserMerge(m model.Merge, tried bool) *UserMerge { return &UserMerge{m, tried} }

// ID is the opaque id.
func (m *UserMerge) ID() *string {
	if m.tried {
		return nil
	}
	return text(MergeID(m.Merge.ID))
}

// Decisions are what was decided.
func (m *UserMerge) Decisions() []*model.MergeDecision {
	out := make([]*model.MergeDecision, len(m.Merge.Decisions))
	for i := range m.Merge.Decisions {
		out[i] = &m.Merge.Decisions[i]
	}
	return out
}
