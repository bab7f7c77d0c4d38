package model

// Restored is what was done to a database that is a copy of itself from before.
type Restored struct {
	// Held is how many deliveries wait for a person, since nobody knows
	// whether they went out after the copy was made.
	Held int64
	// InboxOnly is how many sends that were due, or on their way, will reach
	// inboxes alone, for the same reason.
	InboxOnly int64
}
