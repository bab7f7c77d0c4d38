package store_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

// TestLayoutIsNotDeletedFromUnderATemplate deletes layouts while templates come to
// name them, or the environment comes to have them as its default: the one or the
// other is done, and no template has a layout that is gone.
func TestLayoutIsNotDeletedFromUnderATemplate(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		env := newEnvironment(t, s)
		var none model.Once
		named := func(layout string) model.TemplateLayout {
			return model.TemplateLayout{Use: model.LayoutNamed, Identifier: layout}
		}
		template := func(name, layout string) error {
			in := model.Template{Identifier: name, Name: name, Content: model.TemplateText{Title: "T"}}
			if layout != "" {
				in.Layout = named(layout)
			}
			_, err := s.CreateTemplate(ctx, env, none, in)
			return err
		}
		// Each takes hold of a layout, and says whether a refusal is that it is gone.
		gone := func(err error, path string) bool {
			e, ok := errors.AsType[*model.Error](err)
			return ok && len(e.Problems) == 1 && e.Problems[0].Code == model.ProblemNotFound && e.Problems[0].Path[0] == path
		}
		holds := map[string]struct {
			path string
			hold func(layout string) error
		}{
			"New": {"layout", func(layout string) error { return template("new-"+layout, layout) }},
			"Changed": {"layout", func(layout string) error {
				_, err := s.UpdateTemplate(ctx, env, none, "old-"+layout, func(t model.Template) (model.Template, error) {
					t.Layout = named(layout)
					return t, nil
				})
				return err
			}},
			"Default": {"layout", func(layout string) error {
				_, err := s.UpdateLayout(ctx, env, none, layout, func(l model.Layout) (model.Layout, error) {
					l.Default = true
					return l, nil
				})
				return err
			}},
		}
		for name, h := range holds {
			for n := range 6 {
				layout := fmt.Sprint(name, "-", n)
				if _, err := s.CreateLayout(ctx, env, none, model.Layout{Identifier: layout, Name: layout, Content: model.LayoutContent{HTML: "<b>{{content}}"}}); err != nil {
					t.Fatal(err)
				}
				if err := template("old-"+layout, ""); err != nil {
					t.Fatal(err)
				}
				var (
					wg        sync.WaitGroup
					held, del error
				)
				wg.Go(func() { held = h.hold(layout) })
				wg.Go(func() { _, del = s.DeleteLayout(ctx, env, none, layout) })
				wg.Wait()
				switch _, err := s.Layout(ctx, env, layout); {
				case held == nil && model.KindOf(del) == model.KindConflict && err == nil: // it is held
				case del == nil && gone(held, h.path) && model.KindOf(err) == model.KindNotFound: // it is gone
				default:
					t.Errorf("%s: held %v, deleted %v, read %v; want one of them done and the other refused", layout, held, del, err)
				}
			}
		}
	})
}
