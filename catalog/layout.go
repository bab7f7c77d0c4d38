package catalog

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"

	"carillon/model"
	"carillon/render"
)

// LayoutStore is what layouts need from the database; *store.Store has it.
type LayoutStore interface {
	Layout(ctx context.Context, env model.EnvID, identifier string) (model.Layout, error)
	LayoutsByID(ctx context.Context, env model.EnvID, ids []model.LayoutID) (map[model.LayoutID]model.Layout, error)
	Layouts(ctx context.Context, env model.EnvID, page model.PageRequest) (model.Page[model.Layout], error)
	CreateLayout(ctx context.Context, env model.EnvID, once model.Once, l model.Layout) (model.Outcome[model.Layout], error)
	UpdateLayout(ctx context.Context, env model.EnvID, once model.Once, identifier string, change func(model.Layout) (model.Layout, error)) (model.Outcome[model.Layout], error)
	DeleteLayout(ctx context.Context, env model.EnvID, once model.Once, identifier string) (model.Outcome[model.LayoutID], error)
}

// Layouts keeps the layouts of e-mails. Store must be set; the methods may be called
// concurrently.
type Layouts struct {
	Store LayoutStore
}

var unknownLayout = model.NotFound("names no layout", "layout")

// Find reads a layout by identifier.
func (s *Layouts) Find(ctx context.Context, env model.EnvID, identifier string) (model.Layout, error) {
	if model.CheckIdentifier(identifier) != "" {
		return model.Layout{}, unknownLayout
	}
	return s.Store.Layout(ctx, env, identifier)
}

// ByIDs finds layouts; ids that name none are left out.
func (s *Layouts) ByIDs(ctx context.Context, env model.EnvID, ids []model.LayoutID) (map[model.LayoutID]model.Layout, error) {
	return s.Store.LayoutsByID(ctx, env, ids)
}

// List reads a page of layouts, newest first.
func (s *Layouts) List(ctx context.Context, env model.EnvID, page model.PageRequest) (model.Page[model.Layout], error) {
	return s.Store.Layouts(ctx, env, page)
}

// Create makes a layout. What cannot be parsed is a problem of its field, with the
// line and column.
func (s *Layouts) Create(ctx context.Context, env model.EnvID, once model.Once, l model.Layout) (model.Outcome[model.Layout], error) {
	var check model.Check
	if m := model.CheckIdentifier(l.Identifier); m != "" {
		check.Add(model.ProblemInvalid, m, "identifier")
	}
	checkName(l.Name, &check)
	compileLayout(l.Content, check.At("content"))
	if err := check.Err(); err != nil {
		return model.Outcome[model.Layout]{}, err
	}
	return s.Store.CreateLayout(ctx, env, once, l)
}

// Update changes a layout; its identifier never changes. An ExpectedVersion that is
// not the current one is a KindVersionConflict error.
func (s *Layouts) Update(ctx context.Context, env model.EnvID, once model.Once, identifier string, change model.LayoutChange) (model.Outcome[model.Layout], error) {
	if model.CheckIdentifier(identifier) != "" {
		return model.Outcome[model.Layout]{}, unknownLayout
	}
	return s.Store.UpdateLayout(ctx, env, once, identifier, func(l model.Layout) (model.Layout, error) {
		if err := expected("layout", change.ExpectedVersion, l.Version); err != nil {
			return l, err
		}
		set(&l.Name, change.Name)
		set(&l.Default, change.Default)
		if change.Content != nil {
			l.Content = *change.Content
			l.Version++
		}
		var check model.Check
		checkName(l.Name, &check)
		compileLayout(l.Content, check.At("content"))
		return l, check.Err()
	})
}

// expected refuses a change that was meant for another version.
func expected(what string, version *int64, current int64) error {
	if version == nil || *version == current {
		return nil
	}
	now := strconv.FormatInt(current, 10)
	return &model.Error{Kind: model.KindVersionConflict, Message: "the " + what + " is at version " + now, Problems: []model.Problem{
		{Code: model.ProblemConflict, Path: []string{"expectedVersion"}, Message: "is not the current version, which is " + now},
	}}
}

// Delete deletes a layout and returns its id. One that templates use, by name or
// because it is the default, is a KindConflict error.
func (s *Layouts) Delete(ctx context.Context, env model.EnvID, once model.Once, identifier string) (model.Outcome[model.LayoutID], error) {
	if model.CheckIdentifier(identifier) != "" {
		return model.Outcome[model.LayoutID]{}, unknownLayout
	}
	return s.Store.DeleteLayout(ctx, env, once, identifier)
}

// frame is a layout whose sources were parsed; nil: there is none.
type frame struct {
	html, text *render.Template
	size       int // of the sources
}

func compileLayout(l model.LayoutContent, c *model.Check) *frame {
	f := &frame{size: len(l.HTML) + len(l.Text)}
	for _, part := range []struct {
		name, source string
		mode         render.Mode
		into         **render.Template
	}{{"html", l.HTML, render.HTML, &f.html}, {"text", l.Text, render.Text, &f.text}} {
		if part.source == "" {
			continue
		}
		if m := model.CheckText(part.source, render.MaxSource); m != "" {
			c.Add(model.ProblemInvalid, m, part.name)
			continue
		}
		parsed, err := render.ParseLayout(part.source, part.mode)
		if err != nil {
			c.Add(model.ProblemInvalid, "is no layout: "+err.Error(), part.name)
			continue
		}
		*part.into = parsed
	}
	if f.size == 0 {
		c.Add(model.ProblemRequired, "must be given, or text", "html")
	}
	return f
}

// around puts an e-mail that was rendered into the layout. Text takes the place of
// HTML that it does not have, so that each part of the mail says the same.
func (f *frame) around(mail *model.RenderedText, html *render.Template, values render.Data, check *model.Check) {
	if html != nil && !html.Whole() {
		check.Add(model.ProblemInvalid, "of EMAIL "+notWhole, "template", "html")
		return
	}
	plain := cmp.Or(withLink(mail.Body, mail.URL), mail.Title)
	for _, part := range []struct {
		name, content string
		template      *render.Template
		into          *string
	}{
		{"html", cmp.Or(mail.HTML, render.TextAsHTML(plain)), f.html, &mail.HTML},
		{"text", plain, f.text, &mail.Body},
	} {
		if part.template == nil {
			continue
		}
		out, err := part.template.RenderAround(values, part.content)
		if err != nil {
			check.Add(model.ProblemLimit, fmt.Sprintf("of EMAIL cannot be rendered: %v", err), "layout", part.name)
			continue
		}
		*part.into = out.Text
		noteMissing(mail, out.Missing)
	}
}

const notWhole = "ends within a tag, a comment or a script, into which what follows it in a layout would fall"

// withLink is text with the address that a press leads to, unless it has that in it.
func withLink(text, url string) string {
	switch {
	case url == "" || strings.Contains(text, url):
		return text
	case blank(text):
		return url
	}
	return strings.TrimRight(text, "\r\n") + "\n\n" + url
}
