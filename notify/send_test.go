package notify_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	"carillon/model"
)

func hello(users ...string) model.SendRequest {
	return model.SendRequest{To: model.SendTarget{Users: users}, Content: model.Content{Title: "Hello", Body: "World"}}
}

// problems lists the problems of err as "CODE path"; none for another error.
func problems(err error) []string {
	e, ok := errors.AsType[*model.Error](err)
	if !ok {
		return nil
	}
	var out []string
	for _, p := range e.Problems {
		out = append(out, string(p.Code)+" "+p.Field())
	}
	return out
}

// skipped lists who was left out as "identifier REASON".
func skipped(r model.SendResult) []string {
	var out []string
	for _, s := range r.Skipped {
		out = append(out, s.Identifier+" "+s.Reason.String())
	}
	return out
}

func TestSendReachesEveryInbox(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		users := f.users(t, "ada", "bob")
		r := f.mustSend(t, hello("ada", "bob", "ada"))

		if p := r.Send.Progress; p != (model.SendProgress{Total: 2, Done: 2}) {
			t.Errorf("progress %+v, want 2 of 2", p)
		}
		if r.Send.Status != model.SendSent || r.Send.RequestID == "" || r.Send.ID == 0 || !r.Send.FiredAt.Equal(f.clock.Now()) {
			t.Errorf("send %+v", r.Send)
		}
		stored, err := f.Find(t.Context(), f.env.ID, r.Send.ID)
		if err != nil {
			t.Fatal(err)
		}
		if stored.Content.Title != "Hello" || stored.Content.Body != "World" || stored.RequestID != r.Send.RequestID || stored.Progress != r.Send.Progress {
			t.Errorf("stored %+v, answered %+v", stored, r.Send)
		}

		hints := f.hub.hints()
		if len(hints) != 2 {
			t.Fatalf("%d hints, want one for each inbox", len(hints))
		}
		for i, h := range hints {
			c := h.Change
			if h.Key != model.InboxKey(f.env.ID, users[i].ID) || h.Seq != 1 || c.Counters != (model.Counters{Total: 1, Unseen: 1, Unread: 1}) || len(c.Added) != 1 {
				t.Fatalf("hint %+v, change %+v", h, c)
			}
			n := c.Added[0]
			if n.ID == 0 || n.SendID != r.Send.ID || n.Seq != 1 || !n.InInbox || n.Content.Title != "Hello" || n.Reason != model.ReasonEnvDefault {
				t.Errorf("added %+v", n)
			}
		}
		f.noDrift(t)
	})
}

func TestHintsGoOutAfterTheCommit(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.users(t, "ada")
		f.hub.on = func(hints []model.Hint) {
			for _, h := range hints {
				if n := f.count(t, "select seq from inboxes where user_id = ?", h.Key.ID); n < h.Seq {
					t.Errorf("published seq %d while the database was at %d", h.Seq, n)
				}
			}
		}
		f.mustSend(t, hello("ada"))
		f.mustSend(t, hello("ada"))
		if n := len(f.hub.hints()); n != 2 {
			t.Errorf("%d hints, want 2", n)
		}
	})
}

func TestSendRefusals(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.users(t, "ada")
		other := *f
		other.env = f.environment(t, "other")
		other.category(t, model.Category{Identifier: "elsewhere"})
		other.users(t, "eve")

		tests := []struct {
			name   string
			change func(*model.SendRequest)
			want   []string
		}{
			{"Invalid", func(r *model.SendRequest) { r.Content.Title = ""; r.To.Users = nil }, []string{"REQUIRED to", "REQUIRED title"}},
			{"BadInline", func(r *model.SendRequest) {
				r.Content.Title = ""
				r.To.Inline = []model.IdentifyInput{{Identifier: "new"}, {Identifier: " ", Attributes: json.RawMessage(`{"email":"nope"}`)}}
			}, []string{"INVALID to.inlineUsers.1.identifier", "INVALID to.inlineUsers.1.profile.email", "REQUIRED title"}},
			{"UnknownCategory", func(r *model.SendRequest) { r.Category = "nope" }, []string{"NOT_FOUND category"}},
			{"AnotherEnvironmentsCategory", func(r *model.SendRequest) { r.Category = "elsewhere" }, []string{"NOT_FOUND category"}},
			{"UnknownUsers", func(r *model.SendRequest) {
				r.To.Users, r.OnUnknown = []string{"x", "ada", "y", "x"}, model.UnknownReject
			}, []string{"UNKNOWN_USER to.users.0", "UNKNOWN_USER to.users.2", "UNKNOWN_USER to.users.3"}},
			{"AnotherEnvironmentsUser", func(r *model.SendRequest) { r.To.Users, r.OnUnknown = []string{"eve"}, model.UnknownReject }, []string{"UNKNOWN_USER to.users.0"}},
			{"UnknownBesideInline", func(r *model.SendRequest) {
				r.To = model.SendTarget{Users: []string{"x"}, Inline: []model.IdentifyInput{{Identifier: "new"}}}
				r.OnUnknown = model.UnknownReject
			}, []string{"UNKNOWN_USER to.users.0"}},
		}
		for _, tt := range tests {
			for _, dry := range []bool{false, true} {
				r := hello("ada")
				tt.change(&r)
				r.DryRun = dry
				_, err := f.Send(t.Context(), f.env, r)
				if got := problems(err); !slices.Equal(got, tt.want) {
					t.Errorf("%s, dry run %t: problems %q (%v), want %q", tt.name, dry, got, err, tt.want)
				}
			}
		}
		for _, table := range []string{"sends", "inboxes", "notifications", "idempotency"} {
			if n := f.count(t, "select count(*) from "+table); n != 0 {
				t.Errorf("%d rows in %s after refusals only", n, table)
			}
		}
		if n := f.count(t, "select count(*) from users where identifier = 'new'"); n != 0 {
			t.Error("a refused send created its inline user")
		}
	})
}

func TestUnknownUsers(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.users(t, "ada")
		skip := f.mustSend(t, hello("ada", "x", "y"))
		if got := skipped(skip); !slices.Equal(got, []string{"x USER_UNKNOWN", "y USER_UNKNOWN"}) {
			t.Errorf("skipped %q", got)
		}
		if p := skip.Send.Progress; p != (model.SendProgress{Total: 3, Done: 1, Skipped: 2}) {
			t.Errorf("progress %+v", p)
		}

		none := f.mustSend(t, hello("x"))
		if p := none.Send.Progress; p != (model.SendProgress{Total: 1, Skipped: 1}) || none.Send.Status != model.SendSent {
			t.Errorf("a send to nobody known: %s, %+v", none.Send.Status, p)
		}

		req := hello("ada", "x")
		req.OnUnknown = model.UnknownCreate
		created := f.mustSend(t, req)
		if p := created.Send.Progress; p != (model.SendProgress{Total: 2, Done: 2}) || len(created.Skipped) != 0 {
			t.Errorf("progress %+v, skipped %q", p, skipped(created))
		}
		if _, err := f.store.User(t.Context(), f.env.ID, "x"); err != nil {
			t.Errorf("the user was not created: %v", err)
		}
		f.noDrift(t)
	})
}

func TestInlineUsersAreCreatedAndUpdated(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.users(t, "ada")
		req := hello("bob")
		req.To.Inline = []model.IdentifyInput{
			{Identifier: "ada", Attributes: json.RawMessage(`{"firstName":"Ada"}`)},
			{Identifier: "new", Attributes: json.RawMessage(`{"firstName":"New"}`)},
		}
		r := f.mustSend(t, req)
		if p := r.Send.Progress; p != (model.SendProgress{Total: 3, Done: 2, Skipped: 1}) {
			t.Errorf("progress %+v", p)
		}
		for _, in := range req.To.Inline {
			u, err := f.store.User(t.Context(), f.env.ID, in.Identifier)
			if err != nil || string(u.Profile.Attributes) != string(in.Attributes) {
				t.Errorf("%s: %s, %v", in.Identifier, u.Profile.Attributes, err)
			}
		}

		req.DryRun = true
		req.To.Inline = []model.IdentifyInput{{Identifier: "dry"}}
		out, err := f.Send(t.Context(), f.env, req)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.store.User(t.Context(), f.env.ID, "dry"); model.KindOf(err) != model.KindNotFound {
			t.Errorf("a dry run created a user: %v", err)
		}
		if p := out.Value.Plan; len(p) != 1 || p[0].Identifier != "dry" || p[0].UserID != 0 || !p[0].Channels[0].Decision.Allowed {
			t.Errorf("plan %+v", p)
		}
	})
}

func TestUsersWhoMustNotBeReached(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		off := false
		users := f.users(t, "disabled", "unwilling", "obliged", "ada")
		news := f.category(t, model.Category{Identifier: "news", DefaultEnabled: true})
		f.sql(t, "update users set enabled = false where id = ? returning 1", int64(users[0].ID))
		for _, u := range users[1:3] {
			f.sql(t, "insert into preferences (env_id, user_id, category_id, channel, enabled, updated_at) values (?, ?, ?, 0, false, 1) returning 1",
				int64(f.env.ID), int64(u.ID), int64(news.ID))
		}
		req := hello("disabled", "unwilling", "ada")
		req.Category = "news"
		r := f.mustSend(t, req)

		if got := skipped(r); !slices.Equal(got, []string{"disabled USER_DISABLED", "unwilling USER_CATEGORY"}) {
			t.Errorf("skipped %q", got)
		}
		if p := r.Send.Progress; p != (model.SendProgress{Total: 3, Done: 1, Skipped: 2}) {
			t.Errorf("progress %+v", p)
		}
		rows := f.sql(t, "select user_id, reason, seq from notifications where send_id = ? and in_inbox = ? order by user_id", int64(r.Send.ID), off)
		if len(rows) != 2 {
			t.Errorf("%d notifications outside of inboxes, want 2 that explain", len(rows))
		}
		if n := len(f.hub.hints()); n != 1 {
			t.Errorf("%d hints, want one: nothing happened to the others' inboxes", n)
		}
		f.noDrift(t)

		f.category(t, model.Category{Identifier: "security", RequiredChannels: []model.Channel{model.ChannelInApp}})
		f.sql(t, "insert into preferences (env_id, user_id, category_id, channel, enabled, updated_at) values (?, ?, 0, 1, false, 1) returning 1", int64(f.env.ID), int64(users[2].ID))
		must := hello("obliged", "disabled")
		must.Category = "security"
		if got := skipped(f.mustSend(t, must)); !slices.Equal(got, []string{"disabled USER_DISABLED"}) {
			t.Errorf("of a required category skipped %q", got)
		}
	})
}

func TestChannelsAndPlan(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.users(t, "ada", "bob@example.com")
		req := hello("ada", "bob@example.com")
		if r := f.mustSend(t, req); r.Plan != nil {
			t.Errorf("a plan that nobody asked for: %+v", r.Plan)
		}
		req.WantPlan, req.Channels = true, []model.Channel{model.ChannelEmail}
		r := f.mustSend(t, req)
		want := [][]model.Reason{
			{model.ReasonChannelNotRequested, model.ReasonNoAddress},
			{model.ReasonChannelNotRequested, model.ReasonAdminOff},
		}
		if len(r.Plan) != 2 {
			t.Fatalf("plan %+v", r.Plan)
		}
		for i, p := range r.Plan {
			if p.Notification == 0 || p.Identifier != req.To.Users[i] || len(p.Channels) != 2 {
				t.Fatalf("plan %+v", p)
			}
			for c, reason := range want[i] {
				if d := p.Channels[c].Decision; d.Allowed || d.Reason != reason || len(d.Ladder) == 0 {
					t.Errorf("%s over %s: %+v, want %s", p.Identifier, p.Channels[c].Channel, d, reason)
				}
			}
		}
		if r.Send.Progress.Skipped != 2 {
			t.Errorf("progress %+v, want both skipped", r.Send.Progress)
		}
	})
}

func TestPlanOfManyIsForDryRuns(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		var names []string
		for i := range model.MaxRecipients {
			names = append(names, fmt.Sprintf("user-%04d", i))
		}
		req := hello(names...)
		req.OnUnknown, req.WantPlan = model.UnknownCreate, true
		r := f.mustSend(t, req)
		if r.Plan != nil || r.Send.Status != model.SendExpanding || r.Send.Progress.Total != model.MaxRecipients {
			t.Errorf("%d rows in the plan, %s, progress %+v", len(r.Plan), r.Send.Status, r.Send.Progress)
		}
		if n := f.count(t, "select count(*) from users"); n != model.MaxRecipients {
			t.Errorf("%d users were created", n)
		}
		req.DryRun = true
		out, err := f.Send(t.Context(), f.env, req)
		if err != nil || len(out.Value.Plan) != model.MaxRecipients || out.Value.Send != nil {
			t.Errorf("dry run: %d rows, send %v, %v", len(out.Value.Plan), out.Value.Send, err)
		}
	})
}
