package store_test

import (
	"fmt"
	"slices"
	"testing"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

func members(names ...string) []model.TopicMember {
	out := make([]model.TopicMember, len(names))
	for i, n := range names {
		out[i].Identifier = n
	}
	return out
}

func TestTopics(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		env := newEnvironment(t, s)
		live, err := s.CreateEnvironment(ctx, "shop", model.Environment{Kind: model.EnvLive, UserAuth: model.AuthToken, APIKey: "pk_live"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var ada model.User
		for _, name := range []string{"ada", "bob", "cyd"} {
			if ada, _, err = s.EnsureUser(ctx, env, name); err != nil {
				t.Fatal(err)
			}
		}
		if ada, err = s.User(ctx, env, "ada"); err != nil {
			t.Fatal(err)
		}
		var none model.Once
		if _, err := s.CreateTopic(ctx, env, none, "news", "News", model.TopicDetails{}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.CreateTopic(ctx, env, none, "news", "More news", model.TopicDetails{}); model.KindOf(err) != model.KindConflict {
			t.Errorf("a second topic of one identifier: %v, want %s", err, model.KindConflict)
		}

		t.Run("SubscribeTellsWhoChangedAndWhoIsUnknown", func(t *testing.T) {
			out, err := s.SubscribeToTopic(ctx, env, none, "news", members("ada", "bob", "nobody", "ada", "nobody"))
			if err != nil || out.Value.Changed != 2 || !slices.Equal(out.Value.NotFound, []string{"nobody"}) {
				t.Errorf("got %+v, %v; want 2 changed and nobody unknown", out.Value, err)
			}
			again, err := s.SubscribeToTopic(ctx, env, none, "news", []model.TopicMember{{Identifier: "ada"}, {Identifier: "bob", Channels: []string{"email"}}})
			if err != nil || again.Value.Changed != 1 {
				t.Errorf("got %+v, %v; want bob alone changed", again.Value, err)
			}
		})

		t.Run("ListsBothWays", func(t *testing.T) {
			topic, err := s.Topic(ctx, env, "news")
			if err != nil {
				t.Fatal(err)
			}
			page, err := s.Subscribers(ctx, env, topic.ID, model.PageRequest{Limit: 10})
			if err != nil || len(page.Items) != 2 || page.Items[0].Identifier != "bob" || !slices.Equal(page.Items[0].Channels, []string{"email"}) || page.Items[1].Channels != nil {
				t.Errorf("subscribers: %+v, %v", page.Items, err)
			}
			of, err := s.Subscriptions(ctx, env, ada.ID, model.PageRequest{Limit: 10})
			if err != nil || len(of.Items) != 1 || of.Items[0].Topic.Identifier != "news" {
				t.Errorf("subscriptions of ada: %+v, %v", of.Items, err)
			}
		})

		t.Run("PagesMeetInTheMiddle", func(t *testing.T) {
			for i := range 5 {
				if _, err := s.CreateTopic(ctx, env, none, fmt.Sprintf("t%d", i), "T", model.TopicDetails{}); err != nil {
					t.Fatal(err)
				}
			}
			first, err := s.Topics(ctx, env, model.PageRequest{Limit: 4})
			if err != nil || len(first.Items) != 4 || !first.HasMore {
				t.Fatalf("first page: %+v, %v", first, err)
			}
			second, err := s.Topics(ctx, env, model.PageRequest{Limit: 4, After: &model.PageKey{ID: int64(first.Items[3].ID)}})
			if err != nil || len(second.Items) != 2 || second.HasMore {
				t.Fatalf("second page: %+v, %v", second, err)
			}
			back, err := s.Topics(ctx, env, model.PageRequest{Limit: 4, Backward: true, Before: &model.PageKey{ID: int64(second.Items[0].ID)}})
			if err != nil || !slices.Equal(back.Items, first.Items) {
				t.Errorf("back from the second page: %+v, %v; want the first", back, err)
			}
		})

		t.Run("AnotherEnvironmentFindsNothingAndChangesNothing", func(t *testing.T) {
			topic, err := s.Topic(ctx, env, "news")
			if err != nil {
				t.Fatal(err)
			}
			for name, call := range map[string]func() error{
				"Topic":     func() error { _, err := s.Topic(ctx, live.ID, "news"); return err },
				"TopicByID": func() error { _, err := s.TopicByID(ctx, live.ID, topic.ID); return err },
				"Update": func() error {
					_, err := s.UpdateTopic(ctx, live.ID, none, "news", model.TopicChanges{})
					return err
				},
				"Delete":    func() error { _, err := s.DeleteTopic(ctx, live.ID, none, "news"); return err },
				"Subscribe": func() error { _, err := s.SubscribeToTopic(ctx, live.ID, none, "news", members("ada")); return err },
				"Unsubscribe": func() error {
					_, err := s.UnsubscribeFromTopic(ctx, live.ID, none, "news", []string{"ada"})
					return err
				},
			} {
				if err := call(); model.KindOf(err) != model.KindNotFound {
					t.Errorf("%s: %v, want %s", name, err, model.KindNotFound)
				}
			}
			if page, err := s.Subscribers(ctx, live.ID, topic.ID, model.PageRequest{Limit: 10}); err != nil || len(page.Items) != 0 {
				t.Errorf("subscribers seen from elsewhere: %+v, %v", page, err)
			}
			if again, err := s.Topic(ctx, env, "news"); err != nil || again != topic {
				t.Errorf("the topic is %+v, %v; want %+v", again, err, topic)
			}
		})

		t.Run("UnsubscribeAndDelete", func(t *testing.T) {
			out, err := s.UnsubscribeFromTopic(ctx, env, none, "news", []string{"ada", "cyd", "nobody"})
			if err != nil || out.Value.Changed != 1 || !slices.Equal(out.Value.NotFound, []string{"nobody"}) {
				t.Errorf("got %+v, %v; want ada alone gone", out.Value, err)
			}
			if _, err := s.DeleteTopic(ctx, env, none, "news"); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Topic(ctx, env, "news"); model.KindOf(err) != model.KindNotFound {
				t.Errorf("a deleted topic: %v, want %s", err, model.KindNotFound)
			}
		})
	})
}
