// Command bench measures the built server on a PostgreSQL and a Redis of its
// own, each figure beside a hand-written counterpart that does the same work in
// the same run: net/http, pgx and go-redis, one goroutine a socket, no GraphQL
// and no authentication. It checks what it receives, prints figures and judges
// none of them. Everything listens on loopback.
//
// Rounds of ours and of the counterpart take turns, and medians are printed, so
// that a machine that is busy with other things spoils both alike. CPU is what
// the server and PostgreSQL spent, each divided by the operations; the load
// generator is this program and counts for neither.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"carillon/internal/lab"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	bare := flag.String("bare", "", "be the counterpart on this address (used by the benchmark itself)")
	var o options
	flag.DurationVar(&o.length, "length", 5*time.Second, "of each measurement")
	flag.IntVar(&o.rounds, "rounds", 3, "of each comparison; the median is printed")
	flag.IntVar(&o.rows, "rows", 1_000_000, "notifications that inbox queries are measured on")
	flag.IntVar(&o.thenRows, "then-rows", 0, "measure inbox queries on so many notifications too, such as 10000000; 0: do not")
	flag.IntVar(&o.segmentUsers, "segment-users", 100_000, "users that segments are measured on, with ten times as many events")
	flag.IntVar(&o.users, "users", 100_000, "users that tables of users, and imports, are measured on, such as 1000000")
	flag.StringVar(&o.profiles, "profile", "", "write CPU profiles of the server to this `folder`")
	flag.StringVar(&o.only, "only", "", "measure these `parts`, by comma: "+strings.Join(names(), ", ")+"; or all of one work, such as w1; empty: all")
	flag.Parse()
	var err error
	if *bare != "" {
		err = serveBare(ctx, *bare, os.Getenv("DATABASE_URL"), os.Getenv("REDIS_URL"))
	} else {
		err = run(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type options struct {
	length         time.Duration
	rounds         int
	rows, thenRows int
	segmentUsers   int
	users          int
	profiles, only string
}

// part is a measurement: the work of the design that it belongs to, its name,
// and what does it.
type part struct {
	work, name string
	run        func(*place, context.Context) error
}

func parts() []part {
	return []part{
		{"w6", "startup", (*place).startUp},
		{"w1", "inbox", (*place).inboxQueries},
		{"w2", "sends", (*place).sends},
		{"w2", "latency", (*place).latency},
		{"w3", "fanout", (*place).fanOut},
		{"w3", "sockets", (*place).sockets},
		{"w4", "broadcast", (*place).broadcast},
		{"w5", "marks", (*place).marks},
		{"queue", "deliveries", (*place).deliveries},
		{"queue", "sqlite-deliveries", (*place).sqliteDeliveries},
		{"segments", "segments", (*place).segments},
		{"people", "users", (*place).userTables},
		{"people", "import", (*place).importUsers},
		{"sqlite", "sqlite", (*place).sqlite},
		{"sqlite", "sqlite-latency", (*place).sqliteLatency},
	}
}

func names() []string {
	var list []string
	for _, m := range parts() {
		list = append(list, m.name)
	}
	return list
}

// wanted are the parts that o asks for.
func (o options) wanted() ([]part, error) {
	all := parts()
	if o.only == "" {
		return all, nil
	}
	words := strings.Split(o.only, ",")
	var list []part
	for _, m := range all {
		if slices.Contains(words, m.name) || slices.Contains(words, m.work) {
			list = append(list, m)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("-only %s names nothing: there are %s", o.only, strings.Join(names(), ", "))
	}
	return list, nil
}

func run(ctx context.Context, o options) (err error) {
	wanted, err := o.wanted()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "carillon-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if o.profiles != "" {
		if err := os.MkdirAll(o.profiles, 0o750); err != nil {
			return err
		}
	}
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
	p := &place{options: o, setup: s}
	for _, m := range wanted {
		began := time.Now()
		if err := m.run(p, ctx); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		fmt.Fprintf(os.Stderr, "%s took %s\n", m.name, time.Since(began).Round(time.Second))
	}
	return p.print(os.Stdout)
}
