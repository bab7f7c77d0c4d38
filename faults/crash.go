package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"carillon/internal/lab"
)

// crashStory is kill -9 of the server under a steady load, with clients that
// follow their inboxes all the while.
type crashStory struct {
	kills   int
	senders int
	users   int
	clients int              // that follow
	between [2]time.Duration // how long a server lives, at least and at most
	seed    uint64
}

// crashReport is what the story found.
type crashReport struct {
	load     *load
	tally    tally
	restarts *timings
}

func (r crashReport) String() string {
	return fmt.Sprintf("%s; restarts %s; %s", r.load, r.restarts, r.tally)
}

// run tells the story on s. The error says which promise was broken.
func (c crashStory) run(ctx context.Context, s *lab.Setup) (report crashReport, err error) {
	report = crashReport{load: &load{seed: c.seed}, restarts: new(timings)}
	l := report.load
	w, end, err := begun(ctx, s, c.users, l)
	defer end(&err)
	if err != nil {
		return report, err
	}
	list, err := newFollowers(ctx, s, c.clients, w.users, c.seed, w.urls()...)
	if err != nil {
		return report, err
	}
	random := rand.New(rand.NewPCG(c.seed, 0))
	report.tally, err = following(ctx, list, w.client(0), func(ctx context.Context) error {
		if err := allBegun(ctx, list); err != nil {
			return err
		}
		return l.during(ctx, c.senders, func() error {
			for range c.kills {
				if err := pause(ctx, between(random, c.between)); err != nil {
					return err
				}
				w.servers[0].Kill()
				took, err := w.again(ctx, 0)
				if err != nil {
					return err
				}
				report.restarts.add(took)
			}
			return pause(ctx, c.between[0])
		})
	})
	if err != nil {
		return report, err
	}
	if err := l.verify(ctx); err != nil {
		return report, err
	}
	return report, w.verify(ctx)
}
