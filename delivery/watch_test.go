package delivery_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"carillon/delivery"
	"carillon/live"
	"carillon/model"
)

// watching is a stream as a client follows it.
type watching struct {
	*delivery.Stream
	woken    chan struct{}
	position time.Time
	state    map[model.DeliveryID]string // what was told last
	told     []string                    // "CHANNEL STATE", in order
}

func (f *fixture) watch(t testing.TB, s *delivery.Service, o delivery.WatchOptions) *watching {
	t.Helper()
	w := &watching{woken: make(chan struct{}, 1), state: map[model.DeliveryID]string{}}
	wake := func() {
		select {
		case w.woken <- struct{}{}:
		default: // it is awake
		}
	}
	stream, err := s.WatchDeliveries(t.Context(), f.env.ID, o, wake)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stream.Close)
	w.Stream = stream
	wake()
	return w
}

// read takes what there is to tell.
func (w *watching) read(t testing.TB) {
	t.Helper()
	for {
		e, ok, err := w.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return
		}
		w.position = e.Position
		for _, d := range e.Deliveries {
			is := fmt.Sprintf("%s %s", d.Channel, d.State)
			w.state[d.ID] = is
			w.told = append(w.told, is)
		}
	}
}

// until follows the stream until the last that was told of some delivery is so.
func (w *watching) until(t testing.TB, want string) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case <-w.woken:
			w.read(t)
		case <-deadline:
			t.Fatalf("was told %q, not %q", w.told, want)
		}
		for _, is := range w.state {
			if is == want {
				return
			}
		}
	}
}

// TestStreamTellsWhatBecomesOfDeliveries follows deliveries in the process that
// makes them and in one that hears of nothing and finds them in the database.
func TestStreamTellsWhatBecomesOfDeliveries(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.ada(t)
		f.provider(t, model.ChannelEmail)
		f.send(t, f.env, nil, "ada") // before anybody watches

		deaf := f.another()
		hub := live.NewHub(live.Config{Heads: f.store, Heal: 20 * time.Millisecond})
		deaf.Live = hub
		ctx, stop := context.WithCancel(t.Context())
		ran := make(chan struct{})
		go func() { defer close(ran); hub.Run(ctx) }()
		t.Cleanup(func() { stop(); <-ran })

		here, there := f.watch(t, f.Service, delivery.WatchOptions{}), f.watch(t, deaf, delivery.WatchOptions{})
		sms := f.watch(t, f.Service, delivery.WatchOptions{Filter: model.DeliveryFilter{Channels: []model.Channel{model.ChannelSMS}}})
		for _, w := range []*watching{here, there, sms} {
			w.read(t)
			if w.position.IsZero() || len(w.told) > 0 {
				t.Fatalf("at first a stream told %q at %s, want an empty event", w.told, w.position)
			}
		}
		f.run(t)
		here.until(t, "EMAIL SENT")
		there.until(t, "EMAIL SENT")

		// A stream that was away is told what it missed, in events as small as it wants.
		here.Close()
		for range 3 {
			f.send(t, f.env, nil, "ada")
		}
		f.settled(t)
		again := f.watch(t, f.Service, delivery.WatchOptions{After: here.position, First: 1})
		again.read(t)
		if len(again.state) < 3 {
			t.Errorf("after it was away a stream told %q, want three deliveries at least", again.told)
		}
		if sms.read(t); len(sms.told) > 0 {
			t.Errorf("the stream of another channel told %q", sms.told)
		}
	})
}

// TestStreamTellsALateCommit has a change appear with an older time than what was
// told before it.
func TestStreamTellsALateCommit(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.ada(t)
		f.provider(t, model.ChannelEmail)
		f.send(t, f.env, nil, "ada")
		w := f.watch(t, f.Service, delivery.WatchOptions{})
		w.read(t)
		f.send(t, f.env, nil, "ada")
		w.until(t, "EMAIL QUEUED")

		early := time.Now().Add(-10 * time.Second).UnixMicro()
		first := f.rows(t, f.env.ID)[0].ID
		f.sql(t, "update deliveries set state = 4, updated_at = ? where id = ? returning 1", early, string(first))
		w.Offer(model.Hint{}) // what the hub says now and then
		w.until(t, "EMAIL FAILED")
		if n := len(w.told); n != 2 {
			t.Errorf("was told %q, want each change once", w.told)
		}
	})
}

// TestStreamOfAUserEnds has the user of a stream be deleted.
func TestStreamOfAUserEnds(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		u := f.ada(t)
		w := f.watch(t, f.Service, delivery.WatchOptions{Filter: model.DeliveryFilter{User: u.ID}})
		w.read(t)
		if _, err := f.users.Delete(t.Context(), f.env.ID, model.Once{}, u.Identifier); err != nil {
			t.Fatal(err)
		}
		w.Offer(model.Hint{})
		if _, _, err := w.Next(t.Context()); model.KindOf(err) != model.KindNotFound {
			t.Errorf("the stream of a user who is gone says %v, want KindNotFound", err)
		}
	})
}

// markReads notes from where marks are read.
type markReads struct {
	delivery.Store
	from time.Time
}

func (m *markReads) DeliveryMarks(ctx context.Context, env model.EnvID, f model.DeliveryFilter, after model.DeliveryMark, limit int) ([]model.DeliveryMark, error) {
	m.from = time.UnixMicro(after.UpdatedAt)
	return m.Store.DeliveryMarks(ctx, env, f, after, limit)
}

// TestStreamDoesNotWalkThroughWhatItDoesNotTell has time pass over a stream whose
// filter chooses nothing.
func TestStreamDoesNotWalkThroughWhatItDoesNotTell(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		reads, now := &markReads{Store: f.store}, time.Now()
		f.Store, f.Now = reads, func() time.Time { return now }
		for name, o := range map[string]delivery.WatchOptions{"FromNow": {}, "Resumed": {After: now.Add(-time.Minute)}} {
			o.Filter = model.DeliveryFilter{States: []model.DeliveryState{model.DeliveryFailed}}
			w := f.watch(t, f.Service, o)
			w.read(t)
			for range 3 {
				now = now.Add(time.Hour)
				w.Offer(model.Hint{}) // what the hub says now and then
				w.read(t)
			}
			now = now.Add(time.Second)
			w.Offer(model.Hint{})
			if w.read(t); now.Sub(reads.from) > time.Minute {
				t.Errorf("%s: after hours without anything to tell it reads from %s ago", name, now.Sub(reads.from))
			}
		}
	})
}
