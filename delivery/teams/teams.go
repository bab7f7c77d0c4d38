// Package teams posts cards to Microsoft Teams: to the URL of a workflow ("when a
// webhook request is received") or of an incoming webhook. The card is built of text
// runs, which Teams does not parse for markup.
package teams

import (
	"bytes"
	"context"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"carillon/delivery"
	"carillon/internal/dial"
	"carillon/model"
)

// Kind is Microsoft Teams.
var Kind = &delivery.Kind{
	Name: "teams", Title: "Microsoft Teams", Channels: []model.Channel{model.ChannelTeams},
	New: func(_ delivery.Account, out delivery.Outside) (delivery.Sender, error) { return &sender{out}, nil },
}

type sender struct{ out delivery.Outside }

// Limits that keep a card below the 28 KB that Teams takes.
const (
	maxTitle   = 500
	maxText    = 12 << 10
	maxActions = 6
)

type object map[string]any

func run(text string, limit int) object {
	return object{"type": "TextRun", "text": delivery.Cut(text, limit)}
}

// compose wraps an adaptive card of version 1.4, which the clients of today show.
func compose(m delivery.Message) object {
	title := run(delivery.OneLine(m.Title), maxTitle)
	title["weight"], title["size"] = "Bolder", "Medium"
	body := []any{object{"type": "RichTextBlock", "inlines": []any{title}}}
	if text := strings.TrimSpace(m.Text); text != "" {
		body = append(body, object{"type": "RichTextBlock", "inlines": []any{run(text, maxText)}})
	}
	card := object{"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4", "body": body}
	links := m.Links()
	if m.URL != "" {
		links = append(links, model.Block{Text: "Open", Link: m.URL})
	}
	var actions []any
	for _, l := range links[:min(len(links), maxActions)] {
		label := delivery.Cut(delivery.OneLine(l.Text), 100)
		if label == "" {
			label = "Open"
		}
		actions = append(actions, object{"type": "Action.OpenUrl", "title": label, "url": l.Link})
	}
	if len(actions) > 0 {
		card["actions"] = actions
	}
	return object{"type": "message", "attachments": []any{
		object{"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": nil, "content": card},
	}}
}

// Send implements [delivery.Sender].
func (s *sender) Send(ctx context.Context, m delivery.Message) (delivery.Receipt, error) {
	if _, err := s.out.Guard.CheckURL(m.To.Address, "https", "http"); err != nil {
		return delivery.Receipt{}, delivery.Errorf(model.ClassPermanent, "the URL of the webhook %v", err)
	}
	body, err := delivery.JSON(compose(m), m.Overrides)
	if err != nil {
		return delivery.Receipt{}, err
	}
	answer, err := s.out.Post(ctx, m.To.Address, http.Header{}, body)
	if err != nil {
		return delivery.Receipt{}, err
	}
	if err := s.judge(answer); err != nil {
		return delivery.Receipt{}, err
	}
	return delivery.Receipt{Status: answer.Status, Answer: string(answer.Body)}, nil
}

// inside finds the status that an incoming webhook hides in a 200: "Webhook message
// delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 …".
var inside = regexp.MustCompile(`(?i)HTTP error (\d{3})`)

func (s *sender) judge(a *dial.Answer) error {
	status := a.Status
	if found := inside.FindSubmatch(a.Body); found != nil && status < 300 {
		status, _ = strconv.Atoi(string(found[1])) // three digits
	}
	if e := delivery.StatusError(status, a.Header, a.Body, s.out.Now()); e != nil {
		switch {
		case status == http.StatusNotFound:
			e.Class = model.ClassAddressDead // the URL is the address
		case e.Class == model.ClassAuth:
			e.Class = model.ClassPermanent // the credential is part of the address
		}
		return e
	}
	// An incoming webhook says 1; a workflow accepts, and says nothing.
	if word := string(bytes.TrimSpace(a.Body)); a.Status == http.StatusOK && word != "" && word != "1" {
		return delivery.Unreadable(a)
	}
	return nil
}
