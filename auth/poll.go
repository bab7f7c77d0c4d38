package auth

import (
	"context"
	"time"
)

// pollBatch is how many users one query asks about.
const pollBatch = 10_000

// every does something each d until ctx is done.
func every(ctx context.Context, d time.Duration, do func()) {
	t := time.NewTicker(d)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			do()
		}
	}
}
