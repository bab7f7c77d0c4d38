package store_test

import (
	"testing"
	"time"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

// clocked is a store whose process has a clock of its own, and its queue of e-mail.
type clocked struct {
	*store.Store
	now time.Time
	f   *sends
}

func openClocked(t *testing.T, url string, now time.Time) *clocked {
	t.Helper()
	c := &clocked{now: now}
	c.Store = storetest.Open(t, store.Config{URL: url, MaxConns: 2, Now: func() time.Time { return c.now }})
	return c
}

// queue plans a delivery that is due at once.
func (c *clocked) queue(t *testing.T, id model.DeliveryID) {
	t.Helper()
	p := c.f.pending(t, c.f.users...)
	p.Deliveries = []model.PlannedDelivery{{Delivery: model.Delivery{
		ID: id, EnvID: c.f.env, NotificationID: p.Notifications[0].ID, UserID: c.f.users[0].ID, SendID: p.Send.ID, Channel: model.ChannelEmail,
		State: model.DeliveryQueued, Reason: model.ReasonEnvDefault, Address: "a@example.com", CreatedAt: c.now,
	}}}
	f := *c.f
	f.s = c.Store
	f.mustSave(t, p)
}

// claims sees that just these are due, and claims them for a minute.
func (c *clocked) claims(t *testing.T, env model.EnvID, want ...model.DeliveryID) []model.ClaimedDelivery {
	t.Helper()
	lanes, err := c.DueLanes(t.Context())
	if err != nil || len(lanes) != min(len(want), 1) {
		t.Fatalf("lanes that are due: %+v, %v; want deliveries %v", lanes, err, want)
	}
	got, err := c.ClaimDeliveries(t.Context(), []model.LaneClaim{{Lane: model.Lane{Env: env, Channel: model.ChannelEmail}, Limit: 10}}, time.Minute)
	if err != nil || len(got) != len(want) {
		t.Fatalf("claimed %+v, %v; want %v", got, err, want)
	}
	for i, d := range got {
		if d.ID != want[i] || d.Elapsed != 0 && d.Fence == 1 {
			t.Fatalf("claimed %+v, want %v", got, want)
		}
	}
	return got
}

// TestClocksThatDiffer has processes share one queue whose clocks differ, and one
// of which is put back: what one holds no other has, and what is due all see.
func TestClocksThatDiffer(t *testing.T) {
	t.Parallel()
	storetest.OnPostgres(t, func(t *testing.T, url string) {
		now := time.Now()
		right, ahead, behind := openClocked(t, url, now), openClocked(t, url, now.Add(10*time.Minute)), openClocked(t, url, now.Add(-10*time.Minute))
		f := newSends(t, right.Store, 1)
		right.f, ahead.f, behind.f = f, f, f
		for c, want := range map[*clocked]time.Duration{right: 0, ahead: -10 * time.Minute, behind: 10 * time.Minute} {
			if lag, err := c.ClockLag(t.Context()); err != nil || (lag-want).Abs() > time.Minute {
				t.Errorf("the database is ahead by %s, %v; want %s", lag, err, want)
			}
		}
		behind.queue(t, "d1")
		held := ahead.claims(t, f.env, "d1")
		behind.claims(t, f.env)
		right.claims(t, f.env)
		ahead.now = ahead.now.Add(-time.Hour)
		ahead.claims(t, f.env)
		ahead.queue(t, "d2")
		behind.claims(t, f.env, "d2")
		done := model.FinishedDelivery{ClaimedDelivery: held[0]}
		done.State = model.DeliveryQueued // at once
		if counted, err := ahead.FinishDeliveries(t.Context(), []model.FinishedDelivery{done}); err != nil || len(counted) != 1 {
			t.Fatalf("counted %v, %v", counted, err)
		}
		right.claims(t, f.env, "d1")
	})
}

// TestClockThatJumps has the one process of SQLite go by its own clock: when that
// jumps ahead, what is held is claimed anew and what was held counts no more; when
// it is put back, what is new is due all the same, and what is held until the clock
// has come there again.
func TestClockThatJumps(t *testing.T) {
	t.Parallel()
	url := storetest.SQLite(t)
	c := openClocked(t, url, time.Now())
	c.f = newSends(t, c.Store, 1)
	c.queue(t, "d1")
	held := c.claims(t, c.f.env, "d1")
	c.now = c.now.Add(10 * time.Minute)
	again := c.claims(t, c.f.env, "d1")
	for i, d := range []model.ClaimedDelivery{held[0], again[0]} {
		done := model.FinishedDelivery{ClaimedDelivery: d, Delay: time.Minute}
		done.State = model.DeliveryQueued
		if counted, err := c.FinishDeliveries(t.Context(), []model.FinishedDelivery{done}); err != nil || len(counted) != i {
			t.Fatalf("claim %d: counted %v, %v", i, counted, err)
		}
	}
	c.now = c.now.Add(-time.Hour)
	c.queue(t, "d2")
	done := model.FinishedDelivery{ClaimedDelivery: c.claims(t, c.f.env, "d2")[0]}
	done.State = model.DeliverySent
	if _, err := c.FinishDeliveries(t.Context(), []model.FinishedDelivery{done}); err != nil {
		t.Fatal(err)
	}
	c.claims(t, c.f.env)
	c.now = c.now.Add(time.Hour + time.Minute)
	c.claims(t, c.f.env, "d1")
}
