package model

import "time"

// Limits of layouts.
const (
	MaxLayouts       = 500 // of an environment
	MaxLayoutContent = 256 << 10
)

// Layout is a frame for the e-mails of templates, as HTML, as text, or both: each
// has one {{content}}, where what the template says goes. Its identifier is unique in
// the environment. Every change of its content makes a version, and what was accepted
// with one keeps it.
type Layout struct {
	ID         LayoutID
	EnvID      EnvID
	Identifier string
	Name       string // for people
	Version    int64  // counted from 1
	Content    LayoutContent
	Default    bool // whether templates use it that choose none; one of the environment at most
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// LayoutContent are the sources of a layout; an empty one is not there.
type LayoutContent struct {
	HTML string `json:"html,omitempty"`
	Text string `json:"text,omitempty"`
}

// LayoutRef names a version of a layout.
type LayoutRef struct {
	ID      LayoutID `json:"id"`
	Version int64    `json:"version"`
}

// LayoutChange changes a layout; what is nil stays. With ExpectedVersion, it must be
// the current one.
type LayoutChange struct {
	Name            *string
	Content         *LayoutContent
	Default         *bool
	ExpectedVersion *int64
}

// LayoutUse is what a template says about the layout of its e-mails.
type LayoutUse string

// The ways to choose a layout. The zero value is LayoutDefault.
const (
	LayoutDefault LayoutUse = ""
	LayoutNamed   LayoutUse = "NAMED"
	LayoutNone    LayoutUse = "NONE"
)

// TemplateLayout is which layout the e-mails of a template have.
type TemplateLayout struct {
	Use        LayoutUse
	Identifier string     // with LayoutNamed, of the layout
	Ref        *LayoutRef // what that comes to now, as the store found it; nil: none
}
