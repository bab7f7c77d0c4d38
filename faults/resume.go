package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"carillon/internal/lab"
)

// appName is the app that every story makes for itself.
const appName = "shop"

// resumeStory is inboxes that change in every way while clients follow them,
// whose connections are cut again and again. In production two servers share
// the work, and the Redis between them is hurt.
type resumeStory struct {
	clients int
	cuts    int // of each client
	changes int
	users   int
	between [2]time.Duration // how long a connection lasts
	seed    uint64
	// settings are given to the servers.
	settings []string
}

// forgetful are settings of a server whose janitor comes every second, and
// finds something: clients that were away a little longer begin anew.
var forgetful = []string{"TOMBSTONES_KEPT=1s", "RETENTION=15s", "INBOX_CAP=40"}

// resumeReport is what the story found.
type resumeReport struct {
	tally   tally
	churn   *churn
	trouble map[string]int
}

func (r resumeReport) String() string {
	s := fmt.Sprintf("%s; %s", r.tally, r.churn)
	if len(r.trouble) > 0 {
		s += fmt.Sprintf("; Redis %v", r.trouble)
	}
	return s
}

// run tells the story on s. The error says what no exact stream does.
func (r resumeStory) run(ctx context.Context, s *lab.Setup) (report resumeReport, err error) {
	w, err := newWorld(ctx, s, r.users)
	if err != nil {
		return report, err
	}
	defer func() {
		err = w.withLogs(err)
		w.close()
	}()
	w.settings = r.settings
	servers := 1
	if s.Redis != nil {
		servers = 2
	}
	for range servers {
		if _, err := w.start(ctx); err != nil {
			return report, err
		}
	}
	list, err := newFollowers(ctx, s, r.clients, w.users, r.seed, w.urls()...)
	if err != nil {
		return report, err
	}
	for _, f := range list {
		f.between, f.calm = r.between, true
		f.cuts.Store(int64(r.cuts))
	}
	report.churn = &churn{clients: w.clients(), users: w.users, writers: 4, changes: r.changes, seed: r.seed}
	report.tally, err = following(ctx, list, w.client(0), func(ctx context.Context) error {
		if err := allBegun(ctx, list); err != nil {
			return err
		}
		report.trouble, err = r.hurt(ctx, s, func(ctx context.Context) error {
			return report.churn.run(ctx, func() bool { return allCut(list) })
		})
		return err
	})
	if err != nil {
		return report, err
	}
	return report, w.verify(ctx)
}

func allCut(list []*follower) bool {
	for _, f := range list {
		if f.cuts.Load() > 0 {
			return false
		}
	}
	return true
}

// hurt troubles Redis, if there is one, while work is done.
func (r resumeStory) hurt(ctx context.Context, s *lab.Setup, work func(context.Context) error) (map[string]int, error) {
	if s.Redis == nil {
		return nil, work(ctx)
	}
	done := make(chan struct{})
	troubled := make(chan error, 1)
	counts := map[string]int{}
	go func() {
		random := rand.New(rand.NewPCG(r.seed, 7))
		troubled <- func() error {
			for n := 0; ; n++ {
				select {
				case <-done:
					return nil
				case <-ctx.Done():
					return nil
				case <-time.After(between(random, [2]time.Duration{200 * time.Millisecond, time.Second})):
				}
				t := troubles[n%len(troubles)]
				if err := t.do(ctx, s.Redis); err != nil && ctx.Err() == nil {
					return fmt.Errorf("%s: %w", t.name, err)
				}
				counts[t.name]++
			}
		}()
	}()
	err := work(ctx)
	close(done)
	if hurtErr := <-troubled; err == nil {
		err = hurtErr
	}
	return counts, err
}
