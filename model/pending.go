package model

// PendingSend is a send that has been planned and is to be saved. Its
// notifications have ids; the store gives them their seq.
type PendingSend struct {
	Send          Send
	Fire          bool     // it is stored as SCHEDULED already and goes out now
	Recipients    []UserID // of a SCHEDULED send: who will be planned for when it fires
	Notifications []Notification
	Once          Once
	Result        SendResult // what is remembered under Once
}

// SavedSend is what became of a pending send. Lost: it was no longer SCHEDULED
// when it was to fire. Replayed: its idempotency key had a result already.
type SavedSend struct {
	Lost     bool
	Replayed *SendResult
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
