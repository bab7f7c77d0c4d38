package notify_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"carillon/model"
)

// daily gives a send the key that the tests share, for an hour.
func daily(r model.SendRequest) model.SendRequest {
	r.Options.DedupeKey, r.Options.DedupeWithin = "daily", time.Hour
	return r
}

func TestDedupeKeyOutlivesAnExpansionThatIsCutShort(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const users = 60
		f.crowd(t, users)
		f.topic(t, "some", member("user-00002"), member("user-00051"))
		f.Chunk = 10
		f.mustSend(t, daily(hello("user-00001", "user-00055")))
		id := f.mustSend(t, daily(toEveryone())).Send.ID
		for death := range 3 {
			ctx, die := context.WithCancel(t.Context())
			dying := f.another(t)
			dying.Chunk = 10
			chunks := 0
			dying.Store = &chunkStore{Store: f.store, before: func(ctx context.Context, _ model.Chunk) context.Context {
				if chunks++; chunks == 2 {
					time.AfterFunc(time.Duration(death)*300*time.Microsecond, die)
				}
				return ctx
			}}
			before := f.mustFind(t, id).Progress
			for dying.ExpandAll(ctx) == nil {
			}
			// The database may still be at what nobody waits for any more.
			eventually(t, "an end of the chunk", func() bool {
				p := f.mustFind(t, id).Progress
				seen := p.Done + p.Skipped
				return seen >= before.Done+before.Skipped+10 && seen%10 == 0 && f.count(t, "select count(*) from dedupes") == p.Done+2
			})
		}
		f.expand(t)
		f.served(t, id, model.SendProgress{Total: users, Done: users - 2, Skipped: 2}) // nobody lost to its own first try

		f.clock.Advance(time.Hour - time.Second)
		again := f.mustSend(t, daily(toTopics("some"))).Send.ID
		f.expand(t)
		f.served(t, again, model.SendProgress{Total: 2, Skipped: 2})
		f.clock.Advance(time.Second)
		over := f.mustSend(t, daily(toTopics("some"))).Send.ID
		f.expand(t)
		f.served(t, over, model.SendProgress{Total: 2, Done: 2})
	})
}

func TestDedupeKeyHoldsAmongSendsToOverlappingAudiences(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const users = 130
		f.crowd(t, users)
		named := make([]string, 110)
		for i := range named {
			named[i] = fmt.Sprintf("user-%05d", users-i)
		}
		f.everybody(t, f.topic(t, "all"))
		ids := []model.SendID{
			f.mustSend(t, daily(f.in(time.Second, named[:70]...))).Send.ID,
			f.mustSend(t, daily(f.in(time.Second, named...))).Send.ID,
			f.mustSend(t, daily(toEveryone())).Send.ID,
			f.mustSend(t, daily(toTopics("all"))).Send.ID,
			f.mustSend(t, daily(hello(named...))).Send.ID,
		}
		f.clock.Advance(time.Second)
		var wg sync.WaitGroup
		for range 3 {
			process := f.another(t)
			process.Chunk = 20
			wg.Go(func() {
				for range 3 { // who passed over what others were at looks again
					f.fire(t, process)
					f.expand(t, process)
				}
			})
			wg.Go(func() {
				out, err := process.Send(t.Context(), f.env, daily(hello(named[5:25]...)))
				if err != nil {
					t.Errorf("sending: %v", err)
					return
				}
				if p := out.Value.Send.Progress; p.Total != 20 || p.Done+p.Skipped != 20 || int64(len(out.Value.Skipped)) != p.Skipped {
					t.Errorf("a small send tells of %+v and lists %d", p, len(out.Value.Skipped))
				}
			})
		}
		wg.Wait()
		eventually(t, "an end of all sends", func() bool {
			f.fire(t)
			f.expand(t)
			return f.count(t, "select count(*) from sends where status <> 'SENT'") == 0
		})
		if n := f.count(t, "select count(*) from notifications"); n != users {
			t.Errorf("%d notifications, want one for each of %d users", n, users)
		}
		if n := f.count(t, "select count(distinct user_id) from notifications"); n != users {
			t.Errorf("they are those of %d users", n)
		}
		if n := f.count(t, "select count(*) from sends where done <> (select count(*) from notifications n where n.send_id = sends.id) or done + skipped <> total"); n != 0 {
			t.Errorf("%d sends count otherwise than they did", n)
		}
		for _, id := range []model.SendID{ids[0], ids[1], ids[4]} { // whose recipients are named
			list, err := f.store.Skipped(t.Context(), f.env.ID, []model.SendID{id})
			if p := f.mustFind(t, id).Progress; err != nil || int64(len(list[id])) != p.Skipped {
				t.Errorf("send %d lists %d of %d that it skipped, %v", id, len(list[id]), p.Skipped, err)
			}
		}
		f.noDrift(t)
	})
}
