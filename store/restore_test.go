package store_test

import (
	"path/filepath"
	"testing"
	"time"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

func TestARestoredDatabaseIsAnotherOne(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		ctx := t.Context()
		s := storetest.Open(t, store.Config{URL: url})
		env := newEnvironment(t, s)
		ada := storetest.User(t, s, env, "ada")
		sent, _ := storetest.Send(t, s, env, storetest.Sent{}, ada)
		for id, state := range map[string]model.DeliveryState{"queued": model.DeliveryQueued, "sent": model.DeliverySent} {
			err := store.Exec(ctx, s, `insert into deliveries (env_id, id, notification_id, user_id, send_id, channel, lane, state, reason, run_at, created_at, updated_at)
				values (?, ?, ?, ?, ?, 2, 1, ?, 0, 0, 0, 0)`, env, id, sent[0].ID, ada, sent[0].SendID, state)
			if err != nil {
				t.Fatal(err)
			}
		}
		before, last := s.Epoch(), sent[0].ID

		done, err := s.Restored(ctx, true)
		if err != nil || done.Held != 1 {
			t.Fatalf("Restored = %+v, %v; want one delivery held", done, err)
		}
		if s.Epoch() == before {
			t.Error("the epoch is the old one")
		}
		again := storetest.Open(t, store.Config{URL: url})
		if again.Epoch() != s.Epoch() {
			t.Errorf("whoever comes next has epoch %x, want %x", again.Epoch(), s.Epoch())
		}
		if _, found := again.FoundRestored(); found {
			t.Error("it was taken for a copy once more")
		}
		ids, err := again.NewIDs(ctx, 1)
		if err != nil || ids[0] < int64(last)+100_000_000 {
			t.Errorf("the next id is %v, %v; the last one before was %d", ids, err, last)
		}
	})
}

func TestACopyIsFoundToBeOne(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		s := storetest.Open(t, store.Config{URL: storetest.SQLite(t)})
		env := newEnvironment(t, s)
		ada := storetest.User(t, s, env, "ada")
		storetest.Send(t, s, env, storetest.Sent{}, ada)
		path := filepath.Join(t.TempDir(), "copy.db")
		if err := s.Backup(t.Context(), path); err != nil {
			t.Fatal(err)
		}
		if err := s.Backup(t.Context(), path); model.KindOf(err) != model.KindConflict {
			t.Errorf("a second backup over the first = %v, want a conflict", err)
		}
		storetest.Send(t, s, env, storetest.Sent{}, ada)
		c := storetest.Open(t, store.Config{URL: path})
		if _, found := c.FoundRestored(); !found || c.Epoch() == s.Epoch() {
			t.Error("the copy passes for the database that it was made of")
		}
		if page, err := c.Inbox(t.Context(), env, ada, listed, model.PageRequest{Limit: 10}); err != nil || len(page.Items) != 1 || page.Seq != 1 {
			t.Errorf("the copy's inbox = %+v, %v; want what was there when it was made", page, err)
		}
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		url := storetest.Postgres(t)
		s := storetest.Open(t, store.Config{URL: url})
		if err := s.Backup(t.Context(), "x"); model.KindOf(err) != model.KindInvalid {
			t.Errorf("Backup = %v, want to be sent to pg_dump", err)
		}
		// What pg_restore does: the same rows in another table.
		for _, statement := range []string{"alter table facts rename to old", "create table facts (name text primary key, value text not null)", "insert into facts select * from old", "drop table old"} {
			if err := store.Exec(t.Context(), s, statement); err != nil {
				t.Fatal(err)
			}
		}
		epochs := make(chan uint64, 3)
		for range cap(epochs) { // several processes start at once
			go func() {
				c, err := store.Open(t.Context(), store.Config{URL: url, MaxConns: 3})
				if err != nil {
					t.Error(err)
					epochs <- 0
					return
				}
				epochs <- c.Epoch()
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			}()
		}
		first := <-epochs
		for range cap(epochs) - 1 {
			if e := <-epochs; e != first || e == s.Epoch() {
				t.Errorf("processes have the epochs %x and %x, before it was %x; want one new one", first, e, s.Epoch())
			}
		}
	})
}

func TestHeldSendsReachInboxesOnly(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, env := t.Context(), newEnvironment(t, s)
		ada := storetest.User(t, s, env, "ada")
		list, _ := storetest.Send(t, s, env, storetest.Sent{}, ada)
		if err := store.Exec(ctx, s, "update sends set status = 'SCHEDULED', send_at = ? where id = ?", time.Now().Add(-time.Hour).UnixMicro(), list[0].SendID); err != nil {
			t.Fatal(err)
		}
		if done, err := s.Restored(ctx, true); err != nil || done.InboxOnly != 1 {
			t.Fatalf("Restored = %+v, %v; want one send held", done, err)
		}
		send, err := s.Send(ctx, env, list[0].SendID)
		if err != nil || len(send.Channels) != 1 || send.Channels[0] != model.ChannelInApp {
			t.Errorf("the send goes over %v, %v; want the inbox alone", send.Channels, err)
		}
	})
}
