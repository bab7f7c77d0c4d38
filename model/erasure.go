package model

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// ErasureID names the receipt of an erasure. It is text and time-ordered.
type ErasureID string

// ErasureStatus says how far an erasure is.
type ErasureStatus string

// The user is gone in both; what there was of theirs is being deleted in the
// first.
const (
	ErasureRunning ErasureStatus = "RUNNING"
	ErasureDone    ErasureStatus = "DONE"
)

// Erasure is the receipt of a user's having been erased. It names nobody:
// whoever knows the identifier can tell by Hash that it was theirs.
type Erasure struct {
	ID         ErasureID
	EnvID      EnvID
	UserID     UserID
	Status     ErasureStatus
	Salt       string
	Hash       string // [ErasureHash] of the salt and the identifier
	Counts     []ErasedRows
	CreatedAt  time.Time
	FinishedAt time.Time // zero: it is running
}

// ErasedRows says how many rows of one kind an erasure has deleted or emptied.
type ErasedRows struct {
	What string
	Rows int64
}

// ErasureHash is the SHA-256, as hexadecimal digits, of salt and identifier.
func ErasureHash(salt, identifier string) string {
	sum := sha256.Sum256([]byte(salt + identifier))
	return hex.EncodeToString(sum[:])
}
