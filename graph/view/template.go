package view

import (
	"maps"
	"slices"

	"carillon/model"
)

// Template is what sends say, written once.
type Template struct {
	model.Template
	load Loader
}

// NewTemplate shows a template.
func NewTemplate(t model.Template, load Loader) *Template { return &Template{t, load} }

// Templates shows several.
func Templates(ts []model.Template, load Loader) []*Template {
	out := make([]*Template, len(ts))
	for i, t := range ts {
		out[i] = NewTemplate(t, load)
	}
	return out
}

// IsNode marks a Node.
func (*Template) IsNode() {}

// ID is the opaque id.
func (t *Template) ID() string { return TemplateID(t.Template.ID) }

// Number is the id as text.
func (t *Template) Number() string { return number(int64(t.Template.ID)) }

// Content is what every channel says that says nothing else.
func (t *Template) Content() *TemplateContent { return newTemplateContent(t.Template.Content) }

// Channels is what single channels say instead, in their fixed order.
func (t *Template) Channels() []*ChannelTemplate {
	out := []*ChannelTemplate{}
	for _, c := range slices.Sorted(maps.Keys(t.Template.Channels)) {
		out = append(out, &ChannelTemplate{Channel: c, Content: newTemplateContent(t.Template.Channels[c])})
	}
	return out
}

// TemplateContent are sources; nil: not there.
type TemplateContent struct{ Title, Body, HTML, URL, Icon *string }

func newTemplateContent(t model.TemplateText) *TemplateContent {
	return &TemplateContent{given(t.Title), given(t.Body), given(t.HTML), given(t.URL), given(t.Icon)}
}

// given is nil for a text that is not there.
func given(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// ChannelTemplate is what a channel says.
type ChannelTemplate struct {
	Channel model.Channel
	Content *TemplateContent
}

// TemplatePreview is what a template says on a channel.
type TemplatePreview struct {
	Channel               model.Channel
	Title                 string
	Body, HTML, URL, Icon *string
	Missing               []string
}

// TemplatePreviews shows what was rendered.
func TemplatePreviews(ts []model.RenderedText) []*TemplatePreview {
	out := make([]*TemplatePreview, len(ts))
	for i, t := range ts {
		out[i] = &TemplatePreview{t.Channel, t.Title, given(t.Body), given(t.HTML), given(t.URL), given(t.Icon), append([]string{}, t.Missing...)}
	}
	return out
}
