package notify_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"carillon/model"
	"carillon/notify"
)

// crowd makes n users, user-00001 and so on, of whom none has an inbox yet.
func (f *fixture) crowd(t testing.TB, n int) {
	t.Helper()
	f.sql(t, `with recursive c (i) as (select 1 union all select i + 1 from c where i < ?)
		insert into users (env_id, id, identifier, enabled, created_at, updated_at)
		select ?, ? + i, 'user-' || substr('0000' || i, length('0000' || i) - 4), true, ?, ? from c returning 1`,
		n, int64(f.env.ID), int64(f.env.ID)<<20, f.clock.Now().UnixMicro(), f.clock.Now().UnixMicro())
	f.sql(t, "insert into profiles (env_id, user_id, version, attributes) select env_id, id, 1, '{}' from users where env_id = ? on conflict do nothing returning 1", int64(f.env.ID))
}

// topic makes a topic with members, each "identifier" or "identifier:CHANNEL".
func (f *fixture) topic(t testing.TB, identifier string, members ...model.TopicMember) model.Topic {
	t.Helper()
	out, err := f.store.CreateTopic(t.Context(), f.env.ID, model.Once{}, identifier, identifier, model.TopicDetails{})
	if err != nil {
		t.Fatal(err)
	}
	f.subscribe(t, identifier, members...)
	return out.Value
}

func (f *fixture) subscribe(t testing.TB, identifier string, members ...model.TopicMember) {
	t.Helper()
	if len(members) == 0 {
		return
	}
	out, err := f.store.SubscribeToTopic(t.Context(), f.env.ID, model.Once{}, identifier, members)
	if err != nil || len(out.Value.NotFound) != 0 {
		t.Fatalf("subscribing: %+v, %v", out.Value, err)
	}
}

func member(identifier string, channels ...string) model.TopicMember {
	return model.TopicMember{Identifier: identifier, Channels: channels}
}

// everybody puts all users of the environment on a topic.
func (f *fixture) everybody(t testing.TB, topic model.Topic) {
	t.Helper()
	f.sql(t, "insert into topic_members (env_id, topic_id, user_id, created_at) select env_id, ?, id, 1 from users where env_id = ? returning 1", int64(topic.ID), int64(f.env.ID))
}

func toTopics(topics ...string) model.SendRequest {
	r := hello()
	r.To.Topics = topics
	return r
}

func toEveryone() model.SendRequest {
	r := hello()
	r.To.Everyone = true
	return r
}

// expand works on large sends until nothing is left, by all of the services at
// once.
func (f *fixture) expand(t testing.TB, services ...*notify.Service) {
	t.Helper()
	if len(services) == 0 {
		services = []*notify.Service{f.Service}
	}
	var wg sync.WaitGroup
	for _, s := range services {
		wg.Go(func() {
			if err := s.ExpandAll(t.Context()); err != nil {
				t.Errorf("expanding: %v", err)
			}
		})
	}
	wg.Wait()
}

// mustFind reads a send.
func (f *fixture) mustFind(t testing.TB, id model.SendID) model.Send {
	t.Helper()
	m, err := f.Find(t.Context(), f.env.ID, id)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// rows lists who has a notification of a send, as "identifier" or, outside of
// the inbox, "identifier REASON".
func (f *fixture) rows(t testing.TB, id model.SendID) []string {
	t.Helper()
	var out []string
	for _, r := range f.sql(t, `select u.identifier, n.in_inbox, n.reason from notifications n join users u on u.env_id = n.env_id and u.id = n.user_id
		where n.send_id = ? order by u.identifier`, int64(id)) {
		name := fmt.Sprint(r[0])
		if in := fmt.Sprint(r[1]); in != "true" && in != "1" {
			name += " " + model.Reason(r[2].(int64)).String()
		}
		out = append(out, name)
	}
	return out
}

// served checks that a send went out to exactly n users, and that all counters
// are right.
func (f *fixture) served(t testing.TB, id model.SendID, want model.SendProgress) {
	t.Helper()
	m := f.mustFind(t, id)
	if m.Status != model.SendSent || m.Progress != want {
		t.Errorf("send %d is %s, %+v; want SENT, %+v", id, m.Status, m.Progress, want)
	}
	if n := f.count(t, "select count(*) from sends where status = 'SENT' and audience is not null"); n != 0 {
		t.Error("an audience is kept after the end")
	}
	f.noDrift(t)
	if v, err := f.store.VerifyCounters(t.Context(), 10); err != nil || v.Drifted != 0 {
		t.Errorf("verifying counters: %+v, %v", v, err)
	}
}

// chunkStore is a store whose chunks can be seen and hurt.
type chunkStore struct {
	notify.Store
	before func(ctx context.Context, c model.Chunk) context.Context
	after  func(model.Send)
}

func (s *chunkStore) SaveChunk(ctx context.Context, c model.Chunk) (bool, []*model.InboxChange, error) {
	if s.before != nil {
		ctx = s.before(ctx, c)
	}
	saved, changes, err := s.Store.SaveChunk(ctx, c)
	if saved && s.after != nil {
		s.after(c.Send)
	}
	return saved, changes, err
}
