// Command bench measures the built server on a PostgreSQL and a Redis of its
// own, each figure beside a hand-written counterpart that does the same work in
// the same run: net/http, pgx and go-redis, one goroutine a socket, no GraphQL
// and no authentication. It checks what it receives, prints figures and judges
// none of them. Everything listens on loopback.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"text/tabwriter"
	"time"

	"carillon/internal/lab"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	bare := flag.String("bare", "", "be the counterpart on this address (used by the benchmark itself)")
	seconds := flag.Int("seconds", 8, "length of each measurement")
	rounds := flag.Int("rounds", 3, "rounds of each comparison; the median is printed")
	only := flag.String("only", "", "measure `one` of startup, sends, latency, broadcast; empty: all")
	flag.Parse()
	var err error
	if *bare != "" {
		err = serveBare(ctx, *bare, os.Getenv("DATABASE_URL"), os.Getenv("REDIS_URL"))
	} else {
		err = run(ctx, time.Duration(*seconds)*time.Second, *rounds, *only)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// place is where the measurements happen.
type place struct {
	setup   *lab.Setup
	length  time.Duration
	rounds  int
	results []result
}

// result is one line of the table at the end. Bare and Ratio are empty where
// there is no counterpart.
type result struct {
	work, ours, bare, ratio string
}

func run(ctx context.Context, length time.Duration, rounds int, only string) (err error) {
	dir, err := os.MkdirTemp("", "carillon-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary, err := lab.Build(ctx, dir)
	if err != nil {
		return err
	}
	home := filepath.Join(dir, "production")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	s, err := lab.Production(ctx, binary, home)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := s.Close(); err == nil {
			err = closeErr
		}
	}()
	p := &place{setup: s, length: length, rounds: rounds}
	for _, measure := range []struct {
		name string
		run  func(context.Context) error
	}{{"startup", p.startUp}, {"sends", p.sends}, {"latency", p.latency}, {"broadcast", p.broadcast}} {
		if only != "" && only != measure.name {
			continue
		}
		if err := measure.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", measure.name, err)
		}
	}
	return p.print()
}

func (p *place) add(work, ours, bare, ratio string) {
	p.results = append(p.results, result{work, ours, bare, ratio})
}

func (p *place) print() error {
	fmt.Printf("\n%d cores, %s, PostgreSQL and Redis on loopback, fsync on, median of %d rounds of %s\n\n", runtime.NumCPU(), runtime.Version(), p.rounds, p.length)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "work\tours\tcounterpart\tratio")
	for _, r := range p.results {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.work, r.ours, r.bare, r.ratio)
	}
	return w.Flush()
}
