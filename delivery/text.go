package delivery

import (
	"slices"
	"strings"

	"carillon/model"
)

// Plain is what the message says below its title, as text without markup: the
// text, where its blocks lead, and where a press leads, which is not said twice.
func (m Message) Plain() string {
	var parts []string
	if t := strings.TrimSpace(m.Text); t != "" {
		parts = append(parts, t)
	}
	for _, b := range m.Links() {
		parts = append(parts, strings.TrimPrefix(b.Text+": "+b.Link, ": "))
	}
	if m.URL != "" && !strings.Contains(m.Text, m.URL) && !slices.ContainsFunc(m.Blocks, func(b model.Block) bool { return b.Link == m.URL }) {
		parts = append(parts, m.URL)
	}
	return strings.Join(parts, "\n\n")
}

// Links are the blocks that lead somewhere.
func (m Message) Links() []model.Block {
	return slices.DeleteFunc(slices.Clone(m.Blocks), func(b model.Block) bool { return b.Link == "" })
}

// OneLine is s with its line breaks and other control characters as single
// spaces, for places that have one line.
func OneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return r == ' ' || r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' || r == '\u0085'
	}), " ")
}

// Cut is s, or as many of its first runes as fit into limit bytes with an ellipsis.
func Cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	const ellipsis = "…"
	end := limit - len(ellipsis)
	for end > 0 && s[end]&0xc0 == 0x80 { // in the middle of a rune
		end--
	}
	return s[:max(end, 0)] + ellipsis
}
