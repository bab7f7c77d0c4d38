package model

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Limits of webhook endpoints.
const (
	MaxWebhookEndpoints   = 20 // of an environment
	MaxWebhookURL         = 2048
	MaxWebhookDescription = 255
	MaxWebhookTypes       = 50
	// MaxWebhookReplay is how many events one replay takes.
	MaxWebhookReplay = 10_000
	// MaxSecretOverlap is how long the secret before a rotation signs as well, at
	// most.
	MaxSecretOverlap = 7 * 24 * time.Hour
)

// WebhookEventType says what a webhook event tells of.
type WebhookEventType string

// The types of webhook event.
const (
	EventNotificationCreated    WebhookEventType = "notification.created"
	EventNotificationSeen       WebhookEventType = "notification.seen"
	EventNotificationUnseen     WebhookEventType = "notification.unseen"
	EventNotificationRead       WebhookEventType = "notification.read"
	EventNotificationUnread     WebhookEventType = "notification.unread"
	EventNotificationInteracted WebhookEventType = "notification.interacted"
	EventNotificationArchived   WebhookEventType = "notification.archived"
	EventNotificationUnarchived WebhookEventType = "notification.unarchived"
	EventNotificationEdited     WebhookEventType = "notification.edited"
	EventNotificationDeleted    WebhookEventType = "notification.deleted"
	EventDeliverySent           WebhookEventType = "delivery.sent"
	EventDeliveryDelivered      WebhookEventType = "delivery.delivered"
	EventDeliveryFailed         WebhookEventType = "delivery.failed"
	EventDeliverySkipped        WebhookEventType = "delivery.skipped"
	EventUserCreated            WebhookEventType = "user.created"
	EventUserUpdated            WebhookEventType = "user.updated"
	EventUserDeleted            WebhookEventType = "user.deleted"
	EventUserMerged             WebhookEventType = "user.merged"
)

// WebhookEventTypes lists the types, by noun.
func WebhookEventTypes() []WebhookEventType {
	return []WebhookEventType{
		EventNotificationCreated, EventNotificationSeen, EventNotificationUnseen, EventNotificationRead, EventNotificationUnread,
		EventNotificationInteracted, EventNotificationArchived, EventNotificationUnarchived, EventNotificationEdited, EventNotificationDeleted,
		EventDeliverySent, EventDeliveryDelivered, EventDeliveryFailed, EventDeliverySkipped,
		EventUserCreated, EventUserUpdated, EventUserDeleted, EventUserMerged,
	}
}

// CheckWebhookType says what is wrong with an entry of an endpoint's filter, or
// returns "": a type, or all of a noun as "user.*".
func CheckWebhookType(s string) string {
	for _, t := range WebhookEventTypes() {
		if s == string(t) || s == t.Noun()+".*" {
			return ""
		}
	}
	return `must be a type such as "notification.read", or all of a noun as "notification.*", "delivery.*" or "user.*"`
}

// Noun is what the type begins with: notification, delivery or user.
func (t WebhookEventType) Noun() string {
	noun, _, _ := strings.Cut(string(t), ".")
	return noun
}

// MarkEvent is the type of the event that tells of a mark.
func MarkEvent(as MarkState) WebhookEventType {
	switch as {
	case MarkSeen:
		return EventNotificationSeen
	case MarkUnseen, MarkUnseenOnly:
		return EventNotificationUnseen
	case MarkRead, MarkReadOnly:
		return EventNotificationRead
	case MarkUnread:
		return EventNotificationUnread
	case MarkInteracted:
		return EventNotificationInteracted
	case MarkArchived:
		return EventNotificationArchived
	case MarkUnarchived:
		return EventNotificationUnarchived
	}
	return ""
}

// DeliveryEvent is the type of the event that tells that a delivery has come to
// a state; empty: none does.
func DeliveryEvent(s DeliveryState) WebhookEventType {
	switch s {
	case DeliverySent:
		return EventDeliverySent
	case DeliveryDelivered:
		return EventDeliveryDelivered
	case DeliveryFailed, DeliveryUnknown, DeliveryExpired, DeliveryBounced, DeliveryComplained:
		return EventDeliveryFailed
	case DeliverySkipped, DeliveryCanceled:
		return EventDeliverySkipped
	case DeliveryQueued, DeliveryAttempting:
	}
	return ""
}

// Why a notification was deleted, as its event says.
const (
	CauseDeleted    = "DELETED"    // by the user, or by the application for them
	CauseExpired    = "EXPIRED"    // its time was over
	CauseRetired    = "RETIRED"    // by the retention of the server
	CauseOverflowed = "OVERFLOWED" // its inbox was full
	CauseRecalled   = "RECALLED"   // the application took it back
	CauseSuperseded = "SUPERSEDED" // a newer one with the same collapse key came
)

// WebhookData is what an event is about. What does not belong to its type is
// empty. It holds identifiers only of users who are gone by the time that it is
// told; those of others are read then.
type WebhookData struct {
	Notification NotificationID `json:"n,omitempty"`
	Send         SendID         `json:"s,omitempty"`
	Delivery     DeliveryID     `json:"d,omitempty"`
	Channel      Channel        `json:"c,omitempty"`
	State        DeliveryState  `json:"st,omitempty"`
	Reason       Reason         `json:"r,omitempty"`
	Cause        string         `json:"why,omitempty"`
	All          bool           `json:"all,omitempty"`    // of a mark: everything that the inbox held
	Count        int64          `json:"count,omitempty"`  // of such a mark: how many items it changed
	Identifier   string         `json:"name,omitempty"`   // of the user, where they are gone
	From         UserID         `json:"from,omitempty"`   // who was merged into the user
	FromName     string         `json:"former,omitempty"` // their identifier
}

// WebhookEvent is one thing that happened, as one endpoint is told of it.
type WebhookEvent struct {
	EnvID      EnvID
	Endpoint   WebhookEndpointID
	ID         WebhookEventID // the same for every endpoint, and for every attempt
	Type       WebhookEventType
	UserID     UserID
	Data       WebhookData
	State      WebhookState
	Attempt    int       // attempts so far: the number of the last one
	Tries      int       // attempts since it was made, or replayed: what the schedule counts
	RunAt      time.Time // when it is due; of ATTEMPTING, when the lease ends
	OccurredAt time.Time
}

// WebhookState is where an event stands; its number is what is stored: never
// reuse or reorder.
type WebhookState int16

// The states of a webhook event.
const (
	WebhookQueued WebhookState = iota + 1
	WebhookAttempting
	WebhookSent   // the endpoint took it
	WebhookFailed // given up; can be replayed
)

var webhookStateNames = [...]string{WebhookQueued: "QUEUED", WebhookAttempting: "ATTEMPTING", WebhookSent: "SENT", WebhookFailed: "FAILED"}

// String is the state's name.
func (s WebhookState) String() string {
	if s <= 0 || int(s) >= len(webhookStateNames) {
		return fmt.Sprintf("WebhookState(%d)", int16(s))
	}
	return webhookStateNames[s]
}

// WebhookEndpoint is where an application is told what happens.
type WebhookEndpoint struct {
	ID            WebhookEndpointID
	EnvID         EnvID
	URL           string
	Description   string // for people; may be empty
	Types         []string
	Enabled       bool
	Sealed        []byte    `json:",omitempty"` // the secret, encrypted with the master key
	Previous      []byte    `json:",omitempty"` // the one before it, which signs as well until PreviousUntil
	PreviousUntil time.Time // zero: there is none
	Failures      int       // calls in a row that failed
	FailingSince  time.Time // when the first of them was; zero: the last one did not fail
	WaitUntil     time.Time // no call is made before
	Trouble       string    // why the server disabled it; empty: it did not
	CreatedAt     time.Time
	UpdatedAt     time.Time
}

// Wants reports whether the endpoint is told of events of a type.
func (e WebhookEndpoint) Wants(t WebhookEventType) bool { return WantsWebhook(e.Types, t) }

// WantsWebhook reports whether a filter lets events of a type through; an empty
// one lets all.
func WantsWebhook(types []string, t WebhookEventType) bool {
	return len(types) == 0 || slices.Contains(types, string(t)) || slices.Contains(types, t.Noun()+".*")
}

// WebhookEndpointInput is an endpoint to be made. An empty Secret: one is made.
type WebhookEndpointInput struct {
	URL         string
	Description string
	Types       []string
	Enabled     bool
	Secret      string
}

// WebhookEndpointChange changes an endpoint; what is nil stays.
type WebhookEndpointChange struct {
	URL         *string
	Description *string
	Types       []string
	Enabled     *bool
}

// IssuedWebhookEndpoint is an endpoint with its new secret, which is shown once
// and never stored in the clear.
type IssuedWebhookEndpoint struct {
	Endpoint WebhookEndpoint
	Secret   string `json:"-"`
}

// WebhookEndpointRef names an endpoint.
type WebhookEndpointRef struct {
	Env EnvID
	ID  WebhookEndpointID
}

// WebhookAttempt is one call about an event.
type WebhookAttempt struct {
	Event     WebhookEventID
	N         int // from 1
	StartedAt time.Time
	Took      time.Duration
	Class     ErrorClass // zero: the endpoint took it
	Status    int        // of HTTP; zero: there was no answer
	Answer    string     // its beginning, at most MaxAnswer bytes
	Detail    string     // what was wrong
	NextAt    time.Time  // when the next attempt was to be; zero: there was none to be
}

// ClaimedWebhookEvent is an event that its claimer holds until its lease ends.
type ClaimedWebhookEvent struct {
	WebhookEvent
	Fence   int
	Elapsed time.Duration // since the first attempt
}

// FinishedWebhookEvent is what came of a claimed one: its State, Tries and
// Attempt are those to be stored. It is due again after Delay.
type FinishedWebhookEvent struct {
	ClaimedWebhookEvent
	Delay  time.Duration
	Called *WebhookAttempt // nil: no call was made
}

// WebhookHealth is what calls to an endpoint have come to.
type WebhookHealth struct {
	WebhookEndpointRef
	Answered bool          // the last call was taken; the rest says nothing then
	Failures int           // calls that failed since one was taken
	Wait     time.Duration // no call is made for so long
	Gone     bool          // it said that it wants no more calls, ever
}
