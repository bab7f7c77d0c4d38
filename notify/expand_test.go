package notify_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"carillon/model"
	"carillon/notify"
)

func TestBeyondAHundredRecipientsASendIsExpanded(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.crowd(t, 130)
		names := func(n int) (out []string) {
			for i := range n {
				out = append(out, fmt.Sprintf("user-%05d", i+1))
			}
			return out
		}
		small := f.mustSend(t, hello(append(names(100), "x", "y")...)).Send
		if small.Status != model.SendSent || small.Progress != (model.SendProgress{Total: 102, Done: 100, Skipped: 2}) {
			t.Errorf("to a hundred that exist: %s, %+v; want it served at once", small.Status, small.Progress)
		}

		f.hub.calls = nil
		r := f.mustSend(t, hello(append(names(101), "x", "user-00001")...))
		if r.Send.Status != model.SendExpanding || r.Send.Progress != (model.SendProgress{Total: 102, Skipped: 1}) || !r.Send.FiredAt.Equal(f.clock.Now()) {
			t.Errorf("accepted as %+v", r.Send)
		}
		if got := skipped(r); !slices.Equal(got, []string{"x USER_UNKNOWN"}) {
			t.Errorf("skipped %q", got)
		}
		if n := f.count(t, "select count(*) from notifications where send_id = ?", int64(r.Send.ID)); n != 0 || len(f.hub.hints()) != 0 {
			t.Errorf("accepting it made %d notifications and published %d hints", n, len(f.hub.hints()))
		}
		f.Chunk = 40
		f.expand(t)
		f.served(t, r.Send.ID, model.SendProgress{Total: 102, Done: 101, Skipped: 1})
		if got := f.rows(t, r.Send.ID); !slices.Equal(got, names(101)) {
			t.Errorf("it went to %q", got)
		}
		if n := f.count(t, "select count(*) from notifications where send_id = ? and sort_at <> ?", int64(r.Send.ID), r.Send.FiredAt.UnixMicro()); n != 0 {
			t.Errorf("%d notifications are not sorted by when the send fired", n)
		}
	})
}

func TestTopicIsServedChunkByChunk(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.crowd(t, 2500)
		f.everybody(t, f.topic(t, "news"))
		f.Chunk = 300
		r := f.mustSend(t, toTopics("news"))
		if r.Send.Status != model.SendExpanding || r.Send.Progress != (model.SendProgress{Total: -1}) || r.Plan != nil || r.Skipped != nil {
			t.Errorf("accepted as %+v", r)
		}
		var p *notify.ProgressStream
		var told []model.Send
		tell := func() {
			if m, ok, err := p.Next(t.Context()); err != nil || !ok {
				t.Errorf("progress: %t, %v", ok, err)
			} else {
				told = append(told, m)
			}
		}
		var err error
		if p, err = f.WatchProgress(t.Context(), f.env.ID, r.Send.ID, tell); err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		tell()
		f.hub.on = func(hints []model.Hint) {
			if len(hints) > f.Chunk+1 {
				t.Errorf("%d hints of one chunk", len(hints))
			}
			for _, h := range hints[:len(hints)-1] {
				if c := h.Change; c == nil || len(c.Added) != 1 || c.Added[0].Seq != h.Seq || c.Added[0].SendID != r.Send.ID || c.Added[0].Content.Title != "Hello" {
					t.Fatalf("hint %+v", h)
				}
			}
		}
		f.expand(t)
		f.served(t, r.Send.ID, model.SendProgress{Total: 2500, Done: 2500})
		if n := f.count(t, "select count(distinct user_id) from notifications"); n != 2500 {
			t.Errorf("it went to %d users", n)
		}
		if len(told) != 10 {
			t.Fatalf("%d steps of progress, want one for each of nine chunks", len(told))
		}
		for i, m := range told[1:9] {
			if m.Status != model.SendExpanding || m.Progress != (model.SendProgress{Total: 2500, Done: int64(i+1) * 300}) {
				t.Errorf("after chunk %d: %s, %+v", i+1, m.Status, m.Progress)
			}
		}
		if last := told[9]; last.Status != model.SendSent || last.Progress.Done != 2500 {
			t.Errorf("at the end %s, %+v", last.Status, last.Progress)
		}
		if _, _, err := p.Next(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("after the end: %v, want io.EOF", err)
		}
		if n := len(f.hub.hints()); n != 2500+9 {
			t.Errorf("%d hints, want one for each inbox and chunk", n)
		}
	})
}

func TestChunkThatIsCutShortLeavesNothing(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.crowd(t, 250)
		id := f.mustSend(t, toEveryone()).Send.ID
		// Each of these processes dies in its third chunk, sooner or later.
		for death := range 8 {
			ctx, die := context.WithCancel(t.Context())
			chunks := 0
			dying := f.another(t)
			dying.Chunk = 10
			dying.Store = &chunkStore{Store: f.store, before: func(ctx context.Context, _ model.Chunk) context.Context {
				if chunks++; chunks == 3 {
					time.AfterFunc(time.Duration(death)*200*time.Microsecond, die)
				}
				return ctx
			}}
			before := f.mustFind(t, id).Progress.Done
			for dying.ExpandAll(ctx) == nil {
			}
			// The database may still be at what nobody waits for any more.
			eventually(t, "an end of the chunk", func() bool {
				m := f.mustFind(t, id)
				n := f.count(t, "select count(*) from notifications")
				return m.Progress.Done >= before+20 && n == m.Progress.Done && n%10 == 0 && (m.Status == model.SendExpanding || n == 250)
			})
			f.noDrift(t)
		}
		f.expand(t)
		f.served(t, id, model.SendProgress{Total: 250, Done: 250})
		if n := f.count(t, "select count(distinct user_id) from notifications"); n != 250 {
			t.Errorf("it went to %d users", n)
		}
	})
}

func TestRecipientWhoCannotBeServedDoesNotHoldUpOthers(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.crowd(t, 40)
		cursed := f.sql(t, "select id from users where identifier = ?", "user-00023")[0][0]
		if f.store.Database() == "postgres" {
			f.sql(t, `create function refuse() returns trigger language plpgsql as $$ begin raise 'no'; end $$`)
			f.sql(t, fmt.Sprintf(`create trigger refuse before insert on notifications for each row when (new.user_id = %d) execute function refuse()`, cursed))
		} else {
			f.sql(t, fmt.Sprintf(`create trigger refuse before insert on notifications when new.user_id = %d begin select raise(abort, 'no'); end`, cursed))
		}
		f.Chunk = 10
		id := f.mustSend(t, toEveryone()).Send.ID
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go f.Run(ctx)
		eventually(t, "the end", func() bool { return f.mustFind(t, id).Status == model.SendSent })
		f.served(t, id, model.SendProgress{Total: 40, Done: 39, Failed: 1})
		if got := f.rows(t, id); len(got) != 39 || slices.Contains(got, "user-00023") {
			t.Errorf("it went to %q", got)
		}
	})
}

func TestChunkThatRunsOutOfTimeIsMadeSmaller(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.crowd(t, 40)
		f.Chunk = 16
		id := f.mustSend(t, toEveryone()).Send.ID
		var sizes []int
		f.Store = &chunkStore{Store: f.store, before: func(ctx context.Context, c model.Chunk) context.Context {
			if sizes = append(sizes, len(c.Notifications)); len(sizes) > 1 {
				return ctx
			}
			late, end := context.WithDeadline(ctx, time.Unix(1, 0))
			t.Cleanup(end)
			return late
		}}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go f.Run(ctx)
		eventually(t, "the end", func() bool { return f.mustFind(t, id).Status == model.SendSent })
		f.served(t, id, model.SendProgress{Total: 40, Done: 40})
		if want := []int{16, 2, 16, 16, 6}; !slices.Equal(sizes, want) {
			t.Errorf("the chunks had %d recipients, want %d", sizes, want)
		}
	})
}

func TestExpansionEndsWithTheExpiry(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.crowd(t, 50)
		f.Chunk = 20
		var req [2]model.SendRequest
		var ids [2]model.SendID
		for i := range req {
			req[i] = toEveryone()
			req[i].ExpiresAt = f.clock.Now().Add(time.Hour)
			ids[i] = f.mustSend(t, req[i]).Send.ID
		}
		f.Store = &chunkStore{Store: f.store, after: func(model.Send) { f.clock.Advance(31 * time.Minute) }}
		f.expand(t)
		f.served(t, ids[0], model.SendProgress{Total: 50, Done: 40, Skipped: 10})
		f.served(t, ids[1], model.SendProgress{Total: 50, Skipped: 50}) // it expired before its first chunk
		if n := f.count(t, "select count(*) from notifications where expires_at = ?", req[0].ExpiresAt.UnixMicro()); n != 40 {
			t.Errorf("%d notifications that expire, want 40", n)
		}
	})
}

func TestRunExpandsAtOnce(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.crowd(t, 300)
		s := f.another(t)
		s.Now = time.Now
		s.Expanders = 2
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var ended atomic.Bool
		go func() { s.Run(ctx); ended.Store(true) }()
		out, err := s.Send(t.Context(), f.env, toEveryone())
		if err != nil {
			t.Fatal(err)
		}
		later := toEveryone()
		later.SendAt = time.Now().Add(100 * time.Millisecond)
		scheduled, err := s.Send(t.Context(), f.env, later)
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the expansion", func() bool {
			return f.mustFind(t, out.Value.Send.ID).Status == model.SendSent && f.mustFind(t, scheduled.Value.Send.ID).Status == model.SendSent
		})
		stop()
		eventually(t, "the end of the loops", ended.Load)
		f.served(t, out.Value.Send.ID, model.SendProgress{Total: 300, Done: 300})
		f.served(t, scheduled.Value.Send.ID, model.SendProgress{Total: 300, Done: 300})
	})
}
