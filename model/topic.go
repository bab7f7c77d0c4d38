package model

import "time"

// MaxTopicChange is how many users one subscribe or unsubscribe call may name.
const MaxTopicChange = 1000

// Topic is a list that users are put on. Its identifier is unique in the
// environment.
type Topic struct {
	ID         TopicID
	EnvID      EnvID
	Identifier string
	Name       string
	TopicDetails
	CreatedAt time.Time
	UpdatedAt time.Time
}

// TopicDetails are what a topic has beyond its name.
type TopicDetails struct {
	Description string // for the people on it
	DoubleOptIn bool   // whoever joins by a form is to confirm it; being put on by the application needs no such thing
	RedirectURL string // where such a form leads
	Archived    bool   // nobody is put on it any more; who is on it stays
}

// TopicChanges are changes of a topic; what is nil stays.
type TopicChanges struct {
	Name        *string
	Description *string
	DoubleOptIn *bool
	RedirectURL *string
	Archived    *bool
}

// TopicMember is a user to be put on a topic. Channels limits what a send to
// the topic uses for them; nil: all. Names that are no channel of ours are
// kept as they came and mean nothing.
type TopicMember struct {
	Identifier   string
	Channels     []string
	Unsubscribed bool // on the topic, but not to be sent to
}

// TopicSubscription is a user on a topic.
type TopicSubscription struct {
	Topic      Topic
	UserID     UserID
	Identifier string // the user's
	Channels   []string
	Subscribed bool // when false, the user is on the topic and is not sent to
	CreatedAt  time.Time
}

// TopicChange is what a subscribe or unsubscribe call did.
type TopicChange struct {
	Topic    Topic
	Changed  int      // users that were not so before
	NotFound []string // identifiers that name no user
}
