package graph

import (
	"encoding/base64"
	"net/textproto"

	"carillon/graph/generated"
	"carillon/model"
)

func overrides(in []*generated.OverrideInput, c *model.Check) []model.Override {
	var out []model.Override
	for i, o := range in {
		m := model.Override{
			Channel: value(o.Channel), Provider: value(o.Provider),
			Title: value(o.Title), Body: value(o.Body), HTML: value(o.HTML), URL: value(o.URL), Icon: value(o.Icon), Merge: o.Merge,
		}
		for j, h := range o.Headers {
			name := textproto.CanonicalMIMEHeaderKey(h.Name)
			if _, twice := m.Headers[name]; twice {
				c.Add(model.ProblemInvalid, "is there twice", "overrides", indexed(i), "headers", indexed(j), "name")
			}
			if m.Headers == nil {
				m.Headers = map[string]string{}
			}
			m.Headers[name] = h.Value
		}
		out = append(out, m)
	}
	return out
}

func attachments(in []*generated.AttachmentInput, c *model.Check) []model.Attachment {
	var out []model.Attachment
	for i, a := range in {
		content, err := base64.StdEncoding.DecodeString(a.Content)
		if err != nil {
			c.Add(model.ProblemInvalid, "must be base64", "attachments", indexed(i), "content")
		}
		out = append(out, model.Attachment{Name: a.Name, ContentType: value(a.ContentType), Content: content})
	}
	return out
}
