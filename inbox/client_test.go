package inbox_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"testing"

	"carillon/inbox"
	"carillon/model"
)

// client holds what a client does that folds a stream's events, and complains
// of every event that could not come from an exact stream.
type client struct {
	items    map[model.NotificationID]model.Notification
	counters model.Counters
	seq      int64
	complete bool // it holds, or held, every item that is there: events can be checked item by item
}

// beginning is a client that knows the inbox from its first change on.
func beginning() *client {
	return &client{items: map[model.NotificationID]model.Notification{}, complete: true}
}

func (c *client) clone() *client {
	d := *c
	d.items = maps.Clone(c.items)
	return &d
}

// apply folds one event as the schema says: marks first, then the rest.
func (c *client) apply(e model.InboxEvent) error {
	if e.Reset != "" {
		clear(c.items)
		c.complete = false
	} else if e.Seq <= c.seq {
		return fmt.Errorf("an event of seq %d came after seq %d", e.Seq, c.seq)
	}
	c.seq, c.counters = e.Seq, e.Counters
	for _, m := range e.Marked {
		for id, n := range c.items {
			if n.SeenAt.IsZero() {
				n.SeenAt = m.At
			}
			if m.As == model.MarkRead && n.ReadAt.IsZero() {
				n.ReadAt = m.At
			}
			c.items[id] = n
		}
	}
	for _, n := range e.Added {
		if _, held := c.items[n.ID]; held {
			return fmt.Errorf("seq %d adds %d, which is there", e.Seq, n.ID)
		}
		c.items[n.ID] = n
	}
	for _, n := range e.Changed {
		if _, held := c.items[n.ID]; !held && c.complete {
			return fmt.Errorf("seq %d changes %d, which is not there", e.Seq, n.ID)
		}
		c.items[n.ID] = n
	}
	for _, id := range e.Removed {
		if _, held := c.items[id]; !held && c.complete {
			return fmt.Errorf("seq %d removes %d, which is not there", e.Seq, id)
		}
		delete(c.items, id)
	}
	return inOrder(e)
}

// inOrder checks that lists are newest first.
func inOrder(e model.InboxEvent) error {
	for _, list := range [][]model.Notification{e.Added, e.Changed} {
		for i := 1; i < len(list); i++ {
			a, b := list[i-1], list[i]
			if a.SortAt.Before(b.SortAt) || a.SortAt.Equal(b.SortAt) && a.ID < b.ID {
				return fmt.Errorf("seq %d lists %d before the newer %d", e.Seq, a.ID, b.ID)
			}
		}
	}
	return nil
}

// follow opens a stream of the inbox.
func follow(t testing.TB, s *inbox.Service, env model.EnvID, user model.UserID, o inbox.WatchOptions, wake func()) *inbox.Stream {
	t.Helper()
	stream, err := s.Watch(t.Context(), env, user, o, wake)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stream.Close)
	return stream
}

// drain folds all that the stream has to tell, and returns the events.
func (c *client) drain(t testing.TB, stream *inbox.Stream) []model.InboxEvent {
	t.Helper()
	var events []model.InboxEvent
	for {
		e, ok, err := stream.Next(t.Context())
		if errors.Is(err, io.EOF) {
			t.Fatalf("the stream ended: %v", err)
		}
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return events
		}
		if err := c.apply(e); err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
}
