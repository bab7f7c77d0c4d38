package notify_test

import (
	"context"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"carillon/model"
	"carillon/notify"
)

func keyed(req model.SendRequest, key string, hash byte) model.SendRequest {
	req.Once = model.Once{Operation: "sendNotification", Key: key, Hash: [32]byte{hash}}
	return req
}

func TestReplayedSend(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.users(t, "ada")
		req := keyed(hello("ada", "x"), "k1", 1)
		req.Content.Data = []byte(`{"a":1}`)
		first, err := f.Send(t.Context(), f.env, req)
		if err != nil || first.Replayed {
			t.Fatalf("first: %+v, %v", first, err)
		}
		if first.Value.Plan == nil {
			t.Error("a send with a key has no plan to replay")
		}
		second, err := f.Send(t.Context(), f.env, req)
		if err != nil || !second.Replayed {
			t.Fatalf("second: %+v, %v", second, err)
		}
		if !reflect.DeepEqual(first.Value, second.Value) {
			t.Errorf("first  %+v\n%+v\nsecond %+v\n%+v", first.Value, first.Value.Send, second.Value, second.Value.Send)
		}
		if n := f.count(t, "select count(*) from notifications"); n != 1 {
			t.Errorf("%d notifications, want 1", n)
		}
		if n := len(f.hub.hints()); n != 1 {
			t.Errorf("%d hints, want 1", n)
		}

		if _, err := f.Send(t.Context(), f.env, keyed(hello("ada"), "k1", 2)); model.KindOf(err) != model.KindKeyReused {
			t.Errorf("another input: %v, want %s", err, model.KindKeyReused)
		}
		dry := keyed(hello("ada"), "k1", 2)
		dry.DryRun = true
		if out, err := f.Send(t.Context(), f.env, dry); err != nil || out.Replayed || out.Value.Send != nil {
			t.Errorf("dry run with a used key: %+v, %v; want a plan of its own", out, err)
		}
		other := f.environment(t, "other")
		if out, err := f.Send(t.Context(), other, req); err != nil || out.Replayed {
			t.Errorf("same key in another environment: %+v, %v; want its own", out, err)
		}
	})
}

func TestReplayOfWhatWouldNowBeRefused(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.users(t, "ada")
		f.category(t, model.Category{Identifier: "news", DefaultEnabled: true})
		withCategory := keyed(hello("ada"), "category", 1)
		withCategory.Category = "news"
		scheduled := keyed(hello("ada"), "time", 1)
		scheduled.SendAt = f.clock.Now().Add(time.Hour)
		scheduled.ExpiresAt = f.clock.Now().Add(2 * time.Hour)
		inline := keyed(hello(), "inline", 1)
		inline.To.Inline = []model.IdentifyInput{{Identifier: "new"}}
		f.mustSend(t, withCategory)
		f.mustSend(t, scheduled)
		f.mustSend(t, inline)

		if _, err := f.catalog.Delete(t.Context(), f.env.ID, model.Once{}, "news"); err != nil {
			t.Fatal(err)
		}
		f.clock.Advance(3 * time.Hour)
		f.sql(t, "update users set identifier = 'gone' where identifier = 'new' returning 1")
		for _, req := range []model.SendRequest{withCategory, scheduled, inline} {
			if out, err := f.Send(t.Context(), f.env, req); err != nil || !out.Replayed {
				t.Errorf("%s: %+v, %v; want the stored result", req.Once.Key, out, err)
			}
		}
		if n := f.count(t, "select count(*) from users where identifier = 'new'"); n != 0 {
			t.Error("a replay identified its inline user again")
		}
	})
}

func TestRefusedSendLeavesTheKeyFree(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		req := keyed(hello("ada"), "k1", 1)
		req.OnUnknown = model.UnknownReject
		if _, err := f.Send(t.Context(), f.env, req); !slices.Equal(problems(err), []string{"UNKNOWN_USER to.users.0"}) {
			t.Fatalf("got %v, want a refusal", err)
		}
		f.users(t, "ada")
		if out, err := f.Send(t.Context(), f.env, req); err != nil || out.Replayed {
			t.Errorf("after the refusal was mended: %+v, %v", out, err)
		}
	})
}

func TestEqualSendsAtTheSameMoment(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.users(t, "ada")
		services := []*notify.Service{f.Service, f.another(t)}
		const calls = 50
		var (
			wg  sync.WaitGroup
			out [calls]model.Outcome[model.SendResult]
		)
		for i := range calls {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				var err error
				if out[i], err = services[i%2].Send(ctx, f.env, keyed(hello("ada"), "same", 1)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if t.Failed() {
			return
		}
		fresh := 0
		for _, o := range out {
			if !o.Replayed {
				fresh++
			}
			if o.Value.Send.ID != out[0].Value.Send.ID {
				t.Errorf("sends %d and %d under one key", o.Value.Send.ID, out[0].Value.Send.ID)
			}
		}
		if fresh != 1 {
			t.Errorf("%d calls did the work, want 1", fresh)
		}
		if n := f.count(t, "select count(*) from notifications"); n != 1 {
			t.Errorf("%d notifications, want 1", n)
		}
		f.noDrift(t)
	})
}

func TestSendWhoseKeyIsBeingSavedForLong(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.users(t, "ada")
		s, ts, open := f.troubled(t, nil)
		s.KeyPatience = 20 * time.Millisecond
		first := make(chan error, 1)
		go func() {
			_, err := s.Send(t.Context(), f.env, keyed(hello("ada"), "same", 1))
			first <- err
		}()
		eventually(t, "the first save", func() bool { return len(ts.saves()) == 1 })
		if _, err := s.Send(t.Context(), f.env, keyed(hello("ada"), "same", 1)); model.KindOf(err) != model.KindKeyInProgress {
			t.Errorf("the second: %v, want %s", err, model.KindKeyInProgress)
		}
		open()
		if err := <-first; err != nil {
			t.Fatal(err)
		}
		if out, err := s.Send(t.Context(), f.env, keyed(hello("ada"), "same", 1)); err != nil || !out.Replayed {
			t.Errorf("afterwards: %+v, %v; want the stored result", out, err)
		}
		f.noDrift(t)
	})
}
