package notify_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"carillon/model"
	"carillon/notify"
	"carillon/store/storetest"
)

func TestWorkersShareLargeSends(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.crowd(t, 230)
		f.everybody(t, f.topic(t, "news"))
		workers := make([]*notify.Service, 3)
		for i := range workers {
			workers[i] = f.another(t)
			workers[i].Chunk = 10
		}
		var ids []model.SendID
		for range 4 {
			ids = append(ids, f.mustSend(t, toTopics("news")).Send.ID)
		}
		var wg sync.WaitGroup
		wg.Go(func() { f.expand(t, workers...) })
		wg.Go(func() { // single sends to the same inboxes go on meanwhile
			for i := range 40 {
				f.mustSend(t, hello(fmt.Sprintf("user-%05d", i*5+1), "user-00230"))
			}
		})
		wg.Wait()
		f.expand(t) // a worker gives up while others are at the last chunks
		for _, id := range ids {
			f.served(t, id, model.SendProgress{Total: 230, Done: 230})
		}
		if n := f.count(t, "select count(*) from notifications"); n != 4*230+40*2 {
			t.Errorf("%d notifications, want %d", n, 4*230+40*2)
		}
	})
}

func TestWorkersOfOneProcessKeepApart(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.crowd(t, 60)
		f.Chunk = 5
		ids := []model.SendID{f.mustSend(t, toEveryone()).Send.ID, f.mustSend(t, toEveryone()).Send.ID}
		var (
			mu sync.Mutex
			at = map[model.SendID]model.UserID{} // where a send's last chunk began
		)
		f.Store = &chunkStore{Store: f.store, before: func(ctx context.Context, c model.Chunk) context.Context {
			mu.Lock()
			defer mu.Unlock()
			if before, begun := at[c.Send.ID]; begun && c.After <= before {
				t.Errorf("a chunk of send %d is tried after %d, and the one before it was after %d", c.Send.ID, c.After, before)
			}
			at[c.Send.ID] = c.After
			return ctx
		}}
		f.expand(t, f.Service, f.Service, f.Service)
		for _, id := range ids {
			f.served(t, id, model.SendProgress{Total: 60, Done: 60})
		}
	})
}

func TestCancelStopsBetweenChunks(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.crowd(t, 100)
		f.Chunk = 10
		id := f.mustSend(t, toEveryone()).Send.ID
		chunks := 0
		var canceled model.Send
		f.Store = &chunkStore{Store: f.store, after: func(model.Send) {
			if chunks++; chunks != 3 {
				return
			}
			out, err := f.Cancel(t.Context(), f.env.ID, model.Once{}, id)
			if err != nil {
				t.Error(err)
			}
			canceled = out.Value
		}}
		p, err := f.WatchProgress(t.Context(), f.env.ID, id, func() {})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		f.expand(t)
		if canceled.Status != model.SendCanceled || canceled.Progress != (model.SendProgress{Total: 100, Done: 30}) {
			t.Errorf("cancelled as %+v", canceled)
		}
		if m := f.mustFind(t, id); chunks != 3 || m.Status != model.SendCanceled || m.Progress != canceled.Progress {
			t.Errorf("after %d chunks: %+v", chunks, m)
		}
		if n := len(f.rows(t, id)); n != 30 {
			t.Errorf("%d notifications, want the 30 of three chunks", n)
		}
		if m, ok, err := p.Next(t.Context()); err != nil || !ok || m.Status != model.SendCanceled {
			t.Errorf("the stream tells %+v, %t, %v", m, ok, err)
		}
		if _, err := f.Cancel(t.Context(), f.env.ID, model.Once{}, id); !slices.Equal(problems(err), []string{"CONFLICT id"}) {
			t.Errorf("a second time: %v", err)
		}
		if n := f.count(t, "select count(*) from sends where audience is not null"); n != 0 {
			t.Error("the audience of a cancelled send is kept")
		}
		f.noDrift(t)
	})
}

func TestCancelAndChunksRaceOnOneRow(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.crowd(t, 30)
		f.Chunk = 5
		for range 8 {
			id := f.mustSend(t, toEveryone()).Send.ID
			var told model.Send
			var wg sync.WaitGroup
			wg.Go(func() { f.expand(t) })
			wg.Go(func() {
				out, err := f.Cancel(t.Context(), f.env.ID, model.Once{}, id)
				if k := model.KindOf(err); err != nil && k != model.KindConflict {
					t.Errorf("cancelling: %v", err)
				}
				told = out.Value
			})
			wg.Wait()
			m := f.mustFind(t, id)
			if n := int64(len(f.rows(t, id))); n != m.Progress.Done {
				t.Errorf("%d notifications, progress says %d", n, m.Progress.Done)
			}
			switch {
			case told.ID == 0 && m.Status != model.SendSent, told.ID != 0 && (m.Status != model.SendCanceled || m.Progress != told.Progress):
				t.Errorf("the caller was told %+v, and it is %+v", told, m)
			}
		}
		f.noDrift(t)
	})
}

func TestEnvironmentsTakeTurns(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.crowd(t, 50)
		quiet := *f
		quiet.env = f.environment(t, "quiet")
		quiet.users(t, "ada")
		f.Chunk = 1 // fifty chunks of the first environment
		f.mustSend(t, toEveryone())
		f.mustSend(t, toEveryone())

		var turns []model.EnvID
		f.Store = &chunkStore{Store: f.store, after: func(m model.Send) {
			turns = append(turns, m.EnvID)
			if n := len(turns); n == 1 || n == 20 {
				quiet.mustSend(t, toEveryone())
			}
		}}
		f.expand(t)
		for _, n := range []int{1, 20} {
			if len(turns) != 102 || turns[n] != quiet.env.ID {
				t.Fatalf("%d chunks; after chunk %d came one of environment %d, want %d, which has one chunk to do", len(turns), n, turns[n], quiet.env.ID)
			}
		}
	})
}

func TestSendsOfAnEnvironmentComeInOrder(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.crowd(t, 20)
		f.Chunk = 5
		var want []model.SendID
		for i := range 3 {
			req := toEveryone()
			req.SendAt = f.clock.Now().Add(time.Duration(3-i) * time.Hour)
			want = append([]model.SendID{f.mustSend(t, req).Send.ID}, want...)
		}
		for range 3 {
			f.clock.Advance(time.Hour)
			f.fire(t)
		}
		var got []model.SendID
		f.Store = &chunkStore{Store: f.store, after: func(m model.Send) {
			if m.Status == model.SendSent {
				got = append(got, m.ID)
			}
		}}
		f.expand(t)
		if !slices.Equal(got, want) {
			t.Errorf("sends ended in the order %v, want %v", got, want)
		}
	})
}

func TestUserDeletedWithinAChunk(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.crowd(t, 30)
		f.everybody(t, f.topic(t, "news"))
		f.Chunk = 10
		id := f.mustSend(t, toTopics("news")).Send.ID
		tries := 0
		f.Store = &chunkStore{Store: f.store, before: func(ctx context.Context, c model.Chunk) context.Context {
			if tries++; tries == 1 || tries == 4 { // each time it is the first try of a chunk
				gone := f.sql(t, "select identifier from users where id = ?", int64(c.Notifications[4].UserID))[0][0]
				if err := storetest.Erase(t.Context(), f.store, f.env.ID, model.Once{}, gone.(string)); err != nil {
					t.Error(err)
				}
			}
			return ctx
		}}
		f.expand(t)
		f.served(t, id, model.SendProgress{Total: 28, Done: 28})
	})
}

// TestChunkCountsOnceWhoeverComesFirst has two workers read the same chunk and
// then save it, one after the other.
func TestChunkCountsOnceWhoeverComesFirst(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.crowd(t, 20)
		f.Chunk = 10
		id := f.mustSend(t, toEveryone()).Send.ID
		quick, outrun := f.another(t), 0
		quick.Chunk = 10
		f.Store = &chunkStore{Store: f.store, before: func(ctx context.Context, c model.Chunk) context.Context {
			if outrun++; outrun == 1 {
				f.expand(t, quick)
			}
			return ctx
		}}
		f.expand(t)
		f.served(t, id, model.SendProgress{Total: 20, Done: 20})
		if n := len(f.rows(t, id)); n != 20 || outrun != 1 {
			t.Errorf("%d notifications after %d chunks of the slower worker", n, outrun)
		}
	})
}

func TestSlowInboxDoesNotHoldUpOtherSends(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.crowd(t, 10)
		second := *f
		second.env = f.environment(t, "second")
		second.users(t, "ada")
		bad := f.mustSend(t, toEveryone()).Send.ID
		good := second.mustSend(t, toEveryone()).Send.ID
		f.Store = &chunkStore{Store: f.store, before: func(ctx context.Context, c model.Chunk) context.Context {
			if c.Send.ID == bad {
				ended, end := context.WithCancel(ctx)
				end()
				return ended
			}
			return ctx
		}}
		f.expand(t)
		if m, err := f.Find(t.Context(), second.env.ID, good); err != nil || m.Status != model.SendSent {
			t.Errorf("the other send is %+v, %v", m, err)
		}
		if m := f.mustFind(t, bad); m.Status != model.SendExpanding || m.Progress.Done != 0 {
			t.Errorf("the send whose chunks fail is %+v", m)
		}
		f.Store = f.store
		f.expand(t)
		f.served(t, bad, model.SendProgress{Total: 10, Done: 10})
	})
}
