package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"carillon/internal/lab"
)

// follower is a client with an open inbox: it folds a stream, loses it now and
// then, and comes back with its position.
type follower struct {
	name    string
	user    string
	clients []*lab.Client // one for each server; it takes them in turn
	events  bool          // server-sent events instead of a WebSocket
	random  *rand.Rand    // of the goroutine that runs it

	// cuts is how often it still cuts its own connection, at a time between
	// the two.
	cuts    atomic.Int64
	between [2]time.Duration
	// told is called with every item when it is added; nil: nobody.
	told func(user string, n lab.Item)
	// calm says that the server has no reason to end a stream, or refuse one;
	// orderly, that it has no reason to break one off.
	calm, orderly bool

	mu    sync.Mutex
	view  *view
	saved *view // what it wrote down some time ago
	tally tally
}

// tally counts what happened to followers.
type tally struct {
	events, cuts, rewinds, resets int
	broken, refused               int // connections that broke, and attempts that failed, not by the follower's doing
	closes                        map[int]int
}

func (t *tally) add(o tally) {
	t.events += o.events
	t.cuts += o.cuts
	t.rewinds += o.rewinds
	t.resets += o.resets
	t.broken += o.broken
	t.refused += o.refused
	for code, n := range o.closes {
		t.closed(code, n)
	}
}

func (t *tally) closed(code, n int) {
	if t.closes == nil {
		t.closes = map[int]int{}
	}
	t.closes[code] += n
}

func (t tally) String() string {
	s := fmt.Sprintf("%d events, %d cuts, %d rewinds, %d resets", t.events, t.cuts, t.rewinds, t.resets)
	if t.broken+t.refused > 0 {
		s += fmt.Sprintf(", %d broken, %d refused", t.broken, t.refused)
	}
	for code, n := range t.closes {
		if code == 0 {
			s += fmt.Sprintf(", %d ended", n)
		} else {
			s += fmt.Sprintf(", %d closed with %d", n, code)
		}
	}
	return s
}

// newFollowers makes n followers of the users in turn, each kind of stream in
// turn, as front ends of the servers.
func newFollowers(ctx context.Context, s *lab.Setup, n int, users []string, seed uint64, urls ...string) ([]*follower, error) {
	var list []*follower
	tokens := map[string]string{}
	for i := range n {
		user := users[i%len(users)]
		if tokens[user] == "" {
			token, err := s.Token(ctx, appName, "test", user)
			if err != nil {
				return nil, err
			}
			tokens[user] = token
		}
		f := &follower{
			name: fmt.Sprintf("client %d of %s", i, user), user: user, events: (i%len(users)+i/len(users))%2 == 1,
			random: rand.New(rand.NewPCG(seed, 1000+uint64(i))), view: newView(),
		}
		for _, url := range urls {
			f.clients = append(f.clients, lab.NewClient(url, tokens[user]))
		}
		list = append(list, f)
	}
	return list, nil
}

// run follows until ctx is done. The error is the first thing that no exact
// stream does.
func (f *follower) run(ctx context.Context) error {
	for n := f.random.IntN(len(f.clients)); ctx.Err() == nil; n++ {
		away := [2]time.Duration{0, 0}
		stream, err := f.open(ctx, f.clients[n%len(f.clients)])
		if err == nil {
			err = f.follow(ctx, stream)
			f.rewind()
			if f.random.IntN(4) == 0 {
				away[1] = 2 * f.between[1]
			}
		} else if ctx.Err() == nil {
			err = f.refused(err)
			away[1] = 50 * time.Millisecond
		}
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("%s (%s): %w", f.name, f.kind(), err)
		}
		_ = pause(ctx, between(f.random, away)) // then the loop ends
	}
	return nil
}

func (f *follower) kind() string {
	if f.events {
		return "server-sent events"
	}
	return "WebSocket"
}

// between picks a time between two.
func between(r *rand.Rand, b [2]time.Duration) time.Duration {
	return b[0] + time.Duration(r.Int64N(int64(b[1]-b[0])+1))
}

// rewind goes back, once in a while, to what was held some time ago, as a page
// does that is restored.
func (f *follower) rewind() {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.view.text == "":
	case f.saved == nil || f.random.IntN(10) == 0:
		f.saved = f.view.clone()
	case f.random.IntN(10) == 0:
		f.view = f.saved.clone()
		f.tally.rewinds++
	}
}

func (f *follower) open(ctx context.Context, c *lab.Client) (lab.Stream, error) {
	f.mu.Lock()
	after := f.view.text
	f.mu.Unlock()
	if f.events {
		return c.WatchEvents(ctx, after, f.random.IntN(2) == 0)
	}
	return c.WatchSocket(ctx, after)
}

// refused notes that a stream could not be opened.
func (f *follower) refused(err error) error {
	f.mu.Lock()
	f.tally.refused++
	f.mu.Unlock()
	answer, isAnswer := errors.AsType[*lab.AnswerError](err)
	ended, isEnd := errors.AsType[*lab.Ended](err)
	switch {
	case f.calm:
		return fmt.Errorf("opening a stream: %w", err)
	case isAnswer && answer.Temporary(), isEnd && comeBack(ended.Code), !isAnswer && !isEnd && isBroken(err):
		return nil
	}
	return fmt.Errorf("opening a stream: %w", err)
}

// comeBack reports whether a close asks the client to connect again.
func comeBack(code int) bool { return code == 0 || code == 1001 || code == 1013 }

// isBroken reports whether a connection failed, and not what came over it.
func isBroken(err error) bool {
	_, network := errors.AsType[syscall.Errno](err)
	return network || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// follow folds a stream until it ends.
func (f *follower) follow(ctx context.Context, stream lab.Stream) error {
	defer stream.Close()
	stop := context.AfterFunc(ctx, stream.Close)
	defer stop()
	var cut atomic.Bool
	if f.cuts.Load() > 0 {
		d, end := between(f.random, f.between), stream.Cut
		if f.random.IntN(3) == 0 {
			end = stream.Close
		}
		timer := time.AfterFunc(d, func() {
			cut.Store(true)
			end()
		})
		defer timer.Stop()
	}
	for {
		e, err := stream.Next()
		if err == nil {
			err = f.apply(e)
			if err != nil {
				return err
			}
			if f.cuts.Load() > 0 && f.random.IntN(50) == 0 { // reads slowly
				_ = pause(ctx, between(f.random, f.between)) // then the next read fails
			}
			continue
		}
		if cut.Load() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.cuts.Add(-1)
			f.tally.cuts++
			return nil
		}
		if ctx.Err() != nil {
			return nil
		}
		return f.ended(err)
	}
}

func (f *follower) apply(e lab.InboxEvent) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tally.events++
	if e.Reset != "" && f.view.text != "" {
		f.tally.resets++
	}
	if err := f.view.apply(e); err != nil {
		return err
	}
	if f.told != nil {
		for _, n := range e.Added {
			f.told(f.user, n)
		}
	}
	return nil
}

// ended notes that the server, or what lies before it, ended a stream.
func (f *follower) ended(err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	ended, isEnd := errors.AsType[*lab.Ended](err)
	answer, isAnswer := errors.AsType[*lab.AnswerError](err)
	switch {
	case f.calm, f.orderly && !isEnd && !isAnswer:
		return fmt.Errorf("the stream ended for no reason: %w", err)
	case isEnd && comeBack(ended.Code):
		f.tally.closed(ended.Code, 1)
	case isAnswer && answer.Temporary():
		f.tally.refused++
	case isBroken(err):
		f.tally.broken++
	default:
		return fmt.Errorf("the stream ended: %w", err)
	}
	return nil
}

// position is where the follower is; "" before its first event.
func (f *follower) position() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.view.text
}

// agrees reports whether the follower holds what the database does, which is
// asked through c. It waits until both are at the same position.
func (f *follower) agrees(ctx context.Context, c *lab.Client) error {
	err := lab.Poll(ctx, settleWithin, func() error {
		have, err := c.Inbox(ctx, f.user, true)
		if err != nil {
			return err
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		err = f.view.equals(have)
		if err != nil && !errors.Is(err, errElsewhere) {
			return lab.StopPolling{Err: err}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("%s (%s) at the end: %w", f.name, f.kind(), err)
	}
	return nil
}

// settleWithin is how long a client may take to have heard everything, when
// nothing is changed and hurt any more: ten times what is promised.
const settleWithin = 50 * time.Second

// following runs followers while during runs, then waits until each holds what
// the database does. Nothing may change any more by then, but for what expires.
func following(ctx context.Context, list []*follower, c *lab.Client, during func(context.Context) error) (tally, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	streams, end := context.WithCancel(ctx)
	var wg sync.WaitGroup
	errs := make([]error, len(list))
	for i, f := range list {
		wg.Go(func() {
			if errs[i] = f.run(streams); errs[i] != nil {
				stop(errs[i])
			}
		})
	}
	err := during(ctx)
	for _, f := range list {
		if err != nil {
			break
		}
		err = f.agrees(ctx, c)
	}
	end()
	wg.Wait()
	var sum tally
	for _, f := range list {
		sum.add(f.tally)
	}
	if cause := errors.Join(errs...); cause != nil { // the rest only follows from it
		return sum, cause
	}
	return sum, err
}

// allBegun waits until every follower has had its first event.
func allBegun(ctx context.Context, list []*follower) error {
	return lab.Poll(ctx, settleWithin, func() error {
		for _, f := range list {
			if f.position() == "" {
				return fmt.Errorf("%s has had no event", f.name)
			}
		}
		return nil
	})
}
