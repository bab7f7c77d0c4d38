package livetest

import (
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"carillon/live"
	"carillon/model"
)

// Medium is something on which the buses of several processes meet.
type Medium struct {
	// Bus makes the bus of one more process, and ends it with the test.
	Bus func(t *testing.T) live.Bus
	// Cut breaks the link of every bus, Mend restores it. LinkContract needs them.
	Cut, Mend func(t *testing.T)
}

type part struct {
	name string
	test func(t *testing.T, m Medium)
}

func run(t *testing.T, open func(t *testing.T) Medium, parts []part) {
	for _, part := range parts {
		t.Run(part.name, func(t *testing.T) {
			t.Parallel()
			part.test(t, open(t))
		})
	}
}

// Contract holds a bus to what live.Bus says, as hubs see it. open is called
// once for each part and makes a medium that nobody else uses.
func Contract(t *testing.T, open func(t *testing.T) Medium) {
	run(t, open, []part{
		{"HintReachesEveryProcessOnce", reachesEveryProcessOnce},
		{"SharedContentArrivesWhole", sharedContentArrivesWhole},
		{"OtherKeysHearNothing", otherKeysHearNothing},
		{"CancelledWatcherHearsNothing", cancelledWatcherHearsNothing},
		{"HintsOfOneKeyKeepTheirOrder", hintsKeepTheirOrder},
		{"LargeChangeIsWholeOrLeftOut", largeChangeIsWholeOrLeftOut},
		{"GoneIsCarried", goneIsCarried},
		{"ManyKeysInOnePublish", manyKeysInOnePublish},
		{"LostHintIsHealed", lostHintIsHealed},
		{"WatchersComeAndGo", watchersComeAndGo},
	})
}

// LinkContract holds a bus that has a link to what live.Bus says of losing it.
func LinkContract(t *testing.T, open func(t *testing.T) Medium) {
	run(t, open, []part{
		{"LinkThatWasDownIsHealedAtOnce", linkIsHealedAtOnce},
		{"PublishingWithoutLinkHoldsNobodyUp", publishingWithoutLink},
	})
}

func reachesEveryProcessOnce(t *testing.T, m Medium) {
	processes := []*process{join(t, m, never), join(t, m, never), join(t, m, never)}
	key := model.InboxKey(1, 2)
	var recorders []*Recorder
	for _, p := range processes {
		r := p.watch(t, key)
		processes[0].reach(t, key, r)
		recorders = append(recorders, r)
	}
	want := []model.Hint{Change(1, 2, 5, greeting()).Hint(), {Key: key, Seq: 6}, {Key: key, Seq: 7}}
	processes[0].publish(want[0])
	processes[0].publish(want[1])
	Eventually(t, "the second hint", func() bool { return recorders[1].Has(6) })
	processes[1].publish(want[2]) // behind anything that would come back to the first
	for i, r := range recorders {
		Eventually(t, "the last hint", func() bool { return r.Has(7) })
		if got := told(r); !reflect.DeepEqual(got, want) {
			t.Errorf("process %d was offered %+v, want %+v", i, got, want)
		}
	}
}

func sharedContentArrivesWhole(t *testing.T, m Medium) {
	from, to := join(t, m, never), join(t, m, never)
	const users = 300
	shared, other := greeting(), &model.Content{Title: "other"}
	var hints []model.Hint
	recorders := make(map[model.LiveKey]*Recorder)
	for u := range model.UserID(users) {
		c := shared
		if u%10 == 0 {
			c = other
		}
		h := Change(1, u+1, 3, c).Hint()
		hints, recorders[h.Key] = append(hints, h), to.watch(t, h.Key)
	}
	from.reachAll(t, recorders)
	from.publish(hints...)
	for _, h := range hints {
		r := recorders[h.Key]
		Eventually(t, "the change", func() bool { return r.Has(3) })
		if got := told(r); !reflect.DeepEqual(got, []model.Hint{h}) {
			t.Fatalf("%+v was offered %+v, want %+v", h.Key, got, h)
		}
	}
}

func otherKeysHearNothing(t *testing.T, m Medium) {
	from, to := join(t, m, never), join(t, m, never)
	key := model.InboxKey(1, 2)
	others := []model.LiveKey{model.InboxKey(2, 2), model.InboxKey(1, 3), model.SendKey(1, 2), model.InboxKey(1, 1<<40|2)}
	for _, p := range []*process{from, to} {
		var recorders []*Recorder
		for _, other := range others {
			r := p.watch(t, other)
			from.reach(t, other, r)
			recorders = append(recorders, r)
		}
		r := p.watch(t, key)
		from.reach(t, key, r)
		from.publish(model.Hint{Key: key, Seq: 10})
		Eventually(t, "the hint", func() bool { return r.Has(10) })
		for i, other := range others {
			from.publish(model.Hint{Key: other, Seq: 11})
			Eventually(t, "the other key's hint", func() bool { return recorders[i].Has(11) })
			if got := toldSeqs(recorders[i]); !slices.Equal(got, []int64{11}) {
				t.Errorf("%+v was offered %v, want its own 11 alone", other, got)
			}
		}
	}
}

func cancelledWatcherHearsNothing(t *testing.T, m Medium) {
	from, to := join(t, m, never), join(t, m, never)
	key := model.InboxKey(1, 2)
	stays, goes := to.watch(t, key), new(Recorder)
	cancel := to.hub.Watch(key, goes)
	from.reach(t, key, stays)
	from.reach(t, key, goes)
	cancel()
	cancel() // once more is harmless
	from.publish(model.Hint{Key: key, Seq: 1})
	from.publish(model.Hint{Key: key, Seq: 2})
	Eventually(t, "the hints", func() bool { return stays.Has(2) })
	if got := told(goes); len(got) > 0 {
		t.Errorf("a cancelled watcher was offered %+v", got)
	}
}

func hintsKeepTheirOrder(t *testing.T, m Medium) {
	from, to := join(t, m, never), join(t, m, never)
	const keys, steps = 10, 500
	var recorders []*Recorder
	for u := range model.UserID(keys) {
		r := to.watch(t, model.InboxKey(1, u))
		from.reach(t, model.InboxKey(1, u), r)
		recorders = append(recorders, r)
	}
	for seq := int64(1); seq <= steps; seq++ {
		for u := range model.UserID(keys) {
			from.publish(model.Hint{Key: model.InboxKey(1, u), Seq: seq})
		}
	}
	for u, r := range recorders {
		Eventually(t, "the last hint", func() bool {
			// Losing is allowed; a later hint shows where it stands.
			from.publish(model.Hint{Key: model.InboxKey(1, model.UserID(u)), Seq: steps + 1})
			return r.Has(steps) || r.Has(steps+1)
		})
		if got := toldSeqs(r); !slices.IsSorted(got) {
			t.Errorf("user %d was offered %v, out of order", u, got)
		}
	}
}

func largeChangeIsWholeOrLeftOut(t *testing.T, m Medium) {
	from, to := join(t, m, never), join(t, m, never)
	large := &model.Content{Title: "long", Body: string(make([]byte, model.MaxHint))}
	h := Change(1, 2, 1, large).Hint()
	here, there := from.watch(t, h.Key), to.watch(t, h.Key)
	from.reach(t, h.Key, there)
	from.publish(h)
	Eventually(t, "the hint", func() bool { return there.Has(1) })
	if got := told(here); len(got) != 1 || got[0].Change != h.Change {
		t.Errorf("in the publishing process the change is %+v, want it itself", got)
	}
	if got := told(there)[0]; got.Change != nil && !reflect.DeepEqual(got, h) {
		t.Errorf("elsewhere the hint is %+v, want it whole or without its change", got)
	}
}

func goneIsCarried(t *testing.T, m Medium) {
	from, to := join(t, m, never), join(t, m, never)
	h := model.Hint{Key: model.SendKey(3, 4), Seq: 9, Gone: true}
	r := to.watch(t, h.Key)
	from.reach(t, h.Key, r)
	from.publish(h)
	Eventually(t, "the hint", func() bool { return r.Has(9) })
	if got := told(r); !reflect.DeepEqual(got, []model.Hint{h}) {
		t.Errorf("was offered %+v, want %+v", got, h)
	}
}

func manyKeysInOnePublish(t *testing.T, m Medium) {
	from, to := join(t, m, never), join(t, m, never)
	const keys = 5000
	var hints []model.Hint
	recorders := make(map[model.LiveKey]*Recorder)
	for u := range model.UserID(keys) {
		h := model.Hint{Key: model.InboxKey(1, u), Seq: int64(u) + 1}
		hints, recorders[h.Key] = append(hints, h), to.watch(t, h.Key)
	}
	from.reachAll(t, recorders)
	from.publish(hints...)
	for _, h := range hints {
		Eventually(t, "the hint", func() bool { return recorders[h.Key].Has(h.Seq) })
	}
}

func lostHintIsHealed(t *testing.T, m Medium) {
	p := join(t, m, 20*time.Millisecond)
	key := model.InboxKey(1, 2)
	r := p.watch(t, key)
	p.db.Set(key, 7)
	Eventually(t, "the healed hint", func() bool { return r.Has(7) })
	if got, want := told(r), []model.Hint{{Key: key, Seq: 7}}; !reflect.DeepEqual(got, want) {
		t.Errorf("was offered %+v, want %+v", got, want)
	}
}

func linkIsHealedAtOnce(t *testing.T, m Medium) {
	from, to := join(t, m, never), join(t, m, never)
	key := model.InboxKey(1, 2)
	r := to.watch(t, key)
	from.reach(t, key, r)

	m.Cut(t)
	Eventually(t, "the link to be missed", func() bool { return !to.hub.Healthy() && !from.hub.Healthy() })
	to.db.Set(key, 20)
	from.publish(model.Hint{Key: key, Seq: 20}) // into the void
	if r.Has(20) {
		t.Fatal("a hint crossed a link that is cut")
	}
	m.Mend(t)
	Eventually(t, "healing", func() bool { return r.Has(20) })
	Eventually(t, "hints to flow again", func() bool {
		from.publish(model.Hint{Key: key, Seq: 21})
		return r.Has(21)
	})
	if !to.hub.Healthy() {
		t.Error("the link is up again and the hub is not healthy")
	}
}

func publishingWithoutLink(t *testing.T, m Medium) {
	p := join(t, m, never)
	key := model.InboxKey(1, 2)
	r := p.watch(t, key)
	m.Cut(t)
	Eventually(t, "the link to be missed", func() bool { return !p.hub.Healthy() })
	began := time.Now()
	for seq := int64(1); seq <= 1000; seq++ {
		p.publish(model.Hint{Key: key, Seq: seq})
		if !r.Has(seq) {
			t.Fatal("without a link the hint did not reach the watcher in the same process at once")
		}
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("publishing 1000 hints without a link took %s", took)
	}
	Eventually(t, "the loss to be counted", func() bool { return p.hub.Stats().Dropped > 0 })
	m.Mend(t)
	Eventually(t, "the bus to take hints again", func() bool {
		p.publish(model.Hint{Key: key, Seq: beacon})
		return p.hub.Stats().Sent > 0
	})
}

// watchersComeAndGo is for the race detector, and for a hub that forgets.
func watchersComeAndGo(t *testing.T, m Medium) {
	from, to := join(t, m, 10*time.Millisecond), join(t, m, 10*time.Millisecond)
	const keys, rounds = 20, 200
	var busy sync.WaitGroup
	for range 4 {
		busy.Go(func() {
			for i := range rounds {
				key := model.InboxKey(1, model.UserID(i%keys))
				cancel := to.hub.Watch(key, new(Recorder))
				from.publish(Change(1, model.UserID(i%keys), int64(i), greeting()).Hint())
				to.publish(model.Hint{Key: key, Seq: int64(i)})
				cancel()
			}
		})
	}
	busy.Wait()
	if s := to.hub.Stats(); s.Watchers != 0 || s.Keys != 0 {
		t.Errorf("after all have left there are %d watchers of %d keys", s.Watchers, s.Keys)
	}
	key := model.InboxKey(1, 1)
	from.reach(t, key, to.watch(t, key))
}
