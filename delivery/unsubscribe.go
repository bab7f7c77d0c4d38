package delivery

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"

	"carillon/model"
)

// Unsubscription is what the link in a message ends: what a user gets of a
// category over a channel. Category zero: everything that is not required.
type Unsubscription struct {
	Env      model.EnvID      `json:"e"`
	User     model.UserID     `json:"u"`
	Category model.CategoryID `json:"g,omitempty"`
	Channel  model.Channel    `json:"c"`
}

// unsubscribeContext binds the tokens of links to their use.
var unsubscribeContext = []byte("unsubscribe")

// UnsubscribeURL makes the link that unsubscribes by one POST, as RFC 8058 says;
// "": this server does not know its public address. A link works as long as the
// user and the master key are there, and tells nothing about them.
func (s *Service) UnsubscribeURL(u Unsubscription) string {
	if s.PublicURL == "" {
		return ""
	}
	text, err := json.Marshal(u)
	if err != nil {
		return "" // four numbers always encode
	}
	return s.PublicURL + "/unsubscribe/" + base64.RawURLEncoding.EncodeToString(s.Box.Seal(text, unsubscribeContext))
}

var errNoLink = model.Errorf(model.KindNotFound, "this is no link of this server's for unsubscribing")

// CheckUnsubscribe reports whether a link's token is one that this server made;
// any other is a KindNotFound error.
func (s *Service) CheckUnsubscribe(token string) error {
	_, err := s.openUnsubscription(token)
	return err
}

func (s *Service) openUnsubscription(token string) (u Unsubscription, err error) {
	sealed, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return u, errNoLink
	}
	text, err := s.Box.Open(sealed, unsubscribeContext)
	if err != nil || json.Unmarshal(text, &u) != nil {
		return u, errNoLink
	}
	return u, nil
}

// Unsubscribe does what a link says, as the user's own choice: they may change
// it back in their preferences. A token that is not ours is a KindNotFound
// error; a user or a category that is gone gets nothing any more, and is none.
func (s *Service) Unsubscribe(ctx context.Context, token string) error {
	u, err := s.openUnsubscription(token)
	if err != nil {
		return err
	}
	off := false
	_, err = s.Store.SetPreferences(ctx, u.Env, model.Once{}, u.User, func(categories []model.Category) ([]model.ChoiceChange, error) {
		if u.Category != 0 && !slices.ContainsFunc(categories, func(c model.Category) bool { return c.ID == u.Category }) {
			return nil, nil
		}
		return []model.ChoiceChange{{Category: u.Category, Channel: u.Channel, Enabled: &off}}, nil
	}, func([]model.Category, []model.Choice) []model.CategoryPreference { return nil })
	if gone, ok := errors.AsType[*model.Error](err); ok && gone.Kind == model.KindNotFound {
		return nil
	}
	return err
}

// required reports whether users cannot switch a channel off for a category.
func required(c *model.Category, channel model.Channel) bool {
	return c != nil && slices.Contains(c.RequiredChannels, channel)
}
