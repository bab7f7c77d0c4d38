package store_test

import (
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

// TestNewestInboxIsTheFirstPage compares it with the page that everything else
// reads, for many users at the same moment, so that reads go together.
func TestNewestInboxIsTheFirstPage(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, env := t.Context(), newEnvironment(t, s)
		users := make([]model.UserID, 30)
		for i := range users {
			users[i] = storetest.User(t, s, env, fmt.Sprintf("u%d", i))
			for n := range i { // also one with nothing, and one with more than a page
				storetest.Send(t, s, env, storetest.Sent{Title: fmt.Sprintf("\"%d\" of %d", n, i), At: time.Unix(1_800_000_000+int64(n/2), 0)}, users[i])
			}
		}
		if _, _, err := s.MarkAll(ctx, env, model.Once{}, users[25], model.MarkRead, nil, nil); err != nil {
			t.Fatal(err)
		}
		archived := newestIDs(t, s, env, users[24])[:5]
		if _, _, err := s.MarkNotifications(ctx, env, model.Once{}, users[24], archived, model.MarkArchived); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for _, user := range users {
			for _, first := range []int{1, 20, 21, 100} {
				wg.Go(func() {
					want, err := s.Inbox(ctx, env, user, listed, model.PageRequest{Limit: first})
					if err != nil {
						t.Error(err)
						return
					}
					got, same, err := s.NewestInbox(ctx, env, user, first, model.NoSeq)
					if err != nil || same || !alike(got, want) {
						t.Errorf("user %d, first %d: got %+v, same %t, %v; want %+v", user, first, got, same, err, want)
					}
					if got, same, err = s.NewestInbox(ctx, env, user, first, want.Seq-1); err != nil || same || !alike(got, want) {
						t.Errorf("user %d, first %d, with an old page in hand: got %+v, same %t, %v", user, first, got, same, err)
					}
					got, same, err = s.NewestInbox(ctx, env, user, first, want.Seq)
					if err != nil || want.Seq > 0 && (!same || len(got.Items) > 0) || got.Seq != want.Seq {
						t.Errorf("user %d, first %d, with the page in hand: got %+v, same %t, %v", user, first, got, same, err)
					}
				})
			}
		}
		wg.Wait()
		for _, known := range []int64{model.NoSeq, 7} {
			if _, _, err := s.NewestInbox(ctx, env, 999, 20, known); model.KindOf(err) != model.KindNotFound {
				t.Errorf("the inbox of nobody gave %v", err)
			}
			if _, _, err := s.NewestInbox(ctx, env+1, users[3], 20, known); model.KindOf(err) != model.KindNotFound {
				t.Errorf("another environment's user gave %v", err)
			}
		}
	})
}

// alike compares pages; a list of none is no list.
func alike(a, b model.Inbox) bool {
	if len(a.Items) == 0 && len(b.Items) == 0 {
		a.Items, b.Items = nil, nil
	}
	return reflect.DeepEqual(a, b)
}

func newestIDs(t *testing.T, s *store.Store, env model.EnvID, user model.UserID) (ids []model.NotificationID) {
	t.Helper()
	page, err := s.Inbox(t.Context(), env, user, listed, model.PageRequest{Limit: 20})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range page.Items {
		ids = append(ids, n.ID)
	}
	return ids
}

func TestUserID(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, env := t.Context(), newEnvironment(t, s)
		want := map[string]model.UserID{}
		for i := range 20 {
			name := fmt.Sprintf("u%d", i)
			want[name] = storetest.User(t, s, env, name)
		}
		var wg sync.WaitGroup
		for name, id := range want {
			wg.Go(func() {
				if got, err := s.UserID(ctx, env, name); err != nil || got != id {
					t.Errorf("%s is %d, %v; want %d", name, got, err, id)
				}
				for _, other := range []string{"nobody", name + " ", "\x00", "", "\xff"} {
					if _, err := s.UserID(ctx, env, other); model.KindOf(err) != model.KindNotFound {
						t.Errorf("%q gave %v", other, err)
					}
				}
				if _, err := s.UserID(ctx, env+1, name); model.KindOf(err) != model.KindNotFound {
					t.Errorf("%s in another environment gave %v", name, err)
				}
			})
		}
		wg.Wait()
	})
}

// TestNewestInboxSaysWhatItsSendsSay reads inboxes that share sends, whose
// contents are remembered by then, and one send that is no longer kept.
func TestNewestInboxSaysWhatItsSendsSay(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, env, other := t.Context(), newEnvironment(t, s), storetest.Env(t, s, "another app")
		users := []model.UserID{storetest.User(t, s, env, "ada"), storetest.User(t, s, env, "bob")}
		stranger := storetest.User(t, s, other, "ada")
		storetest.Send(t, s, env, storetest.Sent{Title: "to both"}, users...)
		storetest.Send(t, s, env, storetest.Sent{Title: "to one"}, users[0])
		storetest.Send(t, s, other, storetest.Sent{Title: "elsewhere"}, stranger)
		titles := func(env model.EnvID, user model.UserID) (out []string) {
			page, _, err := s.NewestInbox(ctx, env, user, 20, model.NoSeq)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range page.Items {
				out = append(out, n.Content.Title)
			}
			return out
		}
		for range 2 {
			if got := titles(env, users[0]); !slices.Equal(got, []string{"to one", "to both"}) {
				t.Errorf("ada has %q", got)
			}
			if got := titles(env, users[1]); !slices.Equal(got, []string{"to both"}) {
				t.Errorf("bob has %q", got)
			}
			if got := titles(other, stranger); !slices.Equal(got, []string{"elsewhere"}) {
				t.Errorf("another app's ada has %q", got)
			}
		}
	})
}
