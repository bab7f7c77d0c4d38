package model

import (
	"encoding/json"
	"time"
)

// PageNumber asks for a page of an inbox by its number, counted from 1. Pages
// move as items come and go, so streams and long lists are better served by a
// PageRequest; older clients know nothing else.
type PageNumber struct {
	Number int
	Limit  int // 1 to MaxPage
}

// Offset is how many items come before the page.
func (p PageNumber) Offset() int64 { return int64(p.Number-1) * int64(p.Limit) }

// NumberedInbox is a page of an inbox by number, with how many items the filter
// selects in all and the counters of the whole inbox, all as of one moment.
type NumberedInbox struct {
	Items    []Notification
	Matching int64
	Counters Counters
	Seq      int64
}

// Limits of what a user does to a notification.
const (
	MaxState           = MaxIdentifier // bytes of a state
	MaxInteractionData = 16 << 10      // bytes of what was filled in, as JSON
	MaxInteractions    = 100           // that are kept of one notification, the newest
)

// Interaction is something a user did to a notification: the state they gave
// it by pressing a block, and what they had filled in.
type Interaction struct {
	NotificationID NotificationID
	State          string
	Data           json.RawMessage // a JSON object of block ids and values; nil: nothing
	At             time.Time
}

// StateChange gives a notification a state of the customer's own.
type StateChange struct {
	State  string
	Data   json.RawMessage // a JSON object; nil: nothing was filled in
	Delete bool            // and take it out of the inbox for good
}
