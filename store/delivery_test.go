package store_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

// TestDeliveriesAreListedByState pages through a log by all sorts of states: what
// comes is what the whole log has of them, in its order.
func TestDeliveriesAreListedByState(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		const env, other = 7, 8
		r := rand.New(rand.NewPCG(1, 2))
		for i := range 80 {
			where := []int{env, env, env, other}[r.IntN(4)]
			channel := 2 + r.IntN(2)
			if err := store.Exec(t.Context(), s, `insert into deliveries (env_id, id, notification_id, user_id, send_id, channel, lane, state, reason, run_at, created_at, updated_at)
				values (?, ?, 1, 1, 1, ?, ?, ?, 12, 1, ?, 1)`, where, fmt.Sprintf("d%02d", i), channel, where*32+channel, 1+r.IntN(11), 1+r.IntN(20)); err != nil {
				t.Fatal(err)
			}
		}
		list := func(f model.DeliveryFilter, page model.PageRequest) model.Page[model.Delivery] {
			t.Helper()
			out, err := s.ListDeliveries(t.Context(), env, f, page)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		whole := list(model.DeliveryFilter{}, model.PageRequest{Limit: 100}).Items
		for _, states := range [][]model.DeliveryState{
			{}, {1}, {1, 2}, {2, 1, 1}, {3}, {3, 4}, {4}, {4, 8, 10}, {5, 9, 11}, {1, 3, 7}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11},
		} {
			for _, channels := range [][]model.Channel{nil, {2}} {
				f := model.DeliveryFilter{States: states, Channels: channels, Since: time.UnixMicro(3)}
				var want []model.DeliveryID
				for _, d := range whole {
					if slices.Contains(states, d.State) && (channels == nil || slices.Contains(channels, d.Channel)) && !d.CreatedAt.Before(f.Since) {
						want = append(want, d.ID)
					}
				}
				for _, backward := range []bool{false, true} {
					if got := paged(list, f, backward); !slices.Equal(got, want) {
						t.Errorf("states %v, channels %v, backward %t: %v, want %v", states, channels, backward, got, want)
					}
				}
			}
		}
	})
}

// paged are the ids of all pages, newest first.
func paged(list func(model.DeliveryFilter, model.PageRequest) model.Page[model.Delivery], f model.DeliveryFilter, backward bool) (ids []model.DeliveryID) {
	for page, more := (model.PageRequest{Limit: 7, Backward: backward}), true; more; {
		out := list(f, page)
		if more = out.HasMore; len(out.Items) == 0 {
			return ids
		}
		var some []model.DeliveryID
		for _, d := range out.Items {
			some = append(some, d.ID)
		}
		if first, last := out.Items[0], out.Items[len(out.Items)-1]; backward {
			ids, page.Before = append(some, ids...), &model.PageKey{At: first.CreatedAt, Text: string(first.ID)}
		} else {
			ids, page.After = append(ids, some...), &model.PageKey{At: last.CreatedAt, Text: string(last.ID)}
		}
	}
	return ids
}

// TestOnlyTheLastClaimCounts records two results of one delivery together: that of
// a claim that was lost, with an attempt, and that of the one that took it over,
// which put it back. Nothing of the first may stay.
func TestOnlyTheLastClaimCounts(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		f := newSends(t, s, 1)
		p := f.pending(t, f.users...)
		p.Deliveries = []model.PlannedDelivery{{Delivery: model.Delivery{
			ID: "d1", EnvID: f.env, NotificationID: p.Notifications[0].ID, UserID: f.users[0].ID, SendID: p.Send.ID, Channel: model.ChannelEmail,
			State: model.DeliveryQueued, Reason: model.ReasonEnvDefault, Address: "a@example.com", CreatedAt: f.now,
		}}}
		f.mustSave(t, p)
		claim := func() model.FinishedDelivery {
			t.Helper()
			// The lease is over at once.
			claimed, err := s.ClaimDeliveries(t.Context(), []model.LaneClaim{{Lane: model.Lane{Env: f.env, Channel: model.ChannelEmail}, Limit: 1}}, 0)
			if err != nil || len(claimed) != 1 {
				t.Fatalf("claimed %+v, %v", claimed, err)
			}
			return model.FinishedDelivery{ClaimedDelivery: claimed[0]}
		}
		tried := func(d model.FinishedDelivery) model.FinishedDelivery {
			d.State, d.Attempt, d.Dead = model.DeliveryFailed, 1, true
			d.Attempts = []model.Attempt{{Delivery: "d1", N: 1, StartedAt: f.now}}
			return d
		}
		finish := func(counts int, done ...model.FinishedDelivery) {
			t.Helper()
			counted, err := s.FinishDeliveries(t.Context(), done)
			if err != nil || len(counted) != 1 || !counted[done[counts].Claim()] {
				t.Fatalf("counted %v, %v", counted, err)
			}
		}
		attempts := func(want int) {
			t.Helper()
			if got, err := s.Attempts(t.Context(), f.env, []model.DeliveryID{"d1"}); err != nil || len(got["d1"]) != want {
				t.Errorf("attempts %+v, %v; want %d", got, err, want)
			}
		}
		stale, back := tried(claim()), claim()
		back.State = model.DeliveryQueued
		finish(1, stale, back)
		attempts(0)
		if dead, err := s.Suppressed(t.Context(), []model.ChannelAddress{{Env: f.env, Channel: model.ChannelEmail, Address: "a@example.com"}}); err != nil || len(dead) > 0 {
			t.Errorf("suppressed %v, %v", dead, err)
		}
		stale, last := tried(claim()), tried(claim())
		finish(0, last, stale)
		attempts(1)
	})
}
