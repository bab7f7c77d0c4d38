package live_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"carillon/live"
	"carillon/live/livetest"
	"carillon/model"
)

// fakeBus is a bus that does what a test tells it to.
type fakeBus struct {
	// publish is what Publish does; nil: note the hints.
	publish func(ctx context.Context, hints []model.Hint) error

	mu      sync.Mutex
	batches [][]model.Hint
	watched map[model.LiveKey]int
	to      live.Listener
}

func (b *fakeBus) Publish(ctx context.Context, hints []model.Hint) error {
	b.mu.Lock()
	publish := b.publish
	b.batches = append(b.batches, append([]model.Hint{}, hints...))
	b.mu.Unlock()
	if publish != nil {
		return publish(ctx, hints)
	}
	return nil
}

// do says what Publish does from now on.
func (b *fakeBus) do(publish func(context.Context, []model.Hint) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.publish = publish
}

func (b *fakeBus) calls() [][]model.Hint {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.batches
}

func (b *fakeBus) Listen(ctx context.Context, to live.Listener) {
	b.to = to
	<-ctx.Done()
}

func (b *fakeBus) count(key model.LiveKey, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.watched == nil {
		b.watched = make(map[model.LiveKey]int)
	}
	b.watched[key] += n
}

func (b *fakeBus) Watch(key model.LiveKey)   { b.count(key, 1) }
func (b *fakeBus) Unwatch(key model.LiveKey) { b.count(key, -1) }
func (b *fakeBus) Healthy() bool             { return true }

// hung never answers, as a network that swallows everything.
func hung(ctx context.Context, _ []model.Hint) error {
	<-ctx.Done()
	return ctx.Err()
}

// lines is a log that counts.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) count(level slog.Level) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), "level="+level.String())
}

// process is a hub that runs in a bubble, with all around it.
type process struct {
	*live.Hub
	bus  *fakeBus
	db   *livetest.Database
	log  *lines
	stop func()
}

// bubble runs test with a running hub in a synctest bubble.
func bubble(t *testing.T, test func(t *testing.T, p *process)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &process{bus: new(fakeBus), db: new(livetest.Database), log: new(lines)}
		p.Hub = live.NewHub(live.Config{Bus: p.bus, Heads: p.db, Log: slog.New(slog.NewTextHandler(p.log, nil))})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			p.Run(ctx)
		}()
		p.stop = func() {
			cancel()
			<-done
		}
		synctest.Wait()
		test(t, p)
		p.stop()
	})
}

func (p *process) watch(key model.LiveKey) *livetest.Recorder {
	r := new(livetest.Recorder)
	p.Watch(key, r)
	return r
}

func (p *process) publish(hints ...model.Hint) { p.Publish(context.Background(), hints...) }

var ada = model.InboxKey(1, 2)

func at(seq int64) model.Hint { return model.Hint{Key: ada, Seq: seq} }

// pause lets time pass in a bubble, where none is spent.
func pause(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // only in a bubble
}
