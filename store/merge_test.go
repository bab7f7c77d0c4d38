package store_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

// TestMergeWhileASendIsOnItsWay: who is left has the send once, wherever it has
// come to; between the two the merge is to be tried again.
func TestMergeWhileASendIsOnItsWay(t *testing.T) {
	t.Parallel()
	join := func(_, into json.RawMessage) (json.RawMessage, model.MergeDecision, error) {
		return into, model.MergeDecision{}, nil
	}
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		for reached := range 4 {
			for _, backward := range []bool{false, true} {
				f := newSendsIn(t, s, newEnvironmentOf(t, s, fmt.Sprint("app", reached, backward)), 3)
				from, into := f.users[0], f.users[2]
				if backward {
					from, into = into, from
				}
				named := []model.UserID{f.users[0].ID, f.users[1].ID}
				if backward {
					named = []model.UserID{f.users[1].ID, f.users[2].ID}
				}
				m := f.expanding(t, model.Audience{Users: named, Topics: []model.TopicID{1}})
				before, after := f.users[:reached], f.users[reached:]
				place := model.UserID(0)
				if reached > 0 {
					place = before[reached-1].ID
					m.Progress.Done = int64(reached)
					if saved, _, err := s.SaveChunk(t.Context(), f.chunk(t, m, 0, before...)); err != nil || !saved {
						t.Fatalf("the first chunk: %t, %v", saved, err)
					}
				}
				merge := func() error {
					_, err := s.MergeUsers(t.Context(), f.env, model.Once{}, model.MergeID(fmt.Sprint(m.ID)), from.Identifier, into.Identifier, join, false)
					return err
				}
				between := reached == 1 || reached == 2
				err := merge()
				if between != (model.KindOf(err) == model.KindUnavailable) || !between && err != nil {
					t.Fatalf("merging when the send has come to %d: %v", reached, err)
				}
				var left []model.User
				for _, u := range after {
					if between || u.ID != from.ID {
						left = append(left, u)
					}
				}
				if !between && reached == 0 {
					e, found, err := s.NextExpansion(t.Context(), f.env-1, nil)
					if err != nil || !found || len(e.Audience.Users) != 2 {
						t.Errorf("it goes on to %+v, %t, %v", e.Audience, found, err)
					}
					for _, u := range e.Audience.Users {
						if u == from.ID {
							t.Error("it goes on to the user who is gone")
						}
					}
				}
				m.Status, m.Progress.Done = model.SendSent, 3
				if saved, _, err := s.SaveChunk(t.Context(), f.chunk(t, m, place, left...)); err != nil || !saved {
					t.Fatalf("the last chunk when the send had come to %d: %t, %v", reached, saved, err)
				}
				if between {
					if err := merge(); err != nil {
						t.Fatalf("merging after the end: %v", err)
					}
				}
				page, err := s.NotificationLog(t.Context(), f.env, model.NotificationFilter{Send: m.ID}, model.PageRequest{Limit: 10})
				if err != nil || len(page.Items) != 2 || page.Items[0].UserID == page.Items[1].UserID {
					t.Errorf("when it had come to %d, backward %t: %+v, %v", reached, backward, page.Items, err)
				}
				f.noDrift(t)
			}
		}
	})
}
