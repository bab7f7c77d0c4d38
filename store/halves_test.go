package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

func TestChunkInHalves(t *testing.T) {
	t.Parallel()
	storetest.OnPostgres(t, func(t *testing.T, url string) {
		s := storetest.Open(t, store.Config{URL: url, MaxConns: 6})
		f := newSends(t, s, 2*store.HalfLeast+1)
		db, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close(context.WithoutCancel(t.Context())) })
		// once saves the chunk of all, and asserts that each has it once then.
		once := func(t *testing.T, m model.Send, changed int, seq int64) {
			t.Helper()
			m.Status, m.Progress = model.SendSent, model.SendProgress{Total: int64(len(f.users)), Done: int64(len(f.users))}
			c := f.chunk(t, m, 0, f.users...)
			saved, changes, err := s.SaveChunk(t.Context(), c)
			if err != nil || !saved || len(changes) != changed {
				t.Fatalf("saved %t, %d changes, %v; want %d", saved, len(changes), err, changed)
			}
			for i, ch := range changes {
				if ch.Seq != seq || len(ch.Added) != 1 || i > 0 && ch.User <= changes[i-1].User {
					t.Fatalf("change %d of %d is %+v", i, len(changes), ch)
				}
			}
			var n int
			if err := db.QueryRow(t.Context(), "select count(*) from notifications where send_id = $1", int64(m.ID)).Scan(&n); err != nil || n != len(f.users) {
				t.Errorf("the send has %d notifications, %v; want %d", n, err, len(f.users))
			}
			f.noDrift(t)
		}
		once(t, f.expanding(t, model.Audience{Everyone: true}), len(f.users)-1, 1)

		m := f.expanding(t, model.Audience{Everyone: true})
		if err := store.SaveUpperHalf(t.Context(), s, f.chunk(t, m, 0, f.users...)); err != nil {
			t.Fatal(err)
		}
		once(t, m, len(f.users)/2-1, 2)

		ended := f.expanding(t, model.Audience{Everyone: true})
		chunk := f.chunk(t, ended, 0, f.users...)
		if err := store.SaveUpperHalf(t.Context(), s, chunk); err != nil {
			t.Fatal(err)
		}
		out, err := s.CancelSend(t.Context(), f.env, model.Once{}, ended.ID)
		if want := int64(len(f.users) - len(f.users)/2); err != nil || out.Value.Progress.Done != want {
			t.Errorf("cancelled as %+v, %v; want %d done", out.Value.Progress, err, want)
		}
		ended = f.expanding(t, model.Audience{Everyone: true})
		if _, err := s.RecallSend(t.Context(), f.env, model.Once{}, ended.ID); err != nil {
			t.Fatal(err)
		}
		if err := store.SaveUpperHalf(t.Context(), s, f.chunk(t, ended, 0, f.users...)); err != nil {
			t.Fatal(err)
		}
		var late int
		if err := db.QueryRow(t.Context(), "select count(*) from notifications where send_id = $1", int64(ended.ID)).Scan(&late); err != nil || late != 0 {
			t.Errorf("%d notifications were made of a send after it was recalled, %v", late, err)
		}
		f.noDrift(t)
	})
}

// TestHalvesLeaveConnections says that chunks that are written at the same time do
// not wait for connections that each other has.
func TestHalvesLeaveConnections(t *testing.T) {
	t.Parallel()
	storetest.OnPostgres(t, func(t *testing.T, url string) {
		s := storetest.Open(t, store.Config{URL: url, MaxConns: 2})
		f := newSends(t, s, 2*store.HalfLeast)
		chunks := make([]model.Chunk, 6)
		for i := range chunks {
			m := f.expanding(t, model.Audience{Everyone: true})
			m.Status = model.SendSent
			chunks[i] = f.chunk(t, m, 0, f.users...)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		errs := make(chan error, len(chunks))
		for _, c := range chunks {
			go func() {
				_, _, err := s.SaveChunk(ctx, c)
				errs <- err
			}()
		}
		for range chunks {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		f.noDrift(t)
	})
}
