package catalog

import (
	"context"
	"sync"

	"carillon/model"
)

// Rendering asks what a channel says to a user.
type Rendering struct {
	Template model.TemplateRef
	Layout   *model.LayoutRef // of an e-mail; nil: none
	Channel  model.Channel
	User     model.User
	Data     []byte // a JSON object, or nothing
	// UnsubscribeURL is where the user can stop e-mails such as this one; empty: nowhere.
	UnsubscribeURL string
}

// Render renders what a channel says to a user by a version of a template. What
// the version asks for and cannot have is a KindInvalid error.
func (s *Templates) Render(ctx context.Context, env model.EnvID, r Rendering) (model.RenderedText, error) {
	template, err := s.version(ctx, env, r.Template)
	if err != nil {
		return model.RenderedText{}, err
	}
	about := subject{data: r.Data, identifier: r.User.Identifier, attributes: r.User.Profile.Attributes}
	var layout *frame
	if r.Channel == model.ChannelEmail {
		about.unsubscribe = r.UnsubscribeURL
		if layout, err = s.frame(ctx, env, r.Layout); err != nil {
			return model.RenderedText{}, err
		}
	}
	return template.render(r.Channel, layout, about)
}

func (s *Templates) version(ctx context.Context, env model.EnvID, ref model.TemplateRef) (*compiled, error) {
	return s.cache.get(env, ref, func() (*compiled, int, error) {
		t, err := s.Store.TemplateVersion(ctx, env, ref)
		if err != nil {
			return nil, 0, err
		}
		var check model.Check
		parsed := compile(t, &check)
		return parsed, parsed.size, check.Err()
	})
}

// frame is a version of a layout, parsed; nil for no ref.
func (s *Templates) frame(ctx context.Context, env model.EnvID, ref *model.LayoutRef) (*frame, error) {
	if ref == nil {
		return nil, nil
	}
	return s.frames.get(env, *ref, func() (*frame, int, error) {
		l, err := s.Store.LayoutVersion(ctx, env, *ref)
		if err != nil {
			return nil, 0, err
		}
		var check model.Check
		parsed := compileLayout(l.Content, &check)
		return parsed, parsed.size, check.Err()
	})
}

// versions keeps what was parsed of versions, which never change. The zero value is
// empty.
type versions[R comparable, V any] struct {
	mu   sync.Mutex
	kept map[versionKey[R]]V
	size int // of their sources
}

type versionKey[R comparable] struct {
	env model.EnvID
	ref R
}

// maxCompiled is how many bytes of sources are kept parsed; when there are more, all
// are dropped.
const maxCompiled = 16 << 20

// get returns what is kept, or reads it, which says also how many bytes its sources
// have.
func (c *versions[R, V]) get(env model.EnvID, ref R, read func() (V, int, error)) (V, error) {
	key := versionKey[R]{env, ref}
	c.mu.Lock()
	found, ok := c.kept[key]
	c.mu.Unlock()
	if ok {
		return found, nil
	}
	found, size, err := read()
	if err != nil {
		return found, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept == nil || c.size+size > maxCompiled {
		c.kept, c.size = map[versionKey[R]]V{}, 0
	}
	c.kept[key] = found
	c.size += size
	return found, nil
}
