package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"carillon/internal/lab"
)

// crashStory is kill -9 under a steady load: senders with idempotency keys who
// try again until they are answered, some of them answered already.
type crashStory struct {
	kills   int
	senders int
	users   int
	between [2]time.Duration // how long a server lives, at least and at most
	seed    uint64
}

// crashReport is what the story found.
type crashReport struct {
	acknowledged, replays, retries, marks int
	restarts                              []time.Duration
}

func (r crashReport) String() string {
	var worst time.Duration
	for _, d := range r.restarts {
		worst = max(worst, d)
	}
	return fmt.Sprintf("%d kills, %d sends acknowledged, %d of them replayed, %d tries cut, %d marks, slowest restart %s",
		len(r.restarts), r.acknowledged, r.replays, r.retries, r.marks, worst.Round(time.Millisecond))
}

// promise is a send that a client was told is accepted.
type promise struct {
	key string
	to  []string
	id  string
}

// load puts sends on a server whose process comes and goes.
type load struct {
	client  *lab.Client
	users   []string
	seed    uint64
	mu      sync.Mutex
	kept    []promise
	replays atomic.Int64
	retries atomic.Int64
	marks   atomic.Int64
}

// run tells the story on s. The error says which promise was broken.
func (c crashStory) run(ctx context.Context, s *lab.Setup) (crashReport, error) {
	var report crashReport
	env, err := s.CreateApp(ctx, "shop", "test")
	if err != nil {
		return report, err
	}
	srv, _, err := s.Serve(ctx)
	if err != nil {
		return report, err
	}
	defer func() { srv.Kill() }()
	l := &load{client: lab.NewClient(srv.URL, env.SecretKey), seed: c.seed}
	if l.users, err = l.client.Identify(ctx, c.users); err != nil {
		return report, err
	}
	err = l.during(ctx, c.senders, func() error {
		for range c.kills {
			if err := pause(ctx, c.between[0]+rand.N(c.between[1]-c.between[0]+1)); err != nil {
				return err
			}
			srv.Kill()
			next, took, err := s.Serve(ctx)
			if err != nil {
				return err
			}
			srv = next
			report.restarts = append(report.restarts, took)
		}
		return pause(ctx, c.between[0])
	})
	if err != nil {
		return report, err
	}
	report.acknowledged, report.replays, report.retries, report.marks = len(l.kept), int(l.replays.Load()), int(l.retries.Load()), int(l.marks.Load())
	if err := l.verify(ctx); err != nil {
		return report, err
	}
	out, err := s.CLI(ctx, "verify-counters")
	if err != nil {
		return report, fmt.Errorf("counters drifted: %w\n%s", err, out)
	}
	return report, nil
}

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
	return errors.Join(all...)
}

func (l *load) sender(ctx context.Context, number int, stop <-chan struct{}) error {
	random := rand.New(rand.NewPCG(l.seed, uint64(number)+1))
	var mine []promise
	for n := 0; ; n++ {
		select {
		case <-stop:
			l.mu.Lock()
			defer l.mu.Unlock()
			l.kept = append(l.kept, mine...)
			return nil
		default:
		}
		if len(mine) > 0 && random.IntN(10) == 0 {
			if err := l.replay(ctx, mine[random.IntN(len(mine))]); err != nil {
				return err
			}
			continue
		}
		p := promise{key: fmt.Sprintf("s%d-%d", number, n), to: l.some(random)}
		id, _, err := l.insist(ctx, p)
		if err != nil {
			return err
		}
		p.id = id
		mine = append(mine, p)
		if random.IntN(4) == 0 {
			if err := l.markSome(ctx, random, p); err != nil {
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
	err = l.again(ctx, func() error {
		id, replayed, err = l.client.Send(ctx, p.to, p.key, p.key)
		return err
	})
	return id, replayed, err
}

// again tries until the server has answered with something that is not "come
// back later".
func (l *load) again(ctx context.Context, try func() error) error {
	return lab.Poll(ctx, 2*time.Minute, func() error {
		err := try()
		if refused, ok := errors.AsType[*lab.AnswerError](err); ok && !refused.Temporary() {
			return lab.StopPolling{Err: err}
		}
		if err != nil {
			l.retries.Add(1)
		}
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

func (l *load) markSome(ctx context.Context, random *rand.Rand, p promise) error {
	states := []string{"SEEN", "READ", "UNREAD", "ARCHIVED", "UNSEEN"}
	user := p.to[random.IntN(len(p.to))]
	as := states[random.IntN(len(states))]
	err := l.again(ctx, func() error {
		list, err := l.client.Notifications(ctx, user)
		if err != nil || len(list) == 0 {
			return err
		}
		ids := make([]string, 0, 5)
		for range 5 {
			ids = append(ids, list[random.IntN(min(len(list), 100))].ID)
		}
		return l.client.Mark(ctx, user, ids, as, "m-"+p.key+"-"+as+"-"+strings.Join(ids, ","))
	})
	l.marks.Add(1)
	return err
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
	var errs []error
	for _, u := range l.users {
		have, err := l.client.Notifications(ctx, u)
		if err != nil {
			return err
		}
		seen := map[string]bool{}
		for _, n := range have {
			switch id, ok := want[u][n.Title]; {
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
	return errors.Join(errs...)
}
