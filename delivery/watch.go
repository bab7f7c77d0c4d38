package delivery

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"carillon/live"
	"carillon/model"
)

const (
	// overlap is how far behind the newest change a stream looks for what it has
	// not told: transactions that take longer than others commit changes with
	// older times, and the clocks of processes differ. It is as long as a
	// statement may take.
	overlap = 30 * time.Second
	// watchPause is how long a stream lets changes gather before it reads again.
	watchPause = 50 * time.Millisecond
	// markPage is how many marks one query reads, markPages how many queries one
	// call of Next makes at most.
	markPage, markPages = 1000, 20
)

// Hub carries hints to the streams; *live.Hub has it.
type Hub interface {
	Publish(ctx context.Context, hints ...model.Hint)
	Watch(key model.LiveKey, w live.Watcher) (cancel func())
}

// WatchOptions say what a stream tells.
type WatchOptions struct {
	Filter model.DeliveryFilter // without Since and Until
	After  time.Time            // the position of the last event; zero: what changes from now on
	First  int                  // deliveries of an event, 1 to model.MaxChanges; zero: model.DefaultPage
}

// Changes is one event of a stream: deliveries that are new or have changed, as
// they stand now, in the order of their last changes. Position is where the
// stream is then.
type Changes struct {
	Position   time.Time
	Deliveries []model.Delivery
}

// Stream tells what becomes of deliveries. Each change is told, as part of the
// state that the delivery has when the stream comes to it, so of several in a row
// only the last one shows. What was told can be told again. Close it.
type Stream struct {
	service *Service
	env     model.EnvID
	o       WatchOptions
	wake    func()
	cancel  func()

	// Of the one who calls Next.
	at      model.DeliveryMark                      // where to read on
	reading bool                                    // there may be something behind at
	newest  int64                                   // up to when everything was read, but for late commits
	told    map[model.DeliveryID]model.DeliveryMark // those at most overlap older than newest, and a few more
	room    int                                     // size of told at which older ones are dropped
	began   bool                                    // the first event is out

	mu     sync.Mutex
	missed bool      // there may be changes that no hint told of
	from   int64     // when the first change was that hints told of; 0: they told of none
	woken  bool      // since the last look
	looked time.Time // when Next last looked
}

// WatchDeliveries opens a stream. wake is called, from any goroutine, when Next
// may have something to tell; it must not wait. The first Next needs no wake.
func (s *Service) WatchDeliveries(ctx context.Context, env model.EnvID, o WatchOptions, wake func()) (*Stream, error) {
	o.First = orDefault(o.First, model.DefaultPage)
	var check model.Check
	check.That(o.First >= 1 && o.First <= model.MaxChanges, fmt.Sprintf("must be between 1 and %d", model.MaxChanges), "first")
	if err := check.Err(); err != nil {
		return nil, err
	}
	w := &Stream{service: s, env: env, o: o, wake: wake, newest: s.now().UnixMicro(), told: map[model.DeliveryID]model.DeliveryMark{}, room: markPage}
	if !o.After.IsZero() {
		// One that is ahead comes from a process with another clock.
		w.newest, w.reading = min(o.After.UnixMicro(), w.newest), true
	}
	w.at.UpdatedAt = w.newest - overlap.Microseconds()
	// Watched before it is read: a change in between wakes us.
	w.cancel = s.Live.Watch(model.DeliveriesKey(env), w)
	if w.reading {
		return w, nil
	}
	if err := w.skip(ctx); err != nil {
		w.cancel()
		return nil, err
	}
	return w, nil
}

// skip takes what has happened by now for told.
func (w *Stream) skip(ctx context.Context) error {
	for more := true; more; {
		began := w.service.now()
		marks, err := w.service.Store.DeliveryMarks(ctx, w.env, w.o.Filter, w.at, markPage)
		if err != nil {
			return err
		}
		w.pass(marks)
		if more = len(marks) == markPage; !more {
			w.arrive(began)
		}
	}
	return nil
}

// Close ends the stream.
func (w *Stream) Close() { w.cancel() }

// Offer notes that deliveries may have changed. It is for the hub.
func (w *Stream) Offer(h model.Hint) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.note(h.Seq == 0, h.Seq)
	if w.woken {
		return
	}
	w.woken = true
	if wait := watchPause - time.Since(w.looked); wait > 0 {
		time.AfterFunc(wait, w.wake)
	} else {
		w.wake()
	}
}

// note remembers what there is to look for. w.mu is held.
func (w *Stream) note(missed bool, from int64) {
	w.missed = w.missed || missed
	if from != 0 && (w.from == 0 || from < w.from) {
		w.from = from
	}
}

// take returns what was noted, and forgets it.
func (w *Stream) take() (missed bool, from int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	missed, from = w.missed, w.from
	w.missed, w.from, w.woken, w.looked = false, 0, false, time.Now()
	return missed, from
}

// Next returns the next event, or false when there is none; it never waits for
// one. The first event comes at once, and may be empty: from then on every
// change is told. An error loses nothing: the next call tries again. It is
// KindNotFound when the user who was chosen is gone.
func (w *Stream) Next(ctx context.Context) (Changes, bool, error) {
	missed, from := w.take()
	list, err := w.look(ctx, missed, from)
	switch {
	case err != nil:
		w.mu.Lock()
		w.note(missed, from)
		w.mu.Unlock()
		return Changes{}, false, err
	case len(list) == 0 && w.began:
		if w.reading { // for its next turn
			w.wake()
		}
		return Changes{}, false, nil
	}
	w.began = true
	// Whoever resumes there begins no later than where this stream reads on.
	position := min(w.newest, w.at.UpdatedAt+overlap.Microseconds())
	return Changes{Position: time.UnixMicro(position).UTC(), Deliveries: list}, true, nil
}

// look goes back to where something may have been missed, and reads on from
// there until it finds something to tell, the end, or that it has taken long
// enough.
func (w *Stream) look(ctx context.Context, missed bool, from int64) ([]model.Delivery, error) {
	if missed {
		if err := w.userExists(ctx); err != nil {
			return nil, err
		}
		w.goBack(w.newest - overlap.Microseconds())
	}
	if from != 0 {
		w.goBack(from)
	}
	for range markPages {
		if !w.reading {
			break
		}
		if list, err := w.read(ctx); len(list) > 0 || err != nil {
			return list, err
		}
	}
	return nil, nil
}

func (w *Stream) goBack(to int64) {
	w.reading = true
	if to <= w.at.UpdatedAt {
		w.at = model.DeliveryMark{UpdatedAt: to - 1}
	}
}

// read reads a page of marks, and the deliveries that were not told as they
// are marked.
func (w *Stream) read(ctx context.Context) ([]model.Delivery, error) {
	store, began := w.service.Store, w.service.now()
	marks, err := store.DeliveryMarks(ctx, w.env, w.o.Filter, w.at, markPage)
	if err != nil {
		return nil, err
	}
	more := len(marks) == markPage
	var untold []model.DeliveryID
	for i, m := range marks {
		if w.told[m.ID] == m {
			continue
		}
		if len(untold) == w.o.First { // the rest is for another event
			marks, more = marks[:i], true
			break
		}
		untold = append(untold, m.ID)
	}
	list, err := store.MarkedDeliveries(ctx, w.env, w.o.Filter, untold)
	if err != nil {
		return nil, err
	}
	w.pass(marks)
	if !more {
		w.arrive(began)
	}
	w.reading = more
	return list, nil
}

// arrive notes that nothing was left to read at a time. Without it a stream whose
// filter chooses little would walk, each time, past all that it does not tell.
func (w *Stream) arrive(at time.Time) {
	w.newest = max(w.newest, at.UnixMicro())
	if from := w.newest - overlap.Microseconds(); w.at.UpdatedAt < from {
		w.at = model.DeliveryMark{UpdatedAt: from}
	}
}

// pass takes marks for told.
func (w *Stream) pass(marks []model.DeliveryMark) {
	if len(marks) == 0 {
		return
	}
	for _, m := range marks {
		w.told[m.ID] = m
	}
	w.at = marks[len(marks)-1]
	// A time ahead of ours is of a clock that goes wrong, and would have us look
	// too late for all others.
	w.newest = max(w.newest, min(w.at.UpdatedAt, w.service.now().UnixMicro()))
	if len(w.told) < w.room {
		return
	}
	for id, m := range w.told {
		if m.UpdatedAt < w.newest-overlap.Microseconds() {
			delete(w.told, id)
		}
	}
	w.room = 2*len(w.told) + markPage
}

// userExists has the stream of a user who is gone end, since it would be silent
// for ever.
func (w *Stream) userExists(ctx context.Context) error {
	if w.o.Filter.User == 0 {
		return nil
	}
	found, err := w.service.Store.UsersByID(ctx, w.env, []model.UserID{w.o.Filter.User})
	if err == nil && len(found) == 0 {
		err = model.NotFound("is of a user who was deleted")
	}
	return err
}

// announce tells whoever watches deliveries of the environments that some have
// changed, none before since. Call it after the commit.
func (s *Service) announce(ctx context.Context, since time.Time, envs ...model.EnvID) {
	if s.Live == nil || len(envs) == 0 {
		return
	}
	hints := make([]model.Hint, len(envs))
	for i, env := range envs {
		hints[i] = model.DeliveriesHint(env, since)
	}
	s.Live.Publish(context.WithoutCancel(ctx), hints...)
}

// environmentsOf lists whose deliveries those are that counted.
func environmentsOf(batch []model.FinishedDelivery, counted map[model.Claim]bool) (envs []model.EnvID) {
	for _, f := range batch {
		if counted[f.Claim()] && !slices.Contains(envs, f.EnvID) {
			envs = append(envs, f.EnvID)
		}
	}
	return envs
}
