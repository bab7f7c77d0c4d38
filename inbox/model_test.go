package inbox_test

import (
	"cmp"
	"slices"
	"time"

	"carillon/model"
)

// item is a notification as the rules say it is: no seq up to which all is
// read, just bits with a time and the seq at which they last moved.
type item struct {
	n                   model.Notification // all but the bits
	addedSeq            int64
	seenMoved           int64
	readMoved           int64
	seen, read          time.Time
	interacted, archive time.Time
	gone                bool
}

// unseen reports whether the item is neither seen nor read.
func (i *item) unseen() bool { return i.seen.IsZero() && i.read.IsZero() }

// view is the item as it is shown.
func (i *item) view() model.Notification {
	n := i.n
	n.SeenAt, n.ReadAt, n.InteractedAt, n.ArchivedAt = i.seen, i.read, i.interacted, i.archive
	return n
}

// ideal is an inbox as the rules say it is.
type ideal struct {
	seq   int64
	items []*item
}

func (x *ideal) counters() (c model.Counters) {
	for _, i := range x.items {
		if i.gone || !i.archive.IsZero() {
			continue
		}
		c.Total++
		if i.unseen() {
			c.Unseen++
		}
		if i.read.IsZero() {
			c.Unread++
		}
	}
	return c
}

func (x *ideal) find(id model.NotificationID) *item {
	for _, i := range x.items {
		if i.n.ID == id && !i.gone {
			return i
		}
	}
	return nil
}

func (x *ideal) add(n model.Notification) {
	x.items = append(x.items, &item{n: n, addedSeq: x.seq, seenMoved: x.seq, readMoved: x.seq})
}

// mark is the specification of every mark: what it makes of one item at a time
// and the inbox's next seq. It reports whether that changes anything.
func (i *item) mark(as model.MarkState, now time.Time, seq int64) bool {
	was := *i
	see := func() {
		if i.seen.IsZero() {
			i.seen, i.seenMoved = now, seq
		}
	}
	read := func() {
		if i.read.IsZero() {
			i.read, i.readMoved = now, seq
		}
	}
	switch as {
	case model.MarkSeen:
		see()
	case model.MarkUnseen:
		if !i.seen.IsZero() || !i.read.IsZero() {
			i.seen, i.seenMoved, i.read, i.readMoved = time.Time{}, seq, time.Time{}, seq
		}
	case model.MarkRead:
		see()
		read()
	case model.MarkUnread:
		if !i.read.IsZero() {
			i.read, i.readMoved = time.Time{}, seq
			if i.seen.IsZero() {
				i.seenMoved = seq // it is unseen again
			}
		}
	case model.MarkReadOnly:
		if i.unseen() {
			i.seenMoved = seq // it is not unseen any more
		}
		read()
	case model.MarkUnseenOnly:
		if !i.seen.IsZero() {
			i.seen, i.seenMoved = time.Time{}, seq
			if i.read.IsZero() {
				i.readMoved = seq
			}
		}
	case model.MarkInteracted:
		see()
		read()
		if i.interacted.IsZero() {
			i.interacted = now
		}
	case model.MarkArchived:
		if i.archive.IsZero() {
			i.archive = now
		}
	case model.MarkUnarchived:
		i.archive = time.Time{}
	}
	return *i != was
}

// markSome marks items, all with one new seq, and reports how many changed.
func (x *ideal) markSome(items []*item, as model.MarkState, now time.Time) (affected int64) {
	for _, i := range items {
		if i.mark(as, now, x.seq+1) {
			affected++
			i.n.Seq = x.seq + 1
		}
	}
	if affected > 0 {
		x.seq++
	}
	return affected
}

// markAll is the specification of mark-all. Without a filter SEEN and READ are
// about all of the inbox, archived items included; but what is archived is no
// reason for a mark, is not counted as affected, and keeps its own seq, as
// every item does that such a mark covers.
func (x *ideal) markAll(as model.MarkState, upTo int64, f *model.InboxFilter, now time.Time) (affected int64) {
	if (as == model.MarkSeen || as == model.MarkRead) && (f == nil || f.IsDefault()) {
		covered := x.live(func(i *item) bool {
			if as == model.MarkSeen {
				return i.seen.IsZero() && i.seenMoved <= upTo
			}
			return i.read.IsZero() && i.readMoved <= upTo
		})
		for _, i := range covered {
			if i.archive.IsZero() && i.read.IsZero() {
				affected++
			}
		}
		if affected > 0 {
			x.seq++
			for _, i := range covered {
				i.mark(as, now, x.seq)
			}
			for _, i := range x.live(func(i *item) bool { return i.seen.IsZero() && i.seenMoved <= upTo }) {
				i.mark(model.MarkSeen, now, x.seq)
			}
		}
		return affected
	}
	if f == nil {
		archived := as == model.MarkUnarchived
		f = &model.InboxFilter{Archived: &archived}
	}
	return x.markSome(x.live(func(i *item) bool {
		return i.matches(*f) && i.since(as, upTo, *f)
	}), as, now)
}

// since reports whether the item came by upTo and has kept since then what the
// mark and the filter are about.
func (i *item) since(as model.MarkState, upTo int64, f model.InboxFilter) bool {
	seen := f.Unseen != nil || as == model.MarkSeen || as == model.MarkUnseen || as == model.MarkUnseenOnly
	read := f.Unread != nil || as == model.MarkRead || as == model.MarkReadOnly || as == model.MarkUnread || as == model.MarkUnseen || as == model.MarkInteracted
	return i.addedSeq <= upTo && (!seen || i.seenMoved <= upTo) && (!read || i.readMoved <= upTo)
}

// remove deletes items, all with one new seq.
func (x *ideal) remove(items []*item) {
	for _, i := range items {
		i.gone = true
	}
	if len(items) > 0 {
		x.seq++
	}
}

func (x *ideal) live(matches func(*item) bool) (out []*item) {
	for _, i := range x.items {
		if !i.gone && matches(i) {
			out = append(out, i)
		}
	}
	return out
}

func (i *item) matches(f model.InboxFilter) bool {
	flag := func(want *bool, is bool) bool { return want == nil || *want == is }
	return flag(f.Unseen, i.unseen()) && flag(f.Unread, i.read.IsZero()) && flag(f.Archived, !i.archive.IsZero()) &&
		(f.Categories == nil || slices.Contains(f.Categories, i.n.CategoryID))
}

// list is what an inbox shows, newest first.
func (x *ideal) list(f model.InboxFilter) []model.Notification {
	var out []model.Notification
	for _, i := range x.live(func(i *item) bool { return i.matches(f) }) {
		out = append(out, i.view())
	}
	slices.SortFunc(out, func(a, b model.Notification) int {
		return cmp.Or(b.SortAt.Compare(a.SortAt), cmp.Compare(b.ID, a.ID))
	})
	return out
}
