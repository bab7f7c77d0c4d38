package model

import "context"

// Texts are a choice among the texts of a content.
type Texts uint8

// The texts.
const (
	TextTitle Texts = 1 << iota
	TextBody
	TextIcon
	TextURL
)

// For is the content as it is read by a user whose own texts these are: they
// stand for those that are Personal.
func (c *Content) For(own TemplateText) *Content {
	k := *c
	for _, t := range []struct {
		text Texts
		own  string
		into *string
	}{{TextTitle, own.Title, &k.Title}, {TextBody, own.Body, &k.Body}, {TextIcon, own.Icon, &k.Icon}, {TextURL, own.URL, &k.URL}} {
		if c.Personal&t.text != 0 {
			*t.into = t.own
		}
	}
	return &k
}

// Texts are what the content says.
func (c *Content) Texts() TemplateText {
	return TemplateText{Title: c.Title, Body: c.Body, Icon: c.Icon, URL: c.URL}
}

// PersonalTexts asks what a send says to each of some users.
type PersonalTexts struct {
	Template *TemplateRef // which the send was accepted with
	// Content is what the send says. Its Personal texts are rendered, with its Data;
	// where one cannot be said to a user, what stands here is.
	Content *Content
	Users   []User
}

// Speaker says what a send with Personal texts says to each of some users: to the
// first of them, one at the least, when it would take too long for all.
type Speaker func(ctx context.Context, m Send, users []UserID) ([]TemplateText, error)
