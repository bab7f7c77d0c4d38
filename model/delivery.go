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

// Delivery is one notification over one channel to one address, or the note
// that the ladder said no.
type Delivery struct {
	ID             DeliveryID
	EnvID          EnvID
	NotificationID NotificationID
	UserID         UserID
	SendID         SendID
	Channel        Channel
	State          DeliveryState
	Reason         Reason    // the rule of the ladder that decided last
	Address        string    // what it is sent to, as it was when it was planned; empty when it was skipped for the channel as a whole
	Platform       Platform  // of a device; else empty
	Carrier        string    // the kind of provider that alone can carry to the address; empty: any
	Unless         MarkState // SEEN or READ: it is called off when the notification is that by the time it is due; else empty
	Attempt        int       // attempts so far: the number of the last one
	Tries          int       // rounds through the channel's providers so far: what the schedule counts
	// Lost counts claims that ended without a result: the first two by themselves,
	// from SuspectLost on only those whose attempt had begun.
	Lost       int
	RunAt      time.Time // when it is due; of ATTEMPTING, when the lease ends
	BeganAt    time.Time // when it was first claimed; zero: never
	ExpiresAt  time.Time // zero: never
	ProviderID ProviderID
	MessageID  string // the provider's
	Detail     string // why it ended as it did, for people; may be empty
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// Attempt is one try of a delivery with one provider.
type Attempt struct {
	Delivery  DeliveryID
	N         int
	Provider  ProviderID
	Kind      string // of the provider
	StartedAt time.Time
	Took      time.Duration
	Class     ErrorClass // zero: the provider took it
	Status    int        // of HTTP or SMTP; zero: none
	MessageID string     // the provider's; may be empty
	Answer    string     // the beginning of it, at most MaxAnswer
	Detail    string     // what was wrong, for people
	Edition   int64      // of the content that it carried
	NextAt    time.Time  // when the next try is due; zero: there is none, or another provider followed at once
}

// PlannedDelivery is a delivery to be saved with its notification. After is how
// long to wait before it is due.
type PlannedDelivery struct {
	Delivery
	After time.Duration
}

// Lane is what takes turns in the queue: the deliveries of one channel of one
// environment.
type Lane struct {
	Env     EnvID
	Channel Channel
}

// DueLane is a lane with something to do now.
type DueLane struct {
	Lane
	Oldest time.Duration // how long the oldest has been due
}

// LaneClaim asks for at most Limit due deliveries of a lane.
type LaneClaim struct {
	Lane
	Limit int
}

// ClaimedDelivery is a delivery that is leased to the caller, who finishes it
// with the same Fence or loses it.
type ClaimedDelivery struct {
	Delivery
	Fence   int64
	Elapsed time.Duration // since it was first claimed
}

// Claim is one hold on a delivery: the next one has another fence.
type Claim struct {
	Env      EnvID
	Delivery DeliveryID
	Fence    int64
}

// Claim is the hold that the delivery was claimed by.
func (c ClaimedDelivery) Claim() Claim { return Claim{c.EnvID, c.ID, c.Fence} }

// FinishedDelivery is what became of a claimed one. With Delay it is due again
// then, in State QUEUED.
type FinishedDelivery struct {
	ClaimedDelivery
	Delay    time.Duration
	Attempts []Attempt // those made under this claim
	Dead     bool      // the address is of no more use
}

// DeliveryFilter chooses deliveries. Zero values do not filter.
type DeliveryFilter struct {
	States       []DeliveryState
	Channels     []Channel
	Provider     ProviderID
	User         UserID
	Send         SendID
	Notification NotificationID
	Since        time.Time // made at or after
	Until        time.Time // made before
}

// DeliveryMark says how a delivery stood: two marks of one delivery are equal
// exactly if nothing has become of it in between.
type DeliveryMark struct {
	ID        DeliveryID
	UpdatedAt int64 // microseconds
	State     DeliveryState
	Fence     int64
}

// Limits of deliveries.
const (
	MaxReplay      = 10_000              // deliveries of one retryDeliveries call
	SuspectLost    = 2                   // of Delivery.Lost, from which a delivery is tried alone
	MaxChanges     = 100                 // deliveries of one event of a stream
	MaxLost        = 3                   // of Delivery.Lost, at which a delivery is set aside
	MaxEscalations = 10                  // of one send
	MaxAfter       = 30 * 24 * time.Hour // that an escalation may wait
)

// Escalation lets a channel wait, and be left out when the notification has
// been marked by then.
type Escalation struct {
	Channel Channel       `json:"channel"`
	After   time.Duration `json:"after"`
	Unless  MarkState     `json:"unless,omitempty"` // SEEN or READ; empty: nothing calls it off
}

// SendOptions is what a send says about how it is delivered. The zero value
// says nothing.
type SendOptions struct {
	Escalations []Escalation `json:"escalations,omitempty"`
	CollapseKey string       `json:"collapseKey,omitempty"`
	// DedupeKey leaves out whoever was sent something with the same key less than
	// DedupeWithin before it was their turn: DedupeWithin of what was sent then.
	DedupeKey    string        `json:"dedupeKey,omitempty"`
	DedupeWithin time.Duration `json:"dedupeWithin,omitempty"`
	Overrides    []Override    `json:"overrides,omitempty"`
	Template     *TemplateRef  `json:"template,omitempty"` // what says what channels outside say; nil: the send itself
	Layout       *LayoutRef    `json:"layout,omitempty"`   // of the template's e-mails; nil: none
	// Destinations stand in for all addresses that a recipient has for their
	// channels. They are for sends to one user.
	Destinations map[Channel]string `json:"destinations,omitempty"`
}

// Empty reports whether the options say nothing.
func (o SendOptions) Empty() bool {
	return len(o.Escalations) == 0 && len(o.Overrides) == 0 && o.CollapseKey == "" && o.DedupeKey == "" && o.Template == nil && len(o.Destinations) == 0
}

// Escalation finds what the options say about a channel; nil: nothing.
func (o SendOptions) Escalation(c Channel) *Escalation {
	for i := range o.Escalations {
		if o.Escalations[i].Channel == c {
			return &o.Escalations[i]
		}
	}
	return nil
}
