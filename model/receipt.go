package model

import (
	"slices"
	"time"
)

// MaxReports bounds the reports of one call.
const MaxReports = 500

// Report is what a provider says became of a message that it took. It names the
// delivery or the provider's own id of the message, or both.
type Report struct {
	Delivery  DeliveryID    // when the provider gives our id back, else ""
	MessageID string        // the provider's own; may be empty
	State     DeliveryState // SENT, DELIVERED, BOUNCED or COMPLAINED; zero: nothing about the message itself
	Dead      bool          // of a bounce: the address will never work
	// Unsubscribed says that the address's owner wants nothing more.
	Unsubscribed bool
	At           time.Time // when it happened, as the provider says
	Detail       string    // the provider's words, shown to the application
}

// reportMoves are the states that a report may end. A report never takes a
// delivery back to a state of lower rank. It ends one that waits for another try
// only with the news that it is not needed: a message that was thought lost has
// arrived.
var reportMoves = map[DeliveryState][]DeliveryState{
	DeliverySent:       {DeliveryUnknown},
	DeliveryDelivered:  {DeliveryQueued, DeliverySent, DeliveryUnknown, DeliveryFailed, DeliveryExpired},
	DeliveryBounced:    {DeliverySent, DeliveryUnknown},
	DeliveryComplained: {DeliverySent, DeliveryUnknown, DeliveryDelivered, DeliveryBounced},
}

// Moves reports whether r takes a delivery out of a state. An address that will
// never work counts more than the message having been called delivered.
func (r Report) Moves(from DeliveryState) bool {
	return slices.Contains(reportMoves[r.State], from) || r.State == DeliveryBounced && r.Dead && from == DeliveryDelivered
}

// Suppresses is why nothing more is to be sent to the address after r; "": r is
// no reason.
func (r Report) Suppresses() SuppressionReason {
	switch {
	case r.State == DeliveryComplained:
		return SuppressedComplaint
	case r.Unsubscribed:
		return SuppressedUnsubscribed
	case r.State == DeliveryBounced && r.Dead:
		return SuppressedBounce
	default:
		return ""
	}
}

// Reported is what came of reports.
type Reported struct {
	Applied int // changed a delivery, or suppressed an address
	Stale   int // said what was known, or less
	Unknown int // name no delivery that the provider carried
	// Early are about deliveries whose attempt has not been recorded yet.
	Early []Report
}
