package model

import (
	"cmp"
	"encoding/json"
	"time"
)

// Limits of templates.
const (
	MaxTemplates       = 1000 // of an environment
	MaxTemplateContent = 512 << 10
)

// Template is what sends say, written once: a content for all channels, and what
// single channels say instead. Its identifier is unique in the environment. Every
// change of its content makes a version, and what was accepted with one keeps it.
type Template struct {
	ID         TemplateID
	EnvID      EnvID
	Identifier string
	Name       string // for people
	Version    int64  // counted from 1
	Content    TemplateText
	Channels   map[Channel]TemplateText
	Layout     TemplateLayout
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// TemplateText are the sources of a content; an empty one is not there.
type TemplateText struct {
	Title string `json:"title,omitempty"` // of an e-mail, the subject
	Body  string `json:"body,omitempty"`
	HTML  string `json:"html,omitempty"` // of e-mails
	URL   string `json:"url,omitempty"`
	Icon  string `json:"icon,omitempty"`
}

// For is what a channel says: its own text, and the one for all where it has none.
func (t Template) For(c Channel) TemplateText {
	text, own := t.Content, t.Channels[c]
	return TemplateText{
		Title: cmp.Or(own.Title, text.Title), Body: cmp.Or(own.Body, text.Body), HTML: cmp.Or(own.HTML, text.HTML),
		URL: cmp.Or(own.URL, text.URL), Icon: cmp.Or(own.Icon, text.Icon),
	}
}

// TemplateRef names a version of a template.
type TemplateRef struct {
	ID      TemplateID `json:"id"`
	Version int64      `json:"version"`
}

// TemplateChange changes a template; what is nil stays. With ExpectedVersion, it
// must be the current one.
type TemplateChange struct {
	Name            *string
	Content         *TemplateText
	Channels        *map[Channel]TemplateText
	Layout          *TemplateLayout
	ExpectedVersion *int64
}

// TemplatePreview asks what a template would say to a user. Template is an
// identifier; without it, Draft is what is previewed.
type TemplatePreview struct {
	Template string
	Draft    *Template
	User     string // identifier; empty: nobody
	Data     json.RawMessage
	Channels []Channel // nil: those that have a content of their own, and the inbox
	// Layout is tried instead of the template's own; nil: the template's own, or that of
	// the draft.
	Layout *TemplateLayout
	// LayoutDraft is tried instead of a layout that there is.
	LayoutDraft *LayoutContent
}

// RenderedText is what a template says.
type RenderedText struct {
	Channel Channel
	TemplateText
	Missing []string // names that it prints and that were not in the data
}
