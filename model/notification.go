package model

import (
	"encoding/json"
	"time"
)

// Limits of a send.
const (
	MaxTitle          = 1 << 10
	MaxBody           = 64 << 10
	MaxURL            = 4 << 10
	MaxData           = 64 << 10 // bytes of data as JSON
	MaxDataDepth      = 64
	MaxBlocks         = 20
	MaxRecipients     = 1000 // recipients named one by one in a send
	MaxSmallSend      = 100  // recipients that the accepting transaction serves itself
	MaxScheduleAhead  = 366 * 24 * time.Hour
	MaxMarkIDs        = 1000 // notifications of one mark or delete call
	MaxPage           = 100  // first / last
	MaxCatchUp        = 500  // rows of one catch-up event; beyond it a snapshot
	MaxHint           = 8 << 10
	DefaultPage       = 20
	MaxStreamSnapshot = 100
)

// Content is what a send says. It is stored once, on the send, but for texts that
// are Personal. An edit of the send makes another one of it; nobody writes to one
// that others may hold.
type Content struct {
	Title  string          `json:"title,omitempty"`
	Body   string          `json:"body,omitempty"`
	Icon   string          `json:"icon,omitempty"`
	URL    string          `json:"url,omitempty"`
	Data   json.RawMessage `json:"data,omitempty"` // a JSON object, or nil
	Blocks []Block         `json:"blocks,omitempty"`

	Edition  int64     `json:"edition,omitempty"` // how often it was edited
	EditedAt time.Time `json:"editedAt,omitzero"` // the last time; zero: it was not
	Own      bool      `json:"own,omitempty"`     // an edit gave texts, and a template that the send has speaks no more

	// Personal are the texts of which each notification has its own, since they name
	// the recipient; on the send stands what they say without one.
	Personal Texts `json:"personal,omitempty"`
}

// Block is an actionable part of a notification. ID is unique within it.
type Block struct {
	ID           string `json:"id"`
	Type         string `json:"type"` // BUTTON, IMAGE, TEXTAREA, INPUT, RATING_STAR, TYPOGRAPHY, ...
	Text         string `json:"text,omitempty"`
	Variant      string `json:"variant,omitempty"` // DEFAULT, PRIMARY, SECONDARY
	Link         string `json:"link,omitempty"`
	ExternalLink bool   `json:"externalLink,omitempty"`
	Src          string `json:"src,omitempty"`
}

// UnknownPolicy says what a send does with identifiers that name no user.
type UnknownPolicy string

// The policies.
const (
	UnknownSkip   UnknownPolicy = "SKIP"   // leave them out and list them
	UnknownReject UnknownPolicy = "REJECT" // refuse the whole send
	UnknownCreate UnknownPolicy = "CREATE" // create them
)

// SendTarget says who should hear of a send. Everything named adds up; a user
// named twice is one recipient.
type SendTarget struct {
	Users    []string
	Inline   []IdentifyInput // created or updated on the way
	Topics   []string
	Segments []string
	Everyone bool
}

// SendRequest asks to notify. The zero times mean now and never.
type SendRequest struct {
	To        SendTarget
	Content   Content
	Template  string // identifier of what says it instead; empty: Content does
	Category  string // identifier; empty: none
	Channels  []Channel
	Options   SendOptions
	SendAt    time.Time
	ExpiresAt time.Time
	OnUnknown UnknownPolicy // empty: UnknownSkip
	DryRun    bool
	WantPlan  bool // whether the answer should hold the plan; a dry run's always does
	Once      Once

	CreateCategory bool         // a category that does not exist is made, with its identifier for a name
	Attachments    []Attachment // files that go with e-mails
}

// SendStatus is where a send stands.
type SendStatus string

// The states of a send. SCHEDULED goes to SENT (or EXPANDING, then SENT) or to
// CANCELED; SENT and CANCELED are final.
const (
	SendScheduled SendStatus = "SCHEDULED"
	SendExpanding SendStatus = "EXPANDING"
	SendSent      SendStatus = "SENT"
	SendCanceled  SendStatus = "CANCELED"
)

// Send is one accepted request to notify.
type Send struct {
	ID         SendID
	EnvID      EnvID
	RequestID  string // a UUID
	Status     SendStatus
	Content    Content
	CategoryID CategoryID // zero: none
	Channels   []Channel  // nil: all
	SendAt     time.Time  // zero: at once
	FiredAt    time.Time  // zero: not yet
	ExpiresAt  time.Time  // zero: never
	CreatedAt  time.Time
	RecalledAt time.Time // zero: it was not
	Progress   SendProgress
}

// Head is a number that grows whenever the send's status or progress changes:
// the seq of its live key.
func (m Send) Head() int64 {
	rank := int64(3)
	switch m.Status {
	case SendScheduled:
		rank = 1
	case SendExpanding:
		rank = 2
	case SendSent, SendCanceled:
	}
	return rank<<40 + m.Progress.Done + m.Progress.Skipped + m.Progress.Failed
}

// SendProgress counts the recipients of a send. Total is negative while it is
// not known.
type SendProgress struct {
	Total   int64
	Done    int64 // have a notification
	Skipped int64 // left out, with a reason
	Failed  int64
}

// Skipped is a recipient that a send left out, and why.
type Skipped struct {
	Identifier string `json:"identifier"`
	Reason     Reason `json:"reason"`
}

// ChannelPlan is what was decided for one channel of a recipient.
type ChannelPlan struct {
	Channel  Channel
	Decision Decision
	// Addresses are those that it goes to; without a delivery channel, or where
	// the plan is not a dry run's, nil.
	Addresses []string `json:"-"`
}

// RecipientPlan is what was decided for one recipient. Notification is zero in
// a dry run and when nothing was made.
type RecipientPlan struct {
	UserID       UserID
	Identifier   string
	Notification NotificationID
	Channels     []ChannelPlan
}

// SendResult is the answer to an accepted send. Send is nil for a dry run; Plan
// is given for every dry run and, when it was wanted, for up to MaxSmallSend
// recipients.
type SendResult struct {
	Send    *Send
	Plan    []RecipientPlan
	Skipped []Skipped
}

// Notification is a send as one user sees it: an item of their inbox. The
// times of marks are effective: an item that a mark-all covers carries the
// time of that mark.
type Notification struct {
	ID           NotificationID
	EnvID        EnvID
	UserID       UserID
	SendID       SendID
	CategoryID   CategoryID // zero: none
	Content      *Content   // as the user reads it; shared by all notifications of a send that is not personal; never nil, never written to
	InInbox      bool       // false: reached over other channels only
	State        string     // the customer's own; empty: none
	Reason       Reason     // what decided about IN_APP
	SortAt       time.Time  // when the send fired; the inbox is ordered by (SortAt, ID) descending
	CreatedAt    time.Time  // as SortAt
	SeenAt       time.Time  // zero: unseen
	ReadAt       time.Time  // zero: unread
	InteractedAt time.Time
	ArchivedAt   time.Time
	ExpiresAt    time.Time
	Seq          int64 // the inbox's seq at the last change
}

// Counters are the numbers of an inbox: items that are not archived, deleted
// or expired; of these, the ones not seen, and not read.
type Counters struct {
	Total  int64 `json:"total"`
	Unseen int64 `json:"unseen"`
	Unread int64 `json:"unread"`
}

// MarkState is what a mark makes of a notification.
type MarkState string

// The marks. They are bits: READ sets seen and read, UNREAD clears read, UNSEEN
// clears both, INTERACTED sets all three, ARCHIVED and UNARCHIVED leave them.
//
// READ_ONLY and UNSEEN_ONLY move one bit alone: READ_ONLY sets read and leaves
// seen, UNSEEN_ONLY clears seen and leaves read. They are for dialects in which
// the two have nothing to do with each other. An item that is read without having been
// seen has no SeenAt, and does not count as unseen.
const (
	MarkSeen       MarkState = "SEEN"
	MarkUnseen     MarkState = "UNSEEN"
	MarkRead       MarkState = "READ"
	MarkUnread     MarkState = "UNREAD"
	MarkInteracted MarkState = "INTERACTED"
	MarkArchived   MarkState = "ARCHIVED"
	MarkUnarchived MarkState = "UNARCHIVED"
	MarkReadOnly   MarkState = "READ_ONLY"
	MarkUnseenOnly MarkState = "UNSEEN_ONLY"
)

// InboxFilter chooses items of an inbox. A nil flag does not filter.
type InboxFilter struct {
	Unseen     *bool
	Unread     *bool
	Archived   *bool // the schema's default is false
	Interacted *bool
	Categories []CategoryID // nil: all; an empty, non-nil list: none
}

// IsDefault reports whether the filter selects just the items that the
// counters count.
func (f InboxFilter) IsDefault() bool {
	return f.Unseen == nil && f.Unread == nil && f.Interacted == nil && f.Categories == nil && f.Archived != nil && !*f.Archived
}

// Inbox is a page of an inbox with the counters and the position that were
// true at the same moment.
type Inbox struct {
	Items    []Notification
	HasMore  bool // in the direction of paging
	Counters Counters
	Seq      int64
}

// NoSeq stands for a seq of an inbox where there is none; inboxes begin at 0.
const NoSeq = -1

// MarkResult is what a mark did: the notifications as they are now, the ids
// that name nothing in this inbox, and the inbox's numbers after it.
type MarkResult struct {
	Notifications []Notification
	NotFound      []NotificationID
	Deleted       []NotificationID // of a delete, in the order of its ids
	Affected      int64
	Counters      Counters
	Seq           int64
	UserID        UserID
}

// NotificationFilter chooses notifications of the log. Zero values do not
// filter; an empty, non-nil Categories selects nothing.
type NotificationFilter struct {
	User       UserID
	Send       SendID
	Categories []CategoryID
}

// SendFilter chooses sends. Nil does not filter; an empty, non-nil Categories
// selects nothing.
type SendFilter struct {
	Statuses   []SendStatus
	Categories []CategoryID
}
