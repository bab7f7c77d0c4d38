package catalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"carillon/model"
	"carillon/render"
)

// compiledText is a content whose sources were parsed; nil: there is none.
type compiledText struct {
	title, body, html, url, icon *render.Template
}

// compiled is a version of a template.
type compiled struct {
	name     string
	size     int // of its sources
	all      compiledText
	channels map[model.Channel]compiledText
}

// compile parses all of a template. Problems name the field in the words of the
// input: channels are counted in their fixed order.
func compile(t model.Template, c *model.Check) *compiled {
	out := &compiled{name: t.Name, channels: map[model.Channel]compiledText{}}
	if blank(t.Content.Title) {
		c.Add(model.ProblemRequired, "must not be blank", pathTo(-1, "title")...)
	}
	size := 0
	out.all = compileText(t.Content, -1, &size, c)
	for i, channel := range slices.Sorted(maps.Keys(t.Channels)) {
		text := t.Channels[channel]
		if text.HTML != "" && channel != model.ChannelEmail {
			c.Add(model.ProblemInvalid, "is for EMAIL only", pathTo(i, "html")...)
		}
		out.channels[channel] = compileText(text, i, &size, c)
	}
	if out.size = size; size > model.MaxTemplateContent {
		c.Add(model.ProblemLimit, fmt.Sprintf("must have at most %d bytes with all channels, has %d", model.MaxTemplateContent, size), "content")
	}
	return out
}

func compileText(text model.TemplateText, i int, size *int, c *model.Check) (out compiledText) {
	for _, f := range []struct {
		name, source string
		mode         render.Mode
		into         **render.Template
	}{
		{"title", text.Title, render.Text, &out.title},
		{"body", text.Body, render.Text, &out.body},
		{"html", text.HTML, render.HTML, &out.html},
		{"url", text.URL, render.URL, &out.url},
		{"icon", text.Icon, render.URL, &out.icon},
	} {
		*size += len(f.source)
		if f.source == "" {
			continue
		}
		if m := model.CheckText(f.source, render.MaxSource); m != "" {
			c.Add(model.ProblemInvalid, m, pathTo(i, f.name)...)
			continue
		}
		parsed, err := render.Parse(f.source, f.mode)
		if err != nil {
			c.Add(model.ProblemInvalid, "is no template: "+err.Error(), pathTo(i, f.name)...)
			continue
		}
		*f.into = parsed
	}
	return out
}

// text is what a channel says: its own content, and the one for all where it has
// none.
func (t *compiled) text(c model.Channel) compiledText {
	own := t.channels[c]
	or := func(a, b *render.Template) *render.Template {
		if a != nil {
			return a
		}
		return b
	}
	return compiledText{or(own.title, t.all.title), or(own.body, t.all.body), or(own.html, t.all.html), or(own.url, t.all.url), or(own.icon, t.all.icon)}
}

// subject is what a template is rendered with.
type subject struct {
	data       []byte      // a JSON object, or nothing
	parsed     render.Data // what data says, if it was read before
	identifier string      // the recipient's
	attributes []byte      // their profile
	// unsubscribe is the address at which they can stop the e-mail that is rendered;
	// empty: nowhere.
	unsubscribe string
}

// values are what templates may print: data and recipient, the members of data by
// their bare names, and in e-mails unsubscribeUrl.
func (s subject) values() (render.Data, error) {
	data, err := s.parsed, error(nil)
	if data == nil {
		if data, err = render.ParseData(s.data); err != nil {
			return nil, fmt.Errorf("decoding data: %w", err)
		}
	}
	recipient, err := render.ParseData(s.attributes)
	if err != nil {
		return nil, fmt.Errorf("decoding profile: %w", err)
	}
	if s.identifier != "" {
		recipient["identifier"] = s.identifier
	}
	root := render.Data{}
	maps.Copy(root, data)
	root["data"], root["recipient"] = map[string]any(data), map[string]any(recipient)
	if s.unsubscribe != "" {
		root["unsubscribeUrl"] = s.unsubscribe
	}
	return root, nil
}

// render renders what a channel says, holds it to what a send may say, and puts an
// e-mail into a layout, if there is one.
func (t *compiled) render(c model.Channel, layout *frame, about subject) (model.RenderedText, error) {
	out := model.RenderedText{Channel: c}
	values, err := about.values()
	if err != nil {
		return out, err
	}
	text := t.text(c)
	var check model.Check
	fields := []struct {
		name     string
		template *render.Template
		into     *string
		only     model.Channel
	}{
		{"title", text.title, &out.Title, 0},
		{"body", text.body, &out.Body, 0},
		{"html", text.html, &out.HTML, model.ChannelEmail},
		{"url", text.url, &out.URL, 0},
		{"icon", text.icon, &out.Icon, 0},
	}
	for _, f := range fields {
		if f.template == nil || f.only != 0 && f.only != c {
			continue
		}
		r, err := f.template.Render(values)
		if failed, ok := errors.AsType[*render.Error](err); ok {
			check.Add(model.ProblemLimit, fmt.Sprintf("of %s cannot be rendered: %v", c, failed), "template", f.name)
			continue
		} else if err != nil {
			return out, err
		}
		*f.into = r.Text
		noteMissing(&out, r.Missing)
	}
	t.finish(&out, &check)
	if layout != nil && c == model.ChannelEmail && check.OK() {
		layout.around(&out, text.html, values, &check)
	}
	return out, check.Err()
}

// noteMissing adds names that were printed and are not in the data.
func noteMissing(out *model.RenderedText, names []string) {
	for _, name := range names {
		if !slices.Contains(out.Missing, name) {
			out.Missing = append(out.Missing, name)
		}
	}
}

func (t *compiled) finish(out *model.RenderedText, check *model.Check) {
	out.URL, out.Icon = strings.TrimSpace(out.URL), strings.TrimSpace(out.Icon)
	if out.Title = strings.Join(strings.Fields(out.Title), " "); out.Title == "" {
		out.Title = t.name // rather than nothing at all
	}
	if m := model.CheckText(out.Title, model.MaxTitle); m != "" {
		check.Add(model.ProblemInvalid, fmt.Sprintf("of %s %s", out.Channel, m), "template", "title")
	}
	if m := model.CheckText(out.Body, model.MaxBody); m != "" {
		check.Add(model.ProblemInvalid, fmt.Sprintf("of %s %s", out.Channel, m), "template", "body")
	}
	if m := model.CheckLink(out.URL); m != "" && out.URL != "" {
		check.Add(model.ProblemInvalid, fmt.Sprintf("of %s %s", out.Channel, m), "template", "url")
	}
	if m := model.CheckWebURL(out.Icon); m != "" && out.Icon != "" {
		check.Add(model.ProblemInvalid, fmt.Sprintf("of %s %s", out.Channel, m), "template", "icon")
	}
}

// merged is an object with the members of another one put over it; those that are
// null there are removed.
func merged(object, over []byte) []byte {
	var a, b map[string]json.RawMessage
	if len(over) == 0 || json.Unmarshal(over, &b) != nil {
		return object
	}
	if len(object) == 0 || json.Unmarshal(object, &a) != nil || a == nil {
		a = map[string]json.RawMessage{}
	}
	for name, value := range b {
		if string(value) == "null" {
			delete(a, name)
		} else {
			a[name] = value
		}
	}
	out, err := json.Marshal(a)
	if err != nil {
		return object
	}
	return out
}
