package main

import (
	"context"
	"errors"
	"syscall"
	"time"

	"carillon/internal/lab"
)

// trouble is something that happens to Redis, and is over when do returns.
type trouble struct {
	name string
	do   func(context.Context, *lab.Redis) error
}

var troubles = []trouble{
	{"killed", func(ctx context.Context, r *lab.Redis) error {
		r.Kill()
		return errors.Join(pause(ctx, time.Second), r.Start(context.WithoutCancel(ctx)))
	}},
	{"flushed", func(ctx context.Context, r *lab.Redis) error { return r.Do(ctx, "FLUSHALL") }},
	{"paused", func(ctx context.Context, r *lab.Redis) error {
		if err := r.Signal(syscall.SIGSTOP); err != nil {
			return err
		}
		return errors.Join(pause(ctx, 3*time.Second), r.Signal(syscall.SIGCONT))
	}},
	{"cut off", func(ctx context.Context, r *lab.Redis) error {
		return errors.Join(r.Do(ctx, "CLIENT", "KILL", "TYPE", "pubsub"), r.Do(ctx, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"))
	}},
}
