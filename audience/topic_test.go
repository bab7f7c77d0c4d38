package audience_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"carillon/audience"
	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

// wrong lists the problems of err as "CODE path".
func wrong(err error) (out []string) {
	if e, ok := errors.AsType[*model.Error](err); ok {
		for _, p := range e.Problems {
			out = append(out, string(p.Code)+" "+p.Field())
		}
	}
	return out
}

func TestBadInputIsRefusedWithEveryProblem(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, store.Config{URL: storetest.SQLite(t)})
	env := storetest.Env(t, s, "shop")
	storetest.User(t, s, env, "ada")
	service := &audience.Service{Store: s}
	ctx := t.Context()
	var none model.Once
	if _, err := service.Create(ctx, env, none, "news", "News", model.TopicDetails{}); err != nil {
		t.Fatal(err)
	}

	create := func(identifier, name string) error {
		_, err := service.Create(ctx, env, none, identifier, name, model.TopicDetails{})
		return err
	}
	rename := func(identifier, name string) error {
		_, err := service.Update(ctx, env, none, identifier, model.TopicChanges{Name: &name})
		return err
	}
	subscribe := func(topic string, members ...model.TopicMember) error {
		_, err := service.Subscribe(ctx, env, none, topic, members)
		return err
	}
	unsubscribe := func(topic string, users ...string) error {
		_, err := service.Unsubscribe(ctx, env, none, topic, users)
		return err
	}
	remove := func(topic string) error {
		_, err := service.Delete(ctx, env, none, topic)
		return err
	}
	find := func(topic string) error {
		_, err := service.Find(ctx, env, topic)
		return err
	}
	ada := model.TopicMember{Identifier: "ada"}
	for name, tt := range map[string]struct {
		err  error
		want []string
	}{
		"Create":             {create("a\x00", ""), []string{"INVALID identifier", "REQUIRED name"}},
		"CreateLong":         {create(strings.Repeat("x", 256), strings.Repeat("x", 256)), []string{"INVALID identifier", "INVALID name"}},
		"CreateTaken":        {create("news", "More news"), []string{"CONFLICT identifier"}},
		"RenameToNothing":    {rename("news", ""), []string{"REQUIRED name"}},
		"RenameUnknown":      {rename("olds", "Olds"), []string{"NOT_FOUND topic"}},
		"RenameBroken":       {rename("a\x00", "Olds"), []string{"NOT_FOUND topic"}},
		"DeleteBroken":       {remove("\xff"), []string{"NOT_FOUND topic"}},
		"FindBroken":         {find("\xff"), []string{"NOT_FOUND topic"}},
		"SubscribeBroken":    {subscribe("a\x00", ada), []string{"NOT_FOUND topic"}},
		"SubscribeUnknown":   {subscribe("olds", ada), []string{"NOT_FOUND topic"}},
		"SubscribeNobody":    {subscribe("news"), []string{"REQUIRED users"}},
		"SubscribeMany":      {subscribe("news", slices.Repeat([]model.TopicMember{{}}, 1001)...), []string{"LIMIT_EXCEEDED users"}},
		"SubscribeBad":       {subscribe("news", ada, model.TopicMember{Identifier: " ", Channels: []string{"EMAIL", ""}}), []string{"INVALID users.1.identifier", "INVALID users.1.channels.1"}},
		"SubscribeChannels":  {subscribe("news", model.TopicMember{Identifier: "ada", Channels: slices.Repeat([]string{"EMAIL"}, 51)}), []string{"LIMIT_EXCEEDED users.0.channels"}},
		"UnsubscribeBroken":  {unsubscribe("\x00", "ada"), []string{"NOT_FOUND topic"}},
		"UnsubscribeNobody":  {unsubscribe("news"), []string{"REQUIRED users"}},
		"UnsubscribeMany":    {unsubscribe("news", slices.Repeat([]string{""}, 1001)...), []string{"LIMIT_EXCEEDED users"}},
		"UnsubscribeBad":     {unsubscribe("news", "ada", "\x7f"), []string{"INVALID users.1"}},
		"UnsubscribeUnknown": {unsubscribe("olds", "ada"), []string{"NOT_FOUND topic"}},
	} {
		if got := wrong(tt.err); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q (%v), want %q", name, got, tt.err, tt.want)
		}
	}
}

// TestThousandUsersAreOneCall fills a call to its limit, on both databases.
func TestThousandUsersAreOneCall(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		env := storetest.Env(t, s, "shop")
		service := &audience.Service{Store: s}
		if _, err := service.Create(t.Context(), env, model.Once{}, "news", "News", model.TopicDetails{}); err != nil {
			t.Fatal(err)
		}
		members := make([]model.TopicMember, model.MaxTopicChange)
		for i := range members {
			members[i] = model.TopicMember{Identifier: strings.Repeat("u", i%200+1) + string(rune('a'+i/200)), Channels: []string{"EMAIL"}}
			if i%10 != 0 {
				storetest.User(t, s, env, members[i].Identifier)
			}
		}
		members[999] = members[1]
		members[999].Channels = nil // named twice: the last one counts
		out, err := service.Subscribe(t.Context(), env, model.Once{}, "news", members)
		if err != nil || out.Value.Changed != 899 || len(out.Value.NotFound) != 100 {
			t.Fatalf("%d changed, %d not found, %v; want 899 and 100", out.Value.Changed, len(out.Value.NotFound), err)
		}
		topic, err := service.Find(t.Context(), env, "news")
		if err != nil {
			t.Fatal(err)
		}
		limited := 0
		page := model.PageRequest{Limit: 100}
		for {
			got, err := service.Members(t.Context(), env, topic.ID, page)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range got.Items {
				if m.Channels != nil {
					limited++
				} else if m.Identifier != members[1].Identifier {
					t.Errorf("%s is on the topic for all channels", m.Identifier)
				}
			}
			if !got.HasMore {
				break
			}
			page.After = &model.PageKey{ID: int64(got.Items[len(got.Items)-1].UserID)}
		}
		if limited != 898 {
			t.Errorf("%d users are limited to a channel, want 898", limited)
		}
	})
}
