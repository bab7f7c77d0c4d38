package model

import "time"

// MaxSendTopics is how many topics one send may name.
const MaxSendTopics = 100

// Audience is who a send is for that has yet to go out to some: the users
// found when it was accepted, and those who are on topics, or everyone, when
// their turn comes.
type Audience struct {
	Users    []UserID  `json:"users,omitempty"`
	Topics   []TopicID `json:"topics,omitempty"`
	Everyone bool      `json:"everyone,omitempty"` // who existed when it was accepted
}

// Large reports whether the audience is served chunk by chunk, and not by the
// transaction that accepts or fires the send.
func (a Audience) Large() bool {
	return len(a.Users) > MaxSmallSend || a.Grows()
}

// Grows reports whether the audience may still change: who is on a topic is
// asked when it is served.
func (a Audience) Grows() bool { return len(a.Topics) > 0 || a.Everyone }

// AudienceQuery asks who an audience is by now.
type AudienceQuery struct {
	Env         EnvID
	Audience    Audience
	AcceptedAt  time.Time    // everyone is who was there by then
	Categories  []CategoryID // whose choices to read, besides those about every category
	Addresses   bool         // false: Reachable holds IN_APP only
	Identifiers bool         // false: they are left out
	Limit       int          // of recipients
}

// Chunk asks for the next part of a send that is EXPANDING.
type Chunk struct {
	Env        EnvID
	Send       SendID
	Categories []CategoryID // as in AudienceQuery
	Addresses  bool
	Now        time.Time
	IDs        []int64 // for the notifications: as many recipients at most
	GiveUp     bool    // count the recipients as failed, and make nothing for them
}

// Decide is what is decided for one recipient: whether their notification lies
// in the inbox, which rule said so, and whether any channel reaches them.
type Decide func(Recipient) (inInbox bool, reason Reason, reached bool)

// ChunkResult is what became of a chunk. Lost: the send is EXPANDING no longer,
// or another worker is at it, and nothing was done.
type ChunkResult struct {
	Lost    bool
	Send    Send           // as it is now
	Changes []*InboxChange // to be published
	Used    int            // of the chunk's ids, from the first
}
