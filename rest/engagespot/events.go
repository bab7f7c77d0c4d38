package engagespot

import (
	"slices"

	"carillon/model"
)

// The names of live events.
const (
	eventNew        = "NEW_NOTIFICATION"
	eventRead       = "NOTIFICATION_READ"
	eventDeleted    = "NOTIFICATION_DELETED"
	eventSeen       = "NOTIFICATION_SEEN"
	eventInteracted = "NOTIFICATION_INTERACTED"
	eventAllRead    = "ALL_NOTIFICATION_READ"
	eventAllDeleted = "ALL_NOTIFICATION_DELETED"
	// eventAllSeen has the name of a counter, but clients take it for the news
	// that all was seen, whatever it counts: it is told for nothing else.
	eventAllSeen = "NOTIFICATION_UNREAD_COUNT"
)

// told is one event. Which of item and id it has depends on its name.
type told struct {
	name string
	item *model.Notification
	id   model.NotificationID
}

// tell takes a step of an inbox apart into the events that Engagespot has for
// it. What somebody did a moment ago says which they are; of a step that was
// read from the database only its outcome is known, and what is told then is
// what differs from what was told before. Of an item that was not told of lately
// all that is true is told: clients do not mind hearing it again.
//
// Nothing is told of what Engagespot has no word for (unread again, unseen
// again). An item that was edited is told as one that was interacted with: that
// is the event which holds the whole item, and whose item clients merge into theirs. An item that is put away is deleted for its clients, and new when it
// comes back.
func tell(e *model.InboxEvent, before *memory) []told {
	var out []told
	switch {
	case e.Reset != "":
		return tellReset(e)
	case e.Deed == nil:
		out = append(tellMarked(e), tellOutcome(e, before)...)
	case len(e.Marked) > 0:
		out = tellMarked(e) // what else has changed is as it was before the mark
	default:
		out = tellDeed(e)
	}
	switch {
	case len(e.Removed) > 0 && (e.Deed == nil && e.Counters.Total == 0 || e.Deed != nil && e.Deed.All):
		out = append(out, told{name: eventAllDeleted})
	default:
		for _, id := range e.Removed {
			out = append(out, told{name: eventDeleted, id: id})
		}
	}
	for i := range slices.Backward(e.Added) { // clients put each on top of those before it
		if n := &e.Added[i]; n.ArchivedAt.IsZero() {
			out = append(out, told{name: eventNew, item: n})
		}
	}
	return out
}

// tellReset is what can be said when too much has happened to be told.
func tellReset(e *model.InboxEvent) []told {
	switch {
	case e.Counters.Total == 0:
		return []told{{name: eventAllDeleted}}
	case e.Counters.Unread == 0:
		return []told{{name: eventAllRead}}
	case e.Counters.Unseen == 0:
		return []told{{name: eventSeen}, {name: eventAllSeen}}
	}
	return nil
}

// tellMarked is mark-alls. There is no word for all that was read up to some
// time, so one that leaves something unread, other than what is new, is not
// told.
func tellMarked(e *model.InboxEvent) []told {
	var out []told
	for _, m := range e.Marked {
		switch {
		case m.As == model.MarkSeen:
			out = append(out, told{name: eventSeen}, told{name: eventAllSeen})
		case e.Counters.Unread <= unread(e.Added):
			out = append(out, told{name: eventAllRead})
		}
	}
	return out
}

func unread(list []model.Notification) (n int64) {
	for _, item := range list {
		if item.ReadAt.IsZero() && item.ArchivedAt.IsZero() {
			n++
		}
	}
	return n
}

// tellDeed is what somebody has just done to items.
func tellDeed(e *model.InboxEvent) []told {
	switch as := e.Deed.As; {
	case as == "": // what changed was edited
		return tellEdited(e.Changed)
	case as == model.MarkSeen:
		out := each(e.Changed, eventSeen)
		if e.Deed.All {
			out = append(out, told{name: eventAllSeen})
		}
		return out
	case (as == model.MarkRead || as == model.MarkReadOnly) && e.Deed.All && e.Counters.Unread == 0:
		return []told{{name: eventAllRead}}
	case as == model.MarkRead || as == model.MarkReadOnly:
		return each(e.Changed, eventRead)
	case as == model.MarkInteracted:
		return tellInteracted(e.Changed)
	case as == model.MarkArchived && e.Deed.All && e.Counters.Total == 0:
		return []told{{name: eventAllDeleted}}
	case as == model.MarkArchived:
		return each(e.Changed, eventDeleted)
	case as == model.MarkUnarchived:
		return tellBack(e.Changed)
	}
	return nil
}

// each is one event for every item, the oldest first.
func each(list []model.Notification, name string) []told {
	out := make([]told, 0, len(list))
	for i := range slices.Backward(list) {
		out = append(out, told{name: name, item: &list[i], id: list[i].ID})
	}
	return out
}

// tellInteracted is items that were pressed; some of them were read by that.
func tellInteracted(list []model.Notification) []told {
	var out []told
	for i := range slices.Backward(list) {
		n := &list[i]
		if !n.ReadAt.IsZero() && n.ReadAt.Equal(n.InteractedAt) {
			out = append(out, told{name: eventRead, id: n.ID})
		}
		out = append(out, told{name: eventInteracted, item: n})
	}
	return out
}

// tellEdited is items whose text was edited; clients hold none that is put away.
func tellEdited(list []model.Notification) []told {
	var out []told
	for i := range slices.Backward(list) {
		if n := &list[i]; n.ArchivedAt.IsZero() {
			out = append(out, told{name: eventInteracted, item: n})
		}
	}
	return out
}

// tellBack is items that came back to the inbox. Clients count one that is new,
// so after one that is not unseen they are told the count.
func tellBack(list []model.Notification) []told {
	var out []told
	for i := range slices.Backward(list) {
		n := &list[i]
		out = append(out, told{name: eventNew, item: n})
		if !n.SeenAt.IsZero() || !n.ReadAt.IsZero() {
			out = append(out, told{name: eventSeen, id: n.ID})
		}
	}
	return out
}

// tellOutcome is what became of items that changed. When some of them were seen
// and nothing unseen is left, then all was seen.
func tellOutcome(e *model.InboxEvent, before *memory) []told {
	var out []told
	seen := false
	for i := range slices.Backward(e.Changed) {
		n := &e.Changed[i]
		was := before.of(n.ID)
		if !n.ArchivedAt.IsZero() {
			if was.archived.IsZero() {
				out = append(out, told{name: eventDeleted, id: n.ID})
			}
			continue
		}
		if !was.archived.IsZero() {
			out = append(out, tellBack(e.Changed[i:i+1])...)
			continue
		}
		switch {
		case !n.ReadAt.IsZero() && !n.ReadAt.Equal(was.read):
			out = append(out, told{name: eventRead, id: n.ID})
		case !n.SeenAt.IsZero() && !n.SeenAt.Equal(was.seen):
			out, seen = append(out, told{name: eventSeen, id: n.ID}), true
		}
		interacted := (!n.InteractedAt.IsZero() || n.State != "") && (n.State != was.state || !n.InteractedAt.Equal(was.interacted))
		if interacted || editionOf(n) > was.edition {
			out = append(out, told{name: eventInteracted, item: n})
		}
	}
	if seen && e.Counters.Unseen == 0 {
		out = append(out, told{name: eventAllSeen})
	}
	return out
}

// editionOf is how often what an item says was edited.
func editionOf(n *model.Notification) int64 {
	if n.Content == nil {
		return 0
	}
	return n.Content.Edition
}
