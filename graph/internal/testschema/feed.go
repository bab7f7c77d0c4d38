package testschema

import (
	"context"
	"io"
	"strconv"
	"strings"
	"sync"

	"carillon/graph/operation"
	"carillon/model"
)

// Feed is what Subscription.counter counts: a number that every subscriber
// follows at its own pace. The zero Feed stands at zero.
type Feed struct {
	mu      sync.Mutex
	head    int
	sources map[*counter]struct{}
	away    int // how often broken has been away
}

// Opens are the subscriptions of the schema, fed by f.
func (f *Feed) Opens() map[string]operation.Open {
	return map[string]operation.Open{"counter": f.open, "broken": f.broken}
}

// Advance moves the number on and wakes everyone.
func (f *Feed) Advance(by int) {
	f.mu.Lock()
	f.head += by
	woken := make([]*counter, 0, len(f.sources))
	for c := range f.sources {
		woken = append(woken, c)
	}
	f.mu.Unlock()
	for _, c := range woken {
		c.wake()
	}
}

// Len is how many sources are open.
func (f *Feed) Len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.sources)
}

func (f *Feed) open(ctx context.Context, args map[string]any, wake func()) (operation.Source, error) {
	c := &counter{feed: f, wake: wake, to: -1}
	if to, ok := args["to"].(int64); ok {
		c.to = int(to)
	}
	if bytes, ok := args["bytes"].(int64); ok {
		c.bytes = int(bytes)
	}
	after, _ := args["after"].(string)
	if id := operation.LastEventID(ctx); id != "" {
		after = id
	}
	if after != "" {
		at, err := strconv.Atoi(after)
		if err != nil {
			return nil, model.Errorf(model.KindInvalid, "after must be a number")
		}
		c.at = at
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.sources == nil {
		f.sources = map[*counter]struct{}{}
	}
	f.sources[c] = struct{}{}
	return c, nil
}

// broken fails when it is opened, or as "next:…" at its first event. As
// "away twice" it fails twice, and then is a counter.
func (f *Feed) broken(ctx context.Context, args map[string]any, wake func()) (operation.Source, error) {
	how := args["how"].(string)
	if how == "away twice" {
		f.mu.Lock()
		f.away++
		away := f.away <= 2
		f.mu.Unlock()
		if !away {
			return f.open(ctx, nil, wake)
		}
		return nil, Failure("unavailable")
	}
	if how, ok := strings.CutPrefix(how, "next:"); ok {
		return failing(how), nil
	}
	return nil, Failure(how)
}

type counter struct {
	feed          *Feed
	wake          func()
	at, to, bytes int
}

func (c *counter) Next(context.Context) (any, string, bool, error) {
	c.feed.mu.Lock()
	head := c.feed.head
	c.feed.mu.Unlock()
	if c.to >= 0 && c.at >= c.to {
		return nil, "", false, io.EOF
	}
	if c.at >= head {
		return nil, "", false, nil
	}
	c.at++
	return &Count{N: int32(c.at), Text: strings.Repeat("x", c.bytes)}, strconv.Itoa(c.at), true, nil
}

func (c *counter) Close() {
	c.feed.mu.Lock()
	defer c.feed.mu.Unlock()
	if _, open := c.feed.sources[c]; !open {
		panic("closed twice")
	}
	delete(c.feed.sources, c)
}

type failing string

func (how failing) Next(context.Context) (any, string, bool, error) {
	return nil, "", false, Failure(string(how))
}

func (failing) Close() {}
