package store_test

import (
	"testing"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

// TestChangesSayWhatWasDone holds that the hint of a mark names the mark, and
// whether it was of everything.
func TestChangesSayWhatWasDone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, env := t.Context(), newEnvironment(t, s)
		user := storetest.User(t, s, env, "ada")
		list, _ := storetest.Send(t, s, env, storetest.Sent{}, user)
		ids := idsOf(list)
		read, unarchived := true, false
		mark := func(as model.MarkState) *model.Hint {
			_, hint, err := s.MarkNotifications(ctx, env, model.Once{}, user, ids, as)
			if err != nil {
				t.Fatal(err)
			}
			return hint
		}
		markAll := func(as model.MarkState, f *model.InboxFilter) *model.Hint {
			_, hint, err := s.MarkAll(ctx, env, model.Once{}, user, as, nil, f)
			if err != nil {
				t.Fatal(err)
			}
			return hint
		}
		for _, step := range []struct {
			what string
			hint *model.Hint
			want model.Deed
		}{
			{"a mark", mark(model.MarkSeen), model.Deed{As: model.MarkSeen}},
			{"all as read", markAll(model.MarkRead, nil), model.Deed{As: model.MarkRead, All: true}},
			{"all as unread", markAll(model.MarkUnread, nil), model.Deed{As: model.MarkUnread, All: true}},
			{"the unread as read", markAll(model.MarkRead, &model.InboxFilter{Archived: &unarchived, Unread: &read}), model.Deed{As: model.MarkRead}},
		} {
			if step.hint == nil || step.hint.Change == nil {
				t.Errorf("%s gave the hint %+v, want one with a change", step.what, step.hint)
			} else if got := step.hint.Change.Deed; got != step.want {
				t.Errorf("%s gave the deed %+v, want %+v", step.what, got, step.want)
			}
		}
		_, hint, err := s.DeleteNotifications(ctx, env, model.Once{}, user, ids)
		if err != nil {
			t.Fatal(err)
		}
		if got := hint.Change.Deed; got != (model.Deed{}) {
			t.Errorf("a deletion of named items gave the deed %+v", got)
		}
	})
}
