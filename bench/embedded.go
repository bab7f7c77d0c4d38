package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"carillon/internal/lab"
)

// sqliteLatency measures how long a send takes to a subscriber of the embedded
// set-up, at the pace of the other one. There is no counterpart.
func (p *place) sqliteLatency(ctx context.Context) error {
	home := filepath.Join(filepath.Dir(p.setup.Dir), "sqlite-latency")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	setup, err := lab.Embedded(p.setup.Binary, home)
	if err != nil {
		return err
	}
	t, err := p.oursFor(ctx, setup, "latency")
	if err != nil {
		return err
	}
	defer t.Kill()
	if _, err := t.paced(ctx, time.Second); err != nil { // to warm up
		return err
	}
	times, err := t.paced(ctx, 2*p.length)
	if err != nil {
		return err
	}
	p.add(result{
		work: fmt.Sprintf("SQLite send → event at %d sends/s", pace),
		ours: fmt.Sprintf("p50 %.2f ms, p99 %.2f ms", ms(times[len(times)/2]), ms(times[len(times)*99/100])),
	})
	return nil
}
