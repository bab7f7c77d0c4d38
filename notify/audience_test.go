package notify_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"carillon/model"
	"carillon/store/storetest"
)

func TestAudienceAddsUpAndCountsOnce(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.users(t, "a", "b", "c", "d", "e", "f")
		f.topic(t, "one", member("a"), member("b"), member("c"))
		f.topic(t, "two", member("b"), member("c"), member("d"))
		f.topic(t, "none")
		other := *f
		other.env = f.environment(t, "other")
		other.users(t, "a", "z")
		other.topic(t, "one", member("a"), member("z"))

		f.Chunk = 2
		for name, tt := range map[string]struct {
			to   model.SendTarget
			want []string
		}{
			"OneTopic":    {model.SendTarget{Topics: []string{"one"}}, []string{"a", "b", "c"}},
			"SameTopic":   {model.SendTarget{Topics: []string{"one", "one"}}, []string{"a", "b", "c"}},
			"TwoTopics":   {model.SendTarget{Topics: []string{"one", "two"}}, []string{"a", "b", "c", "d"}},
			"EmptyTopic":  {model.SendTarget{Topics: []string{"none"}}, nil},
			"TopicNamed":  {model.SendTarget{Topics: []string{"two"}, Users: []string{"f", "d", "f"}}, []string{"b", "c", "d", "f"}},
			"TopicInline": {model.SendTarget{Topics: []string{"none"}, Inline: []model.IdentifyInput{{Identifier: "e"}}}, []string{"e"}},
			"Everyone":    {model.SendTarget{Everyone: true}, []string{"a", "b", "c", "d", "e", "f"}},
			"AllAtOnce":   {model.SendTarget{Everyone: true, Topics: []string{"one", "two"}, Users: []string{"a", "f"}}, []string{"a", "b", "c", "d", "e", "f"}},
		} {
			req := hello()
			req.To = tt.to
			id := f.mustSend(t, req).Send.ID
			f.expand(t)
			n := int64(len(tt.want))
			f.served(t, id, model.SendProgress{Total: n, Done: n})
			if got := f.rows(t, id); !slices.Equal(got, tt.want) {
				t.Errorf("%s: it went to %q, want %q", name, got, tt.want)
			}
		}
		if n := f.count(t, "select count(*) from notifications where env_id = ?", int64(other.env.ID)); n != 0 {
			t.Errorf("%d notifications in another environment", n)
		}
	})
}

func TestTopicsAreAskedWhenTheirTurnComes(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.users(t, "early", "late", "leaver", "gone", "off", "named", "namedGone")
		f.topic(t, "news", member("early"), member("leaver"), member("gone"), member("off"))
		f.topic(t, "old", member("named"))
		f.category(t, model.Category{Identifier: "offers"})

		req := toTopics("news", "old")
		req.To.Users, req.Category, req.SendAt = []string{"named", "namedGone", "x"}, "offers", f.clock.Now().Add(time.Hour)
		r := f.mustSend(t, req)
		if r.Send.Status != model.SendScheduled || r.Send.Progress != (model.SendProgress{Total: -1, Skipped: 1}) || r.Plan != nil {
			t.Errorf("accepted as %+v", r.Send)
		}
		f.expand(t)
		if n := f.count(t, "select count(*) from notifications"); n != 0 {
			t.Fatal("a send was expanded before its time")
		}

		f.subscribe(t, "news", member("late"))
		if _, err := f.store.UnsubscribeFromTopic(t.Context(), f.env.ID, model.Once{}, "news", []string{"leaver"}); err != nil {
			t.Fatal(err)
		}
		if _, err := f.store.DeleteTopic(t.Context(), f.env.ID, model.Once{}, "old"); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"gone", "namedGone"} {
			if err := storetest.Erase(t.Context(), f.store, f.env.ID, model.Once{}, name); err != nil {
				t.Fatal(err)
			}
		}
		f.clock.Advance(2 * time.Hour)
		f.fire(t)
		if m := f.mustFind(t, r.Send.ID); m.Status != model.SendExpanding || !m.FiredAt.Equal(f.clock.Now()) {
			t.Errorf("fired as %+v", m)
		}
		f.sql(t, "update users set enabled = false where identifier = 'off' returning 1")
		f.sql(t, "update categories set default_enabled = true returning 1")
		f.sql(t, "insert into preferences (env_id, user_id, category_id, channel, enabled, updated_at) select env_id, id, (select id from categories), 1, false, 1 from users where identifier = 'late' returning 1")
		f.clock.Advance(time.Minute) // the catalog remembers categories for seconds
		f.expand(t)
		f.served(t, r.Send.ID, model.SendProgress{Total: 5, Done: 2, Skipped: 3}) // who was deleted since is no part of it
		if got := f.rows(t, r.Send.ID); !slices.Equal(got, []string{"early", "late USER_CATEGORY_CHANNEL", "named", "off USER_DISABLED"}) {
			t.Errorf("it went to %q", got)
		}
		f.expand(t)
		f.fire(t)
		if n := f.count(t, "select count(*) from notifications"); n != 4 {
			t.Errorf("%d notifications after another look", n)
		}
	})
}

func TestEveryoneIsWhoWasThere(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.crowd(t, 5)
		f.clock.Advance(time.Second)
		now, later := toEveryone(), toEveryone()
		later.SendAt = f.clock.Now().Add(time.Hour)
		at, scheduled := f.mustSend(t, now).Send.ID, f.mustSend(t, later).Send.ID
		f.clock.Advance(time.Microsecond)
		f.users(t, "newcomer")
		other := *f
		other.env = f.environment(t, "other")
		other.users(t, "stranger")
		f.expand(t)
		f.clock.Advance(2 * time.Hour)
		f.fire(t)
		f.expand(t)
		for _, id := range []model.SendID{at, scheduled} {
			f.served(t, id, model.SendProgress{Total: 5, Done: 5})
			if got := f.rows(t, id); len(got) != 5 || slices.Contains(got, "newcomer") || slices.Contains(got, "stranger") {
				t.Errorf("it went to %q", got)
			}
		}
	})
}

// Another process, whose clock is ahead, has made a user: who is there when a
// send is accepted is part of everyone.
func TestEveryoneIsWhoWasThereByAnyClock(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.users(t, "ada")
		ahead := f.clock.Now().Add(3 * time.Second).UnixMicro()
		f.sql(t, "update users set created_at = ? where identifier = 'ada' returning 1", ahead)
		dry := toEveryone()
		dry.DryRun = true
		if out, err := f.Send(t.Context(), f.env, dry); err != nil || len(out.Value.Plan) != 1 {
			t.Errorf("a dry run: %+v, %v", out.Value, err)
		}
		now := f.mustSend(t, toEveryone()).Send.ID
		later := toEveryone()
		later.SendAt = f.clock.Now().Add(time.Second)
		scheduled := f.mustSend(t, later).Send.ID
		f.users(t, "late")
		f.sql(t, "update users set created_at = ? where identifier = 'late' returning 1", ahead+1)
		f.clock.Advance(time.Second)
		f.fire(t)
		f.expand(t)
		for _, id := range []model.SendID{now, scheduled} {
			if got := f.rows(t, id); !slices.Equal(got, []string{"ada"}) {
				t.Errorf("send %d went to %q, want ada", id, got)
			}
		}
	})
}

func TestTopicLimitsTheChannels(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.users(t, "all", "in", "mail", "both", "union", "free", "odd", "named", "empty")
		f.topic(t, "one",
			member("all"), member("in", "IN_APP"), member("mail", "EMAIL"), member("both", "EMAIL", "IN_APP", "EMAIL"),
			member("union", "EMAIL"), member("free", "EMAIL"), member("odd", "in_app", "PIGEON"), member("named", "EMAIL"),
			model.TopicMember{Identifier: "empty", Channels: []string{}})
		f.topic(t, "two", member("union", "IN_APP", "EMAIL"), member("free"))
		const not = " USER_TOPIC"

		req := toTopics("one", "two")
		req.To.Users = []string{"named"}
		id := f.mustSend(t, req).Send.ID
		req.Channels = []model.Channel{model.ChannelEmail}
		mail := f.mustSend(t, req).Send.ID
		alone := f.mustSend(t, toTopics("one")).Send.ID
		f.Chunk = 4
		f.expand(t)
		f.served(t, id, model.SendProgress{Total: 9, Done: 6, Skipped: 3})
		if got, want := f.rows(t, id), []string{"all", "both", "empty" + not, "free", "in", "mail" + not, "named", "odd" + not, "union"}; !slices.Equal(got, want) {
			t.Errorf("it went to %q, want %q", got, want)
		}
		if got := f.rows(t, mail); !slices.Contains(got, "both CHANNEL_NOT_REQUESTED") || !slices.Contains(got, "all CHANNEL_NOT_REQUESTED") {
			t.Errorf("for another channel it went to %q", got)
		}
		if got := f.rows(t, alone); !slices.Contains(got, "union"+not) || !slices.Contains(got, "free"+not) || !slices.Contains(got, "named"+not) {
			t.Errorf("through one topic it went to %q", got)
		}
	})
}

func TestUnknownTopicIsRefused(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.topic(t, "news")
		other := *f
		other.env = f.environment(t, "other")
		other.topic(t, "theirs")
		req := toTopics("news", "olds", "theirs")
		for _, dry := range []bool{false, true} {
			req.DryRun = dry
			if _, err := f.Send(t.Context(), f.env, req); !slices.Equal(problems(err), []string{"NOT_FOUND to.topics.1", "NOT_FOUND to.topics.2"}) {
				t.Errorf("dry run %t: %v", dry, err)
			}
		}
		if n := f.count(t, "select count(*) from sends"); n != 0 {
			t.Errorf("%d sends were kept", n)
		}
	})
}

func TestRepeatedLargeSendIsOneSend(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.crowd(t, 3)
		f.topic(t, "news")
		req := toTopics("news")
		req.To.Everyone, req.Once = true, model.Once{Operation: "sendNotification", Key: "k", Hash: [32]byte{1}}
		first := f.mustSend(t, req)
		f.expand(t)
		if _, err := f.store.DeleteTopic(t.Context(), f.env.ID, model.Once{}, "news"); err != nil {
			t.Fatal(err)
		}
		out, err := f.Send(t.Context(), f.env, req)
		if err != nil || !out.Replayed || out.Value.Send.ID != first.Send.ID || out.Value.Send.Content.Title != "Hello" {
			t.Errorf("repeated: %+v, %v", out, err)
		}
		f.expand(t)
		f.served(t, first.Send.ID, model.SendProgress{Total: 3, Done: 3})
		if n := f.count(t, "select count(*) from sends"); n != 1 {
			t.Errorf("%d sends", n)
		}
	})
}

func TestDryRunTellsOfAnAudience(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.users(t, "a", "b", "c")
		f.topic(t, "news", member("b", "EMAIL"), member("c", "EMAIL"))
		req := toTopics("news")
		req.To.Users, req.To.Inline, req.DryRun = []string{"a", "c", "x"}, []model.IdentifyInput{{Identifier: "new"}}, true
		r := f.mustSend(t, req)
		var got []string
		for _, p := range r.Plan {
			got = append(got, fmt.Sprintf("%s %s", p.Identifier, p.Channels[0].Decision.Reason))
		}
		slices.Sort(got)
		if want := []string{"a ENV_DEFAULT", "b USER_TOPIC", "c ENV_DEFAULT", "new ENV_DEFAULT"}; !slices.Equal(got, want) || r.Send != nil {
			t.Errorf("plan %q, send %v; want %q", got, r.Send, want)
		}
		if got := skipped(r); !slices.Equal(got, []string{"x USER_UNKNOWN", "b USER_TOPIC"}) {
			t.Errorf("skipped %q", got)
		}

		f.crowd(t, model.MaxRecipients-3)
		everyone := toEveryone()
		everyone.DryRun = true
		if r := f.mustSend(t, everyone); len(r.Plan) != model.MaxRecipients {
			t.Errorf("%d rows in the plan of as many as may be", len(r.Plan))
		}
		everyone.To.Inline = req.To.Inline
		if _, err := f.Send(t.Context(), f.env, everyone); model.KindOf(err) != model.KindLimit || !slices.Equal(problems(err), []string{"LIMIT_EXCEEDED dryRun"}) {
			t.Errorf("with one more by name: %v", err)
		}
		f.users(t, "another")
		everyone.To.Inline = nil
		if _, err := f.Send(t.Context(), f.env, everyone); model.KindOf(err) != model.KindLimit || !slices.Equal(problems(err), []string{"LIMIT_EXCEEDED dryRun"}) {
			t.Errorf("with one more: %v", err)
		}
		if n := f.count(t, "select count(*) from sends") + f.count(t, "select count(*) from notifications"); n != 0 {
			t.Error("a dry run wrote something")
		}
	})
}
