package model

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// SuppressionReason says why nothing is sent to an address.
type SuppressionReason string

// The reasons.
const (
	SuppressedBounce       SuppressionReason = "BOUNCE"       // a provider said that it does not exist
	SuppressedComplaint    SuppressionReason = "COMPLAINT"    // its owner called a message spam
	SuppressedUnsubscribed SuppressionReason = "UNSUBSCRIBED" // its owner said stop
	SuppressedManual       SuppressionReason = "MANUAL"       // the application said so
)

// Suppression is an address of a channel that nothing is sent to, whoever it
// belongs to.
type Suppression struct {
	ID        SuppressionID
	EnvID     EnvID
	Channel   Channel
	Address   string
	Reason    SuppressionReason
	Detail    string // for people; may be empty
	CreatedAt time.Time
	ExpiresAt time.Time // zero: never
}

// AddressHash is what an address is looked up by.
func AddressHash(address string) string {
	h := sha256.Sum256([]byte(address))
	return hex.EncodeToString(h[:])
}

// ChannelAddress is an address of an environment's channel.
type ChannelAddress struct {
	Env     EnvID
	Channel Channel
	Address string
}

// SuppressionFilter chooses suppressions. Zero values do not filter.
type SuppressionFilter struct {
	Channel Channel
	Reason  SuppressionReason
	Address string
}
