package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

// sends makes pending sends in one environment.
type sends struct {
	s     *store.Store
	env   model.EnvID
	users []model.User
	now   time.Time
}

func newSends(t *testing.T, s *store.Store, users int) *sends {
	t.Helper()
	return newSendsIn(t, s, newEnvironment(t, s), users)
}

func newSendsIn(t *testing.T, s *store.Store, env model.EnvID, users int) *sends {
	t.Helper()
	f := &sends{s: s, env: env, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	names := make([]string, users)
	for i := range names {
		names[i] = fmt.Sprintf("user-%d", i)
	}
	for chunk := range slices.Chunk(names, 500) {
		out, err := s.IdentifyUsers(t.Context(), f.env, model.Once{}, chunk, func(int, json.RawMessage) (json.RawMessage, []model.Problem, error) {
			return json.RawMessage("{}"), nil, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range out.Value {
			f.users = append(f.users, r.User)
		}
	}
	return f
}

// pending is a send to users that goes out at once.
func (f *sends) pending(t *testing.T, users ...model.User) model.PendingSend {
	t.Helper()
	ids, err := f.s.NewIDs(t.Context(), 1+len(users))
	if err != nil {
		t.Fatal(err)
	}
	p := model.PendingSend{Send: model.Send{
		ID: model.SendID(ids[0]), EnvID: f.env, RequestID: fmt.Sprint("request-", ids[0]), Status: model.SendSent,
		Content: model.Content{Title: "Hello", Data: []byte(`{"a":"\"€"}`)}, FiredAt: f.now, CreatedAt: f.now,
		Progress: model.SendProgress{Total: int64(len(users)), Done: int64(len(users))},
	}}
	for i, u := range users {
		p.Notifications = append(p.Notifications, model.Notification{
			ID: model.NotificationID(ids[1+i]), EnvID: f.env, UserID: u.ID, SendID: p.Send.ID, Content: &p.Send.Content,
			InInbox: true, Reason: model.ReasonEnvDefault, SortAt: f.now, CreatedAt: f.now,
		})
	}
	p.Result = model.SendResult{Send: &p.Send}
	return p
}

// scheduled is a send to users that waits.
func (f *sends) scheduled(t *testing.T, after time.Duration, users ...model.User) model.PendingSend {
	t.Helper()
	p := f.pending(t, users...)
	p.Send.Status, p.Send.FiredAt, p.Send.SendAt, p.Notifications = model.SendScheduled, time.Time{}, f.now.Add(after), nil
	p.Audience = new(model.Audience)
	for _, u := range users {
		p.Audience.Users = append(p.Audience.Users, u.ID)
	}
	return p
}

func (f *sends) mustSave(t *testing.T, list ...model.PendingSend) ([]model.SavedSend, []*model.InboxChange) {
	t.Helper()
	saved, changes, err := f.s.SaveSends(t.Context(), list)
	if err != nil {
		t.Fatal(err)
	}
	return saved, changes
}

func (f *sends) noDrift(t *testing.T) {
	t.Helper()
	v, err := f.s.VerifyCounters(t.Context(), 10)
	if err != nil || len(v.Drifts) != 0 {
		t.Errorf("verifying: %+v, %v", v, err)
	}
}

func TestSaveSendsGivesOneSeqToAnInbox(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		f := newSends(t, s, 3)
		a, b, c := f.users[0], f.users[1], f.users[2]
		outside := f.pending(t, a, c)
		outside.Notifications[0].InInbox, outside.Notifications[1].InInbox = false, false
		_, changes := f.mustSave(t, f.pending(t, b, a), f.pending(t, a), outside)

		if len(changes) != 2 || changes[0].User != a.ID || changes[1].User != b.ID {
			t.Fatalf("changes %+v, want those of the two inboxes that something entered", changes)
		}
		if got := changes[0]; got.Seq != 1 || len(got.Added) != 2 || got.Counters != (model.Counters{Total: 2, Unseen: 2, Unread: 2}) ||
			got.Added[0].ID <= got.Added[1].ID || got.Added[0].Seq != 1 || got.Added[1].Seq != 1 {
			t.Errorf("the inbox with two: %+v", got)
		}
		_, changes = f.mustSave(t, f.pending(t, a), f.pending(t, a))
		if len(changes) != 1 || changes[0].Seq != 2 || changes[0].Counters != (model.Counters{Total: 4, Unseen: 4, Unread: 4}) {
			t.Errorf("two more: %+v", changes)
		}
		f.noDrift(t)
	})
}

func TestSaveSendsOfManyRows(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		f := newSends(t, s, 2100)
		_, changes := f.mustSave(t, f.pending(t, f.users...), f.pending(t, f.users[:50]...))
		if len(changes) != 2100 {
			t.Errorf("%d inboxes changed, want 2100", len(changes))
		}
		f.noDrift(t)
	})
}

func TestSaveSendsIsAllOrNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		f := newSends(t, s, 2)
		keyed := f.pending(t, f.users[0])
		keyed.Once = model.Once{Operation: "sendNotification", Key: "k", Hash: [32]byte{1}}
		f.mustSave(t, keyed)

		taken := f.pending(t, f.users[0])
		taken.Once = keyed.Once
		gone := f.pending(t, f.users[0], model.User{ID: 1})
		for name, bad := range map[string]model.PendingSend{"key that is taken": taken, "user who is gone": gone} {
			good := f.pending(t, f.users[1])
			_, _, err := f.s.SaveSends(ctx, []model.PendingSend{good, bad})
			if !errors.Is(err, model.ErrNotSaved) {
				t.Errorf("%s: %v, want %v", name, err, model.ErrNotSaved)
			}
			if found, err := s.Sends(ctx, f.env, []model.SendID{good.Send.ID, bad.Send.ID}); err != nil || len(found) != 0 {
				t.Errorf("%s: %d sends are there, %v", name, len(found), err)
			}
		}
		canceled, cancel := context.WithCancel(ctx)
		cancel()
		if _, _, err := s.SaveSends(canceled, []model.PendingSend{f.pending(t, f.users[1])}); err == nil || errors.Is(err, model.ErrNotSaved) {
			t.Errorf("with a context that ended: %v; want an error that promises nothing", err)
		}
		f.noDrift(t)

		other := newEnvironmentOf(t, s, "other")
		keys := []model.ScopedOnce{{Env: f.env, Once: keyed.Once}, {Env: other, Once: keyed.Once}, {Env: f.env, Once: model.Once{Operation: "sendNotification", Key: "k"}}}
		replays, err := s.SendReplays(ctx, keys)
		if err != nil {
			t.Fatal(err)
		}
		if r := replays[0]; r.Err != nil || r.Result == nil || r.Result.Send.ID != keyed.Send.ID || string(r.Result.Send.Content.Data) != string(keyed.Send.Content.Data) {
			t.Errorf("replay %+v", r)
		}
		if replays[1] != (model.SendReplay{}) || model.KindOf(replays[2].Err) != model.KindKeyReused {
			t.Errorf("of another environment %+v, with another input %+v", replays[1], replays[2])
		}
	})
}

func TestSavesOfTheSameInboxesDoNotDeadlock(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		two := []*store.Store{storetest.Open(t, store.Config{URL: url, MaxConns: 4}), storetest.Open(t, store.Config{URL: url, MaxConns: 4})}
		f := newSends(t, two[0], 20)
		var wg sync.WaitGroup
		for i := range 8 {
			list := make([][]model.PendingSend, 10)
			for n := range list {
				users := slices.Clone(f.users)
				if (i+n)%2 == 0 {
					slices.Reverse(users)
				}
				list[n] = []model.PendingSend{f.pending(t, users...), f.pending(t, users[:5]...)}
			}
			wg.Go(func() {
				for _, l := range list {
					if _, _, err := two[i%2].SaveSends(t.Context(), l); err != nil {
						t.Errorf("saving: %v", err)
					}
				}
			})
		}
		wg.Wait()
		f.noDrift(t)
	})
}

func TestDueSendsAndFiring(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		f := newSends(t, s, 2)
		second, first, far := f.scheduled(t, time.Minute, f.users...), f.scheduled(t, time.Second, f.users[0]), f.scheduled(t, time.Hour)
		third := f.scheduled(t, time.Minute)
		f.mustSave(t, second, first, far, third)

		due, next, err := s.DueSends(ctx, f.now.Add(2*time.Minute), nil, 10)
		if err != nil || !next.Equal(far.Send.SendAt) {
			t.Fatalf("next %v, %v", next, err)
		}
		var ids []model.SendID
		for _, d := range due {
			ids = append(ids, d.Send.ID)
		}
		if want := []model.SendID{first.Send.ID, second.Send.ID, third.Send.ID}; !slices.Equal(ids, want) {
			t.Fatalf("due %v, want %v", ids, want)
		}
		if !slices.Equal(due[1].Audience.Users, second.Audience.Users) || due[1].Send.Content.Title != "Hello" {
			t.Errorf("due %+v", due[1])
		}
		if rest, _, err := s.DueSends(ctx, f.now.Add(2*time.Minute), &model.PageKey{At: second.Send.SendAt, ID: int64(second.Send.ID)}, 10); err != nil || len(rest) != 1 {
			t.Errorf("after the second: %d, %v", len(rest), err)
		}

		if _, err := s.CancelSend(ctx, f.env, model.Once{}, first.Send.ID); err != nil {
			t.Fatal(err)
		}
		fire := func(of model.PendingSend, users ...model.User) model.PendingSend {
			p := f.pending(t, users...)
			for i := range p.Notifications {
				p.Notifications[i].SendID = of.Send.ID
			}
			p.Send.ID, p.Fire = of.Send.ID, true
			return p
		}
		saved, changes := f.mustSave(t, fire(first, f.users[0]), fire(second, f.users...), f.pending(t, f.users[1]))
		if !saved[0].Lost || saved[1].Lost || saved[2].Lost {
			t.Errorf("saved %+v, want only the cancelled one lost", saved)
		}
		if len(changes) != 2 || len(changes[0].Added) != 1 || len(changes[1].Added) != 2 {
			t.Errorf("changes %+v", changes)
		}
		if saved, changes := f.mustSave(t, fire(second, f.users...)); !saved[0].Lost || len(changes) != 0 {
			t.Errorf("fired twice: %+v, %+v", saved, changes)
		}
		f.noDrift(t)
	})
}

func TestRecipients(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		env := newEnvironment(t, s)
		other := newEnvironmentOf(t, s, "other")
		ada := ensureUser(t, s, env, "ada@example.com")
		bob := ensureUser(t, s, env, "bob")
		ensureUser(t, s, other, "eve")
		category := model.Category{Identifier: "news", Name: "News", DefaultEnabled: true}
		news, err := s.CreateCategory(ctx, env, model.Once{}, category)
		if err != nil {
			t.Fatal(err)
		}
		off := false
		_, err = s.SetPreferences(ctx, env, model.Once{}, bob.ID, func([]model.Category) ([]model.ChoiceChange, error) {
			return []model.ChoiceChange{
				{Category: news.Value.ID, Channel: model.ChannelInApp, Enabled: &off}, {Channel: model.ChannelEmail, Enabled: &off}, {Category: 1, Enabled: &off},
			}, nil
		}, func([]model.Category, []model.Choice) []model.CategoryPreference { return nil })
		if err != nil {
			t.Fatal(err)
		}

		got, err := s.Recipients(ctx, model.RecipientQuery{
			Keys: []model.RecipientKey{
				{Env: env, Identifier: "bob"}, {Env: env, Identifier: "eve"}, {Env: env, ID: ada.ID}, {Env: other, ID: bob.ID}, {Env: env, Identifier: "bob"}, {Env: env, Identifier: "Bob"},
			},
			Categories: []model.CategoryID{news.Value.ID},
			Addresses:  true,
		})
		if err != nil {
			t.Fatal(err)
		}
		if got[0].ID != bob.ID || got[4].ID != bob.ID || got[2].ID != ada.ID || got[2].Identifier != "ada@example.com" || !got[0].Enabled {
			t.Errorf("found %+v", got)
		}
		if got[1].ID != 0 || got[3].ID != 0 || got[5].ID != 0 {
			t.Errorf("found who is not there: %+v", got)
		}
		if !slices.Equal(got[2].Reachable, []model.Channel{model.ChannelInApp, model.ChannelEmail}) || !slices.Equal(got[0].Reachable, []model.Channel{model.ChannelInApp}) {
			t.Errorf("reachable over %v and %v", got[2].Reachable, got[0].Reachable)
		}
		if c := got[0].Choices; len(c) != 2 || c[0].Enabled || c[1].Enabled || c[0].Category+c[1].Category != news.Value.ID {
			t.Errorf("choices %+v, want the two that concern the send", c)
		}
		if len(got[2].Choices) != 0 {
			t.Errorf("choices of another: %+v", got[2].Choices)
		}
	})
}
