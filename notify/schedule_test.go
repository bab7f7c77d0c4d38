package notify_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"carillon/model"
	"carillon/notify"
)

func (f *fixture) in(d time.Duration, users ...string) model.SendRequest {
	r := hello(users...)
	r.SendAt = f.clock.Now().Add(d)
	return r
}

func (f *fixture) fire(t testing.TB, services ...*notify.Service) {
	t.Helper()
	if len(services) == 0 {
		services = []*notify.Service{f.Service}
	}
	var wg sync.WaitGroup
	for _, s := range services {
		wg.Go(func() {
			if _, err := s.FireDue(t.Context()); err != nil {
				t.Errorf("firing: %v", err)
			}
		})
	}
	wg.Wait()
}

func TestScheduledSendFiresWhenItIsDue(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		users := f.users(t, "ada", "gone", "disabled")
		req := f.in(time.Hour, "ada", "gone", "disabled", "x")
		req.WantPlan = true
		r := f.mustSend(t, req)
		if r.Send.Status != model.SendScheduled || !r.Send.FiredAt.IsZero() || r.Send.Progress != (model.SendProgress{Total: 4, Skipped: 1}) {
			t.Errorf("accepted as %+v", r.Send)
		}
		if len(r.Plan) != 3 || r.Plan[0].Notification != 0 || !r.Plan[0].Channels[0].Decision.Allowed {
			t.Errorf("plan %+v", r.Plan)
		}
		if got := skipped(r); !slices.Equal(got, []string{"x USER_UNKNOWN"}) {
			t.Errorf("skipped %q", got)
		}

		f.sql(t, "delete from users where id = ? returning 1", int64(users[1].ID))
		f.sql(t, "update users set enabled = false where id = ? returning 1", int64(users[2].ID))
		f.clock.Advance(time.Hour - time.Microsecond)
		next, err := f.FireDue(t.Context())
		if err != nil || !next.Equal(r.Send.SendAt) {
			t.Errorf("before its time: next %v, %v", next, err)
		}
		if n := f.count(t, "select count(*) from notifications"); n != 0 {
			t.Fatalf("%d notifications before the time", n)
		}

		f.clock.Advance(time.Minute)
		f.fire(t)
		f.fire(t)
		m, err := f.Find(t.Context(), f.env.ID, r.Send.ID)
		if err != nil {
			t.Fatal(err)
		}
		if m.Status != model.SendSent || !m.FiredAt.Equal(f.clock.Now()) || !m.CreatedAt.Equal(r.Send.CreatedAt) {
			t.Errorf("fired as %+v", m)
		}
		// Of four: one in the inbox, one unknown from the beginning, one
		// deleted and one disabled since.
		if m.Progress != (model.SendProgress{Total: 4, Done: 1, Skipped: 3}) {
			t.Errorf("progress %+v", m.Progress)
		}
		rows := f.sql(t, "select sort_at, user_id from notifications where in_inbox = ?", true)
		if len(rows) != 1 || rows[0][0] != f.clock.Now().UnixMicro() || rows[0][1] != int64(users[0].ID) {
			t.Errorf("in inboxes: %v; want one, sorted by when it fired", rows)
		}
		f.noDrift(t)
	})
}

func TestPreferencesAreThoseOfTheMomentOfFiring(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ada := f.users(t, "ada")[0]
		c := f.category(t, model.Category{Identifier: "news", DefaultEnabled: true})
		req := f.in(time.Hour, "ada")
		req.Category = "news"
		f.mustSend(t, req)
		f.sql(t, "insert into preferences (env_id, user_id, category_id, channel, enabled, updated_at) values (?, ?, ?, 1, false, 1) returning 1",
			int64(f.env.ID), int64(ada.ID), int64(c.ID))
		f.clock.Advance(time.Hour)
		f.fire(t)
		rows := f.sql(t, "select in_inbox, reason from notifications")
		if len(rows) != 1 || fmt.Sprint(rows[0][1]) != fmt.Sprint(int16(model.ReasonUserCategoryChannel)) {
			t.Errorf("rows %v, want one outside of the inbox by the user's choice", rows)
		}
	})
}

func TestTwoProcessesFireEachSendOnceAndInOrder(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.users(t, "ada")
		const sends = 150
		ids := make([]model.SendID, sends)
		for i := range sends {
			req := f.in(time.Hour+time.Duration((i*7)%10)*time.Second, "ada") // ties, and not in the order of their making
			ids[i] = f.mustSend(t, req).Send.ID
		}
		f.clock.Advance(2 * time.Hour)
		f.fire(t, f.Service, f.another(t), f.another(t))

		if n := f.count(t, "select count(*) from sends where status = 'SENT' and done = 1 and audience is null"); n != sends {
			t.Errorf("%d sends fired, want %d", n, sends)
		}
		rows := f.sql(t, "select s.id, s.send_at from notifications n join sends s on s.env_id = n.env_id and s.id = n.send_id order by n.sort_at, n.seq, n.id")
		if len(rows) != sends {
			t.Fatalf("%d notifications, want %d", len(rows), sends)
		}
		for i := 1; i < len(rows); i++ {
			a, b := rows[i-1], rows[i]
			if a[1].(int64) > b[1].(int64) || a[1] == b[1] && a[0].(int64) > b[0].(int64) {
				t.Fatalf("send %v (due %v) fired before send %v (due %v)", a[0], a[1], b[0], b[1])
			}
		}
		f.noDrift(t)
	})
}

func TestCancel(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.users(t, "ada")
		r := f.mustSend(t, f.in(time.Hour, "ada"))
		once := model.Once{Operation: "cancelSend", Key: "c1", Hash: [32]byte{1}}

		other := f.environment(t, "other")
		if _, err := f.Cancel(t.Context(), other.ID, model.Once{}, r.Send.ID); model.KindOf(err) != model.KindNotFound {
			t.Errorf("cancelled from another environment: %v", err)
		}
		out, err := f.Cancel(t.Context(), f.env.ID, once, r.Send.ID)
		if err != nil || out.Replayed || out.Value.Status != model.SendCanceled {
			t.Fatalf("cancelled: %+v, %v", out, err)
		}
		if again, err := f.Cancel(t.Context(), f.env.ID, once, r.Send.ID); err != nil || !again.Replayed || again.Value.Status != model.SendCanceled {
			t.Errorf("with the same key: %+v, %v", again, err)
		}
		if _, err := f.Cancel(t.Context(), f.env.ID, model.Once{}, r.Send.ID); !slices.Equal(problems(err), []string{"CONFLICT id"}) {
			t.Errorf("a second time: %v, want a conflict", err)
		}
		if _, err := f.Cancel(t.Context(), f.env.ID, model.Once{}, 1); !slices.Equal(problems(err), []string{"NOT_FOUND id"}) {
			t.Errorf("no such send: %v", err)
		}
		f.clock.Advance(2 * time.Hour)
		f.fire(t)
		if n := f.count(t, "select count(*) from notifications"); n != 0 {
			t.Error("a cancelled send fired")
		}
		sent := f.mustSend(t, hello("ada"))
		if _, err := f.Cancel(t.Context(), f.env.ID, model.Once{}, sent.Send.ID); model.KindOf(err) != model.KindConflict {
			t.Errorf("a send that went out: %v, want a conflict", err)
		}
	})
}

func TestCancelAndFireRaceOnOneRow(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.users(t, "ada")
		const rounds = 20
		var canceled atomic.Int64
		for range rounds {
			id := f.mustSend(t, f.in(time.Second, "ada")).Send.ID
			f.clock.Advance(time.Minute)
			var wg sync.WaitGroup
			wg.Go(func() { f.fire(t) })
			wg.Go(func() {
				_, err := f.Cancel(t.Context(), f.env.ID, model.Once{}, id)
				switch model.KindOf(err) {
				case "":
					canceled.Add(1)
				case model.KindConflict:
				default:
					t.Errorf("cancelling: %v", err)
				}
			})
			wg.Wait()
		}
		if n := f.count(t, "select count(*) from sends where status = 'CANCELED'"); n != canceled.Load() {
			t.Errorf("%d sends are cancelled, %d were told so", n, canceled.Load())
		}
		if n := f.count(t, "select count(*) from notifications"); n != rounds-canceled.Load() {
			t.Errorf("%d notifications, want one for each of the %d sends that won", n, rounds-canceled.Load())
		}
		f.noDrift(t)
	})
}

func TestRunFiresOnTime(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.users(t, "ada")
		s := f.another(t)
		s.Now = time.Now
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { s.Run(ctx) })
		req := hello("ada")
		req.SendAt = time.Now().Add(50 * time.Millisecond)
		if _, err := s.Send(t.Context(), f.env, req); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the firing", func() bool { return f.count(t, "select count(*) from notifications") == 1 })
		if f.count(t, "select fired_at from sends") < f.count(t, "select send_at from sends") {
			t.Error("it fired before its time")
		}
		stop()
		wg.Wait()
	})
}

func TestListsOfSends(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.users(t, "ada")
		c := f.category(t, model.Category{Identifier: "news", DefaultEnabled: true})
		var byAge, byTime []model.SendID
		for i := range 7 {
			req := f.in(time.Duration(10-i/2)*time.Hour, "ada")
			if i%2 == 0 {
				req.Category = "news"
			}
			id := f.mustSend(t, req).Send.ID
			byAge = append([]model.SendID{id}, byAge...)
			byTime = append(byTime, id)
			if i%3 == 0 {
				f.clock.Advance(time.Second)
			}
		}
		other := *f
		other.env = f.environment(t, "other")
		other.users(t, "ada")
		other.mustSend(t, other.in(time.Hour, "ada"))

		list := func(page model.PageRequest) (model.Page[model.Send], error) {
			return f.List(t.Context(), f.env.ID, model.SendFilter{}, page)
		}
		scheduled := func(page model.PageRequest) (model.Page[model.Send], error) {
			return f.Scheduled(t.Context(), f.env.ID, page)
		}
		sends, err := f.ByIDs(t.Context(), f.env.ID, byTime)
		if err != nil || len(sends) != 7 {
			t.Fatalf("by id: %d, %v", len(sends), err)
		}
		slices.SortFunc(byTime, func(a, b model.SendID) int {
			if c := sends[a].SendAt.Compare(sends[b].SendAt); c != 0 {
				return c
			}
			return int(a - b)
		})
		walk(t, "sends", list, func(m model.Send) time.Time { return m.CreatedAt }, byAge)
		walk(t, "scheduled", scheduled, func(m model.Send) time.Time { return m.SendAt }, byTime)

		for name, tt := range map[string]struct {
			filter model.SendFilter
			want   int
		}{
			"All":                 {model.SendFilter{}, 7},
			"Scheduled":           {model.SendFilter{Statuses: []model.SendStatus{model.SendScheduled, model.SendSent}}, 7},
			"Sent":                {model.SendFilter{Statuses: []model.SendStatus{model.SendSent}}, 0},
			"NoStatus":            {model.SendFilter{Statuses: []model.SendStatus{}}, 0},
			"Category":            {model.SendFilter{Categories: []model.CategoryID{c.ID}}, 4},
			"NoCategory":          {model.SendFilter{Categories: []model.CategoryID{}}, 0},
			"CategoryAndSent":     {model.SendFilter{Categories: []model.CategoryID{c.ID}, Statuses: []model.SendStatus{model.SendSent}}, 0},
			"WithoutAnyCategory0": {model.SendFilter{Categories: []model.CategoryID{0}}, 3},
		} {
			page, err := f.List(t.Context(), f.env.ID, tt.filter, model.PageRequest{Limit: 20})
			if err != nil || len(page.Items) != tt.want || page.HasMore {
				t.Errorf("%s: %d sends, more %t, %v; want %d", name, len(page.Items), page.HasMore, err, tt.want)
			}
		}
		if _, err := f.Find(t.Context(), other.env.ID, byAge[0]); model.KindOf(err) != model.KindNotFound {
			t.Errorf("found in another environment: %v", err)
		}
		if found, err := f.ByIDs(t.Context(), other.env.ID, byAge); err != nil || len(found) != 0 {
			t.Errorf("found %d by id in another environment, %v", len(found), err)
		}
	})
}

// walk pages through a list in both directions.
func walk(t *testing.T, name string, list func(model.PageRequest) (model.Page[model.Send], error), at func(model.Send) time.Time, want []model.SendID) {
	t.Helper()
	key := func(m model.Send) *model.PageKey { return &model.PageKey{At: at(m), ID: int64(m.ID)} }
	for _, backward := range []bool{false, true} {
		var got []model.SendID
		page := model.PageRequest{Limit: 3, Backward: backward}
		for {
			p, err := list(page)
			if err != nil {
				t.Fatal(err)
			}
			var ids []model.SendID
			for _, m := range p.Items {
				ids = append(ids, m.ID)
			}
			if backward {
				got = append(ids, got...)
			} else {
				got = append(got, ids...)
			}
			if !p.HasMore || len(p.Items) == 0 {
				break
			}
			if backward {
				page.Before = key(p.Items[0])
			} else {
				page.After = key(p.Items[len(p.Items)-1])
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s, backward %t: %v, want %v", name, backward, got, want)
		}
	}
	all, err := list(model.PageRequest{Limit: len(want)})
	if err != nil {
		t.Fatal(err)
	}
	between, err := list(model.PageRequest{Limit: 20, After: key(all.Items[0]), Before: key(all.Items[len(want)-1])})
	if err != nil || len(between.Items) != len(want)-2 {
		t.Errorf("%s between the first and the last: %d, %v", name, len(between.Items), err)
	}
}

func TestProgressStream(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.users(t, "ada")
		if _, err := f.WatchProgress(t.Context(), f.env.ID, 1, func() {}); model.KindOf(err) != model.KindNotFound {
			t.Errorf("of no send: %v", err)
		}
		for name, end := range map[string]struct {
			do   func(id model.SendID)
			want model.SendStatus
		}{
			"Fired": {func(model.SendID) { f.clock.Advance(2 * time.Hour); f.fire(t) }, model.SendSent},
			"Canceled": {func(id model.SendID) {
				if _, err := f.Cancel(t.Context(), f.env.ID, model.Once{}, id); err != nil {
					t.Error(err)
				}
			}, model.SendCanceled},
		} {
			id := f.mustSend(t, f.in(time.Hour, "ada")).Send.ID
			var woken atomic.Int64
			p, err := f.WatchProgress(t.Context(), f.env.ID, id, func() { woken.Add(1) })
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			if m, ok, err := p.Next(t.Context()); !ok || err != nil || m.Status != model.SendScheduled {
				t.Errorf("%s: first %+v, %t, %v", name, m, ok, err)
			}
			p.Offer(model.Hint{})
			if m, ok, err := p.Next(t.Context()); ok || err != nil {
				t.Errorf("%s: told of no change: %+v, %v", name, m, err)
			}
			woken.Store(0)
			end.do(id)
			if woken.Load() == 0 {
				t.Errorf("%s: the stream was not woken", name)
			}
			if m, ok, err := p.Next(t.Context()); !ok || err != nil || m.Status != end.want {
				t.Errorf("%s: then %+v, %t, %v", name, m, ok, err)
			}
			if _, _, err := p.Next(t.Context()); !errors.Is(err, io.EOF) {
				t.Errorf("%s: after the end: %v, want io.EOF", name, err)
			}
		}
	})
}
