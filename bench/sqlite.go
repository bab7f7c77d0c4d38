package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"carillon/internal/lab"
)

// sqlite measures the embedded set-up: sends, inbox queries, and what a
// notification takes on disk. There is no counterpart.
func (p *place) sqlite(ctx context.Context) error {
	home := filepath.Join(filepath.Dir(p.setup.Dir), "sqlite")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	setup, err := lab.Embedded(p.setup.Binary, home)
	if err != nil {
		return err
	}
	if err := p.sqliteSends(ctx, setup); err != nil {
		return err
	}
	c, err := gatherIn(ctx, p, setup)
	if err != nil {
		return err
	}
	if err := p.sqliteFile(ctx, setup, c); err != nil {
		return err
	}
	srv, err := p.serve(ctx, setup)
	if err != nil {
		return err
	}
	defer srv.Kill()
	var rates samples
	ask := askOurs(c)
	for range p.rounds {
		s, err := p.watch(ctx, srv, "sqlite-inbox", func() (int, time.Duration, error) {
			return flood(ctx, srv.addr, askers, p.length, func(connection, n int) ([]byte, func([]byte) error) {
				return ask.requests[(n*askers+connection)%people], holds(`"counters":{"total":10,`)
			})
		})
		if err != nil {
			return err
		}
		rates = append(rates, s)
	}
	p.add(result{work: "SQLite inbox queries, 32 connections", ours: fmt.Sprintf("%.0f/s", rates.rate()), cpu: rates.cpu()})
	return nil
}

func (p *place) sqliteSends(ctx context.Context, setup *lab.Setup) error {
	t, err := p.oursFor(ctx, setup, "sends")
	if err != nil {
		return err
	}
	defer t.Kill()
	var rates samples
	for range p.rounds {
		s, err := p.watch(ctx, t.side, "sqlite-sends", func() (int, time.Duration, error) { return t.flood(ctx, p.length) })
		if err != nil {
			return err
		}
		rates = append(rates, s)
	}
	p.add(result{work: "SQLite sends to one online user, 16 senders", ours: fmt.Sprintf("%.0f/s", rates.rate()), cpu: rates.cpu()})
	return nil
}

// sqliteFile sends ten times to everyone of the crowd, and looks at what the
// file has grown by.
func (p *place) sqliteFile(ctx context.Context, setup *lab.Setup, c *crowd) error {
	before, err := fileSize(ctx, setup)
	if err != nil {
		return err
	}
	srv, err := p.serve(ctx, setup)
	if err != nil {
		return err
	}
	const sends = 10
	client := lab.NewPatientClient("http://"+srv.addr, c.SecretKey, time.Minute)
	for i := range sends {
		sent, err := client.Broadcast(ctx, "all", fmt.Sprintf("Order %d is on its way", i), "")
		if err == nil {
			err = lab.Poll(ctx, time.Minute, func() error {
				now, err := client.Progress(ctx, sent.ID)
				if err == nil && (now.Status != "SENT" || now.Done != people) {
					err = fmt.Errorf("the send is %+v", now)
				}
				return err
			})
		}
		if err != nil {
			srv.Kill()
			return err
		}
	}
	if _, err := srv.Stop(20 * time.Second); err != nil {
		return err
	}
	after, err := fileSize(ctx, setup)
	if err != nil {
		return err
	}
	p.add(result{work: "SQLite file, bytes of each notification", ours: fmt.Sprintf("%.0f", float64(after-before)/(sends*people))})
	return nil
}

// fileSize is the size of the database's file with nobody writing. The command
// line opens it, and by closing it has everything in the file itself.
func fileSize(ctx context.Context, setup *lab.Setup) (int64, error) {
	if out, err := setup.CLI(ctx, "verify-counters"); err != nil {
		return 0, fmt.Errorf("counters drifted: %w\n%s", err, out)
	}
	stat, err := os.Stat(filepath.Join(setup.Dir, "data", "carillon.db"))
	if err != nil {
		return 0, err
	}
	return stat.Size(), nil
}
