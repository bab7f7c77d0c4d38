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
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// TopicMember is a user to be put on a topic. Channels limits what a send to
// the topic uses for them; nil: all. Names that are no channel of ours are
// kept as they came and mean nothing.
type TopicMember struct {
	Identifier string
	Channels   []string
}

// TopicSubscription is a user on a topic.
type TopicSubscription struct {
	Topic      Topic
	UserID     UserID
	Identifier string // the user's
	Channels   []string
	CreatedAt  time.Time
}

// TopicChange is what a subscribe or unsubscribe call did.
type TopicChange struct {
	Topic    Topic
	Changed  int      // users that were not so before
	NotFound []string // identifiers that name no user
}
