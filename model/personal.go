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
func (k *Content) For(own TemplateText) *Content {
	said := *k
	for _, t := range []struct {
		text Texts
		own  string
		into *string
	}{{TextTitle, own.Title, &said.Title}, {TextBody, own.Body, &said.Body}, {TextIcon, own.Icon, &said.Icon}, {TextURL, own.URL, &said.URL}} {
		if k.Personal&t.text != 0 {
			*t.into = t.own
		}
	}
	return &said
}

// Texts are what the content says.
func (k *Content) Texts() TemplateText {
	return TemplateText{Title: k.Title, Body: k.Body, Icon: k.Icon, URL: k.URL}
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
