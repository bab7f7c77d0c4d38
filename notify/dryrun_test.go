package notify_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"carillon/model"
)

// TestDryRunSaysWhatTheSendDoes sends random requests to users with random
// preferences, each first as a dry run: the plans, ladders included, and the
// lists of those left out are equal, and the rows are as planned.
func TestDryRunSaysWhatTheSendDoes(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		r := rand.New(rand.NewPCG(1, 2))
		w := newWorld(t, f, r)
		for i := range 60 {
			req := w.request(i)
			req.DryRun = true
			before := f.count(t, "select count(*) from users") + f.count(t, "select count(*) from sends")
			dry, dryErr := f.Send(t.Context(), f.env, req)
			if after := f.count(t, "select count(*) from users") + f.count(t, "select count(*) from sends"); after != before {
				t.Fatalf("request %d: the dry run wrote something", i)
			}
			req.DryRun, req.WantPlan = false, true
			sent, err := f.Send(t.Context(), f.env, req)
			if fmt.Sprint(dryErr) != fmt.Sprint(err) {
				t.Fatalf("request %+v: the dry run says %v, the send %v", req, dryErr, err)
			}
			if err != nil {
				continue
			}
			if got, want := plan(dry.Value), plan(sent.Value); got != want {
				t.Fatalf("request %+v:\nplanned %s\ndone    %s", req, got, want)
			}
			for _, p := range sent.Value.Plan {
				row := f.sql(t, "select in_inbox, reason from notifications where id = ?", int64(p.Notification))
				in := fmt.Sprint(row[0][0]) == "true" || fmt.Sprint(row[0][0]) == "1"
				if d := p.Channels[0].Decision; in != d.Allowed || fmt.Sprint(row[0][1]) != fmt.Sprint(int16(d.Reason)) {
					t.Fatalf("request %+v: row %v, decided %+v", req, row, d)
				}
			}
		}
		f.noDrift(t)
	})
}

// plan is what a result says of recipients, without the ids that only a real
// send gives out.
func plan(r model.SendResult) string {
	r.Plan = slices.Clone(r.Plan)
	for i := range r.Plan {
		r.Plan[i].Notification = 0
		r.Plan[i].UserID = 0
	}
	r.Send = nil
	b, _ := json.Marshal(r)
	return string(b)
}

// world is a set of users, categories and choices, and makes requests about
// them.
type world struct {
	r          *rand.Rand
	categories []string
}

func newWorld(t *testing.T, f *fixture, r *rand.Rand) *world {
	t.Helper()
	w := &world{r: r, categories: []string{"", "", "nowhere"}}
	var ids []model.CategoryID
	for i := range 4 {
		c := model.Category{Identifier: fmt.Sprintf("category-%d", i), DefaultEnabled: w.coin()}
		if w.coin() {
			c.ChannelDefaults = map[model.Channel]bool{model.ChannelInApp: w.coin()}
		}
		if i == 0 {
			c.RequiredChannels = []model.Channel{model.ChannelInApp}
		}
		ids = append(ids, f.category(t, c).ID)
		w.categories = append(w.categories, c.Identifier)
	}
	for i := range 20 {
		u := f.users(t, fmt.Sprintf("user-%d", i))[0]
		if i%7 == 0 {
			f.sql(t, "update users set enabled = false where id = ? returning 1", int64(u.ID))
		}
		for _, c := range append(ids, 0) {
			for _, channel := range []int16{0, int16(model.ChannelInApp), int16(model.ChannelEmail)} {
				if w.r.IntN(4) == 0 && (c != 0 || channel != 0) {
					f.sql(t, "insert into preferences (env_id, user_id, category_id, channel, enabled, updated_at) values (?, ?, ?, ?, ?, 1) returning 1",
						int64(f.env.ID), int64(u.ID), int64(c), channel, w.coin())
				}
			}
		}
	}
	return w
}

func (w *world) coin() bool { return w.r.IntN(2) == 0 }

func (w *world) request(i int) model.SendRequest {
	req := hello()
	for range w.r.IntN(12) {
		req.To.Users = append(req.To.Users, fmt.Sprintf("user-%d", w.r.IntN(22)))
	}
	if w.r.IntN(4) == 0 {
		req.To.Users = append(req.To.Users, fmt.Sprintf("mail-%d@example.com", i))
	}
	for range w.r.IntN(3) {
		in := model.IdentifyInput{Identifier: fmt.Sprintf("user-%d", w.r.IntN(24))}
		if w.coin() {
			in.Attributes = json.RawMessage(fmt.Sprintf(`{"email":"ada-%d@example.com"}`, i))
		}
		req.To.Inline = append(req.To.Inline, in)
	}
	req.Category = w.categories[w.r.IntN(len(w.categories))]
	switch w.r.IntN(4) {
	case 0:
		req.Channels = []model.Channel{model.ChannelEmail}
	case 1:
		req.Channels = []model.Channel{model.ChannelInApp, model.ChannelSMS}
	}
	req.OnUnknown = []model.UnknownPolicy{model.UnknownSkip, model.UnknownReject, model.UnknownCreate}[w.r.IntN(3)]
	return req
}
