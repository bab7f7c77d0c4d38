package inbox_test

import (
	"context"
	"errors"
	"testing"

	"carillon/inbox"
	"carillon/model"
)

func TestTail(t *testing.T) {
	t.Parallel()
	t.Run("BeginsAtTheHead", func(t *testing.T) {
		t.Parallel()
		w := watch(t, 9, inbox.WatchOptions{Tail: true})
		w.nothing()
		w.wantReads(1)
		w.tell(2)
		w.wantWakes(1)
		wantEvent(t, w.next(), 10, "", 10)
		wantEvent(t, w.next(), 11, "", 11)
		w.nothing()
		w.wantReads(1)
	})
	t.Run("TellsWhatHappenedDuringItsFirstRead", func(t *testing.T) {
		t.Parallel()
		w := unwatched(t, 9)
		w.store.during = func() { w.tell(1) }
		w.stream = follow(t, w.service(), theEnv, theUser, inbox.WatchOptions{Tail: true}, func() { w.wakes++ })
		wantEvent(t, w.next(), 10, "", 10)
		w.nothing()
	})
	t.Run("TellsWhatHappenedOnceItWasOpen", func(t *testing.T) {
		t.Parallel()
		w := watch(t, 9, inbox.WatchOptions{Tail: true})
		w.tell(1)
		w.store.change() // unheard of
		wantEvent(t, w.next(), 10, "", 10)
		w.nothing()
		w.tell(1)
		wantEvent(t, w.next(), 12, "", 12, 11)
	})
	t.Run("IsNotOpenAfterAnError", func(t *testing.T) {
		t.Parallel()
		w := unwatched(t, 9)
		w.store.fail = errors.New("away")
		if _, err := w.service().Watch(t.Context(), theEnv, theUser, inbox.WatchOptions{Tail: true}, func() {}); err == nil {
			t.Fatal("an error of the database was swallowed")
		}
		if n := w.hub.Stats().Watchers; n != 0 {
			t.Errorf("%d watch all the same", n)
		}
	})
	t.Run("IsResetWithCountersAlone", func(t *testing.T) {
		t.Parallel()
		w := watch(t, 9, inbox.WatchOptions{Tail: true})
		w.nothing()
		w.store.tooMany = true
		w.store.change() // unheard of
		w.store.change()
		w.tell(1)
		wantEvent(t, w.next(), 12, model.ResetTooFarBehind, []model.NotificationID{}...)
		w.nothing()
		w.tell(1)
		wantEvent(t, w.next(), 13, "", 13)
	})
}

// TestDeedsAreToldFromMemoryOnly holds that an event says who did what exactly
// when that is known.
func TestDeedsAreToldFromMemoryOnly(t *testing.T) {
	t.Parallel()
	w := watch(t, 9, inbox.WatchOptions{After: at(8)})
	if e := w.next(); e.Deed != nil {
		t.Errorf("an event that was read has the deed %+v", *e.Deed)
	}
	h := w.store.change()
	h.Change.Deed = model.Deed{As: model.MarkRead, All: true}
	w.hub.Publish(context.Background(), h)
	if e := w.next(); e.Deed == nil || *e.Deed != h.Change.Deed {
		t.Errorf("got the deed %v, want %+v", e.Deed, h.Change.Deed)
	}
}
