package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"carillon/model"
	"carillon/render"
)

// What [Templates.Personal] spends on one call: time, and bytes of what it renders.
const (
	personalTime = 250 * time.Millisecond
	personalRoom = 4 << 20
)

// personal are the texts that print the recipient in the inbox, if the channels of a
// send (nil: all) include it.
func (t *compiled) personal(channels []model.Channel) (out model.Texts) {
	if channels != nil && !slices.Contains(channels, model.ChannelInApp) {
		return 0
	}
	prints := func(source *render.Template, text model.Texts) {
		if source != nil && source.Uses("recipient") {
			out |= text
		}
	}
	says := t.text(model.ChannelInApp)
	prints(says.title, model.TextTitle)
	prints(says.body, model.TextBody)
	prints(says.icon, model.TextIcon)
	prints(says.url, model.TextURL)
	return out
}

// only is the template as it would be with these texts in the inbox and no others.
func (t *compiled) only(these model.Texts) *compiled {
	one := func(source *render.Template, text model.Texts) *render.Template {
		if these&text == 0 {
			return nil
		}
		return source
	}
	says := t.text(model.ChannelInApp)
	return &compiled{name: t.name, all: compiledText{
		title: one(says.title, model.TextTitle), body: one(says.body, model.TextBody), icon: one(says.icon, model.TextIcon), url: one(says.url, model.TextURL),
	}}
}

// Personal renders what a send says to each of some users: to the first of them, one
// at the least, when all would take too long or too much room. A text that cannot be
// said to a user is the send's, and so is everything when there is no template.
func (s *Templates) Personal(ctx context.Context, env model.EnvID, q model.PersonalTexts) ([]model.TemplateText, error) {
	if q.Template == nil {
		return slices.Repeat([]model.TemplateText{q.Content.Texts()}, len(q.Users)), nil
	}
	whole, err := s.version(ctx, env, *q.Template)
	if model.KindOf(err) == model.KindNotFound {
		q.Template = nil
		return s.Personal(ctx, env, q)
	} else if err != nil {
		return nil, err
	}
	template, about := whole.only(q.Content.Personal), subject{}
	if about.parsed, err = render.ParseData(q.Content.Data); err != nil {
		return nil, fmt.Errorf("decoding data: %w", err)
	}
	out := make([]model.TemplateText, 0, len(q.Users))
	for began, room := time.Now(), personalRoom; len(out) < len(q.Users); {
		about.identifier, about.attributes = q.Users[len(out)].Identifier, q.Users[len(out)].Profile.Attributes
		text, err := template.render(model.ChannelInApp, nil, about)
		if err != nil && forgive(&text.TemplateText, q.Content.Personal, q.Content.Texts(), err) != nil {
			text.TemplateText = q.Content.Texts()
		}
		out = append(out, text.TemplateText)
		room -= len(text.Title) + len(text.Body) + len(text.Icon) + len(text.URL)
		if room <= 0 || time.Since(began) > personalTime {
			break
		}
	}
	return out, ctx.Err()
}

// say puts what the template says in the inbox into a content, of which some texts
// are personal. With nobody to name, an address that comes to none is left out of
// these.
func (t *compiled) say(k *model.Content, personal model.Texts, about subject) error {
	text, err := t.render(model.ChannelInApp, nil, about)
	if err != nil && personal != 0 {
		err = forgive(&text.TemplateText, personal&(model.TextIcon|model.TextURL), model.TemplateText{}, err)
	}
	if err != nil {
		return err
	}
	k.Title, k.Body, k.URL, k.Icon, k.Personal = text.Title, text.Body, text.URL, text.Icon, personal
	return nil
}

// forgive puts other texts in where one of these is the problem that err names. Any
// other problem stays.
func forgive(text *model.TemplateText, these model.Texts, other model.TemplateText, err error) error {
	refused, ok := errors.AsType[*model.Error](err)
	if !ok {
		return err
	}
	for _, p := range refused.Problems {
		switch name := p.Path[len(p.Path)-1]; {
		case name == "title" && these&model.TextTitle != 0:
			text.Title = other.Title
		case name == "body" && these&model.TextBody != 0:
			text.Body = other.Body
		case name == "icon" && these&model.TextIcon != 0:
			text.Icon = other.Icon
		case name == "url" && these&model.TextURL != 0:
			text.URL = other.URL
		default:
			return err
		}
	}
	return nil
}
