package inbox_test

import (
	"context"
	"errors"
	"io"
	"reflect"
	"testing"

	"carillon/inbox"
	"carillon/live"
	"carillon/model"
)

// watching is a stream of the fake inbox and what its owner sees of it.
type watching struct {
	t      *testing.T
	store  *fakeStore
	hub    *live.Hub
	stream *inbox.Stream
	wakes  int
}

// watch opens a stream of an inbox that has changed head times.
func watch(t *testing.T, head int64, o inbox.WatchOptions) *watching {
	t.Helper()
	w := unwatched(t, head)
	w.stream = follow(t, w.service(), theEnv, theUser, o, func() { w.wakes++ })
	return w
}

// unwatched is the same before the stream is opened.
func unwatched(t *testing.T, head int64) *watching {
	return &watching{t: t, store: &fakeStore{head: head}, hub: live.NewHub(live.Config{})}
}

func (w *watching) service() *inbox.Service { return &inbox.Service{Store: w.store, Live: w.hub} }

func at(seq int64) *model.Position {
	return &model.Position{Epoch: theEpoch, User: theUser, Seq: seq}
}

// next expects an event.
func (w *watching) next() model.InboxEvent {
	w.t.Helper()
	e, ok, err := w.stream.Next(w.t.Context())
	if err != nil || !ok {
		w.t.Fatalf("Next = %t, %v; want an event", ok, err)
	}
	return e
}

// nothing expects none.
func (w *watching) nothing() {
	w.t.Helper()
	if e, ok, err := w.stream.Next(w.t.Context()); err != nil || ok {
		w.t.Fatalf("Next = %+v, %t, %v; want nothing", e, ok, err)
	}
}

// tell makes changes and publishes them.
func (w *watching) tell(changes int) {
	for range changes {
		w.hub.Publish(context.Background(), w.store.change())
	}
}

func (w *watching) wantReads(n int) {
	w.t.Helper()
	if w.store.reads != n {
		w.t.Errorf("the database was read %d times, want %d", w.store.reads, n)
	}
}

func (w *watching) wantWakes(n int) {
	w.t.Helper()
	if w.wakes != n {
		w.t.Errorf("the owner was woken %d times, want %d", w.wakes, n)
	}
}

func wantEvent(t *testing.T, e model.InboxEvent, seq int64, reset model.ResetReason, added ...model.NotificationID) {
	t.Helper()
	if e.Seq != seq || e.Reset != reset || !reflect.DeepEqual(idsOf(e.Added), added) || e.Counters != countersAt(seq) || e.User != theUser {
		t.Errorf("got seq %d, reset %q, added %v, %+v; want %d, %q, %v", e.Seq, e.Reset, idsOf(e.Added), e.Counters, seq, reset, added)
	}
}

func TestStreamBegins(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		after   *model.Position
		tooMany bool
		reset   model.ResetReason
		added   []model.NotificationID
	}{
		{"WithoutAPosition", nil, false, model.ResetFirst, []model.NotificationID{9, 8, 7}},
		{"BehindByTwo", at(7), false, "", []model.NotificationID{9, 8}},
		{"TooFarBehind", at(7), true, model.ResetTooFarBehind, []model.NotificationID{9, 8, 7}},
		{"AheadOfTheInbox", at(10), false, model.ResetUnknownPosition, []model.NotificationID{9, 8, 7}},
		{"WithAnothersPosition", &model.Position{Epoch: theEpoch, User: 3, Seq: 7}, false, model.ResetUnknownPosition, []model.NotificationID{9, 8, 7}},
		{"WithAnotherEpoch", &model.Position{Epoch: 1, User: theUser, Seq: 7}, false, model.ResetOtherEpoch, []model.NotificationID{9, 8, 7}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := watch(t, 9, inbox.WatchOptions{After: tt.after, First: 3})
			w.store.tooMany = tt.tooMany
			wantEvent(t, w.next(), 9, tt.reset, tt.added...)
			w.nothing()
			w.tell(1)
			w.wantWakes(1)
			wantEvent(t, w.next(), 10, "", 10)
		})
	}
	t.Run("WithNothingMissed", func(t *testing.T) {
		t.Parallel()
		w := watch(t, 9, inbox.WatchOptions{After: at(9)})
		w.nothing()
		w.tell(1)
		wantEvent(t, w.next(), 10, "", 10)
	})
	t.Run("WithTooLargeASnapshot", func(t *testing.T) {
		t.Parallel()
		s := &inbox.Service{Store: &fakeStore{}, Live: live.NewHub(live.Config{})}
		for _, first := range []int{-1, model.MaxStreamSnapshot + 1} {
			if _, err := s.Watch(t.Context(), theEnv, theUser, inbox.WatchOptions{First: first}, func() {}); model.KindOf(err) != model.KindInvalid {
				t.Errorf("a snapshot of %d gave %v, want it refused", first, err)
			}
		}
	})
}

func TestStreamTakesChangesFromMemory(t *testing.T) {
	t.Parallel()
	w := watch(t, 0, inbox.WatchOptions{})
	w.next()
	w.nothing()
	for round := range 20 {
		w.tell(1)
		wantEvent(t, w.next(), int64(round+1), "", model.NotificationID(round+1))
		w.nothing()
	}
	w.wantReads(1)
	w.wantWakes(20)
}

func TestStreamOfASlowReaderKeepsLittle(t *testing.T) {
	t.Parallel()
	w := watch(t, 0, inbox.WatchOptions{After: at(0)})
	w.nothing()

	w.tell(4)
	for seq := range int64(4) {
		wantEvent(t, w.next(), seq+1, "", model.NotificationID(seq+1))
	}
	w.nothing()
	w.wantReads(1)
	w.wantWakes(1)

	w.tell(6)
	wantEvent(t, w.next(), 10, "", 10, 9, 8, 7, 6, 5)
	w.nothing()
	w.wantReads(2)
	w.wantWakes(2)
}

func TestStreamReadsWhatHintsDoNotCarry(t *testing.T) {
	t.Parallel()
	w := watch(t, 0, inbox.WatchOptions{After: at(0)})
	w.nothing()

	bare := w.store.change()
	bare.Change = nil
	w.hub.Publish(t.Context(), bare)
	wantEvent(t, w.next(), 1, "", 1)
	w.nothing()

	w.store.change() // its hint is lost
	w.tell(1)
	wantEvent(t, w.next(), 3, "", 3, 2)
	w.nothing()

	w.hub.Publish(t.Context(), bare) // comes once more
	w.nothing()
	w.wantReads(3)

	w.tell(1)
	w.store.change() // lost behind one that is kept
	w.tell(1)
	wantEvent(t, w.next(), 6, "", 6, 5, 4)
	w.nothing()
}

func TestStreamKeepsWhatComesDuringARead(t *testing.T) {
	t.Parallel()
	t.Run("TheNextChange", func(t *testing.T) {
		t.Parallel()
		w := watch(t, 5, inbox.WatchOptions{First: 1})
		w.store.during = func() { w.tell(2) }
		wantEvent(t, w.next(), 5, model.ResetFirst, 5)
		wantEvent(t, w.next(), 6, "", 6)
		wantEvent(t, w.next(), 7, "", 7)
		w.nothing()
		w.wantReads(1)
		w.wantWakes(0)
	})
	t.Run("TheNextChangeOfACatchUp", func(t *testing.T) {
		t.Parallel()
		w := watch(t, 5, inbox.WatchOptions{After: at(3)})
		w.store.during = func() { w.tell(1) }
		wantEvent(t, w.next(), 5, "", 5, 4)
		wantEvent(t, w.next(), 6, "", 6)
		w.nothing()
		w.wantReads(1)
	})
	t.Run("AChangeAfterAGap", func(t *testing.T) {
		t.Parallel()
		w := watch(t, 5, inbox.WatchOptions{First: 1})
		w.store.during = func() { w.store.change(); w.tell(1) }
		wantEvent(t, w.next(), 5, model.ResetFirst, 5)
		wantEvent(t, w.next(), 7, "", 7, 6)
		w.nothing()
	})
	t.Run("WhatWasReadAlready", func(t *testing.T) {
		t.Parallel()
		w := watch(t, 3, inbox.WatchOptions{After: at(3)})
		w.nothing()
		old := w.store.change()
		bare := model.Hint{Key: old.Key, Seq: 5}
		w.store.change()
		w.store.during = func() { w.hub.Publish(context.Background(), old, bare) }
		w.hub.Publish(t.Context(), bare)
		wantEvent(t, w.next(), 5, "", 5, 4)
		w.nothing()
		w.tell(1)
		wantEvent(t, w.next(), 6, "", 6)
		w.wantReads(2)
	})
	t.Run("AfterAPositionThatMeansNothing", func(t *testing.T) {
		t.Parallel()
		w := watch(t, 5, inbox.WatchOptions{After: at(1000), First: 1})
		w.store.during = func() { w.store.during = func() { w.tell(1) } } // while the snapshot is read
		wantEvent(t, w.next(), 5, model.ResetUnknownPosition, 5)
		wantEvent(t, w.next(), 6, "", 6)
		w.nothing()
	})
}

func TestStreamSurvivesAnError(t *testing.T) {
	t.Parallel()
	w := watch(t, 5, inbox.WatchOptions{After: at(3)})
	away := errors.New("away")
	fail := func(err error) { w.store.fail = err }

	fail(away)
	for range 2 {
		if _, ok, err := w.stream.Next(t.Context()); ok || !errors.Is(err, away) {
			t.Fatalf("Next = %t, %v; want the error", ok, err)
		}
	}
	w.tell(1)
	w.wantWakes(1)
	fail(nil)
	wantEvent(t, w.next(), 6, "", 6, 5, 4)
	w.nothing()

	w.store.change()
	w.tell(1)
	fail(away)
	w.store.during = func() { w.tell(1) } // also what comes while it fails is not lost
	if _, ok, err := w.stream.Next(t.Context()); ok || !errors.Is(err, away) {
		t.Fatalf("Next = %t, %v; want the error", ok, err)
	}
	fail(nil)
	wantEvent(t, w.next(), 9, "", 9, 8, 7)
	w.nothing()
}

func TestStreamEndsWithTheUser(t *testing.T) {
	t.Parallel()
	w := watch(t, 5, inbox.WatchOptions{})
	w.next()
	w.nothing()
	w.hub.Publish(t.Context(), model.Hint{Key: model.InboxKey(theEnv, theUser), Gone: true})
	w.wantWakes(1)
	for range 2 {
		if _, ok, err := w.stream.Next(t.Context()); ok || !errors.Is(err, io.EOF) || model.KindOf(err) != model.KindNotFound {
			t.Errorf("Next = %t, %v; want the end", ok, err)
		}
	}
}

func TestStreamOfADatabaseThatWentBackBeginsAnew(t *testing.T) {
	t.Parallel()
	w := watch(t, 9, inbox.WatchOptions{After: at(9), First: 2})
	w.nothing()
	w.store.head = 4
	w.hub.Publish(t.Context(), model.Hint{Key: model.InboxKey(theEnv, theUser), Seq: 4, Rewound: true})
	w.wantWakes(1)
	wantEvent(t, w.next(), 4, model.ResetUnknownPosition, 4, 3)
	w.nothing()
	w.tell(1)
	wantEvent(t, w.next(), 5, "", 5)
	w.nothing()

	// What a hint told of and the database has lost is not waited for.
	w.hub.Publish(t.Context(), model.Hint{Key: model.InboxKey(theEnv, theUser), Seq: 20})
	w.nothing()
	w.wantReads(3)
}

func TestClosedStreamIsSilent(t *testing.T) {
	t.Parallel()
	w := watch(t, 5, inbox.WatchOptions{After: at(5)})
	w.nothing()
	w.tell(1)
	w.stream.Close()
	w.stream.Close()
	w.nothing()
	w.tell(3)
	w.nothing()
	w.wantWakes(1)
}

func TestStreamOfACategory(t *testing.T) {
	t.Parallel()
	w := watch(t, 4, inbox.WatchOptions{After: at(0), Categories: []model.CategoryID{1}})
	wantEvent(t, w.next(), 4, "", 3, 1)
	w.nothing()
	w.tell(1)
	wantEvent(t, w.next(), 5, "", 5)
	h := w.store.change()
	w.hub.Publish(t.Context(), h)
	wantEvent(t, w.next(), 6, "", []model.NotificationID{}...)
	if h.Change.Added[0].ID != 6 {
		t.Error("the shared change was written to")
	}
}

func TestIdleStreamIsSmall(t *testing.T) {
	t.Parallel()
	if size := reflect.TypeFor[inbox.Stream]().Size(); size > 400 {
		t.Errorf("a stream takes %d bytes, want at most 400", size)
	}
}
