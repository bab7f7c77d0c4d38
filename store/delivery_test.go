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
