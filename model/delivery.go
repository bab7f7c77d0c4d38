package model

import "time"

// DeliveryState is where a delivery stands; its number is what is stored.
type DeliveryState int16

// The states of a delivery. QUEUED and ATTEMPTING are due at RunAt (the end of
// the lease while ATTEMPTING); the rest is final until replayed.
const (
	DeliveryQueued DeliveryState = iota + 1
	DeliveryAttempting
	DeliverySent
	DeliveryFailed
	DeliverySkipped
	DeliveryCanceled
	DeliveryExpired
)

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
