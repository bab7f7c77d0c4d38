package catalog

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"carillon/model"
)

// TemplateStore is what templates need from the database; *store.Store has it.
type TemplateStore interface {
	Template(ctx context.Context, env model.EnvID, identifier string) (model.Template, error)
	TemplateByID(ctx context.Context, env model.EnvID, id model.TemplateID) (model.Template, error)
	TemplateVersion(ctx context.Context, env model.EnvID, ref model.TemplateRef) (model.Template, error)
	Templates(ctx context.Context, env model.EnvID, page model.PageRequest) (model.Page[model.Template], error)
	CreateTemplate(ctx context.Context, env model.EnvID, once model.Once, t model.Template) (model.Outcome[model.Template], error)
	UpdateTemplate(ctx context.Context, env model.EnvID, once model.Once, identifier string, change func(model.Template) (model.Template, error)) (model.Outcome[model.Template], error)
	DeleteTemplate(ctx context.Context, env model.EnvID, once model.Once, identifier string) (model.Outcome[model.TemplateID], error)
	Layout(ctx context.Context, env model.EnvID, identifier string) (model.Layout, error)
	LayoutVersion(ctx context.Context, env model.EnvID, ref model.LayoutRef) (model.Layout, error)
	DefaultLayout(ctx context.Context, env model.EnvID) (*model.LayoutRef, error)
}

// Users finds whom a template is rendered for; *user.Service has it.
type Users interface {
	Find(ctx context.Context, env model.EnvID, identifier string) (model.User, error)
}

// Templates keeps templates and says what they say. Both fields must be set; the
// methods may be called concurrently.
type Templates struct {
	Store TemplateStore
	Users Users

	cache  versions[model.TemplateRef, *compiled]
	frames versions[model.LayoutRef, *frame]
}

// Find reads a template by identifier.
func (s *Templates) Find(ctx context.Context, env model.EnvID, identifier string) (model.Template, error) {
	if model.CheckIdentifier(identifier) != "" {
		return model.Template{}, unknownTemplate
	}
	return s.Store.Template(ctx, env, identifier)
}

var unknownTemplate = model.NotFound("names no template", "template")

// ByID reads a template.
func (s *Templates) ByID(ctx context.Context, env model.EnvID, id model.TemplateID) (model.Template, error) {
	return s.Store.TemplateByID(ctx, env, id)
}

// List reads a page of templates, newest first.
func (s *Templates) List(ctx context.Context, env model.EnvID, page model.PageRequest) (model.Page[model.Template], error) {
	return s.Store.Templates(ctx, env, page)
}

// Create makes a template. What cannot be parsed is a problem of its field, with
// the line and column.
func (s *Templates) Create(ctx context.Context, env model.EnvID, once model.Once, t model.Template) (model.Outcome[model.Template], error) {
	var check model.Check
	if m := model.CheckIdentifier(t.Identifier); m != "" {
		check.Add(model.ProblemInvalid, m, "identifier")
	}
	checkTemplate(t, &check)
	if err := check.Err(); err != nil {
		return model.Outcome[model.Template]{}, err
	}
	return s.Store.CreateTemplate(ctx, env, once, t)
}

// Update changes a template; its identifier never changes. An ExpectedVersion that
// is not the current one is a KindVersionConflict error.
func (s *Templates) Update(ctx context.Context, env model.EnvID, once model.Once, identifier string, change model.TemplateChange) (model.Outcome[model.Template], error) {
	if model.CheckIdentifier(identifier) != "" {
		return model.Outcome[model.Template]{}, unknownTemplate
	}
	return s.Store.UpdateTemplate(ctx, env, once, identifier, func(t model.Template) (model.Template, error) {
		if err := expected("template", change.ExpectedVersion, t.Version); err != nil {
			return t, err
		}
		set(&t.Name, change.Name)
		if change.Content != nil || change.Channels != nil || change.Layout != nil {
			set(&t.Content, change.Content)
			set(&t.Channels, change.Channels)
			set(&t.Layout, change.Layout)
			t.Version++
		}
		var check model.Check
		checkTemplate(t, &check)
		return t, check.Err()
	})
}

// checkTemplate says what is wrong with a template that is to be kept.
func checkTemplate(t model.Template, c *model.Check) {
	checkName(t.Name, c)
	if t.Layout.Use == model.LayoutNamed && model.CheckIdentifier(t.Layout.Identifier) != "" {
		c.Add(model.ProblemNotFound, "names no layout in this environment", "layout")
	}
	parsed := compile(t, c)
	if html := parsed.all.html; html != nil && !html.Whole() {
		c.Add(model.ProblemInvalid, notWhole, pathTo(-1, "html")...)
	}
	for i, channel := range inOrder(slices.Collect(maps.Keys(t.Channels))) {
		if html := parsed.channels[channel].html; html != nil && !html.Whole() {
			c.Add(model.ProblemInvalid, notWhole, pathTo(i, "html")...)
		}
	}
}

// Delete deletes a template and returns its id. Sends that were accepted with it
// go out as they would have.
func (s *Templates) Delete(ctx context.Context, env model.EnvID, once model.Once, identifier string) (model.Outcome[model.TemplateID], error) {
	if model.CheckIdentifier(identifier) != "" {
		return model.Outcome[model.TemplateID]{}, unknownTemplate
	}
	return s.Store.DeleteTemplate(ctx, env, once, identifier)
}

// Apply puts what a template says in the inbox into a request that names one, and
// notes the versions, its own and its layout's, for the other channels. Texts that
// print the recipient are Personal, and rendered for each when their notification is
// made; those of a send to one user are rendered now.
func (s *Templates) Apply(ctx context.Context, env model.EnvID, req model.SendRequest) (model.SendRequest, error) {
	t, err := s.Find(ctx, env, req.Template)
	if model.KindOf(err) == model.KindNotFound {
		return req, unknownTemplate
	} else if err != nil {
		return req, err
	}
	var check model.Check
	for _, f := range []struct{ name, value string }{{"title", req.Content.Title}, {"body", req.Content.Body}, {"icon", req.Content.Icon}, {"url", req.Content.URL}} {
		check.That(f.value == "", "must be left out where a template says it", f.name)
	}
	if req.Content.Data != nil {
		if m := model.CheckJSONObject(req.Content.Data, model.MaxData, model.MaxDataDepth); m != "" {
			check.Add(model.ProblemInvalid, m, "data")
		}
	}
	if err := check.Err(); err != nil {
		return req, err
	}
	compiled, err := s.version(ctx, env, model.TemplateRef{ID: t.ID, Version: t.Version})
	if err != nil {
		return req, err
	}
	about, personal := subject{data: req.Content.Data}, compiled.personal(req.Channels)
	if about.identifier = only(req.To); about.identifier != "" && personal != 0 {
		personal = 0
		if about.attributes, err = s.attributes(ctx, env, about.identifier, req.To.Inline); err != nil {
			return req, err
		}
	}
	if err := compiled.say(&req.Content, personal, about); err != nil {
		return req, err
	}
	req.Options.Template, req.Options.Layout = &model.TemplateRef{ID: t.ID, Version: t.Version}, t.Layout.Ref
	return req, nil
}

// Again renders once more what a version says in the inbox, of a send to these
// channels (nil: all), from other data.
func (s *Templates) Again(ctx context.Context, env model.EnvID, ref model.TemplateRef, channels []model.Channel, data []byte) (model.Content, error) {
	var out model.Content
	compiled, err := s.version(ctx, env, ref)
	if err != nil {
		return out, err
	}
	return out, compiled.say(&out, compiled.personal(channels), subject{data: data})
}

// only is the one user that a send is for, or "".
func only(to model.SendTarget) string {
	names := map[string]bool{}
	for _, u := range to.Users {
		names[u] = true
	}
	for _, u := range to.Inline {
		names[u.Identifier] = true
	}
	if len(names) != 1 || len(to.Topics) > 0 || len(to.Segments) > 0 || to.Everyone {
		return ""
	}
	for name := range names {
		return name
	}
	return ""
}

// attributes are those of a user as the send leaves them.
func (s *Templates) attributes(ctx context.Context, env model.EnvID, identifier string, inline []model.IdentifyInput) ([]byte, error) {
	if model.CheckIdentifier(identifier) != "" {
		return nil, nil // the send is refused for it
	}
	u, err := s.Users.Find(ctx, env, identifier)
	if err != nil && model.KindOf(err) != model.KindNotFound {
		return nil, err
	}
	attributes := []byte(u.Profile.Attributes)
	for _, in := range inline {
		attributes = merged(attributes, in.Attributes)
	}
	return attributes, nil
}

// pathTo is where a template's text stands in the input.
func pathTo(i int, field string) []string {
	if i < 0 {
		return []string{"content", field}
	}
	return []string{"channels", strconv.Itoa(i), "content", field}
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }
