// Package discord posts to the webhooks of Discord's channels. Nothing in a
// notification mentions anybody, and what would be markup is shown as it is written.
package discord

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"carillon/delivery"
	"carillon/internal/dial"
	"carillon/model"
)

// Kind is Discord.
var Kind = &delivery.Kind{
	Name: "discord", Title: "Discord", Channels: []model.Channel{model.ChannelDiscord},
	Fields: []delivery.Field{
		{Name: "username", Help: "name that messages appear under; left out: that of the webhook", Type: delivery.FieldText},
		{Name: "avatarUrl", Help: "picture beside it", Type: delivery.FieldText},
	},
	New: func(a delivery.Account, out delivery.Outside) (delivery.Sender, error) {
		s := &sender{out: out}
		if err := a.Into(&s.settings, nil); err != nil {
			return nil, err
		}
		var c model.Check
		c.That(len(s.Username) <= 80, "must have at most 80 bytes", "config", "username")
		return s, c.Err()
	},
}

type settings struct {
	Username  string `json:"username"`
	AvatarURL string `json:"avatarUrl"`
}

type sender struct {
	settings
	out delivery.Outside
}

// message is Discord's "execute webhook".
type message struct {
	Username  string  `json:"username,omitempty"`
	AvatarURL string  `json:"avatar_url,omitempty"`
	Embeds    []embed `json:"embeds"`
	// Mentions names what may be mentioned: nothing. An empty list must be there.
	Mentions struct {
		Parse []string `json:"parse"`
	} `json:"allowed_mentions"`
}

type embed struct {
	Title       string     `json:"title"`
	Description string     `json:"description,omitempty"`
	URL         string     `json:"url,omitempty"`
	Thumbnail   *thumbnail `json:"thumbnail,omitempty"`
}

type thumbnail struct {
	URL string `json:"url"`
}

// Limits of Discord's embeds, in characters; bytes keep below them.
const (
	maxTitle       = 256
	maxDescription = 4096
	maxURL         = 2048
)

func (s *sender) compose(m delivery.Message) message {
	e := embed{Title: delivery.Cut(Escape(delivery.OneLine(m.Title)), maxTitle)}
	if len(m.URL) <= maxURL {
		e.URL = m.URL
	}
	parts := []string{Escape(strings.TrimSpace(m.Text))}
	for _, l := range m.Links() {
		// A label in brackets would be markup, and its own brackets would end it.
		parts = append(parts, strings.TrimPrefix(Escape(delivery.OneLine(l.Text))+": "+l.Link, ": "))
	}
	e.Description = delivery.Cut(strings.TrimSpace(strings.Join(parts, "\n\n")), maxDescription)
	if strings.HasPrefix(m.Icon, "https://") && len(m.Icon) <= maxURL {
		e.Thumbnail = &thumbnail{m.Icon}
	}
	out := message{Username: s.Username, AvatarURL: s.AvatarURL, Embeds: []embed{e}}
	out.Mentions.Parse = []string{}
	return out
}

const special = "\\`*_{}[]()#+-.!~|<>@:"

// Escape has Discord show text as it is written.
func Escape(s string) string {
	var b strings.Builder
	for _, r := range s {
		if strings.ContainsRune(special, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Send implements [delivery.Sender].
func (s *sender) Send(ctx context.Context, m delivery.Message) (delivery.Receipt, error) {
	u, err := s.out.Guard.CheckURL(m.To.Address, "https", "http")
	if err != nil {
		return delivery.Receipt{}, delivery.Errorf(model.ClassPermanent, "the URL of the webhook %v", err)
	}
	body, err := delivery.JSON(s.compose(m), m.Overrides)
	if err != nil {
		return delivery.Receipt{}, err
	}
	answer, err := s.out.Post(ctx, waiting(u), http.Header{}, body)
	if err != nil {
		return delivery.Receipt{}, err
	}
	if err := s.judge(answer); err != nil {
		return delivery.Receipt{}, err
	}
	var said struct{ ID string }
	if answer.Status != http.StatusNoContent && (json.Unmarshal(answer.Body, &said) != nil || said.ID == "") {
		return delivery.Receipt{}, delivery.Unreadable(answer)
	}
	return delivery.Receipt{MessageID: said.ID, Status: answer.Status}, nil
}

// waiting asks Discord to answer when it has saved the message, with its id.
func waiting(u *url.URL) string {
	to := *u
	q := to.Query()
	q.Set("wait", "true")
	to.RawQuery, to.Fragment = q.Encode(), ""
	return to.String()
}

// Codes of Discord's errors for webhooks that are no more.
const (
	unknownChannel = 10003
	unknownWebhook = 10015
	invalidToken   = 50027
)

// judge goes by the body too: the credential is part of the address, so that a
// refusal of it is about the address, and a limit says its seconds in the body.
func (s *sender) judge(a *dial.Answer) error {
	e := delivery.StatusError(a.Status, a.Header, a.Body, s.out.Now())
	if e == nil {
		return nil
	}
	var said struct {
		Code       int
		RetryAfter float64 `json:"retry_after"`
	}
	_ = json.Unmarshal(a.Body, &said) // a body that is none says nothing
	switch {
	case said.Code == unknownWebhook, said.Code == unknownChannel, said.Code == invalidToken, a.Status == http.StatusNotFound, a.Status == http.StatusUnauthorized:
		e.Class = model.ClassAddressDead
	case e.Class == model.ClassAuth:
		e.Class = model.ClassPermanent
	case e.Class == model.ClassRateLimited && e.RetryAfter == 0 && said.RetryAfter > 0:
		e.RetryAfter = time.Duration(min(said.RetryAfter, 24*3600) * float64(time.Second))
	}
	return e
}
