package store_test

import (
	"slices"
	"testing"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

func TestNotificationLog(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, env := t.Context(), newEnvironment(t, s)
		ada, bob := storetest.User(t, s, env, "ada"), storetest.User(t, s, env, "bob")
		both, _ := storetest.Send(t, s, env, storetest.Sent{Title: "both", Category: 5}, ada, bob)
		outside, _ := storetest.Send(t, s, env, storetest.Sent{Title: "outside", Outside: true}, ada)
		gone, _ := storetest.Send(t, s, env, storetest.Sent{}, ada)
		last, _ := storetest.Send(t, s, env, storetest.Sent{Category: 6}, bob)
		if _, _, err := s.DeleteNotifications(ctx, env, model.Once{}, ada, idsOf(gone)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.MarkAll(ctx, env, model.Once{}, ada, model.MarkRead, nil, nil); err != nil {
			t.Fatal(err)
		}
		a, b, o, l := both[0].ID, both[1].ID, outside[0].ID, last[0].ID

		tests := []struct {
			name   string
			filter model.NotificationFilter
			want   []model.NotificationID
		}{
			{"Everything", model.NotificationFilter{}, []model.NotificationID{l, o, b, a}},
			{"OfAUser", model.NotificationFilter{User: ada}, []model.NotificationID{o, a}},
			{"OfASend", model.NotificationFilter{Send: both[0].SendID}, []model.NotificationID{b, a}},
			{"OfCategories", model.NotificationFilter{Categories: []model.CategoryID{5, 6}}, []model.NotificationID{l, b, a}},
			{"OfNoCategory", model.NotificationFilter{Categories: []model.CategoryID{}}, nil},
			{"OfAUserAndACategory", model.NotificationFilter{User: bob, Categories: []model.CategoryID{5}}, []model.NotificationID{b}},
		}
		for _, tt := range tests {
			for _, limit := range []int{1, 3, 100} {
				for _, backward := range []bool{false, true} {
					var got []model.NotificationID
					page := model.PageRequest{Limit: limit, Backward: backward}
					for {
						p, err := s.NotificationLog(ctx, env, tt.filter, page)
						if err != nil {
							t.Fatal(err)
						}
						ids := idsOf(p.Items)
						if backward {
							got = append(ids, got...)
						} else {
							got = append(got, ids...)
						}
						if !p.HasMore {
							break
						}
						page.After = &model.PageKey{ID: int64(ids[len(ids)-1])}
						if backward {
							page.After, page.Before = nil, &model.PageKey{ID: int64(ids[0])}
						}
					}
					if !slices.Equal(got, tt.want) {
						t.Errorf("%s by %d, backward %t: got %v, want %v", tt.name, limit, backward, got, tt.want)
					}
				}
			}
		}

		got, err := s.Notifications(ctx, env, []model.NotificationID{a, o, b, gone[0].ID, 5})
		if err != nil || len(got) != 3 {
			t.Fatalf("Notifications = %+v, %v; want the three that are there", got, err)
		}
		for _, n := range got {
			read := n.ID == a // a mark-all covers it; what lies outside was never read
			if n.Content.Body == "" || n.ReadAt.IsZero() == read || n.SeenAt.IsZero() == read || n.InInbox != (n.ID != o) {
				t.Errorf("got %+v, %q", n, n.Content.Body)
			}
		}
	})
}
