package store_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

// personal makes the titles of a pending send its users' own.
func (f *sends) personal(t *testing.T, p model.PendingSend) model.PendingSend {
	t.Helper()
	p.Send.Content = model.Content{Title: "Hi ", Body: "For all", Personal: model.TextTitle}
	f.address(t, p.Send, p.Notifications)
	return p
}

// address gives notifications the titles that a template would render.
func (f *sends) address(t *testing.T, m model.Send, list []model.Notification) {
	t.Helper()
	for i := range list {
		own, err := f.speak(t.Context(), m, []model.UserID{list[i].UserID})
		if err != nil {
			t.Fatal(err)
		}
		list[i].Content = m.Content.For(own[0])
	}
}

// speak is the [model.Speaker] that stands for a template.
func (f *sends) speak(_ context.Context, m model.Send, users []model.UserID) ([]model.TemplateText, error) {
	out := make([]model.TemplateText, len(users))
	for i, id := range users {
		at := slices.IndexFunc(f.users, func(u model.User) bool { return u.ID == id })
		out[i] = model.TemplateText{Title: m.Content.Title + f.users[at].Identifier, Body: "never shown"}
	}
	return out, nil
}

// shown is what one user reads in all the ways there are to read it.
func (f *sends) shown(t *testing.T, u model.User) string {
	t.Helper()
	ctx := t.Context()
	said := func(list []model.Notification) string {
		var out []string
		for _, n := range list {
			out = append(out, n.Content.Title+"|"+n.Content.Body)
		}
		return strings.Join(out, ", ")
	}
	titles(t, f.s, f.env, u.ID) // compares the newest page with others
	inbox, err := f.s.Inbox(ctx, f.env, u.ID, model.InboxFilter{}, model.PageRequest{Limit: model.DefaultPage})
	if err != nil {
		t.Fatal(err)
	}
	page, err := f.s.InboxPage(ctx, f.env, u.ID, listed, model.PageNumber{Number: 1, Limit: model.DefaultPage})
	if err != nil {
		t.Fatal(err)
	}
	missed, err := f.s.Changes(ctx, f.env, u.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	log, err := f.s.NotificationLog(ctx, f.env, model.NotificationFilter{User: u.ID}, model.PageRequest{Limit: model.DefaultPage})
	if err != nil {
		t.Fatal(err)
	}
	var ids []model.NotificationID
	for _, n := range inbox.Items {
		ids = append(ids, n.ID)
	}
	byID, err := f.s.Notifications(ctx, f.env, ids)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(byID, func(a, b model.Notification) int { return int(b.ID - a.ID) })
	want := said(inbox.Items)
	for name, list := range map[string][]model.Notification{"by number": page.Items, "as missed": append(missed.Added, missed.Changed...), "in the log": log.Items, "by id": byID} {
		if got := said(list); got != want {
			t.Errorf("read %s it says %q, in the inbox %q", name, got, want)
		}
	}
	return want
}

func TestPersonalTexts(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		f := newSends(t, s, 4)
		a, b, c := f.users[0], f.users[1], f.users[2]

		// A small send, with a common one beside it in the transaction.
		small := f.personal(t, f.pending(t, a, b))
		_, changes := f.mustSave(t, small, f.pending(t, b))
		for _, change := range changes {
			if n := change.Added[0]; change.User == a.ID && n.Content.Title != "Hi user-0" {
				t.Errorf("live, the first is told %q", n.Content.Title)
			}
		}
		if got, want := f.shown(t, b), "Hello|, Hi user-1|For all"; got != want {
			t.Errorf("the second reads %q, want %q", got, want)
		}

		// A large one, in two chunks, of which a crash repeats the first.
		large := f.pending(t)
		large.Send.Status, large.Send.Content, large.Audience = model.SendExpanding, small.Send.Content, &model.Audience{Everyone: true}
		f.mustSave(t, large)
		m := large.Send
		for i, after := range []model.UserID{0, 0, a.ID} {
			chunk := f.chunk(t, m, after, f.users[max(0, i-1)])
			f.address(t, m, chunk.Notifications)
			if saved, _, err := s.SaveChunk(ctx, chunk); err != nil || saved != (i != 1) {
				t.Fatalf("chunk %d: saved %t, %v", i, saved, err)
			}
		}
		if got, want := f.shown(t, a), "Hi user-0|For all, Hi user-0|For all"; got != want {
			t.Errorf("the first reads %q, want %q", got, want)
		}

		// A call that is repeated gets the text of its user again.
		once := model.Once{Operation: "mark", Key: "k"}
		for range 2 {
			out, _, err := s.MarkNotifications(ctx, f.env, once, a.ID, []model.NotificationID{small.Notifications[0].ID}, model.MarkRead)
			if err != nil || out.Value.Notifications[0].Content.Title != "Hi user-0" {
				t.Errorf("marking answers %+v, %v", out.Value, err)
			}
		}

		// What is gone keeps no text.
		late := f.personal(t, f.pending(t, c))
		f.mustSave(t, late)
		if _, _, err := s.DeleteNotifications(ctx, f.env, model.Once{}, c.ID, []model.NotificationID{late.Notifications[0].ID}); err != nil {
			t.Fatal(err)
		}
		if got := f.shown(t, c); got != "" {
			t.Errorf("the third reads %q", got)
		}
		f.noDrift(t)
	})
}

// TestEditsOfPersonalTexts edits a personal send in every way that an edit can have.
func TestEditsOfPersonalTexts(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		f := newSends(t, s, 4)
		three := f.users[:3]
		p := f.personal(t, f.pending(t, three...))
		f.mustSave(t, p)
		spread := func() (told []string) {
			t.Helper()
			for more := true; more; {
				var hints []model.Hint
				var err error
				if more, hints, err = s.SpreadEdit(ctx, f.env, p.Send.ID, 2, f.speak); err != nil {
					t.Fatal(err)
				}
				for _, h := range hints {
					told = append(told, h.Change.Changed[0].Content.Title)
				}
			}
			return told
		}
		body := "New"
		for _, tt := range []struct {
			name   string
			change model.ContentChange
			want   string // %s is the user
		}{
			{"OtherData", model.ContentChange{Data: []byte(`{"n":2}`), Rendered: &model.Content{Title: "Dear ", Body: "For all", Personal: model.TextTitle}}, "Dear %s|For all"},
			{"OneTextForAll", model.ContentChange{Body: &body}, "Dear %s|New"},
			{"TheOtherToo", says("All of you"), "All of you|New"},
		} {
			f.edit(t, p.Send.ID, tt.change)
			told := spread()
			for i, u := range three {
				want := strings.Replace(tt.want, "%s", u.Identifier, 1)
				if got := f.shown(t, u); got != want || told[i]+"|" != want[:len(told[i])+1] {
					t.Errorf("%s: user %d reads %q, live %q, want %q", tt.name, i, got, told[i], want)
				}
			}
		}

		// One that was everybody's becomes personal, and is told to few at a time when
		// rendering takes long.
		q := f.pending(t, three...)
		f.mustSave(t, q)
		f.edit(t, q.Send.ID, model.ContentChange{Data: []byte(`{}`), Rendered: &model.Content{Title: "Hi ", Personal: model.TextTitle}})
		slowly := func(ctx context.Context, m model.Send, users []model.UserID) ([]model.TemplateText, error) {
			return f.speak(ctx, m, users[:1])
		}
		calls := 0
		for more := true; more; calls++ {
			var err error
			if more, _, err = s.SpreadEdit(ctx, f.env, q.Send.ID, 2, slowly); err != nil {
				t.Fatal(err)
			}
		}
		if got, want := f.shown(t, f.users[2]), "Hi user-2|, All of you|New"; got != want || calls != 4 {
			t.Errorf("after %d calls the last reads %q, want %q", calls, got, want)
		}

		// Who takes over a notification reads what was delivered.
		into := f.users[0]
		r := f.personal(t, f.pending(t, f.users[3]))
		f.mustSave(t, r)
		join := func(_, into json.RawMessage) (json.RawMessage, model.MergeDecision, error) {
			return into, model.MergeDecision{}, nil
		}
		if _, err := s.MergeUsers(ctx, f.env, model.Once{}, "m", f.users[3].Identifier, into.Identifier, join, false); err != nil {
			t.Fatal(err)
		}
		if got := f.shown(t, into); !strings.Contains(got, "Hi user-3") {
			t.Errorf("after the merge it reads %q", got)
		}
		if err := storetest.Erase(ctx, s, f.env, model.Once{}, into.Identifier); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Notifications(ctx, f.env, []model.NotificationID{r.Notifications[0].ID}); err != nil || len(got) > 0 {
			t.Errorf("after the erasure there is %+v, %v", got, err)
		}
		f.noDrift(t)
	})
}
