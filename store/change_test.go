package store_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

func TestChangesAreBounded(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, env := t.Context(), newEnvironment(t, s)
		user := storetest.User(t, s, env, "ada")
		first, _ := storetest.Send(t, s, env, storetest.Sent{}, user)
		all := sendMany(t, s, env, user, model.MaxCatchUp)

		got, err := s.Changes(ctx, env, user, 1)
		if err != nil || got.TooMany || len(got.Added) != model.MaxCatchUp || got.Head != 2 || got.Added[0].ID != all[len(all)-1] {
			t.Errorf("Changes with as many as may be = %d added at %d, too many %t, %v", len(got.Added), got.Head, got.TooMany, err)
		}
		if _, _, err := s.MarkNotifications(ctx, env, model.Once{}, user, idsOf(first), model.MarkRead); err != nil {
			t.Fatal(err)
		}
		got, err = s.Changes(ctx, env, user, 1)
		if err != nil || !got.TooMany || got.Head != 3 || got.Added != nil || got.Changed != nil {
			t.Errorf("Changes with one more = %d added, %d changed, too many %t, %v", len(got.Added), len(got.Changed), got.TooMany, err)
		}
		// What came and went meanwhile nobody needs to hear of.
		if _, _, err := s.DeleteNotifications(ctx, env, model.Once{}, user, all[:10]); err != nil {
			t.Fatal(err)
		}
		got, err = s.Changes(ctx, env, user, 1)
		if err != nil || got.TooMany || len(got.Added) != model.MaxCatchUp-10 || len(got.Changed) != 1 || len(got.Removed) != 0 {
			t.Errorf("Changes with ten deleted = %d added, %d changed, %v removed, too many %t, %v", len(got.Added), len(got.Changed), got.Removed, got.TooMany, err)
		}
		if got, err := s.Changes(ctx, env, user, 3); err != nil || len(got.Removed) != 10 || len(got.Added)+len(got.Changed) != 0 {
			t.Errorf("Changes after 3 = %+v, %v; want ten removed", got, err)
		}
		if got, err := s.Changes(ctx, env, user, 99); err != nil || got.Head != 4 || len(got.Added)+len(got.Changed)+len(got.Removed) != 0 {
			t.Errorf("Changes after what is ahead = %+v, %v; want the head alone", got, err)
		}
		if err := store.Exec(ctx, s, "update inboxes set trimmed_to = 3 where env_id = ?", env); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Changes(ctx, env, user, 2); err != nil || !got.TooMany {
			t.Errorf("Changes after what was trimmed = %+v, %v; want too many", got, err)
		}
		if got, err := s.Changes(ctx, env, user, 3); err != nil || got.TooMany {
			t.Errorf("Changes after the last trimmed = %+v, %v; want them", got, err)
		}
	})
}

// TestWhatIsPublishedIsWhatIsRead compares what a stream takes from memory with
// what it would read.
func TestWhatIsPublishedIsWhatIsRead(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, env := t.Context(), newEnvironment(t, s)
		user := storetest.User(t, s, env, "ada")
		ids, err := s.NewIDs(ctx, 6)
		if err != nil {
			t.Fatal(err)
		}
		at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		var sends []model.PendingSend
		for i, at := range []time.Time{at, at.Add(time.Second), at} {
			p := model.PendingSend{Send: model.Send{ID: model.SendID(ids[i]), EnvID: env, RequestID: fmt.Sprint(i), Status: model.SendSent, FiredAt: at, CreatedAt: at}}
			p.Notifications = []model.Notification{{
				ID: model.NotificationID(ids[3+i]), EnvID: env, UserID: user, SendID: p.Send.ID, Content: &p.Send.Content,
				InInbox: true, Reason: model.ReasonEnvDefault, SortAt: at, CreatedAt: at, ExpiresAt: at.Add(time.Hour),
			}}
			sends = append(sends, p)
		}
		_, changes, err := s.SaveSends(ctx, sends)
		if err != nil || len(changes) != 1 {
			t.Fatalf("SaveSends = %d changes, %v; want one", len(changes), err)
		}
		published := changes[0]
		read, err := s.Changes(ctx, env, user, published.Seq-1)
		if err != nil || published.Seq != read.Head || published.Counters != read.Counters || !reflect.DeepEqual(published.Added, read.Added) {
			t.Errorf("published was %+v, but what is read is %+v, %v", published, read, err)
		}
		_, hint, err := s.MarkNotifications(ctx, env, model.Once{}, user, idsOf(read.Added), model.MarkInteracted)
		if err != nil {
			t.Fatal(err)
		}
		read, err = s.Changes(ctx, env, user, hint.Seq-1)
		if err != nil || hint.Seq != read.Head || hint.Change.Counters != read.Counters || !reflect.DeepEqual(hint.Change.Changed, read.Changed) {
			t.Errorf("published was %+v, but what is read is %+v, %v", hint.Change, read, err)
		}
	})
}

func TestHeads(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, ours, theirs := t.Context(), newEnvironmentOf(t, s, "ours"), newEnvironmentOf(t, s, "theirs")
		ada, bob, eve := storetest.User(t, s, ours, "ada"), storetest.User(t, s, ours, "bob"), storetest.User(t, s, theirs, "eve")
		storetest.Send(t, s, ours, storetest.Sent{}, ada)
		sent, _ := storetest.Send(t, s, ours, storetest.Sent{}, ada)
		storetest.Send(t, s, theirs, storetest.Sent{}, eve)
		send := sent[0].SendID
		m, err := s.Send(ctx, ours, send)
		if err != nil {
			t.Fatal(err)
		}
		want := map[model.LiveKey]int64{
			model.InboxKey(ours, ada): 2, model.InboxKey(ours, bob): 0, model.InboxKey(theirs, eve): 1, model.SendKey(ours, send): m.Head(),
		}
		keys := []model.LiveKey{model.InboxKey(ours, eve), model.InboxKey(theirs, ada), model.InboxKey(ours, 9), model.SendKey(theirs, send), model.SendKey(ours, 9)}
		for k := range want {
			keys = append(keys, k)
		}
		got, err := s.Heads(ctx, keys)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("Heads = %v, %v; want %v", got, err, want)
		}
		if got, err := s.Heads(ctx, nil); err != nil || len(got) != 0 {
			t.Errorf("Heads of nothing = %v, %v", got, err)
		}
	})
}

// TestManyWritersInTheSameInboxes has everything happen at once to three
// inboxes: nothing may deadlock, every seq is taken by one change, and the
// counters are what the rows say.
func TestManyWritersInTheSameInboxes(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		w := &writers{t: t, s: s, env: newEnvironment(t, s), seqs: map[int64][]int64{}}
		for i := range 3 {
			w.users = append(w.users, storetest.User(t, s, w.env, fmt.Sprint("user", i)))
		}
		var wg sync.WaitGroup
		for g := range 16 {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(g), 1))
				for range 20 {
					if err := w.write(r); err != nil {
						t.Errorf("goroutine %d: %v", g, err)
					}
				}
			})
		}
		wg.Wait()
		report, err := s.VerifyCounters(t.Context(), 10)
		if err != nil || report.Inboxes != 3 || report.Drifted != 0 {
			t.Errorf("VerifyCounters = %+v, %v; want three inboxes without drift", report, err)
		}
		for user, seqs := range w.seqs {
			slices.Sort(seqs)
			for i, seq := range seqs {
				if seq != int64(i+1) {
					t.Fatalf("inbox %d has changes of seq %v, want each seq once", user, seqs)
				}
			}
		}
	})
}

// writers change inboxes at random, all at once.
type writers struct {
	t     *testing.T
	s     *store.Store
	env   model.EnvID
	users []model.UserID

	mu   sync.Mutex
	ids  []model.NotificationID
	seqs map[int64][]int64
}

func (w *writers) write(r *rand.Rand) error {
	ctx, user := w.t.Context(), w.users[r.IntN(len(w.users))]
	as := allStates[r.IntN(len(allStates))]
	var (
		hint  *model.Hint
		hints []model.Hint
		err   error
	)
	switch r.IntN(6) {
	case 0, 1:
		hints, err = w.send(r)
	case 2:
		_, hint, err = w.s.MarkNotifications(ctx, w.env, model.Once{}, user, w.some(r, 5), as)
	case 3:
		_, hint, err = w.s.MarkAll(ctx, w.env, model.Once{}, user, as, nil, nil)
	case 4:
		_, hint, err = w.s.DeleteNotifications(ctx, w.env, model.Once{}, user, w.some(r, 1))
	case 5:
		_, hints, err = w.s.ExpireNotifications(ctx, 10)
	}
	if hint != nil {
		hints = append(hints, *hint)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range hints {
		w.seqs[h.Key.ID] = append(w.seqs[h.Key.ID], h.Seq)
	}
	return err
}

// send sends to all users, in any order.
func (w *writers) send(r *rand.Rand) (hints []model.Hint, err error) {
	to := slices.Clone(w.users)
	r.Shuffle(len(to), func(i, j int) { to[i], to[j] = to[j], to[i] })
	list, changes, err := storetest.TrySend(w.t, w.s, w.env, storetest.Sent{ExpiresAt: time.Now().Add(time.Duration(r.IntN(200)) * time.Millisecond)}, to...)
	for _, c := range changes {
		hints = append(hints, c.Hint())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ids = append(w.ids, idsOf(list)...)
	return hints, err
}

// some are a few of the latest ids, and one that names nothing.
func (w *writers) some(r *rand.Rand, n int) []model.NotificationID {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := []model.NotificationID{1}
	for range min(n, len(w.ids)) {
		out = append(out, w.ids[len(w.ids)-1-r.IntN(min(len(w.ids), 10))])
	}
	return out
}
