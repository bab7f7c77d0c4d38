package model

import (
	"bytes"
	"encoding/json"
	"slices"
)

// ContentChange is what an edit makes of what a send says. What is nil stays; an
// empty text, an empty object and an empty list take away what was there.
type ContentChange struct {
	Title  *string
	Body   *string
	Icon   *string
	URL    *string
	Data   json.RawMessage // a JSON object in place of all that was there
	Blocks []Block

	// Rendered are the texts that the send's template makes of Data, and which of
	// them are Personal; nil: the send has no template, or none that speaks for it.
	Rendered *Content
}

// Checked returns the change as it is to be made (blocks named), or a KindInvalid
// error with everything that is wrong with it. The change is not written to.
func (e ContentChange) Checked() (ContentChange, error) {
	var c Check
	c.That(e.Texts() || e.Data != nil || e.Blocks != nil, "must be given, or body, icon, url, data or blocks: else nothing is edited", "title")
	if e.Blocks != nil {
		e.Blocks = completeBlocks(e.Blocks)
	}
	k := Content{Title: "-", Data: e.Data, Blocks: e.Blocks}
	e.say(&k)
	k.check(&c)
	return e, c.Err()
}

// Texts reports whether the change is about what a template says.
func (e ContentChange) Texts() bool {
	return e.Title != nil || e.Body != nil || e.Icon != nil || e.URL != nil
}

// say puts the texts in. One that is given is everybody's.
func (e ContentChange) say(k *Content) {
	if r := e.Rendered; r != nil && !k.Own {
		k.Title, k.Body, k.Icon, k.URL, k.Personal = r.Title, r.Body, r.Icon, r.URL, r.Personal
	}
	for _, t := range []struct {
		text       Texts
		from, into *string
	}{{TextTitle, e.Title, &k.Title}, {TextBody, e.Body, &k.Body}, {TextIcon, e.Icon, &k.Icon}, {TextURL, e.URL, &k.URL}} {
		if t.from != nil {
			*t.into = *t.from
			k.Personal &^= t.text
		}
	}
}

// Apply makes the change, and reports whether it changes anything.
func (e ContentChange) Apply(k *Content) bool {
	before := *k
	e.say(k)
	k.Own = k.Own || e.Texts()
	if e.Data != nil {
		k.Data = e.Data
	}
	if e.Blocks != nil {
		k.Blocks = e.Blocks
	}
	return k.Title != before.Title || k.Body != before.Body || k.Icon != before.Icon || k.URL != before.URL || k.Own != before.Own ||
		k.Personal != before.Personal || !bytes.Equal(k.Data, before.Data) || !slices.Equal(k.Blocks, before.Blocks)
}
