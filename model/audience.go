package model

import "time"

// MaxSendTopics is how many topics one send may name.
const MaxSendTopics = 100

// Audience is who a send is for that has yet to go out to some: the users
// found when it was accepted, and those who are on topics or in segments, or
// everyone, when their turn comes.
type Audience struct {
	Users    []UserID    `json:"users,omitempty"`
	Topics   []TopicID   `json:"topics,omitempty"`
	Segments []SegmentID `json:"segments,omitempty"`
	Everyone bool        `json:"everyone,omitempty"` // who existed when it was accepted
	Until    *time.Time  `json:"until,omitempty"`    // everyone was made by then, by the clocks of those who made them
}

// Large reports whether the audience is served chunk by chunk, and not by the
// transaction that accepts or fires the send.
func (a Audience) Large() bool {
	return len(a.Users) > MaxSmallSend || a.Grows()
}

// Grows reports whether the audience may still change: who is on a topic or
// in a segment is asked when it is served.
func (a Audience) Grows() bool { return len(a.Topics) > 0 || len(a.Segments) > 0 || a.Everyone }

// AudienceQuery asks who an audience is by now.
type AudienceQuery struct {
	Env         EnvID
	Audience    Audience
	MadeUntil   time.Time    // everyone is who was made by then
	Categories  []CategoryID // whose choices to read, besides those about every category
	Addresses   bool         // false: Reachable holds IN_APP only
	Identifiers bool         // false: they are left out
	After       UserID       // begin after this id
	Limit       int          // of recipients
}

// AudiencePart is a part of an audience, in the order of ids.
type AudiencePart struct {
	Recipients []Recipient
	Absent     int64  // users that were named and are gone
	Last       UserID // the highest id among all of these; zero: none
	More       bool   // the audience goes on after it
}

// Expansion is a send that is EXPANDING. Users up to Reached have been dealt
// with.
type Expansion struct {
	Send     Send
	Audience Audience
	Reached  UserID
}

// Chunk is the next part of a send that is EXPANDING, to be saved: the
// notifications of the users after one id and up to another, in the order of
// their users. Send says the status and progress that the send has with it.
type Chunk struct {
	Send          Send
	After         UserID
	Reached       UserID
	Notifications []Notification
	Deliveries    []PlannedDelivery // of these notifications
	Named         []UserID          // who is named one by one: the send lists them when a dedupe key leaves them out
}
