package model

import "time"

// Retention says what is kept for how long. What it lets go of never comes
// back.
type Retention struct {
	// Tombstones is how long it is known of a deleted item that it was there,
	// and of a mark-all, which no item has its time from any more, when it
	// was. A stream whose position is older begins anew.
	Tombstones time.Duration
	// Items is after which time a notification leaves its inbox and the log,
	// and a send is forgotten; zero: never.
	Items time.Duration
	// Cap is how many items that are not archived an inbox holds; beyond it
	// the oldest go, read ones first. Zero: any number.
	Cap int
}

// DefaultTombstones is how long tombstones are kept unless a setting says
// otherwise.
const DefaultTombstones = 30 * 24 * time.Hour

// InboxCursor is how far a walk through all inboxes has come. The zero cursor
// is the beginning, and what a walk that has reached the end returns.
type InboxCursor struct {
	At   int64 // of the walk through marks: microseconds
	Env  EnvID
	User UserID
}
