// Package render turns templates into text. A template is Handlebars in spirit:
//
//	{{recipient.firstName}}  {{data.order.id}}  {{default recipient.firstName "friend"}}
//	{{#if data.total}}…{{else if data.free}}…{{else}}…{{/if}}  {{#unless data.paid}}…{{/unless}}
//	{{#each data.items}}{{@index}} {{this.name}} {{../currency}}{{else}}…{{/each}}  {{#with data.order}}…{{/with}}
//	{{! a comment }}
//
// and its helpers are default, eq, ne, lt, gt, and, or, not and length, which may be
// nested in parentheses. There are no partials, no loops but over data, and no way
// to print anything unescaped: what is printed is escaped for the place it stands
// in. Data is printed and never read as template.
//
// A layout is a template with one {{content}}, where what another template rendered
// goes as it is. That is never read as template either, so that nothing recurs.
//
// Whoever writes a template is not trusted: parsing and rendering are bounded in
// size, depth and time, and end in an error with its place. The package is pure; it
// knows neither channels nor where templates are kept.
package render

import (
	"fmt"
	"time"
)

// Limits of templates.
const (
	MaxSource = 128 << 10 // bytes of a template
	MaxOutput = 256 << 10 // bytes that it may render
	MaxDepth  = 20        // blocks and parentheses within each other
	MaxTime   = 100 * time.Millisecond
)

// Mode is what a template's text is, and so how what it prints is escaped.
type Mode int

// The modes.
const (
	Text Mode = iota // printed as it is
	HTML             // escaped for text and for attributes in quotes; nothing can be printed elsewhere in a tag
	URL              // escaped as part of a URL, but for what begins it
)

// Error is what is wrong with a template, and where: lines and columns are counted
// from 1, columns in characters.
type Error struct {
	Line, Column int
	Message      string
}

func (e *Error) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Message)
}

// position is a place in a source, counted in bytes.
type position int

func errorAt(source string, at position, format string, args ...any) *Error {
	e := &Error{Line: 1, Column: 1, Message: fmt.Sprintf(format, args...)}
	for i, r := range source {
		if position(i) >= at {
			break
		}
		e.Column++
		if r == '\n' {
			e.Line, e.Column = e.Line+1, 1
		}
	}
	return e
}
