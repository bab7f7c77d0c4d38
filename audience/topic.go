// Package audience holds the lists that sends are addressed to: topics, which
// users are put on. It does not send, and does not know what a channel does.
package audience

import (
	"context"
	"fmt"
	"strconv"

	"carillon/model"
)

// Store is what topics need from the database; *store.Store has it.
type Store interface {
	CreateTopic(ctx context.Context, env model.EnvID, o model.Once, identifier, name string, details model.TopicDetails) (model.Outcome[model.Topic], error)
	UpdateTopic(ctx context.Context, env model.EnvID, o model.Once, identifier string, change model.TopicChanges) (model.Outcome[model.Topic], error)
	DeleteTopic(ctx context.Context, env model.EnvID, o model.Once, identifier string) (model.Outcome[model.TopicID], error)
	DeleteTopicByID(ctx context.Context, env model.EnvID, o model.Once, id model.TopicID) (model.Outcome[model.TopicID], error)
	SubscribeToTopic(ctx context.Context, env model.EnvID, o model.Once, identifier string, members []model.TopicMember) (model.Outcome[model.TopicChange], error)
	UnsubscribeFromTopic(ctx context.Context, env model.EnvID, o model.Once, identifier string, users []string) (model.Outcome[model.TopicChange], error)
	Topic(ctx context.Context, env model.EnvID, identifier string) (model.Topic, error)
	TopicByID(ctx context.Context, env model.EnvID, id model.TopicID) (model.Topic, error)
	Topics(ctx context.Context, env model.EnvID, page model.PageRequest) (model.Page[model.Topic], error)
	OpenTopics(ctx context.Context, env model.EnvID, page model.PageRequest) (model.Page[model.Topic], error)
	Subscriptions(ctx context.Context, env model.EnvID, user model.UserID, page model.PageRequest) (model.Page[model.TopicSubscription], error)
	TopicsOfUsers(ctx context.Context, env model.EnvID, users []model.UserID) (map[model.UserID][]model.TopicSubscription, error)
	SubscriberCounts(ctx context.Context, env model.EnvID, topics []model.TopicID) (map[model.TopicID]int64, error)
	Subscribers(ctx context.Context, env model.EnvID, topic model.TopicID, page model.PageRequest) (model.Page[model.TopicSubscription], error)
}

// Service keeps topics. What it refuses is a KindInvalid error with every
// problem; a topic that is not there is KindNotFound at "topic".
type Service struct{ Store Store }

// maxName is the longest name of a topic, in bytes.
const maxName = 255

// MaxMemberChannels is how many names of channels a subscription may hold.
const MaxMemberChannels = 50

// unknown is the error for a topic that cannot be there: no identifier is so.
func unknown(identifier string) error {
	if model.CheckIdentifier(identifier) == "" {
		return nil
	}
	return model.NotFound("names no topic", "topic")
}

func checkName(c *model.Check, name string) {
	switch wrong := model.CheckText(name, maxName); {
	case name == "":
		c.Add(model.ProblemRequired, "must not be empty", "name")
	case wrong != "":
		c.Add(model.ProblemInvalid, wrong, "name")
	}
}

// Create makes a topic; an identifier that is taken is KindConflict.
func (s *Service) Create(ctx context.Context, env model.EnvID, o model.Once, identifier, name string, details model.TopicDetails) (model.Outcome[model.Topic], error) {
	var c model.Check
	if wrong := model.CheckIdentifier(identifier); wrong != "" {
		c.Add(model.ProblemInvalid, wrong, "identifier")
	}
	checkName(&c, name)
	checkDetails(&c, &details.Description, &details.RedirectURL)
	if err := c.Err(); err != nil {
		return model.Outcome[model.Topic]{}, err
	}
	return s.Store.CreateTopic(ctx, env, o, identifier, name, details)
}

// Update changes a topic.
func (s *Service) Update(ctx context.Context, env model.EnvID, o model.Once, identifier string, change model.TopicChanges) (model.Outcome[model.Topic], error) {
	if err := unknown(identifier); err != nil {
		return model.Outcome[model.Topic]{}, err
	}
	var c model.Check
	if change.Name != nil {
		checkName(&c, *change.Name)
	}
	checkDetails(&c, change.Description, change.RedirectURL)
	if err := c.Err(); err != nil {
		return model.Outcome[model.Topic]{}, err
	}
	return s.Store.UpdateTopic(ctx, env, o, identifier, change)
}

// maxDescription is the longest description of a topic, in bytes.
const maxDescription = 4096

func checkDetails(c *model.Check, description, redirect *string) {
	if description != nil {
		if wrong := model.CheckText(*description, maxDescription); wrong != "" {
			c.Add(model.ProblemInvalid, wrong, "description")
		}
	}
	if redirect != nil && *redirect != "" {
		if wrong := model.CheckWebURL(*redirect); wrong != "" {
			c.Add(model.ProblemInvalid, wrong, "redirectUrl")
		}
	}
}

// Delete deletes a topic and everyone's place on it.
func (s *Service) Delete(ctx context.Context, env model.EnvID, o model.Once, identifier string) (model.Outcome[model.TopicID], error) {
	if err := unknown(identifier); err != nil {
		return model.Outcome[model.TopicID]{}, err
	}
	return s.Store.DeleteTopic(ctx, env, o, identifier)
}

// DeleteByID is Delete for callers who know the topic by its id.
func (s *Service) DeleteByID(ctx context.Context, env model.EnvID, o model.Once, id model.TopicID) (model.Outcome[model.TopicID], error) {
	return s.Store.DeleteTopicByID(ctx, env, o, id)
}

// Subscribe puts up to MaxTopicChange users on a topic, or changes the channels
// of those who are on it; a user named twice counts as named last.
func (s *Service) Subscribe(ctx context.Context, env model.EnvID, o model.Once, identifier string, members []model.TopicMember) (model.Outcome[model.TopicChange], error) {
	if err := unknown(identifier); err != nil {
		return model.Outcome[model.TopicChange]{}, err
	}
	var c model.Check
	checkCount(&c, len(members))
	if err := c.Err(); err != nil {
		return model.Outcome[model.TopicChange]{}, err
	}
	for i, m := range members {
		at := c.At("users", strconv.Itoa(i))
		if wrong := model.CheckIdentifier(m.Identifier); wrong != "" {
			at.Add(model.ProblemInvalid, wrong, "identifier")
		}
		if n := len(m.Channels); n > MaxMemberChannels {
			at.Add(model.ProblemLimit, fmt.Sprintf("must name at most %d channels, names %d", MaxMemberChannels, n), "channels")
			continue
		}
		for j, channel := range m.Channels {
			if wrong := model.CheckIdentifier(channel); wrong != "" {
				at.Add(model.ProblemInvalid, wrong, "channels", strconv.Itoa(j))
			}
		}
	}
	if err := c.Err(); err != nil {
		return model.Outcome[model.TopicChange]{}, err
	}
	return s.Store.SubscribeToTopic(ctx, env, o, identifier, members)
}

// Unsubscribe takes up to MaxTopicChange users off a topic.
func (s *Service) Unsubscribe(ctx context.Context, env model.EnvID, o model.Once, identifier string, users []string) (model.Outcome[model.TopicChange], error) {
	if err := unknown(identifier); err != nil {
		return model.Outcome[model.TopicChange]{}, err
	}
	var c model.Check
	checkCount(&c, len(users))
	if err := c.Err(); err != nil {
		return model.Outcome[model.TopicChange]{}, err
	}
	for i, u := range users {
		if wrong := model.CheckIdentifier(u); wrong != "" {
			c.Add(model.ProblemInvalid, wrong, "users", strconv.Itoa(i))
		}
	}
	if err := c.Err(); err != nil {
		return model.Outcome[model.TopicChange]{}, err
	}
	return s.Store.UnsubscribeFromTopic(ctx, env, o, identifier, users)
}

func checkCount(c *model.Check, n int) {
	switch {
	case n == 0:
		c.Add(model.ProblemRequired, "must name at least one user", "users")
	case n > model.MaxTopicChange:
		c.Add(model.ProblemLimit, fmt.Sprintf("must name at most %d users, names %d; call again for the rest", model.MaxTopicChange, n), "users")
	}
}

// Find reads a topic by identifier.
func (s *Service) Find(ctx context.Context, env model.EnvID, identifier string) (model.Topic, error) {
	if err := unknown(identifier); err != nil {
		return model.Topic{}, err
	}
	return s.Store.Topic(ctx, env, identifier)
}

// ByID reads a topic by id.
func (s *Service) ByID(ctx context.Context, env model.EnvID, id model.TopicID) (model.Topic, error) {
	return s.Store.TopicByID(ctx, env, id)
}

// List lists the topics of an environment, newest first.
func (s *Service) List(ctx context.Context, env model.EnvID, page model.PageRequest) (model.Page[model.Topic], error) {
	return s.Store.Topics(ctx, env, page)
}

// ListOpen is List without the topics that were archived.
func (s *Service) ListOpen(ctx context.Context, env model.EnvID, page model.PageRequest) (model.Page[model.Topic], error) {
	return s.Store.OpenTopics(ctx, env, page)
}

// Of lists the topics that a user is on, newest first.
func (s *Service) Of(ctx context.Context, env model.EnvID, user model.UserID, page model.PageRequest) (model.Page[model.TopicSubscription], error) {
	return s.Store.Subscriptions(ctx, env, user, page)
}

// Members lists the users on a topic, newest user first.
func (s *Service) Members(ctx context.Context, env model.EnvID, topic model.TopicID, page model.PageRequest) (model.Page[model.TopicSubscription], error) {
	return s.Store.Subscribers(ctx, env, topic, page)
}

// OfUsers lists the topics that users are on, in the order of joining. Of the
// topics it gives the ids.
func (s *Service) OfUsers(ctx context.Context, env model.EnvID, users []model.UserID) (map[model.UserID][]model.TopicSubscription, error) {
	return s.Store.TopicsOfUsers(ctx, env, users)
}

// Counts counts the users on topics, subscribed or not.
func (s *Service) Counts(ctx context.Context, env model.EnvID, topics []model.TopicID) (map[model.TopicID]int64, error) {
	return s.Store.SubscriberCounts(ctx, env, topics)
}
