package catalog

import (
	"context"
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

	cache templateCache
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
	checkName(t.Name, &check)
	compile(t, &check)
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
		if v := change.ExpectedVersion; v != nil && *v != t.Version {
			return t, &model.Error{Kind: model.KindVersionConflict, Message: "the template is at version " + strconv.FormatInt(t.Version, 10), Problems: []model.Problem{
				{Code: model.ProblemConflict, Path: []string{"expectedVersion"}, Message: "is not the current version, which is " + strconv.FormatInt(t.Version, 10)},
			}}
		}
		set(&t.Name, change.Name)
		if change.Content != nil || change.Channels != nil {
			set(&t.Content, change.Content)
			set(&t.Channels, change.Channels)
			t.Version++
		}
		var check model.Check
		checkName(t.Name, &check)
		compile(t, &check)
		return t, check.Err()
	})
}

// Delete deletes a template and returns its id. Sends that were accepted with it
// go out as they would have.
func (s *Templates) Delete(ctx context.Context, env model.EnvID, once model.Once, identifier string) (model.Outcome[model.TemplateID], error) {
	if model.CheckIdentifier(identifier) != "" {
		return model.Outcome[model.TemplateID]{}, unknownTemplate
	}
	return s.Store.DeleteTemplate(ctx, env, once, identifier)
}

// Preview renders a template, or a draft of one, for a user.
func (s *Templates) Preview(ctx context.Context, env model.EnvID, p model.TemplatePreview) ([]model.RenderedText, error) {
	t := model.Template{}
	var err error
	if p.Draft != nil {
		t = *p.Draft
	} else if t, err = s.Find(ctx, env, p.Template); err != nil {
		return nil, err
	}
	var check model.Check
	compiled := compile(t, &check)
	if p.Data != nil {
		if m := model.CheckJSONObject(p.Data, model.MaxData, model.MaxDataDepth); m != "" {
			check.Add(model.ProblemInvalid, m, "data")
		}
	}
	if err := check.Err(); err != nil {
		return nil, err
	}
	about := subject{data: p.Data, identifier: p.User}
	if p.User != "" {
		u, err := s.Users.Find(ctx, env, p.User)
		if model.KindOf(err) == model.KindNotFound {
			return nil, model.NotFound("names no user", "user")
		} else if err != nil {
			return nil, err
		}
		about.attributes = u.Profile.Attributes
	}
	channels := p.Channels
	if channels == nil {
		channels = []model.Channel{model.ChannelInApp}
		for c := range t.Channels {
			channels = append(channels, c)
		}
		channels = inOrder(channels)
	}
	out := make([]model.RenderedText, 0, len(channels))
	for _, c := range channels {
		text, err := compiled.render(c, about)
		if err != nil {
			return nil, err
		}
		out = append(out, text)
	}
	return out, nil
}

// Render renders what a channel says to a user by a version of a template. What
// the version asks for and cannot have is a KindInvalid error.
func (s *Templates) Render(ctx context.Context, env model.EnvID, ref model.TemplateRef, c model.Channel, user model.User, data []byte) (model.RenderedText, error) {
	compiled, err := s.version(ctx, env, ref)
	if err != nil {
		return model.RenderedText{}, err
	}
	return compiled.render(c, subject{data: data, identifier: user.Identifier, attributes: user.Profile.Attributes})
}

// Apply puts what a template says in the inbox into a request that names one, and
// notes the version for the other channels. The inbox keeps one content for all
// recipients: a template that prints the recipient there serves one user at a time.
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
	about := subject{data: req.Content.Data}
	if compiled.text(model.ChannelInApp).uses("recipient") {
		inInbox := req.Channels == nil || slices.Contains(req.Channels, model.ChannelInApp)
		if about.identifier = only(req.To); about.identifier != "" {
			if about.attributes, err = s.attributes(ctx, env, about.identifier, req.To.Inline); err != nil {
				return req, err
			}
		} else if inInbox {
			check.Add(model.ProblemInvalid, "prints the recipient into the inbox, which keeps one content for all recipients of a send: send to one user at a time, or print from data", "template")
			return req, check.Err()
		}
	}
	text, err := compiled.render(model.ChannelInApp, about)
	if err != nil {
		return req, err
	}
	req.Content.Title, req.Content.Body, req.Content.URL, req.Content.Icon = text.Title, text.Body, text.URL, text.Icon
	req.Options.Template = &model.TemplateRef{ID: t.ID, Version: t.Version}
	return req, nil
}

// Again renders once more what a version says in the inbox, from other data. A
// version that prints the recipient there is a KindInvalid error, since what it
// prints is not kept.
func (s *Templates) Again(ctx context.Context, env model.EnvID, ref model.TemplateRef, data []byte) (model.TemplateText, error) {
	compiled, err := s.version(ctx, env, ref)
	if err != nil {
		return model.TemplateText{}, err
	}
	var check model.Check
	if compiled.text(model.ChannelInApp).uses("recipient") {
		check.Add(model.ProblemInvalid, "is of a template that prints the recipient into the inbox: give title and body as well, which then stand for it on every channel", "data")
		return model.TemplateText{}, check.Err()
	}
	text, err := compiled.render(model.ChannelInApp, subject{data: data})
	return text.TemplateText, err
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
	if len(names) != 1 || len(to.Topics) > 0 || to.Everyone {
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
