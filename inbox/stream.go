package inbox

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"carillon/model"
)

// keep is how many changes a stream holds in memory for a reader that is a
// little behind. Beyond it, what was missed is read from the database, so that
// a slow reader costs no more than this.
const keep = 4

// ErrGone ends the stream of a user who was deleted. It is io.EOF too.
var ErrGone error = &model.Error{Kind: model.KindNotFound, Message: "the user was deleted", Err: io.EOF}

// WatchOptions say where a stream begins and what it shows.
type WatchOptions struct {
	// After is the position of the last event that the client applied; nil: it
	// holds nothing, and gets a snapshot.
	After *model.Position
	// First is how many items a snapshot holds, 1 to model.MaxStreamSnapshot;
	// zero: model.DefaultPage.
	First int
	// Categories limits the items told of; nil: all. Position and counters
	// move with every change all the same.
	Categories []model.CategoryID
	// Tail begins at the head of the inbox and shows no items that were there
	// before, not in a snapshot either: a Reset then comes with the counters
	// alone. After and First do not count.
	Tail bool
}

// Stream is one client's view of one inbox. It has no goroutine: its owner
// calls [Stream.Next] until there is nothing more to tell, and again when the
// stream calls wake. An idle stream takes less than 500 bytes.
//
// Next must not be called twice at the same time.
type Stream struct {
	service    *Service
	env        model.EnvID
	user       model.UserID
	first      int // items of a snapshot; zero: the stream is a tail
	categories []model.CategoryID
	wake       func()
	cancel     func()

	mu       sync.Mutex
	position int64             // of the last event; means nothing while reset is set
	reset    model.ResetReason // a snapshot is due, for this reason
	fresh    bool              // nothing was read yet
	reading  bool              // the database is being read, so position is about to move
	rewound  bool              // the database went back while it was being read
	behind   int64             // the highest seq that is known of without its change; zero: none
	pending  [keep]*model.InboxChange
	n        int  // of pending: consecutive, the first one follows position
	idle     bool // Next had nothing to tell, or failed: the next thing to do must wake
	gone     bool
	closed   bool
}

// Watch opens a stream of a user's inbox. wake is called once whenever there is
// something to tell after Next had nothing, from any goroutine and possibly
// under locks of the hub: it must not wait and not call the stream. The owner
// calls Next first of all, without being woken, and Close at the end.
//
// A user who does not exist shows at the first Next, as a KindNotFound error; to
// a tail, which reads where it begins, at once.
func (s *Service) Watch(ctx context.Context, env model.EnvID, user model.UserID, o WatchOptions, wake func()) (*Stream, error) {
	if o.First == 0 {
		o.First = model.DefaultPage
	}
	var check model.Check
	check.That(o.First >= 1 && o.First <= model.MaxStreamSnapshot, fmt.Sprintf("must be between 1 and %d", model.MaxStreamSnapshot), "first")
	if err := check.Err(); err != nil {
		return nil, err
	}
	w := &Stream{service: s, env: env, user: user, first: o.First, categories: o.Categories, wake: wake, fresh: true}
	switch after := o.After; {
	case o.Tail:
		w.first, w.reset = 0, model.ResetFirst
	case after == nil:
		w.reset = model.ResetFirst
	case after.User != user:
		w.reset = model.ResetUnknownPosition
	case after.Epoch != s.Store.Epoch():
		w.reset = model.ResetOtherEpoch
	default:
		w.position = after.Seq
	}
	// Before the first read: what is committed in between is then in the read,
	// or in a hint, or in both.
	w.cancel = s.Live.Watch(model.InboxKey(env, user), w)
	if o.Tail {
		if err := w.settleDown(ctx); err != nil {
			w.Close()
			return nil, err
		}
	}
	return w, nil
}

// settleDown finds the place of a tail. It is found before anybody is told that
// the stream is open: what comes in between would be taken for what was there.
func (w *Stream) settleDown(ctx context.Context) error {
	w.mu.Lock()
	missed := w.behind
	w.reading, w.behind = true, 0
	w.mu.Unlock()

	event, err := w.read(ctx, 0, model.ResetFirst)

	w.mu.Lock()
	defer w.mu.Unlock()
	w.settle(event.Seq, missed, err)
	return err
}

// Close ends the stream: Next tells nothing more. wake may be called once more
// by a goroutine that is about to.
func (w *Stream) Close() {
	w.cancel()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.drop()
}

// Offer notes a hint. It is for the hub, and never waits.
func (w *Stream) Offer(h model.Hint) {
	w.mu.Lock()
	w.note(h)
	woken := w.idle && w.due()
	if woken {
		w.idle = false
	}
	w.mu.Unlock()
	if woken {
		w.wake()
	}
}

// note keeps a change that follows what the stream has told or keeps already.
// Of anything else it remembers only that it is to be read.
func (w *Stream) note(h model.Hint) {
	if h.Gone {
		w.gone = true
		return
	}
	if h.Rewound {
		switch {
		case w.reading:
			w.rewound = true
		case w.reset == "" && h.Seq < w.position:
			w.restart()
		}
		return
	}
	if !w.reading && w.reset == "" && h.Seq <= w.position {
		return
	}
	var follows bool
	switch {
	case w.n > 0:
		last := w.pending[w.n-1].Seq
		if h.Seq <= last {
			return
		}
		follows = h.Seq == last+1
	case w.reading || w.reset != "":
		follows = true // whether it does shows when the read is done
	default:
		follows = h.Seq == w.position+1
	}
	if follows && h.Change != nil && w.n < keep {
		w.pending[w.n] = h.Change
		w.n++
		return
	}
	w.drop()
	w.behind = max(w.behind, h.Seq)
}

// drop forgets the changes that are kept.
func (w *Stream) drop() {
	w.pending, w.n = [keep]*model.InboxChange{}, 0
}

// restart has the stream begin anew, since the database no longer has all that
// it told of.
func (w *Stream) restart() {
	w.drop()
	w.behind, w.reset = 0, model.ResetUnknownPosition
}

// due reports whether Next has something to do.
func (w *Stream) due() bool {
	return !w.closed && (w.gone || w.fresh || w.reset != "" || w.behind > 0 || w.n > 0)
}

// Next returns the next event, or false when there is nothing to tell: then
// wake is called when there is again. It never waits for a change, though it
// may read the database.
//
// A change that just happened comes from memory; whoever missed some gets them
// as one event, or as a snapshot when they are too many. After an error nothing
// is lost: the next call tries again, and the next hint wakes. The error is
// ErrGone when the user was deleted.
func (w *Stream) Next(ctx context.Context) (model.InboxEvent, bool, error) {
	for {
		w.mu.Lock()
		if !w.due() {
			w.idle = true
			w.mu.Unlock()
			return model.InboxEvent{}, false, nil
		}
		if w.gone {
			w.mu.Unlock()
			return model.InboxEvent{}, false, ErrGone
		}
		if !w.fresh && w.reset == "" && w.behind == 0 {
			c := w.take()
			w.mu.Unlock()
			return w.told(c), true, nil
		}
		after, reset, missed := w.position, w.reset, w.behind
		w.reading, w.behind = true, 0
		w.mu.Unlock()

		event, err := w.read(ctx, after, reset)

		w.mu.Lock()
		w.settle(event.Seq, missed, err)
		w.mu.Unlock()
		if err != nil {
			return model.InboxEvent{}, false, err
		}
		if event.Reset != "" || event.Seq != after {
			return event, true, nil
		}
	}
}

// take removes the first change that is kept.
func (w *Stream) take() *model.InboxChange {
	c := w.pending[0]
	copy(w.pending[:], w.pending[1:])
	w.n--
	w.pending[w.n] = nil
	w.position = c.Seq
	return c
}

// settle takes note of what a read came to: the stream is at seq, and of what
// was offered meanwhile it keeps what follows. Whatever was missed before the
// read began is in it; or it is nowhere, in a database that lost its tail.
func (w *Stream) settle(seq, missed int64, err error) {
	w.reading = false
	if err != nil {
		w.drop()
		w.behind = max(w.behind, missed)
		w.idle = true
		return
	}
	w.position, w.reset, w.fresh = seq, "", false
	if w.rewound {
		w.rewound = false
		w.restart()
		return
	}
	if w.behind <= seq {
		w.behind = 0
	}
	for w.n > 0 && w.pending[0].Seq <= seq {
		w.take()
		w.position = seq
	}
	if w.n > 0 && w.pending[0].Seq != seq+1 {
		w.behind = max(w.behind, w.pending[w.n-1].Seq)
	}
	if w.behind > 0 {
		w.drop()
	}
}

// read reads what happened after a seq, or a snapshot when there is a reason.
func (w *Stream) read(ctx context.Context, after int64, reset model.ResetReason) (model.InboxEvent, error) {
	if reset != "" {
		return w.snapshot(ctx, reset)
	}
	c, err := w.service.Store.Changes(ctx, w.env, w.user, after)
	switch {
	case err != nil:
		return model.InboxEvent{}, err
	case c.Head < after:
		return w.snapshot(ctx, model.ResetUnknownPosition)
	case c.TooMany:
		return w.snapshot(ctx, model.ResetTooFarBehind)
	}
	return model.InboxEvent{
		Env: w.env, User: w.user, Seq: c.Head, Counters: c.Counters,
		Added: w.shown(c.Added), Changed: w.shown(c.Changed), Removed: c.Removed, Marked: c.Marked,
	}, nil
}

// snapshot reads the newest items that are not archived, to begin anew with.
func (w *Stream) snapshot(ctx context.Context, reason model.ResetReason) (model.InboxEvent, error) {
	if w.first == 0 {
		counters, seq, err := w.service.Store.InboxCounters(ctx, w.env, w.user)
		return model.InboxEvent{Env: w.env, User: w.user, Seq: seq, Counters: counters, Reset: reason}, err
	}
	archived := false
	page, err := w.service.Store.Inbox(ctx, w.env, w.user, model.InboxFilter{Archived: &archived, Categories: w.categories}, model.PageRequest{Limit: w.first})
	if err != nil {
		return model.InboxEvent{}, err
	}
	return model.InboxEvent{Env: w.env, User: w.user, Seq: page.Seq, Counters: page.Counters, Reset: reason, Added: page.Items}, nil
}

// told is a change as an event. They share their lists with all other streams
// of this inbox, unless the stream shows some categories only.
func (w *Stream) told(c *model.InboxChange) model.InboxEvent {
	return model.InboxEvent{
		Env: c.Env, User: c.User, Seq: c.Seq, Counters: c.Counters,
		Added: w.shown(c.Added), Changed: w.shown(c.Changed), Removed: c.Removed, Marked: c.Marked, Deed: &c.Deed,
	}
}

// shown is what the stream shows of a list. Of what is gone there is no telling
// the category: a client ignores ids that it does not hold.
func (w *Stream) shown(list []model.Notification) []model.Notification {
	if w.categories == nil || !slices.ContainsFunc(list, w.hides) {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), w.hides)
}

func (w *Stream) hides(n model.Notification) bool {
	return !slices.Contains(w.categories, n.CategoryID)
}
