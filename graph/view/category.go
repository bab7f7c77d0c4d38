package view

import "carillon/model"

// Category is what preferences are about.
type Category struct{ model.Category }

// NewCategory shows a category.
func NewCategory(c model.Category) *Category { return &Category{c} }

// Categories shows several.
func Categories(cs []model.Category) []*Category {
	out := make([]*Category, len(cs))
	for i, c := range cs {
		out[i] = NewCategory(c)
	}
	return out
}

// IsNode marks a Node.
func (*Category) IsNode() {}

// ID is the opaque id.
func (c *Category) ID() string { return CategoryID(c.Category.ID) }

// Number is the id as text.
func (c *Category) Number() string { return number(int64(c.Category.ID)) }

// HideInPreferences says whether users do not see it among their preferences.
func (c *Category) HideInPreferences() bool { return c.HideInPrefs }

// ChannelDefaults are the defaults of single channels, in the channels' order.
func (c *Category) ChannelDefaults() []ChannelDefault {
	out := []ChannelDefault{}
	for _, ch := range model.Channels() {
		if on, ok := c.Category.ChannelDefaults[ch]; ok {
			out = append(out, ChannelDefault{ch, on})
		}
	}
	return out
}

// ChannelDefault is what a channel does for users who chose nothing.
type ChannelDefault struct {
	Channel model.Channel
	Enabled bool
}

// CategoryPreference is a category with a user's state for each channel.
type CategoryPreference struct{ model.CategoryPreference }

// Category is what it is about.
func (p *CategoryPreference) Category() *Category { return NewCategory(p.CategoryPreference.Category) }

// CategoryPreferences shows several.
func CategoryPreferences(ps []model.CategoryPreference) []*CategoryPreference {
	out := make([]*CategoryPreference, len(ps))
	for i, p := range ps {
		out[i] = &CategoryPreference{p}
	}
	return out
}
