package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

// expanding is a send to an audience, accepted a second ago.
func (f *sends) expanding(t *testing.T, a model.Audience) model.Send {
	t.Helper()
	p := f.pending(t)
	p.Send.Status, p.Send.Progress, p.Audience = model.SendExpanding, model.SendProgress{Total: -1, Skipped: 1}, &a
	f.mustSave(t, p)
	return p.Send
}

// chunk is the next part of a send: these users.
func (f *sends) chunk(t *testing.T, m model.Send, after model.UserID, users ...model.User) model.Chunk {
	t.Helper()
	c := model.Chunk{Send: m, After: after, Reached: after}
	if len(users) > 0 {
		c.Reached, c.Notifications = users[len(users)-1].ID, f.pending(t, users...).Notifications
	}
	for i := range c.Notifications {
		c.Notifications[i].SendID, c.Notifications[i].InInbox = m.ID, i != 1
	}
	return c
}

func TestChunkIsSavedWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		f := newSends(t, s, 5)
		m := f.expanding(t, model.Audience{Everyone: true})
		save := func(c model.Chunk) (bool, []*model.InboxChange) {
			t.Helper()
			saved, changes, err := s.SaveChunk(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			return saved, changes
		}
		m.Progress = model.SendProgress{Total: 6, Done: 3, Skipped: 1}
		saved, changes := save(f.chunk(t, m, 0, f.users[:3]...))
		if !saved || len(changes) != 2 || changes[0].User != f.users[0].ID || changes[1].User != f.users[2].ID || changes[0].Seq != 1 || len(changes[0].Added) != 1 {
			t.Fatalf("saved %t, changes %+v; want those of the two inboxes that something entered", saved, changes)
		}
		elsewhere := m
		elsewhere.EnvID++
		for name, c := range map[string]model.Chunk{
			"Again":       f.chunk(t, m, 0, f.users[:3]...),
			"Ahead":       f.chunk(t, m, f.users[3].ID, f.users[4:]...),
			"Environment": f.chunk(t, elsewhere, f.users[2].ID, f.users[3:]...),
		} {
			if saved, changes := save(c); saved || len(changes) != 0 {
				t.Errorf("%s: saved %t, changes %v", name, saved, changes)
			}
		}
		bad := f.chunk(t, m, f.users[2].ID, f.users[3:]...)
		bad.Notifications[1].UserID = 1
		if _, _, err := s.SaveChunk(t.Context(), bad); err == nil {
			t.Error("a chunk to nobody was saved")
		}
		e, found, err := s.NextExpansion(t.Context(), 0, nil)
		if err != nil || !found || e.Reached != f.users[2].ID || e.Send.Progress != m.Progress || e.Send.Content.Title != "Hello" || !e.Audience.Everyone {
			t.Errorf("next %+v, %t, %v", e, found, err)
		}

		m.Status, m.Progress.Done = model.SendSent, 5
		if saved, _ := save(f.chunk(t, m, f.users[2].ID, f.users[3:]...)); !saved {
			t.Error("the last chunk was not saved")
		}
		if saved, _ := save(f.chunk(t, m, f.users[4].ID)); saved {
			t.Error("a chunk of a send that is over was saved")
		}
		page, err := s.NotificationLog(t.Context(), f.env, model.NotificationFilter{Send: m.ID}, model.PageRequest{Limit: 10})
		if err != nil || len(page.Items) != 5 {
			t.Errorf("%d notifications, %v", len(page.Items), err)
		}
		empty := f.expanding(t, model.Audience{Topics: []model.TopicID{1}})
		empty.Status = model.SendSent
		if saved, changes := save(f.chunk(t, empty, 0)); !saved || len(changes) != 0 {
			t.Errorf("a chunk with nobody in it: saved %t, changes %v", saved, changes)
		}
		if _, found, err := s.NextExpansion(t.Context(), 0, nil); err != nil || found {
			t.Errorf("after the end: %t, %v", found, err)
		}
		f.noDrift(t)
	})
}

func TestNextExpansionTakesTurns(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		f := newSends(t, s, 1)
		other := *f
		other.env = storetest.Env(t, s, "other")
		late := f.expanding(t, model.Audience{Everyone: true})
		f.now = f.now.Add(-time.Second)
		early := f.expanding(t, model.Audience{Everyone: true})
		their := other.expanding(t, model.Audience{Everyone: true})
		for _, tt := range []struct {
			after  model.EnvID
			except []model.SendID
			want   model.SendID
		}{
			{0, nil, early.ID},
			{f.env - 1, nil, early.ID},
			{f.env, nil, their.ID},
			{other.env, nil, early.ID},
			{f.env, []model.SendID{their.ID}, early.ID},
			{other.env, []model.SendID{early.ID}, late.ID},
			{0, []model.SendID{early.ID, late.ID}, their.ID},
			{0, []model.SendID{early.ID, late.ID, their.ID}, 0},
		} {
			e, found, err := s.NextExpansion(t.Context(), tt.after, tt.except)
			if err != nil || e.Send.ID != tt.want || found != (tt.want != 0) {
				t.Errorf("after environment %d without %v: send %d, %t, %v; want %d", tt.after, tt.except, e.Send.ID, found, err, tt.want)
			}
		}
	})
}

func TestAudienceComesInParts(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		f := newSends(t, s, 9)
		ctx := t.Context()
		var topics []model.TopicID
		for i, members := range [][]int{{0, 2, 3, 5}, {2, 3, 4}} {
			name := fmt.Sprint("topic-", i)
			topic, err := s.CreateTopic(ctx, f.env, model.Once{}, name, name, model.TopicDetails{})
			if err != nil {
				t.Fatal(err)
			}
			topics = append(topics, topic.Value.ID)
			var list []model.TopicMember
			for _, u := range members {
				list = append(list, model.TopicMember{Identifier: f.users[u].Identifier, Channels: []string{"EMAIL", fmt.Sprint("pigeon", i), []string{"SMS", "IN_APP"}[i]}})
			}
			if _, err := s.SubscribeToTopic(ctx, f.env, model.Once{}, name, list); err != nil {
				t.Fatal(err)
			}
		}
		if err := storetest.Erase(ctx, s, f.env, model.Once{}, f.users[6].Identifier); err != nil {
			t.Fatal(err)
		}
		q := model.AudienceQuery{
			Env: f.env, MadeUntil: f.now.Add(time.Hour), Identifiers: true, Limit: 2,
			Audience: model.Audience{Topics: topics, Users: []model.UserID{f.users[6].ID, f.users[3].ID, f.users[1].ID, f.users[3].ID}},
		}
		var got []string
		for {
			part, err := s.Audience(ctx, q)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range part.Recipients {
				got = append(got, fmt.Sprintf("%s %v", r.Identifier, r.OnlyVia))
			}
			got = append(got, fmt.Sprint(part.Absent))
			if !part.More {
				break
			}
			q.After = part.Last
		}
		name := func(i int) string { return f.users[i].Identifier }
		want := []string{
			name(0) + " [EMAIL SMS]", name(1) + " []", "0",
			name(2) + " [EMAIL SMS IN_APP]", name(3) + " []", "0",
			name(4) + " [EMAIL IN_APP]", name(5) + " [EMAIL SMS]", "0",
			"1",
		}
		for i := range got { // the order of a user's channels is nobody's business
			got[i] = sorted(got[i])
			want[i] = sorted(want[i])
		}
		if !slices.Equal(got, want) {
			t.Errorf("parts\n%q, want\n%q", got, want)
		}
		q.After = 0
		if n, err := s.AudienceSize(ctx, q); err != nil || n != 7 {
			t.Errorf("size %d, %v; want 7, the one who is gone included", n, err)
		}
		q.Env++
		if part, err := s.Audience(ctx, q); err != nil || len(part.Recipients) != 0 {
			t.Errorf("in another environment: %+v, %v", part, err)
		}
		if part, err := s.Audience(ctx, model.AudienceQuery{Env: f.env, Limit: 10}); err != nil || len(part.Recipients) != 0 || part.More {
			t.Errorf("of nobody: %+v, %v", part, err)
		}
	})
}

// sorted puts the words of "name [words]" in order.
func sorted(s string) string {
	r := []byte(s)
	slices.Sort(r)
	return string(r)
}

// TestAudienceKnowsWhatRecipientsKnow holds the two ways of reading recipients
// to each other.
func TestAudienceKnowsWhatRecipientsKnow(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		f := newSends(t, s, 1)
		ctx := t.Context()
		for _, name := range []string{"mail@example.com", "+15551234567", "phone", "browser", "off", "chooser"} {
			f.users = append(f.users, ensureUser(t, s, f.env, name))
		}
		if _, err := s.SetUserEnabled(ctx, f.env, model.Once{}, "off", false); err != nil {
			t.Fatal(err)
		}
		for _, d := range []model.Device{
			{ID: "d1", EnvID: f.env, UserID: f.users[3].ID, Key: "k", Platform: model.PlatformIOS, Token: "t1"},
			{ID: "d2", EnvID: f.env, UserID: f.users[4].ID, Key: "k", Platform: model.PlatformWeb, WebPush: []byte(`{"endpoint":"https://push.example/1"}`)},
		} {
			if _, err := s.RegisterDevice(ctx, f.env, model.Once{}, d, func(model.Device) model.Device { return d }); err != nil {
				t.Fatal(err)
			}
		}
		news, err := s.CreateCategory(ctx, f.env, model.Once{}, model.Category{Identifier: "news", Name: "News"})
		if err != nil {
			t.Fatal(err)
		}
		on, off := true, false
		_, err = s.SetPreferences(ctx, f.env, model.Once{}, f.users[6].ID, func([]model.Category) ([]model.ChoiceChange, error) {
			return []model.ChoiceChange{
				{Category: news.Value.ID, Channel: model.ChannelInApp, Enabled: &off},
				{Category: news.Value.ID, Enabled: &on},
				{Channel: model.ChannelEmail, Enabled: &off},
				{Category: 1, Enabled: &off},
			}, nil
		}, func([]model.Category, []model.Choice) []model.CategoryPreference { return nil })
		if err != nil {
			t.Fatal(err)
		}
		for _, addresses := range []bool{false, true} {
			for _, categories := range [][]model.CategoryID{nil, {news.Value.ID}} {
				keys := make([]model.RecipientKey, len(f.users))
				for i, u := range f.users {
					keys[i] = model.RecipientKey{Env: f.env, ID: u.ID}
				}
				want, err := s.Recipients(ctx, model.RecipientQuery{Keys: keys, Categories: categories, Addresses: addresses})
				if err != nil {
					t.Fatal(err)
				}
				got, err := s.Audience(ctx, model.AudienceQuery{
					Env: f.env, Audience: model.Audience{Everyone: true}, MadeUntil: time.Now().Add(time.Hour),
					Categories: categories, Addresses: addresses, Identifiers: true, Limit: 100,
				})
				if err != nil || len(got.Recipients) != len(want) {
					t.Fatalf("%d recipients, %v", len(got.Recipients), err)
				}
				for i := range want {
					if g, w := told(got.Recipients[i]), told(want[i]); g != w {
						t.Errorf("addresses %t, categories %v: %s, want %s", addresses, categories, g, w)
					}
				}
			}
		}
	})
}

// TestAudienceAmongManyChoices has those in between have made more choices than are
// read with those of recipients.
func TestAudienceAmongManyChoices(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		f := newSends(t, s, 4)
		choose := func(user int, categories ...model.CategoryID) {
			t.Helper()
			off := false
			var changes []model.ChoiceChange
			for _, c := range categories {
				changes = append(changes, model.ChoiceChange{Category: c, Channel: model.ChannelInApp, Enabled: &off})
			}
			if _, err := s.SetPreferences(t.Context(), f.env, model.Once{}, f.users[user].ID, func([]model.Category) ([]model.ChoiceChange, error) {
				return changes, nil
			}, func([]model.Category, []model.Choice) []model.CategoryPreference { return nil }); err != nil {
				t.Fatal(err)
			}
		}
		choose(0, 2, 7)
		choose(2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19)
		choose(3, 3, 7)
		if _, err := s.SetUserEnabled(t.Context(), f.env, model.Once{}, f.users[3].Identifier, false); err != nil {
			t.Fatal(err)
		}
		for name, among := range map[string][]int{"OneByOne": {0, 1, 3}, "All": {0, 1, 2, 3}, "WithoutTheOther": {0, 1}} {
			q := model.AudienceQuery{Env: f.env, Categories: []model.CategoryID{7}, Limit: 10}
			want := ""
			for _, i := range among {
				q.Audience.Users = append(q.Audience.Users, f.users[i].ID)
				want += fmt.Sprintf("%d %t %v;", i, i != 3, [][]model.CategoryID{{7}, nil, {7}, {7}}[i])
			}
			part, err := s.Audience(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, r := range part.Recipients {
				var categories []model.CategoryID
				for _, c := range r.Choices {
					categories = append(categories, c.Category)
				}
				i := slices.IndexFunc(f.users, func(u model.User) bool { return u.ID == r.ID })
				got += fmt.Sprintf("%d %t %v;", i, r.Enabled, categories)
			}
			if got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
	})
}

// told is what a recipient comes to for a decision.
func told(r model.Recipient) string {
	var choices []string
	for _, c := range r.Choices {
		choices = append(choices, fmt.Sprint(c.Category, c.Channel, c.Enabled))
	}
	slices.Sort(choices)
	return fmt.Sprint(r.ID, r.Identifier, r.Enabled, r.Reachable, choices)
}
