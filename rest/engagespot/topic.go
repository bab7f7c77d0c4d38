package engagespot

import (
	"encoding/json"
	"net/http"
	"strconv"

	"carillon/auth"
	"carillon/model"
	"carillon/rest"
)

// topic is a list that users are put on.
type topic struct {
	ID         int64  `json:"id"`
	Name       string `json:"name"`
	Identifier string `json:"identifier"`
}

func newTopic(t model.Topic) topic {
	return topic{ID: int64(t.ID), Name: t.Name, Identifier: t.Identifier}
}

// createTopic makes a topic, or answers with the one that has the identifier
// already.
func (a *API) createTopic(r *http.Request) (int, any, error) {
	ctx, c := r.Context(), caller(r.Context())
	body, err := rest.Body(r, rest.MaxBody)
	if err != nil {
		return 0, nil, err
	}
	var check model.Check
	in := rest.Object(body, &check)
	in.Required("identifier", "name")
	identifier, name := in.Text("identifier"), in.Text("name")
	if err := check.Err(); err != nil {
		return 0, nil, err
	}
	once, err := rest.Once(r, c, "createTopic", body)
	if err != nil {
		return 0, nil, err
	}
	out, err := a.Topics.Create(ctx, c.Env.ID, once, identifier, name, model.TopicDetails{})
	if model.KindOf(err) == model.KindConflict {
		there, err := a.Topics.Find(ctx, c.Env.ID, identifier)
		return http.StatusOK, newTopic(there), err
	}
	return http.StatusOK, newTopic(out.Value), err
}

// onTopic is a change of the topic in the path.
type onTopic struct {
	caller auth.Caller
	topic  model.Topic
	body   json.RawMessage
	once   model.Once
}

func (a *API) onTopic(r *http.Request, operation string, body json.RawMessage) (onTopic, error) {
	c := caller(r.Context())
	id, ok := rest.ParseID(r.PathValue("id"))
	if !ok {
		return onTopic{}, badID("topic")
	}
	o := onTopic{caller: c, body: body}
	var err error
	if o.once, err = rest.Once(r, c, operation, body); err != nil {
		return o, err
	}
	o.topic, err = a.Topics.ByID(r.Context(), c.Env.ID, model.TopicID(id))
	return o, otherwise(err, noTopic())
}

func noTopic() error { return model.Errorf(model.KindNotFound, "there is no such topic") }

// updateTopic renames a topic.
func (a *API) updateTopic(r *http.Request) (int, any, error) {
	body, err := rest.Body(r, rest.MaxBody)
	if err != nil {
		return 0, nil, err
	}
	var check model.Check
	in := rest.Object(body, &check)
	in.Required("name")
	name := in.Text("name")
	if err := check.Err(); err != nil {
		return 0, nil, err
	}
	o, err := a.onTopic(r, "updateTopic", body)
	if err != nil {
		return 0, nil, err
	}
	out, err := a.Topics.Update(r.Context(), o.caller.Env.ID, o.once, o.topic.Identifier, model.TopicChanges{Name: &name})
	return http.StatusOK, newTopic(out.Value), otherwise(err, noTopic())
}

// deleteTopic deletes a topic and everyone's place on it.
func (a *API) deleteTopic(r *http.Request) (int, any, error) {
	c := caller(r.Context())
	id, ok := rest.ParseID(r.PathValue("id"))
	if !ok {
		return 0, nil, badID("topic")
	}
	once, err := rest.Once(r, c, "deleteTopic", nil)
	if err != nil {
		return 0, nil, err
	}
	if _, err := a.Topics.DeleteByID(r.Context(), c.Env.ID, once, model.TopicID(id)); err != nil {
		return 0, nil, otherwise(err, noTopic())
	}
	return http.StatusOK, said("the topic was deleted"), nil
}

// topicChanged is the answer to a change of who is on a topic.
type topicChanged struct {
	done
	NotFound []string `json:"notFound"` // identifiers that name no user
}

// subscribe puts users on a topic, or changes their channels.
func (a *API) subscribe(r *http.Request) (int, any, error) {
	body, err := rest.Body(r, rest.MaxBody)
	if err != nil {
		return 0, nil, err
	}
	var check model.Check
	in := rest.Object(body, &check)
	in.Required("users")
	var members []model.TopicMember
	for i, raw := range in.List("users") {
		one := rest.Object(raw, check.At("users", strconv.Itoa(i)))
		one.Required("identifier")
		members = append(members, model.TopicMember{Identifier: one.Text("identifier"), Channels: ourChannels(one.Texts("channels"))})
	}
	if err := check.Err(); err != nil {
		return 0, nil, err
	}
	return a.changeMembers(r, body, members)
}

// setTopicChannels changes the channels of one user on a topic.
func (a *API) setTopicChannels(r *http.Request) (int, any, error) {
	body, err := rest.Body(r, rest.MaxBody)
	if err != nil {
		return 0, nil, err
	}
	var check model.Check
	in := rest.Object(body, &check)
	in.Required("channels")
	member := model.TopicMember{Identifier: r.PathValue("identifier"), Channels: ourChannels(in.Texts("channels"))}
	if err := check.Err(); err != nil {
		return 0, nil, err
	}
	return a.changeMembers(r, body, []model.TopicMember{member})
}

func (a *API) changeMembers(r *http.Request, body json.RawMessage, members []model.TopicMember) (int, any, error) {
	o, err := a.onTopic(r, "subscribeToTopic", body)
	if err != nil {
		return 0, nil, err
	}
	out, err := a.Topics.Subscribe(r.Context(), o.caller.Env.ID, o.once, o.topic.Identifier, members)
	if err != nil {
		return 0, nil, otherwise(err, noTopic())
	}
	if len(out.Value.NotFound) == len(members) && len(members) == 1 {
		return 0, nil, noUser()
	}
	return http.StatusOK, topicChanged{said("the users were subscribed"), listed(out.Value.NotFound)}, nil
}

// unsubscribe takes users off a topic.
func (a *API) unsubscribe(r *http.Request) (int, any, error) {
	body, err := rest.Body(r, rest.MaxBody)
	if err != nil {
		return 0, nil, err
	}
	var check model.Check
	in := rest.Object(body, &check)
	in.Required("users")
	users := in.Texts("users")
	if err := check.Err(); err != nil {
		return 0, nil, err
	}
	o, err := a.onTopic(r, "unsubscribeFromTopic", body)
	if err != nil {
		return 0, nil, err
	}
	out, err := a.Topics.Unsubscribe(r.Context(), o.caller.Env.ID, o.once, o.topic.Identifier, users)
	if err != nil {
		return 0, nil, otherwise(err, noTopic())
	}
	return http.StatusOK, topicChanged{said("the users were unsubscribed"), listed(out.Value.NotFound)}, nil
}

func listed(names []string) []string {
	if names == nil {
		return []string{}
	}
	return names
}

// topicSubscription is a topic that a user is on.
type topicSubscription struct {
	Topic    topic    `json:"topic"`
	Channels []string `json:"channels"`
}

// subscriptions lists the topics that a user is on.
func (a *API) subscriptions(r *http.Request) (int, any, error) {
	ctx, c := r.Context(), caller(r.Context())
	u, err := a.Users.Find(ctx, c.Env.ID, r.PathValue("identifier"))
	if err != nil {
		return 0, nil, otherwise(err, noUser())
	}
	out := []topicSubscription{}
	page := model.PageRequest{Limit: model.MaxPage}
	for {
		found, err := a.Topics.Of(ctx, c.Env.ID, u.ID, page)
		if err != nil {
			return 0, nil, err
		}
		for _, s := range found.Items {
			channels := theirChannels(s.Channels)
			if s.Channels == nil {
				channels = namesOf(c.Env.Channels())
			}
			out = append(out, topicSubscription{newTopic(s.Topic), channels})
		}
		if !found.HasMore {
			return http.StatusOK, out, nil
		}
		last := found.Items[len(found.Items)-1]
		page.After = &model.PageKey{ID: int64(last.Topic.ID)}
	}
}

// ourChannels puts names of channels into our words. Those that are not known
// here are kept as they came, and mean nothing. Nil stays nil: every channel.
func ourChannels(names []string) []string {
	if names == nil {
		return nil
	}
	out := make([]string, len(names))
	for i, name := range names {
		if out[i] = name; channels[name] != 0 {
			out[i] = channels[name].String()
		}
	}
	return out
}

// theirChannels is the inverse of ourChannels.
func theirChannels(ours []string) []string {
	out := make([]string, len(ours))
	for i, name := range ours {
		out[i] = name
		if c, ok := model.ParseChannel(name); ok && channelNames[c] != "" {
			out[i] = channelNames[c]
		}
	}
	return out
}
