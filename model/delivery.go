package model

import (
	"fmt"
	"time"
)

// DeliveryState is where a delivery stands; its number is what is stored: never
// reuse or reorder.
type DeliveryState int16

// The states of a delivery. QUEUED and ATTEMPTING are due at RunAt (the end of
// the lease while ATTEMPTING); the rest is final until it is replayed, but for
// what a provider tells later: SENT can become DELIVERED, and either of them
// BOUNCED or COMPLAINED.
const (
	DeliveryQueued DeliveryState = iota + 1
	DeliveryAttempting
	DeliverySent       // the provider took it
	DeliveryFailed     // given up
	DeliverySkipped    // the ladder said no; Reason says which rule
	DeliveryCanceled   // by a person, a recall, or because it was no longer needed
	DeliveryExpired    // its time to live ended first
	DeliveryUnknown    // the connection was lost after the message was written, and a second try could be a second message
	DeliveryDelivered  // the provider says that it arrived
	DeliveryBounced    // the provider says that it did not
	DeliveryComplained // the user called it spam
)

var deliveryStateNames = [...]string{
	DeliveryQueued: "QUEUED", DeliveryAttempting: "ATTEMPTING", DeliverySent: "SENT", DeliveryFailed: "FAILED", DeliverySkipped: "SKIPPED",
	DeliveryCanceled: "CANCELED", DeliveryExpired: "EXPIRED", DeliveryUnknown: "UNKNOWN", DeliveryDelivered: "DELIVERED",
	DeliveryBounced: "BOUNCED", DeliveryComplained: "COMPLAINED",
}

// String is the state's name.
func (s DeliveryState) String() string {
	if s <= 0 || int(s) >= len(deliveryStateNames) {
		return fmt.Sprintf("DeliveryState(%d)", int16(s))
	}
	return deliveryStateNames[s]
}

// ErrorClass says what kind of failure ended an attempt, and so what is done
// about it. Its number is what is stored: never reuse or reorder. Zero: none.
type ErrorClass int16

// The classes of failure.
const (
	// ClassTransient is a failure that may pass: the provider was away, slow or
	// broken, and certainly did not take the message. Tried again.
	ClassTransient ErrorClass = iota + 1
	// ClassRateLimited is a refusal for now. Tried again, not before the time
	// that the provider named.
	ClassRateLimited
	// ClassPermanent is a refusal of this message. Not tried again.
	ClassPermanent
	// ClassAddressDead is a refusal of this address for good: an unregistered
	// token, a mailbox that does not exist. Not tried again, and not used again.
	ClassAddressDead
	// ClassAuth is a refusal of our credentials. The provider is paused until a
	// person mends it; the delivery waits, or goes to the next provider.
	ClassAuth
	// ClassConfig is a failure of the provider's settings, such as an address
	// that may not be dialled. Not tried again with this provider.
	ClassConfig
	// ClassUnknown is a failure after the message was written: it may have been
	// taken. Tried again only where the provider drops a message with an id
	// that it has seen.
	ClassUnknown
)

var errorClassNames = [...]string{
	ClassTransient: "TRANSIENT", ClassRateLimited: "RATE_LIMITED", ClassPermanent: "PERMANENT", ClassAddressDead: "ADDRESS_DEAD",
	ClassAuth: "AUTH", ClassConfig: "CONFIG", ClassUnknown: "UNKNOWN",
}

// String is the class's name; of none, "".
func (c ErrorClass) String() string {
	if c < 0 || int(c) >= len(errorClassNames) {
		return fmt.Sprintf("ErrorClass(%d)", int16(c))
	}
	return errorClassNames[c]
}

// MaxAnswer is how much of a provider's answer is kept with an attempt.
const MaxAnswer = 1 << 10

// Delivery is one notification over one channel to one address.
type Delivery struct {
	ID             DeliveryID
	EnvID          EnvID
	NotificationID NotificationID
	UserID         UserID
	SendID         SendID
	Channel        Channel
	State          DeliveryState
	Reason         Reason
	Attempt        int
	RunAt          time.Time
	CreatedAt      time.Time
}
