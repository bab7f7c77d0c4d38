package store_test

import (
	"testing"
	"time"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

// deduped is a send to everyone with a dedupe key.
func (f *sends) deduped(t *testing.T) model.Send {
	t.Helper()
	p := f.pending(t)
	p.Send.Status, p.Send.Progress, p.Audience = model.SendExpanding, model.SendProgress{Total: -1}, &model.Audience{Everyone: true}
	p.Options.DedupeKey, p.Options.DedupeWithin = "daily", time.Hour
	f.mustSave(t, p)
	return p.Send
}

func TestChunkLeavesOutDuplicates(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	storetest.EachWith(t, store.Config{Now: func() time.Time { return now }}, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		f := newSends(t, s, 4)
		first := f.pending(t, f.users[0], f.users[2])
		first.Options.DedupeKey, first.Options.DedupeWithin = "daily", time.Hour
		f.mustSave(t, first)

		m := f.deduped(t)
		m.Progress = model.SendProgress{Total: 4, Done: 3, Skipped: 1}
		m.Status = model.SendSent
		c := f.chunk(t, m, 0, f.users...) // the second of whom nothing reaches
		c.Named = []model.UserID{f.users[2].ID, f.users[3].ID}
		for i := range c.Notifications {
			c.Deliveries = append(c.Deliveries, model.PlannedDelivery{Delivery: model.Delivery{
				ID: model.DeliveryID(f.users[i].Identifier), EnvID: f.env, NotificationID: c.Notifications[i].ID, UserID: f.users[i].ID, SendID: m.ID,
				Channel: model.ChannelEmail, State: model.DeliverySkipped, Reason: model.ReasonUserCategory, CreatedAt: now,
			}})
		}
		saved, changes, err := s.SaveChunk(ctx, c)
		if err != nil || !saved || len(changes) != 1 || changes[0].User != f.users[3].ID {
			t.Fatalf("saved %t, changes %+v, %v; want that of the one inbox that something entered", saved, changes, err)
		}
		after, err := s.Send(ctx, f.env, m.ID)
		if want := (model.SendProgress{Total: 4, Done: 1, Skipped: 3}); err != nil || after.Progress != want {
			t.Errorf("progress %+v, %v; want %+v", after.Progress, err, want)
		}
		skipped, err := s.Skipped(ctx, f.env, []model.SendID{m.ID})
		if list := skipped[m.ID]; err != nil || len(list) != 1 || list[0] != (model.Skipped{Identifier: f.users[2].Identifier, Reason: model.ReasonDuplicate}) {
			t.Errorf("listed as skipped: %+v, %v; want the one who is named", list, err)
		}
		page, err := s.NotificationLog(ctx, f.env, model.NotificationFilter{Send: m.ID}, model.PageRequest{Limit: 10})
		if err != nil || len(page.Items) != 2 {
			t.Errorf("%d notifications, %v; want none for the two who were left out", len(page.Items), err)
		}
		ids := []model.NotificationID{c.Notifications[0].ID, c.Notifications[1].ID, c.Notifications[2].ID, c.Notifications[3].ID}
		if list, err := s.DeliveriesOf(ctx, f.env, ids); err != nil || len(list) != 2 {
			t.Errorf("%d deliveries, %v; want none for the two who were left out", len(list), err)
		}
		f.noDrift(t)
	})
}

func TestOnlyWhomASendReachesTakesItsDedupeKey(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		f := newSends(t, s, 2)
		save := func(change func(*model.PendingSend)) model.SavedSend {
			t.Helper()
			p := f.pending(t, f.users...)
			p.Options.DedupeKey, p.Options.DedupeWithin = "daily", time.Hour
			change(&p)
			saved, _, err := s.SaveSends(t.Context(), []model.PendingSend{p})
			if err != nil {
				t.Fatal(err)
			}
			return saved[0]
		}
		outside := func(state model.DeliveryState) func(p *model.PendingSend) {
			return func(p *model.PendingSend) {
				n := &p.Notifications[0]
				n.InInbox, p.Notifications[1].InInbox = false, false
				p.Deliveries = []model.PlannedDelivery{{Delivery: model.Delivery{
					ID: model.DeliveryID(state.String()), EnvID: f.env, NotificationID: n.ID, UserID: n.UserID, SendID: n.SendID, Channel: model.ChannelEmail, State: state, CreatedAt: f.now,
				}}}
			}
		}
		for i, tt := range []struct {
			change func(*model.PendingSend)
			want   int
		}{
			{outside(model.DeliverySkipped), 0}, // reaches nobody
			{outside(model.DeliveryQueued), 0},  // reaches the first
			{func(*model.PendingSend) {}, 1},    // so only the second is left
			{func(*model.PendingSend) {}, 2},
		} {
			if got := save(tt.change); len(got.Twice) != tt.want {
				t.Errorf("send %d: left out %v, want %d", i, got.Twice, tt.want)
			}
		}
	})
}

func TestScheduledSendLeavesOutDuplicatesWhenItFires(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		f := newSends(t, s, 2)
		later := f.scheduled(t, 0, f.users...)
		later.Options.DedupeKey, later.Options.DedupeWithin = "daily", time.Hour
		f.mustSave(t, later)
		first := f.pending(t, f.users[0]) // sent in between, and not held up by what is to come
		first.Options = later.Options
		if saved, _, err := s.SaveSends(ctx, []model.PendingSend{first}); err != nil || len(saved[0].Twice) != 0 {
			t.Fatalf("%+v, %v", saved, err)
		}

		due, _, err := s.DueSends(ctx, f.now, nil, 10)
		if err != nil || len(due) != 1 || due[0].Options.DedupeKey != "daily" || due[0].Options.DedupeWithin != time.Hour {
			t.Fatalf("due %+v, %v", due, err)
		}
		p := f.pending(t, f.users...)
		for i := range p.Notifications {
			p.Notifications[i].SendID = later.Send.ID
		}
		p.Send, p.Fire, p.Options = due[0].Send, true, due[0].Options
		p.Send.Status, p.Send.FiredAt, p.Send.Progress = model.SendSent, f.now, model.SendProgress{Total: 2, Done: 2}
		saved, changes, err := s.SaveSends(ctx, []model.PendingSend{p})
		if err != nil || len(saved[0].Twice) != 1 || len(changes) != 1 || changes[0].User != f.users[1].ID {
			t.Fatalf("fired: %+v, %v", saved, err)
		}
		m, err := s.Send(ctx, f.env, later.Send.ID)
		if err != nil || m.Progress != (model.SendProgress{Total: 2, Done: 1, Skipped: 1}) {
			t.Errorf("progress %+v, %v", m.Progress, err)
		}
		skipped, err := s.Skipped(ctx, f.env, []model.SendID{m.ID})
		if list := skipped[m.ID]; err != nil || len(list) != 1 || list[0].Reason != model.ReasonDuplicate {
			t.Errorf("listed as skipped: %+v, %v", list, err)
		}
		f.noDrift(t)
	})
}
