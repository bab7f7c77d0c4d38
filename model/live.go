package model

import "time"

// LiveKind tells what a live key is about.
type LiveKind uint8

// The kinds of live key.
const (
	LiveInbox      LiveKind = iota + 1 // ID is a user
	LiveSend                           // ID is a send
	LiveDeliveries                     // ID is 0: the deliveries of an environment
)

// LiveKey names something that streams can watch. It carries its environment.
type LiveKey struct {
	Env  EnvID
	Kind LiveKind
	ID   int64
}

// InboxKey is the live key of a user's inbox.
func InboxKey(env EnvID, user UserID) LiveKey { return LiveKey{env, LiveInbox, int64(user)} }

// SendKey is the live key of a send's progress.
func SendKey(env EnvID, send SendID) LiveKey { return LiveKey{env, LiveSend, int64(send)} }

// DeliveriesKey is the live key of an environment's deliveries.
func DeliveriesKey(env EnvID) LiveKey { return LiveKey{Env: env, Kind: LiveDeliveries} }

// DeliveriesHint says that deliveries of an environment have changed, none of
// them before since. Its Seq is that time in microseconds; 0 says that any
// number of them may have, unheard.
func DeliveriesHint(env EnvID, since time.Time) Hint {
	return Hint{Key: DeliveriesKey(env), Seq: since.UnixMicro()}
}

// Hint says that something watched has moved to Seq. Change, when it is there,
// is everything that happened between Seq-1 and Seq; without it (or when it
// was lost on the way) the watcher reads the database. Gone says that the user
// or send no longer exists. Rewound says that the database is now at Seq, behind
// what it was (a failover lost its tail, an older copy was restored): who is
// ahead of Seq begins anew. Hints may be lost, doubled and reordered; the
// database is the truth.
type Hint struct {
	Key     LiveKey
	Seq     int64
	Change  *InboxChange
	Gone    bool
	Rewound bool // never published; the hub finds it out by comparing
}

// InboxChange is one step of an inbox from Seq-1 to Seq: what one transaction
// changed there. Counters are those at Seq. It is shared between all who
// watch: nobody writes to it.
type InboxChange struct {
	Env      EnvID
	User     UserID
	Seq      int64
	Counters Counters
	Added    []Notification
	Changed  []Notification
	Removed  []NotificationID
	Marked   []InboxMark
	Deed     Deed
}

// Deed is what somebody did that changed an inbox. It is told to those who
// watch at the moment and kept nowhere: whoever reads the change later sees
// only what became of it.
type Deed struct {
	As  MarkState // of a mark; empty: something came or went
	All bool      // it was done to all there was, and not to items that were named
}

// Hint wraps the change for the bus.
func (c *InboxChange) Hint() Hint {
	return Hint{Key: InboxKey(c.Env, c.User), Seq: c.Seq, Change: c}
}

// InboxMark is a mark-all: every item whose state was last set at or before
// UpTo is seen or read since At. As is MarkSeen or MarkRead.
type InboxMark struct {
	As   MarkState
	UpTo int64 // seq
	At   time.Time
}

// ResetReason says why a stream begins anew.
type ResetReason string

// The reasons for a reset.
const (
	ResetFirst           ResetReason = "FIRST"            // the stream was opened without a position
	ResetTooFarBehind    ResetReason = "TOO_FAR_BEHIND"   // more was missed than one catch-up holds, or it was trimmed
	ResetUnknownPosition ResetReason = "UNKNOWN_POSITION" // ahead of the inbox, or another user's
	ResetOtherEpoch      ResetReason = "OTHER_EPOCH"      // the database was restored since
)

// InboxEvent is one step of a stream, true as of Seq. A client applies Marked
// to everything it holds first, then Added, Changed and Removed; with a Reset
// it forgets everything before. Applying events in order gives exactly the
// inbox.
type InboxEvent struct {
	Env      EnvID
	User     UserID
	Seq      int64
	Counters Counters
	Reset    ResetReason // empty: none
	Added    []Notification
	Changed  []Notification
	Removed  []NotificationID
	Marked   []InboxMark
	Deed     *Deed // nil: the event was read from the database, which does not know
}

// Changes is what the database holds of an inbox after a seq: the answer to a
// catch-up. TooMany says that it would be more than MaxCatchUp rows, or that
// what was missed is no longer kept; the rest is then empty but for Head.
type Changes struct {
	Head     int64
	Counters Counters
	TooMany  bool
	Added    []Notification
	Changed  []Notification
	Removed  []NotificationID
	Marked   []InboxMark
}

// Position is a place in one inbox's history: what a client hands back to
// resume. Epoch is the
// database's: it changes when an older copy of the data is restored.
type Position struct {
	Epoch uint64
	User  UserID
	Seq   int64
}
