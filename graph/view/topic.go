package view

import (
	"slices"
	"time"

	"carillon/model"
)

// Topic is a list that users are put on.
type Topic struct{ model.Topic }

// NewTopic shows a topic.
func NewTopic(t model.Topic) *Topic { return &Topic{t} }

// Topics shows several.
func Topics(ts []model.Topic) []*Topic {
	out := make([]*Topic, len(ts))
	for i, t := range ts {
		out[i] = NewTopic(t)
	}
	return out
}

// IsNode marks a Node.
func (*Topic) IsNode() {}

// ID is the opaque id.
func (t *Topic) ID() string { return TopicID(t.Topic.ID) }

// Number is the id as text.
func (t *Topic) Number() string { return number(int64(t.Topic.ID)) }

// Description is what people read about it.
func (t *Topic) Description() *string { return text(t.Topic.Description) }

// RedirectURL is where a form of joining leads.
func (t *Topic) RedirectURL() *string { return text(t.Topic.RedirectURL) }

// TopicSubscriberEdge is a user on a topic, at a place in a list.
type TopicSubscriberEdge struct {
	Cursor       string
	Node         *User
	subscription model.TopicSubscription
}

// NewTopicSubscriberEdge shows a subscription and its user.
func NewTopicSubscriberEdge(cursor string, u *User, s model.TopicSubscription) *TopicSubscriberEdge {
	return &TopicSubscriberEdge{cursor, u, s}
}

// Channels are those that the user is on the topic for. Names that are no
// channel of ours are left out.
func (e *TopicSubscriberEdge) Channels() []model.Channel {
	if e.subscription.Channels == nil {
		return model.Channels()
	}
	out := []model.Channel{}
	for _, c := range model.Channels() {
		if slices.Contains(e.subscription.Channels, c.String()) {
			out = append(out, c)
		}
	}
	return out
}

// SubscribedAt is when the user was put on the topic.
func (e *TopicSubscriberEdge) SubscribedAt() time.Time { return e.subscription.CreatedAt }

// Subscribed says whether the topic's sends go to the user.
func (e *TopicSubscriberEdge) Subscribed() bool { return e.subscription.Subscribed }
