package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"carillon/internal/lab"
)

// scheduleStory is sends that wait for their time, and servers that fire them
// while one after the other is killed: each fires once, or was cancelled.
type scheduleStory struct {
	sends   int
	kills   int
	window  time.Duration // over which they are due
	users   int
	clients int
	seed    uint64
}

// scheduleReport is what the story found.
type scheduleReport struct {
	load      *load
	tally     tally
	cancelled int
	tooLate   int // to be cancelled
	kills     int
	settled   time.Duration // from the last one's time to all having fired
}

func (r scheduleReport) String() string {
	return fmt.Sprintf("%d sends fired once, %d cancelled, %d came too late to cancel, %d kills, the last one fired within %s; %s",
		len(r.load.kept), r.cancelled, r.tooLate, r.kills, round(r.settled), r.tally)
}

// run tells the story on s. The error says which promise was broken.
func (c scheduleStory) run(ctx context.Context, s *lab.Setup) (report scheduleReport, err error) {
	report.load = &load{seed: c.seed}
	w, err := newWorld(ctx, s, c.users)
	if err != nil {
		return report, err
	}
	defer func() {
		err = w.withLogs(err)
		w.close()
	}()
	servers := 1
	if s.Postgres != nil {
		servers = 2
	}
	for range servers {
		if _, err := w.start(ctx); err != nil {
			return report, err
		}
	}
	list, err := newFollowers(ctx, s, c.clients, w.users, c.seed, w.urls()...)
	if err != nil {
		return report, err
	}
	l := report.load
	l.clients, l.users = w.clients(), w.users
	report.tally, err = following(ctx, list, w.client(0), func(ctx context.Context) error {
		if err := allBegun(ctx, list); err != nil {
			return err
		}
		end, err := c.accept(ctx, l)
		if err != nil {
			return err
		}
		if err := c.kill(ctx, w, &report); err != nil {
			return err
		}
		if err := pause(ctx, time.Until(end)); err != nil {
			return err
		}
		return c.settle(ctx, &report)
	})
	return report, errors.Join(err, w.verify(ctx))
}

// accept schedules the sends, and returns when the last of them is due.
func (c scheduleStory) accept(ctx context.Context, l *load) (end time.Time, err error) {
	random := rand.New(rand.NewPCG(c.seed, 0))
	begin := time.Now().Add(time.Second)
	end = begin.Add(c.window)
	promises := make(chan promise)
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			at := rand.New(rand.NewPCG(c.seed, uint64(i)+1))
			for p := range promises {
				if errs[i] == nil {
					errs[i] = l.schedule(ctx, p, begin.Add(between(at, [2]time.Duration{0, c.window})))
				}
			}
		})
	}
	for n := range c.sends {
		promises <- promise{key: fmt.Sprintf("s%d", n), to: l.some(random)}
	}
	close(promises)
	wg.Wait()
	return end, errors.Join(errs...)
}

// schedule has a send accepted for a time.
func (l *load) schedule(ctx context.Context, p promise, at time.Time) error {
	input := map[string]any{
		"to": map[string]any{"users": p.to}, "title": p.key, "idempotencyKey": p.key,
		"sendAt": at.UTC().Truncate(time.Microsecond),
	}
	var out struct {
		SendNotification struct{ Send *struct{ ID string } }
	}
	err := l.again(ctx, func(c *lab.Client) error {
		err := c.Do(ctx, sendChange, map[string]any{"input": input}, &out)
		if err == nil && out.SendNotification.Send == nil {
			err = &lab.AnswerError{Status: http.StatusOK, Body: "the send was refused"}
		}
		return err
	})
	if err != nil {
		return err
	}
	p.id = out.SendNotification.Send.ID
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = append(l.kept, p)
	return nil
}

// kill kills the servers in turn while the sends fire, and cancels some.
func (c scheduleStory) kill(ctx context.Context, w *world, report *scheduleReport) error {
	random := rand.New(rand.NewPCG(c.seed, 9))
	every := c.window / time.Duration(c.kills+1)
	for n := range c.kills {
		if err := pause(ctx, between(random, [2]time.Duration{every / 2, every})); err != nil {
			return err
		}
		i := n % len(w.servers)
		w.servers[i].Kill()
		report.kills++
		if _, err := w.again(ctx, i); err != nil {
			return err
		}
		for range max(10, c.sends/50) {
			if err := c.cancel(ctx, random, report); err != nil {
				return err
			}
		}
	}
	return nil
}

const cancelSend = `mutation ($id: ID!, $key: String!) { cancelSend(input: {id: $id, idempotencyKey: $key}) { send { status } userErrors { code message } } }`

// cancel cancels a send, unless it went out before.
func (c scheduleStory) cancel(ctx context.Context, random *rand.Rand, report *scheduleReport) error {
	l := report.load
	n := random.IntN(len(l.kept))
	p := l.kept[n]
	var out struct {
		CancelSend struct {
			Send       *struct{ Status string }
			UserErrors []struct{ Code, Message string }
		}
	}
	err := l.again(ctx, func(c *lab.Client) error {
		return c.Do(ctx, cancelSend, map[string]any{"id": p.id, "key": "cancel-" + p.key}, &out)
	})
	if err != nil {
		return err
	}
	switch got := out.CancelSend; {
	case len(got.UserErrors) > 0 && got.UserErrors[0].Code == "CONFLICT":
		report.tooLate++
	case got.Send != nil && got.Send.Status == "CANCELED":
		report.cancelled++
		l.kept = append(l.kept[:n:n], l.kept[n+1:]...)
	default:
		return fmt.Errorf("cancelling %s was answered with %+v", p.key, got)
	}
	return nil
}

// settle waits until everything has fired, and looks that nothing fired twice
// or was cancelled before.
func (c scheduleStory) settle(ctx context.Context, report *scheduleReport) error {
	began := time.Now()
	err := lab.Poll(ctx, settleWithin, func() error { return report.load.verify(ctx) })
	report.settled = time.Since(began)
	return err
}
