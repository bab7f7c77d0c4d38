package model

import (
	"errors"
	"maps"
	"slices"
)

// PendingSend is a send that has been planned and is to be saved. Its
// notifications have ids; the store gives them their seq.
type PendingSend struct {
	Send          Send
	Fire          bool      // it is stored as SCHEDULED already and goes out now, as its status says
	Audience      *Audience // of a SCHEDULED or EXPANDING send: who is to be planned for yet
	Notifications []Notification
	Attachments   []Attachment
	Deliveries    []PlannedDelivery // of these notifications
	Options       SendOptions       // stored with a send that is not stored yet; else what is stored with it
	Once          Once
	Result        SendResult // what is remembered under Once
}

// SavedSend is what became of a pending send. Lost: it was no longer SCHEDULED
// when it was to fire, and nothing was done.
type SavedSend struct {
	Lost  bool
	Twice map[UserID]string // recipients who were left out by a dedupe key, with their identifiers
}

// Without is the send without recipients whom it reaches and a dedupe key leaves
// out: they are skipped, and say so. What is shared with p stays as it is.
func (p PendingSend) Without(twice map[UserID]string) PendingSend {
	if len(twice) == 0 {
		return p
	}
	gone := func(id UserID) bool { _, ok := twice[id]; return ok }
	p.Notifications = slices.DeleteFunc(slices.Clone(p.Notifications), func(n Notification) bool { return gone(n.UserID) })
	p.Deliveries = slices.DeleteFunc(slices.Clone(p.Deliveries), func(d PlannedDelivery) bool { return gone(d.UserID) })
	p.Result.Plan = slices.DeleteFunc(slices.Clone(p.Result.Plan), func(r RecipientPlan) bool { return gone(r.UserID) })
	p.Result.Skipped = slices.Clone(p.Result.Skipped)
	for _, id := range slices.Sorted(maps.Keys(twice)) {
		p.Result.Skipped = append(p.Result.Skipped, Skipped{Identifier: twice[id], Reason: ReasonDuplicate})
	}
	p.Send.Progress.Skipped += int64(len(twice))
	p.Send.Progress.Done -= int64(len(twice))
	if p.Result.Send != nil {
		m := p.Send
		p.Result.Send = &m
	}
	return p
}

// ErrNotSaved is in the chain of an error after which it is certain that
// nothing of what was to be saved is in the database. Without it, losing the
// connection at the wrong moment leaves that open.
var ErrNotSaved = errors.New("nothing was saved")

// ScopedOnce is an idempotency key of an environment.
type ScopedOnce struct {
	Env  EnvID
	Once Once
}

// SendReplay is what stands under the idempotency key of a send: the result of
// the earlier one; an error when its input was another; or neither.
type SendReplay struct {
	Result *SendResult
	Err    error
}

// DueSend is a scheduled send whose time has come.
type DueSend struct {
	Send     Send
	Audience Audience
	Options  SendOptions
}

// RecipientKey names a user by identifier or, when that is empty, by id.
type RecipientKey struct {
	Env        EnvID
	Identifier string
	ID         UserID
}

// RecipientQuery asks for recipients, of any environments at once.
type RecipientQuery struct {
	Keys       []RecipientKey
	Categories []CategoryID // whose choices to read, besides those about every category
	Addresses  bool         // false: Reachable holds IN_APP only
}
