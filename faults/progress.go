package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"carillon/internal/lab"
)

// errWrongProgress is what no progress does.
var errWrongProgress = errors.New("wrong progress")

// progressFollower follows a send to its end, over as many subscriptions as
// servers end under it.
type progressFollower struct {
	events int
	last   lab.Progress
	done   chan error
}

// followProgress begins to follow a send at a server. wait says how it ended.
func followProgress(ctx context.Context, url, credential, id string) *progressFollower {
	f := &progressFollower{done: make(chan error, 1)}
	go func() { f.done <- f.run(ctx, lab.NewClient(url, credential), id) }()
	return f
}

func (f *progressFollower) run(ctx context.Context, client *lab.Client, id string) error {
	for {
		err := client.WatchProgress(ctx, id, f.note)
		switch {
		case errors.Is(err, errWrongProgress), ctx.Err() != nil:
			return err
		case err == nil && (f.last.Status == "SENT" || f.last.Status == "CANCELED"):
			return nil
		case err == nil:
			return fmt.Errorf("%w: the subscription is complete at %+v", errWrongProgress, f.last)
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil { // the server is down, or coming back
			return err
		}
	}
}

// note takes an event. A subscription begins with where the send stands, which
// may be what the one before it told last.
func (f *progressFollower) note(now lab.Progress) error {
	f.events++
	if now.Done < f.last.Done || f.last.Status == "SENT" && now != f.last || now.Total >= 0 && now.Done+now.Skipped > now.Total || now.Failed > 0 {
		return fmt.Errorf("%w: from %+v to %+v", errWrongProgress, f.last, now)
	}
	f.last = now
	return nil
}

// wait waits for the end, and returns what was told last.
func (f *progressFollower) wait(ctx context.Context) (lab.Progress, error) {
	select {
	case err := <-f.done:
		return f.last, err
	case <-ctx.Done():
		return lab.Progress{}, ctx.Err()
	case <-time.After(insistFor):
		return lab.Progress{}, errors.New("the subscription did not end")
	}
}
