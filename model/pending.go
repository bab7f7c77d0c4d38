package model

import "errors"

// PendingSend is a send that has been planned and is to be saved. Its
// notifications have ids; the store gives them their seq.
type PendingSend struct {
	Send          Send
	Fire          bool      // it is stored as SCHEDULED already and goes out now, as its status says
	Audience      *Audience // of a SCHEDULED or EXPANDING send: who is to be planned for yet
	Notifications []Notification
	Attachments   []Attachment
	Deliveries    []PlannedDelivery // of these notifications
	Options       SendOptions       // stored with a send that is not stored yet
	Once          Once
	Result        SendResult // what is remembered under Once
}

// SavedSend is what became of a pending send. Lost: it was no longer SCHEDULED
// when it was to fire, and nothing was done.
type SavedSend struct {
	Lost bool
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
