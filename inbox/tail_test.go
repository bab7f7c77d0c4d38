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
		w := watch(t, 9, inbox.WatchOptions{Tail: true})
		w.store.during = func() { w.tell(1) }
		wantEvent(t, w.next(), 10, "", 10)
		w.nothing()
	})
	t.Run("BeginsAfterAnErrorToo", func(t *testing.T) {
		t.Parallel()
		w := watch(t, 9, inbox.WatchOptions{Tail: true})
		w.store.fail = errors.New("away")
		if _, _, err := w.stream.Next(t.Context()); err == nil {
			t.Fatal("an error of the database was swallowed")
		}
		w.store.fail = nil
		w.nothing()
		w.tell(1)
		wantEvent(t, w.next(), 10, "", 10)
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
