package main

import (
	"errors"
	"fmt"
	"maps"

	"carillon/internal/cursor"
	"carillon/internal/lab"
	"carillon/model"
)

// view is what a client holds of an inbox: events folded as the schema says,
// each one checked.
type view struct {
	items    map[string]lab.Item
	gone     map[string]bool // ids that were removed: none comes back
	text     string          // the position
	position model.Position
	counters lab.Counters
	whole    bool // it holds everything that is not archived: counters can be checked
	restores int  // how often the database may be another one yet
	complete bool // it holds what is archived too, being there from the beginning
}

// newView is the view of a client that holds nothing yet. An inbox in which
// nothing has happened yet is complete from the beginning.
func newView() *view {
	return &view{items: map[string]lab.Item{}, gone: map[string]bool{}}
}

func (v *view) clone() *view {
	c := *v
	c.items, c.gone = maps.Clone(v.items), maps.Clone(v.gone)
	return &c
}

// apply folds an event. Its error says why no exact stream has such an event
// at this place.
func (v *view) apply(e lab.InboxEvent) error {
	if err := v.move(e); err != nil {
		return err
	}
	var errs []error
	complain := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("the event of seq %d "+format, append([]any{v.position.Seq}, args...)...))
	}
	v.mark(e.Marked)
	for _, n := range e.Added {
		if _, held := v.items[n.ID]; held {
			complain("adds %s, which is there", n.ID)
		}
	}
	for _, n := range e.Changed {
		if _, held := v.items[n.ID]; !held && v.complete {
			complain("changes %s, which is not there", n.ID)
		}
	}
	for _, list := range [][]lab.Item{e.Added, e.Changed} {
		for _, n := range list {
			if v.gone[n.ID] {
				complain("brings back %s, which was removed", n.ID)
			}
			v.items[n.ID] = n
		}
	}
	for _, id := range e.Removed {
		if _, held := v.items[id]; !held && v.complete {
			complain("removes %s, which is not there", id)
		}
		delete(v.items, id)
		v.gone[id] = true
	}
	if e.Reset != "" {
		first := v.text == ""
		v.whole = len(e.Added) == e.Counters.Total
		v.complete = first && v.position.Seq == 0
	}
	v.text, v.counters = e.Position, e.Counters
	if got := v.count(); v.whole && got != v.counters {
		complain("says %+v, but what it leads to is %+v", v.counters, got)
	}
	return errors.Join(errs...)
}

// move goes to the event's position, which lies ahead.
func (v *view) move(e lab.InboxEvent) error {
	next, err := cursor.DecodePosition(e.Position)
	if err != nil {
		return fmt.Errorf("an event has the position %q: %w", e.Position, err)
	}
	was := v.position
	v.position = next
	switch {
	case v.text == "" && e.Reset == "FIRST":
		return nil
	case v.text == "":
		return fmt.Errorf("a stream without a position began with reset %q", e.Reset)
	case e.Reset == "OTHER_EPOCH" && v.restores > 0 && next.User == was.User && next.Epoch != was.Epoch:
		v.restores--
		clear(v.items)
		clear(v.gone)
	case next.User != was.User || next.Epoch != was.Epoch:
		return fmt.Errorf("an event leads from %+v to %+v", was, next)
	case next.Seq <= was.Seq:
		return fmt.Errorf("an event of seq %d came after one of %d (reset %q)", next.Seq, was.Seq, e.Reset)
	case e.Reset == "TOO_FAR_BEHIND":
		clear(v.items)
	case e.Reset != "":
		return fmt.Errorf("the stream was reset at seq %d, before %d: %s", next.Seq, was.Seq, e.Reset)
	}
	return nil
}

func (v *view) mark(marks []lab.Mark) {
	for _, m := range marks {
		for id, n := range v.items {
			if n.SeenAt == "" {
				n.SeenAt = m.At
			}
			if m.As == "READ" && n.ReadAt == "" {
				n.ReadAt = m.At
			}
			v.items[id] = n
		}
	}
}

// count makes the counters anew from what is held.
func (v *view) count() (c lab.Counters) {
	for _, n := range v.items {
		if n.ArchivedAt != "" {
			continue
		}
		c.Total++
		if n.SeenAt == "" {
			c.Unseen++
		}
		if n.ReadAt == "" {
			c.Unread++
		}
	}
	return c
}

// errElsewhere says that a view and an inbox are of different positions.
var errElsewhere = errors.New("the client is at another position than the inbox")

// equals compares the view with what the database holds, archived items
// included: equal item by item, and in nothing more or less.
func (v *view) equals(have lab.Inbox) error {
	if v.text != have.Position {
		return fmt.Errorf("%w: client %+v, inbox %s", errElsewhere, v.position, have.Position)
	}
	var errs []error
	if v.counters != have.Counters {
		errs = append(errs, fmt.Errorf("the client counts %+v, the database %+v", v.counters, have.Counters))
	}
	stored := make(map[string]lab.Item, len(have.Items))
	for _, n := range have.Items {
		stored[n.ID] = n
		held, ok := v.items[n.ID]
		expected := v.complete || v.whole && n.ArchivedAt == ""
		switch {
		case !ok && expected:
			errs = append(errs, fmt.Errorf("the client misses %+v", n))
		case ok && held != n:
			errs = append(errs, fmt.Errorf("the client holds %+v, the database %+v", held, n))
		}
	}
	for id, n := range v.items {
		if _, ok := stored[id]; !ok {
			errs = append(errs, fmt.Errorf("the client holds %+v, which the database does not", n))
		}
	}
	return errors.Join(errs...)
}
