package inbox_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"carillon/inbox"
	"carillon/model"
)

// Publish loses some hints, sends some twice, and some that are old.
func (b *badBus) Publish(ctx context.Context, hints ...model.Hint) {
	for _, h := range hints {
		switch b.rand.IntN(10) {
		case 0: // lost; healing will find out
			b.last = append(b.last, h)
			continue
		case 1:
			b.Hub.Publish(ctx, h, h)
		case 2: // too large for the bus
			bare := h
			bare.Change = nil
			b.Hub.Publish(ctx, bare)
		default:
			b.Hub.Publish(ctx, h)
		}
		b.last = append(b.last, h)
		if n := len(b.last); b.rand.IntN(5) == 0 {
			b.Hub.Publish(ctx, b.last[max(0, n-1-b.rand.IntN(4))])
		}
	}
}

func show(f *model.InboxFilter) string {
	if f == nil {
		return "no filter"
	}
	flag := func(b *bool) string {
		if b == nil {
			return "any"
		}
		return fmt.Sprint(*b)
	}
	return fmt.Sprintf("{unseen %s, unread %s, archived %s, categories %v}", flag(f.Unseen), flag(f.Unread), flag(f.Archived), f.Categories)
}

func (h *history) compareResult(u *userHistory, r model.MarkResult, affected int64) {
	h.t.Helper()
	if r.Affected != affected || r.Seq != u.ideal.seq || r.Counters != u.ideal.counters() || r.UserID != u.id {
		h.t.Errorf("the result is %d affected, seq %d, %+v; want %d, %d, %+v", r.Affected, r.Seq, r.Counters, affected, u.ideal.seq, u.ideal.counters())
	}
}

func (h *history) compareItem(where string, got, want model.Notification) {
	h.t.Helper()
	if got.Content == nil || !reflect.DeepEqual(*got.Content, *want.Content) {
		h.t.Errorf("%s: item %d says %+v, want %+v", where, got.ID, got.Content, want.Content)
	}
	got.Content, want.Content = nil, nil
	if !reflect.DeepEqual(got, want) {
		h.t.Errorf("%s: got\n%+v, want\n%+v", where, got, want)
	}
}

func (h *history) compareList(where string, got, want []model.Notification) {
	h.t.Helper()
	if len(got) != len(want) {
		h.t.Errorf("%s: got %v, want %v", where, idsOf(got), idsOf(want))
		return
	}
	for i := range got {
		h.compareItem(where, got[i], want[i])
	}
}

func idsOf(list []model.Notification) []model.NotificationID {
	ids := make([]model.NotificationID, len(list))
	for i, n := range list {
		ids[i] = n.ID
	}
	return ids
}

// check compares all that can be seen of the inboxes that the step touched.
func (h *history) check() {
	for _, u := range h.users {
		if !u.touched {
			continue
		}
		u.touched = false
		h.checkPages(u)
		h.checkStreams(u)
		if h.t.Failed() {
			return
		}
	}
}

// checkPages walks the pages of a fifth of the filters; each one's turn comes.
func (h *history) checkPages(u *userHistory) {
	yes, no := true, false
	flags := []*bool{nil, &yes, &no}
	for _, unseen := range flags {
		for _, unread := range flags {
			for _, archived := range flags {
				if h.rand.IntN(5) > 0 {
					continue
				}
				f := model.InboxFilter{Unseen: unseen, Unread: unread, Archived: archived}
				if h.rand.IntN(4) == 0 {
					f.Categories = [][]model.CategoryID{{}, {1}, {0, 2}}[h.rand.IntN(3)]
				}
				h.checkFilter(u, f)
			}
		}
	}
	c, seq, err := h.service.Counters(h.t.Context(), h.env, u.id)
	if err != nil || c != u.ideal.counters() || seq != u.ideal.seq {
		h.t.Errorf("Counters = %+v, %d, %v; want %+v, %d", c, seq, err, u.ideal.counters(), u.ideal.seq)
	}
}

func (h *history) checkFilter(u *userHistory, f model.InboxFilter) {
	req := model.PageRequest{Limit: 1 + h.rand.IntN(model.MaxPage), Backward: h.rand.IntN(2) == 0}
	if h.rand.IntN(4) == 0 {
		req.Limit = 1 + h.rand.IntN(6)
	}
	var got []model.Notification
	for {
		page, err := h.service.List(h.t.Context(), h.env, u.id, f, req)
		if err != nil {
			h.t.Fatal(err)
		}
		if page.Counters != u.ideal.counters() || page.Seq != u.ideal.seq {
			h.t.Errorf("%s: counters %+v at %d, want %+v at %d", show(&f), page.Counters, page.Seq, u.ideal.counters(), u.ideal.seq)
		}
		if len(page.Items) > req.Limit || page.HasMore && len(page.Items) < req.Limit {
			h.t.Errorf("%s: %d items in a page of %d, more: %t", show(&f), len(page.Items), req.Limit, page.HasMore)
		}
		if req.Backward {
			got = append(page.Items, got...)
		} else {
			got = append(got, page.Items...)
		}
		if !page.HasMore || len(page.Items) == 0 {
			break
		}
		if req.Backward {
			req.Before = keyOf(page.Items[0])
		} else {
			req.After = keyOf(page.Items[len(page.Items)-1])
		}
	}
	h.compareList(show(&f), got, u.ideal.list(f))
}

func keyOf(n model.Notification) *model.PageKey {
	return &model.PageKey{At: n.SortAt, ID: int64(n.ID)}
}

// checkStreams lets the clients that follow catch up, or not yet, and has one
// come back to a state of long ago.
func (h *history) checkStreams(u *userHistory) {
	if h.rand.IntN(3) > 0 {
		// What healing does for hints that were lost.
		h.bus.Hub.Publish(h.t.Context(), model.Hint{Key: model.InboxKey(h.env, u.id), Seq: u.ideal.seq})
		u.all.drain(h.t, u.allFrom)
		h.checkClient("the client that follows", u, u.all, nil)
		u.old = append(u.old, u.all.clone())
	}
	if h.rand.IntN(10) == 0 && u.ideal.counters().Total <= model.MaxStreamSnapshot {
		u.pageOf.Close()
		h.openPage(u)
	}
	if h.rand.IntN(3) > 0 {
		h.bus.Hub.Publish(h.t.Context(), model.Hint{Key: model.InboxKey(h.env, u.id), Seq: u.ideal.seq})
		u.page.drain(h.t, u.pageOf)
		h.checkClient("the client with a snapshot", u, u.page, []model.CategoryID{pageCategory})
	}
	back := u.old[h.rand.IntN(len(u.old))].clone()
	after := h.service.Position(u.id, back.seq)
	stream := follow(h.t, h.service, h.env, u.id, inbox.WatchOptions{After: &after, First: model.MaxStreamSnapshot}, func() {})
	events := back.drain(h.t, stream)
	stream.Close()
	if len(events) > 1 || len(events) == 0 && after.Seq != u.ideal.seq {
		h.t.Errorf("coming back to %d of %d gave %d events, want what was missed in one", after.Seq, u.ideal.seq, len(events))
	}
	h.checkClient(fmt.Sprintf("the client that comes back to %d", after.Seq), u, back, nil)
}

// openPage has the user's second client begin with a snapshot.
func (h *history) openPage(u *userHistory) {
	u.page = &client{items: map[model.NotificationID]model.Notification{}}
	u.pageOf = follow(h.t, h.service, h.env, u.id, inbox.WatchOptions{First: model.MaxStreamSnapshot, Categories: []model.CategoryID{pageCategory}}, func() {})
}

// checkClient compares what a client holds with the inbox. One that began with
// a snapshot never heard of what was archived by then.
func (h *history) checkClient(who string, u *userHistory, c *client, categories []model.CategoryID) {
	f := model.InboxFilter{Categories: categories}
	if !c.complete {
		no := false
		f.Archived = &no
	}
	var got []model.Notification
	for _, n := range c.items {
		if c.complete || n.ArchivedAt.IsZero() {
			got = append(got, n)
		}
	}
	want := u.ideal.list(f)
	byID := func(a, b model.Notification) int { return int(a.ID - b.ID) }
	slices.SortFunc(got, byID)
	slices.SortFunc(want, byID)
	h.compareList(who, got, want)
	if c.counters != u.ideal.counters() || c.seq != u.ideal.seq {
		h.t.Errorf("%s has %+v at %d, want %+v at %d", who, c.counters, c.seq, u.ideal.counters(), u.ideal.seq)
	}
}
