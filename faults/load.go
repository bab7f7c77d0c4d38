package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"carillon/internal/lab"
)

// insistFor is how long a client tries again before it gives the server up.
const insistFor = 2 * time.Minute

// promise is a send that a client was told is accepted.
type promise struct {
	key string
	to  []string
	id  string
}

// load is senders and markers that use idempotency keys and try again until
// they are answered, with servers and databases that come and go. Some of what
// was answered already they send once more.
type load struct {
	clients []*lab.Client // of the servers; a try that failed goes on to the next
	users   []string
	seed    uint64
	every   time.Duration // from one send of a sender to its next; zero: as soon as it is answered

	mu   sync.Mutex
	kept []promise
	owed []promise // begun by others, with an unknown end
	// uncertain were acknowledged by a database that is no more.
	uncertain []promise
	rounds    int // calls of during
	replays   atomic.Int64
	cut       atomic.Int64 // tries that had no answer
	refused   atomic.Int64 // tries whose answer was to come back later
	marks     atomic.Int64
	marked    []*marked
	answers   timings // refusals included
}

func (l *load) String() string {
	return fmt.Sprintf("%d sends acknowledged, %d marks, %d of both sent again and replayed, %d tries cut, %d refused, answers %s",
		len(l.kept), l.marks.Load(), l.replays.Load(), l.cut.Load(), l.refused.Load(), l.answers.String())
}

// owe notes a send that was begun and that nobody knows the end of: before the
// load ends it is sent until it is answered.
func (l *load) owe(p promise) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.owed = append(l.owed, p)
}

// settle sends what is owed.
func (l *load) settle(ctx context.Context) error {
	for _, p := range l.owed {
		id, _, err := l.insist(ctx, p)
		if err != nil {
			return err
		}
		p.id = id
		l.kept = append(l.kept, p)
	}
	l.owed = nil
	return nil
}

// client is the one to ask when nothing is hurt any more.
func (l *load) client() *lab.Client { return l.clients[0] }

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// during runs senders until hurt has returned; each then finishes what it has
// begun, so that every key is answered in the end.
func (l *load) during(ctx context.Context, senders int, hurt func() error) error {
	l.rounds++
	stop := make(chan struct{})
	errs := make(chan error, senders)
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() { errs <- l.sender(ctx, i, stop) })
	}
	hurtErr := hurt()
	close(stop)
	wg.Wait()
	close(errs)
	all := []error{hurtErr}
	for err := range errs {
		all = append(all, err)
	}
	return errors.Join(append(all, l.settle(ctx))...)
}

func (l *load) sender(ctx context.Context, number int, stop <-chan struct{}) error {
	random := rand.New(rand.NewPCG(l.seed, uint64(1000*l.rounds+number)+1))
	var mine []promise
	own := &marker{load: l, random: random}
	for n := 0; ; n++ {
		select {
		case <-stop:
			l.mu.Lock()
			defer l.mu.Unlock()
			l.kept = append(l.kept, mine...)
			l.marked = append(l.marked, own.items...)
			return nil
		default:
		}
		if len(mine) > 0 && random.IntN(10) == 0 {
			if err := l.replay(ctx, mine[random.IntN(len(mine))]); err != nil {
				return err
			}
			continue
		}
		p := promise{key: fmt.Sprintf("s%d-%d-%d", l.rounds, number, n), to: l.some(random)}
		id, _, err := l.insist(ctx, p)
		if err != nil {
			return err
		}
		p.id = id
		mine = append(mine, p)
		if err := pause(ctx, l.every); err != nil {
			return err
		}
		if random.IntN(4) == 0 {
			if err := own.mark(ctx, p); err != nil {
				return err
			}
		}
	}
}

// some picks one to three users.
func (l *load) some(random *rand.Rand) []string {
	n := 1 + random.IntN(3)
	out := make([]string, n)
	for i, j := range random.Perm(len(l.users))[:n] {
		out[i] = l.users[j]
	}
	return out
}

// insist sends until it is answered, however often the server dies meanwhile.
func (l *load) insist(ctx context.Context, p promise) (id string, replayed bool, err error) {
	err = l.again(ctx, func(c *lab.Client) error {
		id, replayed, err = c.Send(ctx, p.to, p.key, p.key)
		return err
	})
	return id, replayed, err
}

// again tries until the server has answered with something that is not "come
// back later".
func (l *load) again(ctx context.Context, try func(*lab.Client) error) error {
	n := rand.IntN(len(l.clients))
	return lab.Poll(ctx, insistFor, func() error {
		n++
		began := time.Now()
		err := try(l.clients[n%len(l.clients)])
		refused, answered := errors.AsType[*lab.AnswerError](err)
		switch {
		case answered && !refused.Temporary():
			return lab.StopPolling{Err: err}
		case answered:
			l.refused.Add(1)
		case err != nil:
			l.cut.Add(1)
			return err
		}
		l.answers.add(time.Since(began))
		return err
	})
}

// replay sends what was acknowledged once more: the answer must be the same.
func (l *load) replay(ctx context.Context, p promise) error {
	id, replayed, err := l.insist(ctx, p)
	if err != nil {
		return err
	}
	if id != p.id || !replayed {
		return fmt.Errorf("key %s was acknowledged as %s, and answered as %s (replayed %t) when sent again", p.key, p.id, id, replayed)
	}
	l.replays.Add(1)
	return nil
}

// verify compares what clients were told with what the server holds: each
// acknowledged send once with each of its recipients, and nothing else.
func (l *load) verify(ctx context.Context) error {
	want := map[string]map[string]string{} // user → key → send
	for _, u := range l.users {
		want[u] = map[string]string{}
	}
	for _, p := range l.kept {
		for _, u := range p.to {
			want[u][p.key] = p.id
		}
	}
	perhaps := map[string]bool{}
	for _, p := range l.uncertain {
		perhaps[p.key] = true
	}
	var errs []error
	for _, u := range l.users {
		have, err := l.client().Notifications(ctx, u)
		if err != nil {
			return err
		}
		seen := map[string]bool{}
		for _, n := range have {
			switch id, ok := want[u][n.Title]; {
			case !ok && perhaps[n.Title]:
			case !ok:
				errs = append(errs, fmt.Errorf("%s has %s, which nobody was told of", u, n.Title))
			case id != n.Send.ID:
				errs = append(errs, fmt.Errorf("%s has %s from send %s, acknowledged was %s", u, n.Title, n.Send.ID, id))
			case seen[n.Title]:
				errs = append(errs, fmt.Errorf("%s has %s twice", u, n.Title))
			}
			seen[n.Title] = true
		}
		for key := range want[u] {
			if !seen[key] {
				errs = append(errs, fmt.Errorf("%s was acknowledged for %s and is lost", key, u))
			}
		}
	}
	return errors.Join(append(errs, l.verifyMarks(ctx, perhaps))...)
}
