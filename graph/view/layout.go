package view

import (
	"cmp"
	"context"

	"github.com/99designs/gqlgen/graphql"

	"carillon/model"
)

// Layout is a frame for the e-mails of templates.
type Layout struct{ model.Layout }

// NewLayout shows a layout.
func NewLayout(l model.Layout) *Layout { return &Layout{l} }

// Layouts shows several.
func Layouts(ls []model.Layout) []*Layout {
	out := make([]*Layout, len(ls))
	for i, l := range ls {
		out[i] = NewLayout(l)
	}
	return out
}

// IsNode marks a Node.
func (*Layout) IsNode() {}

// ID is the opaque id.
func (l *Layout) ID() string { return LayoutID(l.Layout.ID) }

// Number is the id as text.
func (l *Layout) Number() string { return number(int64(l.Layout.ID)) }

// Content are its sources.
func (l *Layout) Content() *LayoutContent {
	return &LayoutContent{given(l.Layout.Content.HTML), given(l.Layout.Content.Text)}
}

// LayoutContent are sources; nil: not there.
type LayoutContent struct{ HTML, Text *string }

// LayoutUse is what the template says about its layout.
func (t *Template) LayoutUse() model.LayoutUse { return t.Template.Layout.Use }

// Layout is the layout that its e-mails have now; nil: none.
func (t *Template) Layout(ctx context.Context) (*Layout, error) {
	ref := t.Template.Layout.Ref
	if ref == nil {
		return nil, nil
	}
	return t.load.Layout(ctx, ref.ID)
}

// The layout that is chosen by saying nothing has a word of its own in the schema.
const layoutDefault = "DEFAULT"

// MarshalLayoutUse writes what a template says about its layout.
func MarshalLayoutUse(v model.LayoutUse) graphql.Marshaler {
	return word(cmp.Or(v, layoutDefault))
}

// UnmarshalLayoutUse reads what a template says about its layout.
func UnmarshalLayoutUse(v any) (model.LayoutUse, error) {
	use, err := oneOf(v, layoutDefault, model.LayoutNamed, model.LayoutNone)
	if use == layoutDefault {
		use = model.LayoutDefault
	}
	return use, err
}
